"""Orders of gates: ours, of ONNX and of Keras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn.layers import GRU, LSTM, RNN

if TYPE_CHECKING:
    from fastrnn._typing import Array

# Ours, theirs. "-f" are the rows of f, negated, and "0" rows of zeros: for ``input_forget`` ONNX forms
# f = 1 - i of i, where we form i = 1 - f of f, and sigmoid(-a) = 1 - sigmoid(a).
SIMPLE = (("h",), ("h",))
ONNX: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "rnn_tanh": SIMPLE,
    "rnn_relu": SIMPLE,
    "rnn_sigmoid": SIMPLE,
    "rnn_identity": SIMPLE,
    "lstm": ("ifgo", "iofg"),
    "lstm_peephole": ("ifgo", "iofg"),
    "lstm_coupled": ("fgo", ("-f", "o", "0", "g")),
    "gru": ("rzn", "zrn"),
    "gru_reset_before": ("rzn", "zrn"),
}
PEEPHOLES = ("ifo", "iof")
KERAS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "rnn_tanh": SIMPLE,
    "rnn_relu": SIMPLE,
    "rnn_sigmoid": SIMPLE,
    "rnn_identity": SIMPLE,
    "lstm": ("ifgo", "ifgo"),
    "gru": ("rzn", "zrn"),
    "gru_reset_before": ("rzn", "zrn"),
}


def has(orders: Mapping[str, Any], layer: Any) -> bool:
    """Whether a recurrent layer is one of these cells and no more: no context, no modules, no zoneout."""
    return isinstance(layer, (GRU, LSTM, RNN)) and layer.cell in orders and not any(layer.zoneout)


def theirs(rows: Array, order: tuple[Sequence[str], Sequence[str]]) -> Array:
    """The blocks of rows in their order."""
    ours, wanted = order
    blocks = dict(zip(ours, np.split(rows, len(ours)), strict=True))
    blocks |= {"0": np.zeros_like(rows[: len(rows) // len(ours)])} | {f"-{g}": -a for g, a in blocks.items()}
    return np.concatenate([blocks[g] for g in wanted])


def ours(rows: Array, order: tuple[Sequence[str], Sequence[str]]) -> Array:
    """The blocks of rows in our order."""
    wanted, given = order
    blocks = dict(zip(given, np.split(rows, len(given)), strict=True))
    blocks |= {g[1:]: -a for g, a in blocks.items() if g[0] == "-"}
    return np.concatenate([blocks[g] for g in wanted])
