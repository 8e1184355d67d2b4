"""The operators ``fastrnn::recurrent`` and ``fastrnn::recurrent_backward``: a layer as a compiler sees it.

What forward keeps for backward does not fit a tensor: packed sequences, slots, the plan. So the operator
returns a token, one byte whose storage owns all that, and backward finds it by the address of the byte. A
token that has been copied, or used already (``retain_graph``), is not found; then backward runs forward once
more, to the same bits. See ``docs/decisions/0007-torch-operators.md``.
"""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from . import _run, _spec, _twice
from ._eager import Recurrent
from ._run import Call as Call

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..layers.stack import Stack

_INPUTS = (
    "str spec, Tensor x, Tensor[] state, Tensor[] params, Tensor? batch_sizes, Tensor? lengths, "
    "Tensor? key, SymInt rows"
)
_FORWARD = f"({_INPUTS}, bool keep) -> (Tensor, Tensor[], Tensor)"
_BACKWARD = (
    f"({_INPUTS}, Tensor y, Tensor token, Tensor? dy, Tensor?[] dlast, bool want_dx, bool[] wanted) "
    "-> (Tensor, Tensor[], Tensor[])"
)


class _Token(np.ndarray):
    """One byte that owns what forward kept."""

    kept: list[tuple[Stack, tuple[int, ...]]]


_tokens: weakref.WeakValueDictionary[int, _Token] = weakref.WeakValueDictionary()


def _traced() -> bool:
    """Whether something wants a graph of operators, not their results alone."""
    return bool(torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack())


def run(call: Call) -> tuple[Any, Sequence[Any]]:
    """Run a layer: y and the last states. Through the operator where something traces."""
    tensors = (call.x, *call.state, *call.params)
    keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
    if _traced():
        y, last, _ = recurrent(*call, keep)
    elif keep:
        y, *last = Recurrent.apply(call, *tensors)
    else:
        _, y, last = _run.forward(call, False)
    return y, last


def _forward(*args: Any) -> tuple[Any, list[Any], Any]:
    call, keep = Call(*args[:-1]), args[-1]
    stack, y, last = _run.forward(call, keep)
    if not keep:
        return y, last, torch.empty(0, dtype=torch.uint8)
    owner = np.zeros(1, np.uint8).view(_Token)
    owner.kept = [(stack, _run.addresses(call, y))]
    token = torch.from_numpy(owner)
    _tokens[token.data_ptr()] = owner
    return y, last, token


def _take(token: Any, addresses: tuple[int, ...]) -> Stack | None:
    """What forward kept with this token, once, if the tensors are where they were."""
    owner = _tokens.get(token.data_ptr()) if token.numel() else None
    try:
        stack, before = owner.kept.pop()  # type: ignore[union-attr]
    except (AttributeError, IndexError):
        return None
    return stack if before == addresses else None


def _backward(*args: Any) -> tuple[Any, list[Any], list[Any]]:
    call, (y, token, dy, dlast, want_dx, wanted) = Call(*args[:8]), args[8:]
    stack = _take(token, _run.addresses(call, y))
    dx, first, grads = _run.backward(call, stack, dy, dlast, want_dx, wanted)
    dx, *grads = [call.x.new_empty(0) if g is None else g for g in (dx, *grads)]
    return dx, first, grads


def _fake_forward(*args: Any) -> tuple[Any, list[Any], Any]:
    call, keep = Call(*args[:-1]), args[-1]
    layer, x = _spec.read(call.spec, str(call.x.dtype).removeprefix("torch.")), call.x
    levels = layer.num_layers * layer.directions
    y = x.new_empty((*x.shape[:-1], layer.directions * layer.output_size))
    last = [x.new_empty((levels, call.rows, width)) for width in layer.state_sizes]
    return y, last, x.new_empty(int(keep), dtype=torch.uint8)


def _fake_backward(*args: Any) -> tuple[Any, list[Any], list[Any]]:
    call, want_dx, wanted = Call(*args[:8]), args[12], args[13]
    return (
        call.x.new_empty(call.x.shape if want_dx else (0,)),
        [s.new_empty(s.shape) for s in call.state],
        [p.new_empty(p.shape if want else (0,)) for p, want in zip(call.params, wanted, strict=True)],
    )


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    call, (y, _, token) = Call(*inputs[:-1]), output
    ctx.spec, ctx.rows, ctx.states = call.spec, call.rows, len(call.state)
    saved = (call.batch_sizes, call.lengths, call.key)
    ctx.save_for_backward(call.x, y, token, *saved, *call.state, *call.params)
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, dy: Any, dlast: Any, dtoken: Any) -> tuple[Any, ...]:
    x, y, token, batch_sizes, lengths, key, *rest = ctx.saved_tensors
    state, params = rest[: ctx.states], rest[ctx.states :]
    _, want_dx, by_state, wanted, *_ = ctx.needs_input_grad
    call = Call(ctx.spec, x, state, params, batch_sizes, lengths, key, ctx.rows)
    if _twice.reason(dy, *dlast):
        dx, first, grads = _twice.gradients(call, dy, dlast)
    else:
        dx, first, grads = recurrent_backward(*call, y, token, dy, list(dlast), want_dx, list(wanted))
    return (
        None,
        dx if want_dx else None,
        [g if want else None for g, want in zip(first, by_state, strict=True)],
        [g if want else None for g, want in zip(grads, wanted, strict=True)],
        *(None,) * 5,
    )


def define(name: str, run: Any, schema: str, fake: Any) -> Any:
    """Register an operator on CPUs, and what it does without numbers."""
    op = torch.library.custom_op(f"fastrnn::{name}", run, mutates_args=(), device_types="cpu", schema=schema)
    op.register_fake(fake)
    return op


recurrent = define("recurrent", _forward, _FORWARD, _fake_forward)
recurrent_backward = define("recurrent_backward", _backward, _BACKWARD, _fake_backward)
recurrent.register_autograd(_gradients, setup_context=_setup)
