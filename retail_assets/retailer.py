"""Facts of the retailer that its rows do not say: where it trades, in which money, since when, and its holidays."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import holidays


@dataclass(frozen=True)
class Calendar:
    """`country` is an ISO 3166 code that the `holidays` package knows; business dates are days of `zone`."""

    first: date
    country: str
    zone: ZoneInfo

    def newest_closed_day(self) -> date:
        """Yesterday, where the stores are."""
        return datetime.now(self.zone).date() - timedelta(days=1)

    def holidays(self, first: date, last: date) -> dict[date, str]:
        """Public holidays first … last with their names."""
        years = range(first.year, last.year + 1)
        found = holidays.country_holidays(self.country, years=years, language="en_US")
        return {day: name for day, name in sorted(found.items()) if first <= day <= last}


@dataclass(frozen=True)
class Market:
    """`currency` is the ISO 4217 code of all money; business dates are days of `zone`."""

    currency: str
    zone: ZoneInfo
