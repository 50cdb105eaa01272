"""Random streams of the demo: each purpose and day has its own, so that nothing depends on how days are chunked.

Add a stream here when a new thing is drawn; never draw two purposes from one stream.
"""

from enum import IntEnum

import numpy as np


class Stream(IntEnum):
    STORES = 1
    PRODUCTS = 2
    ASSORTMENT = 3
    CUSTOMERS = 4
    LEVEL = 5
    PROMOTIONS = 6
    PRICES = 7
    DEMAND = 8
    PHANTOM = 9
    RETURNS = 10
    SUPPLY = 11
    BASKETS = 12
    FAULTS = 13
    LOCAL_EVENTS = 14
    MISSING_FEED = 15


def random_stream(seed: int, stream: Stream, *, step: int = 0) -> np.random.Generator:
    """Generator of one purpose at one step (a day, week or month number)."""
    return np.random.default_rng([seed, int(stream), step])
