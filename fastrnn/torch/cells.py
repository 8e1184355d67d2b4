"""Every cell of ``fastrnn.layers.cells`` as a torch module of the same name, with all its options.

>>> layer = fastrnn.torch.cells.LSTM(40, 128, peephole="diagonal")
>>> y, (h, c) = layer(x)

`fastrnn.torch.LSTM`, `GRU` and `RNN` are torch's own layers; those here have the options of `fastrnn.LSTM`
and so on.
"""

from typing import Any

from ._cells import MODULES
from ._cells import Cell as Cell

__all__ = ["Cell", *MODULES]


def __getattr__(name: str) -> Any:
    if name in MODULES:
        return MODULES[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
