"""Exact money for frames: floats of a computation as decimals with the scale of the contract.

Only the last step of a frame belongs here; computations stay in floats.
"""

from decimal import Decimal

import numpy as np
from numpy.typing import ArrayLike

_SCALE = Decimal("0.0001")


def money(values: ArrayLike) -> list[Decimal | None]:
    """Decimals with four places; None where a value is missing.

    >>> money([1.25, float("nan")])
    [Decimal('1.2500'), None]
    """
    numbers = np.asarray(values, dtype=np.float64).tolist()
    return [None if number != number else Decimal(repr(number)).quantize(_SCALE) for number in numbers]
