"""Weights of recurrent layers as Keras has them, in and out; Keras itself is not needed.

>>> for level, of_keras in zip(fastrnn.interop.keras.get_weights(layer), keras_layers):
...     of_keras.set_weights(level)
>>> fastrnn.interop.keras.set_weights(layer, [of_keras.get_weights() for of_keras in keras_layers])
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn.interop import _gates
from fastrnn.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from fastrnn._typing import Array

__all__ = ["get_weights", "set_weights"]


def get_weights(layer: Recurrent) -> list[list[Array]]:
    """Give the weights of each level, as ``set_weights`` of a layer of Keras takes them.

    ``RNN``, ``LSTM`` and ``GRU`` are ``SimpleRNN``, ``LSTM`` and ``GRU``, whose ``reset_after`` is True for
    reset="after" and False for "before"; a bidirectional level is a ``Bidirectional``.

    Parameters
    ----------
    layer : RNN, LSTM or GRU

    Returns
    -------
    list of list of ndarray
        For each level kernel [I, G*H], recurrent_kernel [H, G*H] and, unless bias is False, the bias: [G*H],
        the sum of both of ours, or for reset="after" [2, G*H]; for both directions one after the other.

    Raises
    ------
    TypeError, ValueError
        The layer is not recurrent, or Keras has no such cell.
    """
    cell, order = layer_order(layer)
    found = []
    for level in range(layer.num_layers):
        arrays: list[Array] = []
        for suffix in ("", "_reverse")[: layer.directions]:
            parts = {
                kind: _gates.theirs(layer.params[f"{kind}_l{level}{suffix}"], order)
                for kind in ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if layer.bias else ()))
            }
            arrays += [parts["weight_ih"].T.copy(), parts["weight_hh"].T.copy()]
            if layer.bias:
                both = parts["bias_ih"], parts["bias_hh"]
                arrays.append(np.stack(both) if cell == "gru" else both[0] + both[1])
        found.append(arrays)
    return found


def set_weights(layer: Recurrent, weights: Sequence[Sequence[Any]]) -> None:
    """Take over the weights of layers of Keras, all or none.

    Parameters
    ----------
    layer : RNN, LSTM or GRU
        Of the sizes and options of the layers; their activations are not in the weights.
    weights : sequence of sequence of array
        For each level what ``get_weights`` of its layer gives. Where Keras has one bias, ours by h becomes
        zero.

    Raises
    ------
    TypeError, ValueError
        The layer is not recurrent, or Keras has no such cell; the number, the shape or the dtype of arrays is
        wrong, such as those of a GRU of the other reset form.
    """
    cell, order = layer_order(layer)
    if len(weights) != layer.num_layers:
        raise ValueError(f"weights: expected those of {layer.num_layers} levels, got {len(weights)}")
    each, gates, hidden = 2 + layer.bias, len(order[1]), layer.hidden_size
    letters = f"{gates}*H"
    params: dict[str, Array] = {}
    for level, arrays in enumerate(weights):
        if len(arrays) != each * layer.directions:
            raise ValueError(
                f"weights[{level}]: expected {each * layer.directions} arrays, got {len(arrays)} of them"
            )
        width = layer.output_size * layer.directions if level else layer.input_size
        for direction, suffix in enumerate(("", "_reverse")[: layer.directions]):
            shapes: dict[str, tuple[tuple[int, ...], str]] = {
                "weight_ih": ((width, gates * hidden), f"I, {letters}"),
                "weight_hh": ((hidden, gates * hidden), f"H, {letters}"),
            }
            if layer.bias and cell == "gru":
                shapes["bias"] = ((2, gates * hidden), f"2, {letters}")
            elif layer.bias:
                shapes["bias"] = ((gates * hidden,), f"{letters},")
            for place, (kind, (shape, names)) in enumerate(shapes.items()):
                number = direction * each + place
                name, value = f"weights[{level}][{number}]", np.asarray(arrays[number])
                found = _check.array(name, value, shape, layer.flat_params.dtype, names)
                if kind != "bias":
                    params[f"{kind}_l{level}{suffix}"] = _gates.ours(found.T, order)
                    continue
                both = found if cell == "gru" else np.stack([found, np.zeros_like(found)])
                for bias, values in zip(("bias_ih", "bias_hh"), both, strict=True):
                    params[f"{bias}_l{level}{suffix}"] = _gates.ours(values, order)
    layer.load_params(params)


def layer_order(layer: Any) -> tuple[str, tuple[Sequence[str], Sequence[str]]]:
    """The cell of a layer, and its gates in both orders."""
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer: expected a recurrent layer, got {_check.describe(layer)}")
    if not _gates.has(_gates.KERAS, layer):
        raise ValueError(f"layer: expected a cell that Keras has, without zoneout, got {layer!r}")
    return layer.cell, _gates.KERAS[layer.cell]
