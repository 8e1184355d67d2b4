"""Linear layer, softmax and cross-entropy in one operator, which never stores the logits of all rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from .. import _core
from .._compute import rounds
from ._fallback import say, why_not
from ._op import define
from ._run import array, zeros

_SCHEMA = (
    "(Tensor x, Tensor weight, Tensor? bias, Tensor target, int ignore_index, bool mean, bool bfloat16, "
    "bool[] wanted) "
    "-> (Tensor, Tensor, Tensor, Tensor)"
)


def _forward(
    x: Any, weight: Any, bias: Any, target: Any, ignore_index: int, mean: bool, bfloat16: bool, wanted: Any
) -> tuple[Any, Any, Any, Any]:
    a, w, b = array(x), array(weight), None if bias is None else array(bias)
    t, none = target.contiguous().numpy(), np.empty(0, a.dtype)
    if not any(wanted):
        loss, _ = _core.cross_entropy(a, w, b, t, ignore_index, mean, None, bfloat16)
        return (torch.tensor(loss, dtype=x.dtype), *[torch.from_numpy(none.copy()) for _ in range(3)])
    dw = zeros(w.shape, w) if wanted[1] else None
    db = zeros(b.shape, b) if wanted[2] and b is not None else None
    loss, _, dx = _core.cross_entropy_grad(
        a, w, b, t, ignore_index, mean, 1.0, dw, db, wanted[0], None, bfloat16
    )
    found = [none.copy() if g is None else g for g in (dx, dw, db)]
    return (torch.tensor(loss, dtype=x.dtype), *[torch.from_numpy(g) for g in found])


def _fake(
    x: Any, weight: Any, bias: Any, target: Any, ignore_index: int, mean: bool, bfloat16: bool, wanted: Any
) -> tuple[Any, Any, Any, Any]:
    like = (x, weight, x if bias is None else bias)
    shapes = [a.shape if want else (0,) for a, want in zip(like, wanted, strict=True)]
    return (x.new_empty(()), *[x.new_empty(shape) for shape in shapes])


def _setup(ctx: Any, inputs: Any, output: Any) -> None:
    x, weight, bias, target, ctx.ignore_index, ctx.mean, _, ctx.wanted = inputs
    ctx.mark_non_differentiable(*output[1:])
    ctx.save_for_backward(x, weight, bias, target, *output[1:])
    ctx.set_materialize_grads(False)


def _gradients(ctx: Any, dloss: Any, *others: Any) -> tuple[Any, ...]:
    x, weight, bias, target, *grads = ctx.saved_tensors
    wanted = [
        bool(n) and t is not None for n, t in zip(ctx.needs_input_grad, (x, weight, bias), strict=False)
    ]
    nothing = (None, None, None, None, None)
    if dloss is None:
        return (None, None, None, *nothing)
    if torch.is_grad_enabled() or any(n and not had for n, had in zip(wanted, ctx.wanted, strict=True)):
        say("double backward")
        with torch.enable_grad():
            loss = _plain(x, weight, bias, target, ctx.ignore_index, "mean" if ctx.mean else "sum")
        asked = [t for t, n in zip((x, weight, bias), wanted, strict=True) if n]
        by = iter(torch.autograd.grad(loss, asked, dloss, create_graph=True))
        return (*[next(by) if n else None for n in wanted], *nothing)
    return (*[g * dloss if n else None for g, n in zip(grads, wanted, strict=True)], *nothing)


def _plain(x: Any, weight: Any, bias: Any, target: Any, ignore_index: int, reduction: str) -> Any:
    logits = torch.nn.functional.linear(x, weight, bias).flatten(0, -2)
    options = {"ignore_index": ignore_index, "reduction": reduction}
    loss = torch.nn.functional.cross_entropy(logits, target.flatten(), **options)
    return loss.view(target.shape) if reduction == "none" else loss


_operator = define("linear_cross_entropy", _forward, _SCHEMA, _fake)
_operator.register_autograd(_gradients, setup_context=_setup)


def linear_cross_entropy(
    x: Any,
    weight: Any,
    bias: Any,
    target: Any,
    *,
    ignore_index: int = -100,
    reduction: str = "mean",
    compute: str | None = None,
) -> Any:
    """Give ``cross_entropy(linear(x, weight, bias), target)``, with logits for 256 rows at a time.

    Gradients are formed with the loss and multiplied by that of the loss in the backward pass.

    Parameters
    ----------
    x : Tensor, [N, H] or [T, B, H]
    weight : Tensor, [V, H]
    bias : Tensor, [V], or None
    target : Tensor of int64, [N] or [T, B]
        Classes in [0, V), or `ignore_index`.
    ignore_index : int
    reduction : {"mean", "sum", "none"}
        Over targets that are not ignored; "none" takes torch's own path.
    compute : {"bfloat16"}, optional
        What products are computed in, if not in the dtype; see docs/bfloat16.md.

    Returns
    -------
    Tensor, []
        In nats.

    Raises
    ------
    ValueError
        The shapes do not fit, a target is no class, or `reduction` is none of these.
    """
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction: expected 'mean', 'sum' or 'none', got {reduction!r}")
    if x.dim() not in (2, 3) or target.shape != x.shape[:-1]:
        shapes = f"{list(x.shape)} and {list(target.shape)}"
        raise ValueError(f"target: expected x [N, H] or [T, B, H] and a target for each row, got {shapes}")
    reason = "reduction='none'" if reduction == "none" else why_not(x, weight)
    if reason:
        say(reason)
        return _plain(x, weight, bias, target, ignore_index, reduction)
    grad = torch.is_grad_enabled()
    wanted = [grad and t is not None and t.requires_grad for t in (x, weight, bias)]
    bfloat16 = rounds(compute, str(weight.dtype).removeprefix("torch."))
    return _operator(x, weight, bias, target, ignore_index, reduction == "mean", bfloat16, wanted)[0]
