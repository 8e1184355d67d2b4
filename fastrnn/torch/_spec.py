"""Which layer an operator runs: a text such as ``LSTM(input_size=3, hidden_size=5, bias=True)``.

An operator takes tensors, numbers and texts alone. A text names the layer and its options wholly, so that a
graph that was exported in one process means the same in another.
"""

from __future__ import annotations

import ast
import functools
from typing import TYPE_CHECKING, Any

from ..layers import cells

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .._typing import Array
    from ..layers.recurrent import Recurrent


def write(kind: str, options: Mapping[str, Any]) -> str:
    """The text of a layer."""
    return f"{kind}({', '.join([f'{name}={value!r}' for name, value in options.items()])})"


@functools.lru_cache(maxsize=1024)
def read(spec: str, dtype: str) -> Recurrent:
    """Give a layer of that text, without memory for parameters: see `bind`.

    Raises
    ------
    ValueError
        It is not the text of a layer; or an option is wrong, as the layer says.
    """
    try:
        call = ast.parse(spec, mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        assert call.func.id in cells.__all__
        assert not call.args
        options = {str(word.arg): ast.literal_eval(word.value) for word in call.keywords}
    except (AssertionError, SyntaxError, ValueError):
        raise ValueError(
            f"spec: expected a layer such as 'GRU(input_size=3, hidden_size=5)', got {spec!r}"
        ) from None
    layer: Recurrent = getattr(cells, call.func.id)(**options, dtype=dtype, seed=0)
    layer._flat = (layer.flat_params[:0].copy(),) * 2
    for name in ("_home", "_weights", "_gradients", "params", "grads"):
        delattr(layer, name)
    return layer


def bind(layer: Recurrent, arrays: Sequence[Array]) -> Recurrent:
    """That layer with these parameters, in the order of its names."""
    if len(arrays) != len(layer._shapes):
        raise ValueError(f"params: expected {len(layer._shapes)} tensors, got {len(arrays)}")
    bound = object.__new__(type(layer))
    bound.__dict__.update(layer.__dict__)
    bound._weights = layer._pack(dict(zip(layer._shapes, arrays, strict=True)))
    return bound


def takes_part_of_gradients(layer: Recurrent) -> bool:
    """Whether its kernels leave out the gradients of parameters for which they are given no array."""
    return layer.cell in ("lstm", "lstm_projected", "gru", "rnn_tanh", "rnn_relu")
