"""Tensors in, tensors out: a layer's passes forward and backward, over the memory of the tensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .. import _core
from ..layers.stack import Stack
from . import _spec
from ._packed import Packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Array, Shape


class Call(NamedTuple):
    """What a layer is run on.

    Attributes
    ----------
    spec : str
        The layer, see `_spec`.
    x : Tensor, [T, B, I], or [B, T, I] where the layer is batch_first, or packed data [N, I]
    state : sequence of Tensor, each [L*D, B, width]
        None of them: zeros.
    params : sequence of Tensor
    batch_sizes : Tensor of int64, [T], or None
        Of packed data.
    lengths : Tensor of int64, [B], or None
        Of rows that are padded.
    key : Tensor of int64, [], or None
        Chooses random masks; None: no masks.
    rows : int
        B.
    """

    spec: str
    x: Any
    state: Sequence[Any]
    params: Sequence[Any]
    batch_sizes: Any
    lengths: Any
    key: Any
    rows: Any


def array(t: Any) -> Array:
    """The memory of a tensor; a copy if its last axis is not contiguous."""
    t = t.detach()
    if t.dim() and t.stride(-1) != 1 and t.size(-1) > 1:
        t = t.contiguous()
    found: Array = t.numpy()
    if found.ndim and found.shape[-1] == 1 and found.strides[-1] != found.itemsize:
        found = np.lib.stride_tricks.as_strided(found, strides=(*found.strides[:-1], found.itemsize))
    return found


def zeros(shape: Shape, like: Array) -> Array:
    """An array from the pool, so that a training loop touches no new pages."""
    found = _core.empty(shape, like)
    found.fill(0)
    return found


def _states(parts: Sequence[Array]) -> list[Any]:
    """States as tensors; some layers give parts of wider arrays."""
    return [torch.from_numpy(np.ascontiguousarray(part)) for part in parts]


def addresses(call: Call, y: Any) -> tuple[int, ...]:
    """Where the tensors of a call are, and y unless it is None."""
    return tuple([t.data_ptr() for t in (call.x, y, *call.state, *call.params) if t is not None])


def forward(call: Call, keep: bool) -> tuple[Stack, Any, list[Any]]:
    """Run the levels: what backward needs, y, and the last states.

    Raises
    ------
    ValueError, TypeError
        A shape or a dtype does not fit.
    """
    dtype = call.x.dtype
    for t in (*call.state, *call.params):
        if t.dtype != dtype:
            raise TypeError(f"fastrnn::recurrent: expected tensors of {dtype}, the dtype of x, got {t.dtype}")
    x = array(call.x)
    layer = _spec.bind(_spec.read(call.spec, x.dtype.name), [array(p) for p in call.params])
    ragged: Any = None if call.lengths is None else call.lengths.numpy()
    packed = call.batch_sizes is not None
    if packed:
        if call.key is not None:
            raise ValueError("key: expected None because x is packed, got one")
        x = x[:, None]
        ragged = Packed(call.batch_sizes.numpy(), len(x))
    whole = _core.empty((*x.shape[:2], layer.directions * layer.output_size), x)
    y = torch.from_numpy(whole[:, 0] if packed else whole)
    first = tuple([array(s) for s in call.state]) if call.state else None
    key = 0 if call.key is None else int(call.key)
    stack = Stack(layer, x, first, ragged, None, keep, key, 0, call.key is not None, whole)
    return stack, y, _states(layer._join(stack.finals))


def backward(
    call: Call, stack: Stack | None, dy: Any, dlast: Sequence[Any], want_dx: bool, wanted: Sequence[bool]
) -> tuple[Any, list[Any], list[Any]]:
    """Gradients by x, the states and the parameters; None where they are not wanted.

    Without what forward kept, it is run once more: that gives the same bits.
    """
    if stack is None:
        stack, _, _ = forward(call, True)
    layer, y = stack.layer, stack.y
    by_y = None if dy is None else array(dy)
    if by_y is not None and call.batch_sizes is not None:
        by_y = by_y[:, None]
    last = None
    if any(d is not None for d in dlast):
        levels = layer.num_layers * layer.directions
        shapes = [(levels, call.rows, width) for width in layer.state_sizes]
        parts = [zeros(s, y) if d is None else array(d) for s, d in zip(shapes, dlast, strict=True)]
        last = layer._split("d", tuple(parts), y, None, call.rows)
    part = _spec.takes_part_of_gradients(layer)
    grads = {
        name: zeros(layer._shapes[name], y)
        for name, want in zip(layer._shapes, wanted, strict=True)
        if want or not part
    }
    dx, first = stack.backward(by_y, last, layer._pack(grads), None, want_dx, False)
    if dx is not None:
        dx = torch.from_numpy(dx if call.batch_sizes is None else dx[:, 0])
    by_state = _states(layer._join(first)) if call.state else []
    pairs = zip(layer._shapes, wanted, strict=True)
    return dx, by_state, [torch.from_numpy(grads[name]) if want else None for name, want in pairs]
