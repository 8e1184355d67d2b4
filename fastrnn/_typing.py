"""Names for type annotations; imported only by type checkers."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]
Arrays: TypeAlias = Array | tuple[Any, ...]  # what a model takes: a tuple when it has several inputs
# A gradient that is None only where its caller wants none or gave tokens. With `| None` every strict script
# would have to check for what it knows; typeshed has `| Any` for results of this kind.
Maybe: TypeAlias = Array | Any
Floats: TypeAlias = NDArray[np.floating[Any]]
Shape: TypeAlias = tuple[int, ...]
State: TypeAlias = tuple[Any, ...]
Width: TypeAlias = tuple[str, int]  # of a last axis: its letter, for messages, and its size
