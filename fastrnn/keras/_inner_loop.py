"""What a layer of Keras does with a sequence, by our operator, over the memory of its tensors."""

from __future__ import annotations

import functools
from typing import Any

import keras
import numpy as np
import torch

from fastrnn.interop import _gates
from fastrnn.torch import _op
from fastrnn.torch._fallback import say, why_not

NONLINEARITIES = {
    keras.activations.tanh: "tanh",
    keras.activations.relu: "relu",
    keras.activations.sigmoid: "sigmoid",
    keras.activations.linear: "identity",
}


def inner_loop(
    layer: Any, sequences: Any, initial_state: Any, mask: Any, training: Any = False
) -> tuple[Any, Any, list[Any]]:
    """Run a layer, as ``RNN.inner_loop`` does.

    Parameters
    ----------
    layer : keras.layers.LSTM, GRU or SimpleRNN
    sequences : Tensor, [B, T, I]
    initial_state : list of Tensor, [B, H]
    mask : Tensor of bool, [B, T], optional
        At a step that is False the state stays, and the output is the one before.
    training : bool

    Returns
    -------
    last_output : Tensor, [B, H]
    outputs : Tensor, [B, T, H]
        In the order in which the steps were run.
    states : list of Tensor, [B, H]
    """
    x, cell = keras.ops.convert_to_tensor(sequences), layer.cell
    kernel = keras.ops.convert_to_tensor(cell.kernel)
    reason = why_not(x, kernel)
    if not reason and kernel.dtype != x.dtype:
        reason = f"{x.dtype} with weights of {kernel.dtype}"
    if reason or not x.numel():
        if x.numel() and x.device.type != "meta":  # keras works out shapes so
            say(reason)
        return type(layer).inner_loop(layer, sequences, initial_state, mask, training)  # type: ignore[no-any-return]
    if training and cell.dropout:
        x = x * cell.get_dropout_mask(x[:, 0, :])[:, None, :]
    mask = mask[0] if isinstance(mask, (list, tuple)) else mask
    if layer.go_backwards:
        x = x.flip(1)
        mask = None if mask is None else mask.flip(1)
    lengths = places = None
    if mask is not None:
        mask = keras.ops.convert_to_tensor(mask).to(torch.bool).reshape(x.shape[:2])
        x, lengths, places = _to_the_front(x, mask)
    states = [keras.ops.convert_to_tensor(s) for s in initial_state]
    if layer.stateful:  # Keras writes into them before the backward pass
        states = [s.clone() for s in states]
    spec, params = _layer(layer, kernel)
    first = [s[None] for s in states]
    y, last = _op.run(_op.Call(spec, x, first, params, None, lengths, None, x.size(0)))
    if places is not None:
        y = _back(y, places)
        if layer.zero_output_for_mask:
            y = y * mask[:, :, None]
    return y[:, -1], y, [part[0] for part in last]


def _to_the_front(x: Any, mask: Any) -> tuple[Any, Any, Any]:
    """The steps that count before the others, how many a row has, and where the output of each step is."""
    lengths = mask.sum(1)
    places = mask.cumsum(1) - 1
    if not torch.equal(mask, torch.arange(mask.size(1)) < lengths[:, None]):
        order = torch.argsort(~mask, dim=1, stable=True)
        x = x.gather(1, order[:, :, None].expand_as(x))
    return x, lengths, places


def _back(y: Any, places: Any) -> Any:
    """To each step the output of the last one that counts; zero before the first."""
    found = y.gather(1, places.clamp(min=0)[:, :, None].expand_as(y))
    return found * (places >= 0)[:, :, None]


@functools.lru_cache
def _rows(cell: str, hidden: int) -> Any:
    """Rows of Keras's weights in the order of ours; None if it is the same."""
    ours, theirs = _gates.KERAS[cell]
    index = _gates.ours(np.arange(len(ours) * hidden), (ours, theirs))
    return None if list(ours) == list(theirs) else torch.from_numpy(index)


def _layer(layer: Any, kernel: Any) -> tuple[str, list[Any]]:
    """The text of our layer, and its parameters: weight_ih, weight_hh, bias_ih, bias_hh."""
    cell, hidden = layer.cell, layer.units
    kind, option, name = "LSTM", "", "lstm"
    if isinstance(layer, keras.layers.GRU):
        kind, name = "GRU", "gru"
        if not cell.reset_after:
            option = ", reset='before'"
    elif isinstance(layer, keras.layers.SimpleRNN):
        kind, name = "RNN", "rnn_tanh"
        option = f", nonlinearity={NONLINEARITIES[cell.activation]!r}"
    rows = _rows(name, hidden)

    def ours(weights: Any) -> Any:
        return weights if rows is None else weights.index_select(0, rows)

    recurrent = keras.ops.convert_to_tensor(cell.recurrent_kernel)
    params = [ours(kernel.t()), ours(recurrent.t())]
    if cell.use_bias:
        bias = keras.ops.convert_to_tensor(cell.bias)
        both = bias.unbind(0) if bias.dim() == 2 else (bias, torch.zeros_like(bias))
        params += [ours(part) for part in both]
    spec = (
        f"{kind}(input_size={kernel.size(0)}, hidden_size={hidden}, bias={bool(cell.use_bias)}, "
        f"batch_first=True{option})"
    )
    return spec, [p.contiguous() for p in params]
