"""Where the stores trade: what silver must know of the retailer to judge its rows."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Market:
    """`currency` is the ISO 4217 code of all money; business dates are days of `zone`."""

    currency: str
    zone: ZoneInfo
