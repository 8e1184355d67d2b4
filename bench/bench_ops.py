"""The parts around the recurrence against PyTorch: linear, softmax cross-entropy, optimisers with clipping.

`linear` is the matrix product of the engine with both operands in plain rows: its share of the FMA peak is
what a product can reach here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from paired import OURS, Contender, Result, compare

import fastrnn
from fastrnn import _core
from fastrnn._bench import Answer

Pair = tuple[Contender, Contender, float]

# Rows, inputs, outputs.
PRODUCTS = {
    "2048x128x512": (2048, 128, 512),
    "2048x256x1024": (2048, 256, 1024),
    "700x650x2600": (700, 650, 2600),
    "1x512x2048": (1, 512, 2048),
    "701x77x301": (701, 77, 301),
}
SOFTMAX = {"V10000": (700, 200, 10_000), "V65": (6400, 256, 65), "V1001": (333, 129, 1001)}
SIZES = {"small": 100_003, "large": 4_700_001}


def _normal(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    draw = np.random.default_rng(0)
    return [draw.standard_normal(shape).astype(np.float32) / 8 for shape in shapes]


def linear(torch: Any, rows: int, inputs: int, outputs: int) -> Pair:
    """Forward."""
    x, weight, bias = _normal((rows, inputs), (outputs, inputs), (outputs,))
    tensors = [torch.from_numpy(a) for a in (x, weight, bias)]
    ours, theirs = (lambda: _core.linear(x, weight, bias)), (lambda: torch.nn.functional.linear(*tensors))
    flops = 2.0 * rows * inputs * outputs
    return Contender(ours, lambda: {"y": ours()}), Contender(theirs, lambda: {"y": theirs().numpy()}), flops


def linear_backward(torch: Any, rows: int, inputs: int, outputs: int) -> Pair:
    """All three gradients."""
    dy, x, weight = _normal((rows, outputs), (rows, inputs), (outputs, inputs))
    dw, db = np.zeros_like(weight), np.zeros(outputs, np.float32)
    tdy, tx, tw = (torch.from_numpy(a) for a in (dy, x, weight))

    def ours() -> Any:
        return _core.linear_backward(dy, x, weight, dw, db, True)

    def theirs() -> Any:
        return tdy @ tw, tdy.T @ tx, tdy.sum(0)

    def our_answer() -> Answer:
        dw.fill(0)
        db.fill(0)
        return {"dx": ours(), "dw": dw.copy(), "db": db.copy()}

    def their_answer() -> Answer:
        return dict(zip(("dx", "dw", "db"), (a.numpy() for a in theirs()), strict=True))

    flops = 4.0 * rows * inputs * outputs
    return Contender(ours, our_answer), Contender(theirs, their_answer), flops


def cross_entropy(torch: Any, rows: int, inputs: int, classes: int) -> Pair:
    """Linear layer, softmax and loss, with all gradients."""
    x, weight, bias = _normal((rows, inputs), (classes, inputs), (classes,))
    targets = np.random.default_rng(1).integers(0, classes, rows)
    head = fastrnn.losses.LinearCrossEntropy(inputs, classes, seed=0)
    head.load_params({"weight": weight, "bias": bias})
    arrays = {"dx": x, "dw": weight, "db": bias}
    leaves = {name: torch.from_numpy(a).requires_grad_() for name, a in arrays.items()}
    truth = torch.from_numpy(targets)

    def ours() -> Any:
        return head.value_and_grad(x, targets)

    def theirs() -> Any:
        for leaf in leaves.values():
            leaf.grad = None
        loss = torch.nn.functional.cross_entropy(torch.nn.functional.linear(*leaves.values()), truth)
        loss.backward()
        return loss

    def our_answer() -> Answer:
        head.zero_grad()
        loss, dx = ours()
        dw, db = head.grads["weight"].copy(), head.grads["bias"].copy()
        return {"loss": np.array(loss, np.float32), "dx": dx, "dw": dw, "db": db}

    def their_answer() -> Answer:
        loss = theirs().detach().numpy()
        return {"loss": loss, **{name: leaf.grad.numpy() for name, leaf in leaves.items()}}

    flops = 6.0 * rows * inputs * classes
    return Contender(ours, our_answer), Contender(theirs, their_answer), flops


def optimizer(torch: Any, name: str, size: int) -> Pair:
    """Clip and update, `size` parameters."""
    start, gradient = _normal((size,), (size,))
    options: dict[str, Any] = {"lr": 1e-3} | ({"momentum": 0.9} if name == "SGD" else {})
    layer = fastrnn.Linear(size, 1, bias=False, seed=0)
    layer.flat_params[:] = start
    layer.flat_grads[:] = gradient
    mine = getattr(fastrnn.optim, name)(layer, **options)
    leaf = torch.from_numpy(start.copy()).requires_grad_()
    leaf.grad = torch.from_numpy(gradient.copy())
    other = getattr(torch.optim, name)([leaf], fused=True, **options)

    def ours() -> None:
        mine.step(max_norm=1.0, zero_grad=False)

    def theirs() -> None:
        torch.nn.utils.clip_grad_norm_([leaf], 1.0, foreach=True)
        other.step()

    def our_answer() -> Answer:
        for _ in range(3):
            ours()
        return {"parameters": layer.flat_params.copy()}

    def their_answer() -> Answer:
        for _ in range(3):
            leaf.grad.copy_(torch.from_numpy(gradient))
            theirs()
        return {"parameters": leaf.detach().numpy().copy()}

    return Contender(ours, our_answer), Contender(theirs, their_answer), 0.0


CASES: dict[str, Callable[[Any], Pair]] = {}
for key, value in PRODUCTS.items():
    CASES[f"linear: {key}"] = lambda torch, value=value: linear(torch, *value)
    CASES[f"linear backward: {key}"] = lambda torch, value=value: linear_backward(torch, *value)
for key, value in SOFTMAX.items():
    CASES[f"softmax: {key}"] = lambda torch, value=value: cross_entropy(torch, *value)
for key, number in SIZES.items():
    for kind in ("Adam", "SGD"):
        CASES[f"{kind}: {key}"] = lambda torch, kind=kind, number=number: optimizer(torch, kind, number)


def measure(torch: Any, case: str, once: bool) -> Result:
    """Both contenders of one case."""
    ours, theirs, flops = CASES[case](torch)
    return compare({OURS: ours, "torch": theirs}, flops=flops, once=once)


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.replace(": ", "-").replace(" ", "-"))
def test_operation(paired: Paired, torch: Any, once: bool, case: str, contender: str) -> None:
    paired(case, contender, lambda: measure(torch, case, once))
