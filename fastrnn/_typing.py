"""Names for type annotations; imported only by type checkers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Floats: TypeAlias = NDArray[np.floating[Any]]
Shape: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[Any, ...]
Width: TypeAlias = tuple[str, int]  # of a last axis: its letter, for messages, and its size
