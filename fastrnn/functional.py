"""Stateless calls: arrays in, arrays out. Shapes and errors are those of the layers of the same name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _check, _compute, _core

if TYPE_CHECKING:
    from ._typing import Array, State


CELLS = tuple(_core.cells())


def _rounds(compute: str | None, x: Array) -> bool:
    if compute is None:
        return False
    if not isinstance(x, np.ndarray):
        raise TypeError(f"x: expected a NumPy array, got {_check.describe(x)}")
    return _compute.rounds(compute, str(x.dtype))


@_check.arrays_of_others
def recurrent(
    cell: str,
    x: Array,
    weights: tuple[Array | None, ...],
    state: State | None = None,
    *,
    batch_first: bool = False,
    compute: str | None = None,
) -> tuple[Array, State]:
    """Run one level of a recurrent layer.

    Parameters
    ----------
    cell : str
        A name in ``fastrnn.functional.CELLS``: ``"lstm"``, ``"gru"``, ``"rnn_tanh"`` and so on.
    x : ndarray, [T, B, I], or [B, T, I] if batch_first
    weights : (weight_ih [G*H, I], weight_hh [G*H, H], bias_ih [G*H] or None, bias_hh [G*H] or None)
        Gates in PyTorch's order; weight_hh None for a cell that has none, weight_ch or weight_hr after the
        others for one that has it.
    state : tuple of ndarray, each [B, H], optional
    batch_first : bool
    compute : {"bfloat16", None}
        What products are computed in; see `LSTM.set_compute`.

    Returns
    -------
    y : ndarray, [T, B, H], or [B, T, H] if batch_first
    state : tuple of ndarray, each [B, H]
    """
    if not isinstance(cell, str):
        raise TypeError(f"cell: expected a str, got {_check.describe(cell)}")
    if not isinstance(weights, (tuple, list)):
        raise TypeError(f"weights: expected a tuple of arrays, got {_check.describe(weights)}")
    batch_first = _check.flag("batch_first", batch_first)
    rounded = _rounds(compute, x)
    y, last, _ = _core.recurrent_forward(
        cell, x, None, tuple(weights), state, batch_first, False, bfloat16=rounded
    )
    return y, last


@_check.arrays_of_others
def lstm(
    x: Array,
    weights: tuple[Array | None, ...],
    state: State | None = None,
    *,
    batch_first: bool = False,
    compute: str | None = None,
) -> tuple[Array, State]:
    """`recurrent` with the LSTM cell; the state is (h, c)."""
    return recurrent("lstm", x, weights, state, batch_first=batch_first, compute=compute)


@_check.arrays_of_others
def linear(x: Array, weight: Array, bias: Array | None = None, *, compute: str | None = None) -> Array:
    """Give x weight' + bias: [..., I] by [O, I] and [O] to [..., O]."""
    return _core.linear(x, weight, bias, _rounds(compute, x))


@_check.arrays_of_others
def embedding(tokens: Array, weight: Array) -> Array:
    """Give weight[tokens], tokens being [N] or [T, B]; raises ValueError for one not in [0, V)."""
    return _core.embedding(tokens, weight)


@_check.arrays_of_others
def dropout(x: Array, p: float, key: int, step: int = 0, *, batch_first: bool = False) -> Array:
    """Mask x, [N, H] or [T, B, H]; the gradient by x is the same call on the gradient by the result."""
    p = _check.real("p", p, 0.0, 1.0)
    key, step = _check.key(key, p) & 0xFFFFFFFFFFFFFFFF, _check.integer("step", step, 0)
    return _core.dropout(x, p, key, step, _check.flag("batch_first", batch_first))


@_check.arrays_of_others
def linear_cross_entropy(
    x: Array,
    weight: Array,
    bias: Array | None,
    targets: Array,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    mask: Array | None = None,
    compute: str | None = None,
) -> float:
    """Give the cross-entropy, in nats, of softmax(x weight' + bias); see `losses.LinearCrossEntropy`."""
    mean = _check.choice("reduction", reduction, ("mean", "sum")) == "mean"
    ignored = _check.label("ignore_index", ignore_index)
    return _core.cross_entropy(x, weight, bias, targets, ignored, mean, mask, _rounds(compute, x))[0]
