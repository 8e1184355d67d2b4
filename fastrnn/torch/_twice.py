"""A backward pass through torch's operators: it can be differentiated, or takes many cotangents at once."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import torch

from . import _spec
from ._fallback import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._run import Call


@functools.lru_cache
def _batched(keys: int) -> bool:
    """Whether a tensor with these dispatch keys is a batch: of ``is_grads_batched``, or of vmap."""
    return "Batched" in str(torch._C.DispatchKeySet.from_raw_repr(keys))


def reason(*cotangents: Any) -> str:
    """Why a backward pass has to go this way; empty if it need not."""
    if torch.is_grad_enabled():
        return "double backward"
    for d in cotangents:
        if d is not None and _batched(torch._C._dispatch_keys(d).raw_repr()):
            return "batched gradients"
    return ""


def gradients(call: Call, dy: Any, dlast: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
    """Gradients by x, states and parameters; with gradients enabled, as a graph over them, dy and dlast.

    Raises
    ------
    RuntimeError
        torch has no such layer.
    """
    with (
        torch.enable_grad()
    ):  # aliases: a tensor that is there twice (tied weights) has a gradient in each place
        x, *rest = [t.view_as(t) for t in (call.x, *call.state, *call.params)]
    state, params, batch_sizes = rest[: len(call.state)], rest[len(call.state) :], call.batch_sizes
    layer = _spec.read(call.spec, str(x.dtype).removeprefix("torch."))
    plain = _spec.takes_part_of_gradients(layer) and not layer._noisy and call.lengths is None
    if not plain:
        what = "create_graph=True" if torch.is_grad_enabled() else "a batch of them"
        raise RuntimeError(
            f"{type(layer).__name__}: expected one backward pass, got {what}; "
            "that is for plain LSTM, GRU and RNN"
        )
    say(reason(dy, *dlast))
    twice = torch.is_grad_enabled()
    sizes = layer.state_sizes
    levels = layer.num_layers * layer.directions
    given = list(state) or [x.new_zeros(levels, call.rows, width) for width in sizes]
    run = getattr(torch._VF, layer.cell.removesuffix("_projected"))
    hx = given if len(given) == 2 else given[0]
    options = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional)
    flags = torch.backends.mkldnn.set_flags
    before = flags(_enabled=False, _fp32_precision=None)[0]  # oneDNN's cannot be differentiated twice
    try:
        with torch.enable_grad():
            if batch_sizes is None:
                y, *last = run(x, hx, params, *options, False)
            else:
                y, *last = run(x, batch_sizes, hx, params, *options)
    finally:
        flags(_enabled=before, _fp32_precision=None)
    pairs = [
        (a, d) for a, d in zip((y, *last), (dy, *dlast), strict=True) if d is not None and a.requires_grad
    ]
    inputs = [x, *state, *params]
    asked = [t for t in inputs if t.requires_grad]
    outputs, cotangents = [a for a, _ in pairs], [d for _, d in pairs]
    found = torch.autograd.grad(outputs, asked, cotangents, create_graph=twice, allow_unused=True)
    by = iter(found)
    grads = [next(by) if t.requires_grad else None for t in inputs]
    return grads[0], grads[1 : 1 + len(state)], grads[1 + len(state) :]
