"""The layer under plain autograd: a fifth of the overhead of the operator, for when nobody traces."""

from __future__ import annotations

from typing import Any

import torch

from . import _run, _twice


class Recurrent(torch.autograd.Function):  # type: ignore[misc]
    """`_run.forward` and `_run.backward`; what forward kept hangs on the node of the graph."""

    @staticmethod
    def forward(ctx: Any, call: _run.Call, x: Any, *others: Any) -> Any:
        """`others` are the states and the parameters of the call."""
        stack, y, last = _run.forward(call, True)
        if len(last) == 1:  # torch.nn lets callers change y in place, but for an LSTM's: then they get a copy
            out, y = y.clone(), None
        else:
            out = y
        ctx.call = call._replace(x=None, state=(None,) * len(call.state), params=())
        ctx.kept = [(stack, _run.addresses(call, y))]
        ctx.save_for_backward(x, y, *others)
        ctx.set_materialize_grads(False)
        return (out, *last)

    @staticmethod
    def backward(ctx: Any, dy: Any, *dlast: Any) -> Any:
        """From what forward kept, once; again, or where saved tensors were replaced, from the start."""
        x, y, *others = ctx.saved_tensors
        number = len(ctx.call.state)
        call = ctx.call._replace(x=x, state=others[:number], params=others[number:])
        _, want_dx, *wants = ctx.needs_input_grad
        by_state, wanted = wants[:number], wants[number:]
        if _twice.reason(dy, *dlast):
            dx, first, grads = _twice.gradients(call, dy, dlast)
        else:
            try:
                stack, before = ctx.kept.pop()
            except IndexError:
                stack, before = None, ()
            if before != _run.addresses(call, y):
                stack = None
            dx, first, grads = _run.backward(call, stack, dy, dlast, want_dx, wanted)
        first = [d if want else None for d, want in zip(first, by_state, strict=True)]
        return None, dx if want_dx else None, *first, *grads
