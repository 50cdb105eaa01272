"""The kinds of NumPy arrays that the mathematics exchanges; what their axes are, each function says itself.

A kind that one module alone needs stays in that module.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Days = NDArray[np.int64]
Flags = NDArray[np.bool_]
Dates = NDArray[np.datetime64]
