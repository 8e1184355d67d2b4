"""A backward pass that can itself be differentiated: through torch's own operators, which have such a one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from . import _spec
from ._fallback import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._run import Call


def gradients(call: Call, dy: Any, dlast: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
    """Gradients by x, states and parameters, as a graph over them and over dy and dlast.

    Raises
    ------
    RuntimeError
        torch has no such layer.
    """
    x, state, params, batch_sizes = call.x, call.state, call.params, call.batch_sizes
    layer = _spec.read(call.spec, str(x.dtype).removeprefix("torch."))
    plain = _spec.takes_part_of_gradients(layer) and not layer._noisy and call.lengths is None
    if not plain:
        raise RuntimeError(
            f"{type(layer).__name__}: expected one backward pass, got create_graph=True; "
            "a double backward pass is for plain LSTM, GRU and RNN"
        )
    say("double backward")
    sizes = layer.state_sizes
    levels = layer.num_layers * layer.directions
    given = list(state) or [x.new_zeros(levels, call.rows, width) for width in sizes]
    run = getattr(torch._VF, layer.cell.removesuffix("_projected"))
    hx = given if len(given) == 2 else given[0]
    options = (layer.bias, layer.num_layers, 0.0, False, layer.bidirectional)
    flags = torch.backends.mkldnn.set_flags
    before = flags(_enabled=False, _fp32_precision=None)[0]  # oneDNN's cannot be differentiated twice
    try:
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
    found = torch.autograd.grad(outputs, asked, cotangents, create_graph=True, allow_unused=True)
    by = iter(found)
    grads = [next(by) if t.requires_grad else None for t in inputs]
    return grads[0], grads[1 : 1 + len(state)], grads[1 + len(state) :]
