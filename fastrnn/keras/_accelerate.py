"""Swapping what the recurrent layers of a model compute."""

from __future__ import annotations

import types
from typing import Any

import keras

from fastrnn.torch import Report

from ._inner_loop import NONLINEARITIES, inner_loop

_KINDS = (keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
_BASES = (keras.layers.RNN, *_KINDS)


def accelerate(model: Any) -> Report:
    """Let every ``LSTM``, ``GRU`` and ``SimpleRNN`` of a Keras model run on our kernels, in place.

    Layers, variables, optimisers and what ``model.save`` writes stay as they are: a layer only has another
    ``inner_loop``. Masks of any form, ``return_sequences``, ``return_state``, ``go_backwards``, ``stateful``,
    ``initial_state``, ``zero_output_for_mask``, ``dropout`` (of the same masks) and layers in
    ``Bidirectional`` are Keras's own.

    Parameters
    ----------
    model : keras.Layer
        A model, or such a layer itself.

    Returns
    -------
    Report
        What was swapped, and what was left and why: other activations, ``recurrent_dropout``, subclasses,
        cells in ``keras.layers.RNN``.

    Raises
    ------
    TypeError
        It is no layer of Keras.

    Notes
    -----
    Tensors on other devices, and dtypes other than float32 and float64, take Keras's own path; a
    `FallbackWarning` says so once. The formulas are those of our `LSTM`, `GRU` (``reset="after"`` for
    ``reset_after=True``, else "before") and `RNN`.
    """
    swapped, left = {}, {}
    for layer in _layers(model):
        if not isinstance(layer, _BASES):
            continue
        why = _why_not(layer)
        if why:
            left[layer.path or layer.name] = why
        else:
            layer.inner_loop = types.MethodType(inner_loop, layer)
            swapped[layer.path or layer.name] = type(layer).__name__
    return Report(swapped, left)


def restore(model: Any) -> Report:
    """Undo `accelerate`.

    Raises
    ------
    TypeError
        It is no layer of Keras.
    """
    swapped = {}
    for layer in _layers(model):
        if isinstance(layer, _KINDS) and "inner_loop" in vars(layer):
            del layer.inner_loop
            swapped[layer.path or layer.name] = type(layer).__name__
    return Report(swapped, {})


def _layers(model: Any) -> list[Any]:
    if not isinstance(model, keras.Layer):
        raise TypeError(f"model: expected a layer of Keras, got {type(model).__name__}")
    return list(model._flatten_layers(include_self=True, recursive=True))


def _why_not(layer: Any) -> str:
    """Why a layer stays as it is; empty if it need not."""
    if type(layer) is keras.layers.RNN:
        return f"RNN of {type(layer.cell).__name__}, which may be any cell"
    if type(layer) not in _KINDS:
        kind = type(layer)
        return f"{kind.__module__}.{kind.__qualname__} is a subclass and may have code of its own"
    cell = layer.cell
    if cell.recurrent_dropout:
        return f"recurrent_dropout={cell.recurrent_dropout:g}"
    if cell.dropout and getattr(cell, "dropout_mask_count", None):
        return "dropout with implementation=1, which has a mask for each gate"
    if isinstance(layer, keras.layers.SimpleRNN):
        if cell.activation not in NONLINEARITIES:
            return f"activation={_name(cell.activation)}"
    elif cell.activation is not keras.activations.tanh:
        return f"activation={_name(cell.activation)}"
    elif cell.recurrent_activation is not keras.activations.sigmoid:
        return f"recurrent_activation={_name(cell.recurrent_activation)}"
    return ""


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))
