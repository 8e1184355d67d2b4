"""The array type of the reference: any dtype, complex included."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tokens = npt.NDArray[np.integer[Any]]
Pair = tuple[tuple[Array, ...], tuple[Array, ...]]
