"""Against PyTorch with the same weights: outputs, states, every gradient, the loss and the optimisers."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import ops
import pytest
import recurrent
from recurrent import Case, make_case

import fastrnn
from fastrnn import _core

pytestmark = pytest.mark.peer

SHAPES = [(1, 1, 1, 1), (5, 3, 7, 17), (9, 8, 33, 64), (4, 2, 3, 65)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"state": False},
    {"layers": 2},
    {"layers": 3, "state": False},
]


def run_torch(torch: ModuleType, case: Case) -> ops.Run:
    """An LSTM case on torch.nn.LSTM, in the dtype of the case."""
    width, hidden = case.inputs["x"].shape[-1], case.cotangents["y"].shape[-1]
    dtype = getattr(torch, case.inputs["x"].dtype.name)
    layer = torch.nn.LSTM(width, hidden, case.layers, bias="b_ih_l0" in case.inputs, dtype=dtype)
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in case.inputs.items()}
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.copy_(leaves[name.replace("weight", "w").replace("bias", "b")])
    state = None
    if "h_l0" in case.inputs:
        state = tuple(torch.stack([leaves[f"{s}_l{k}"] for k in range(case.layers)]) for s in "hc")
    y, final = layer(leaves["x"], state)
    outputs = {"y": y}
    if state is not None:
        outputs |= {f"{s}_l{k}": final[j][k] for k in range(case.layers) for j, s in enumerate("hc")}
    sum((torch.tensor(case.cotangents[name]) * a).sum() for name, a in outputs.items()).backward()
    grads = {name: a.grad for name, a in leaves.items() if a.grad is not None}
    grads |= {n.replace("weight", "w").replace("bias", "b"): p.grad for n, p in layer.named_parameters()}
    return {
        **{name: a.detach().numpy() for name, a in outputs.items()},
        **{f"d {name}": a.numpy() + case.into.get(name, 0) for name, a in grads.items()},
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_reference_is_torch(
    torch: ModuleType, rng: np.random.Generator, shape: tuple[int, int, int, int], options: dict[str, Any]
) -> None:
    case = make_case(rng, shape, "float64", **options)
    forward, backward = recurrent.reference_functions(case)
    found = backward(case.inputs, case.cotangents)
    run = {**forward(case.inputs), **{f"d {n}": a + case.into.get(n, 0) for n, a in found.items()}}
    checks.runs_close(run_torch(torch, case), run, "peer", "peer")


@pytest.mark.parametrize("options", [o for o in OPTIONS if "layers" not in o], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_is_torch(
    torch: ModuleType,
    isa: str,
    rng: np.random.Generator,
    dtype: np.dtype,
    shape: tuple[int, int, int, int],
    options: dict[str, Any],
) -> None:
    case = make_case(rng, shape, dtype, **options)
    checks.runs_close(recurrent.run_kernel(case), run_torch(torch, case), "peer", "peer")


def run_layer(case: Case) -> ops.Run:
    """An LSTM case on fastrnn.LSTM."""
    width, hidden = case.inputs["x"].shape[-1], case.cotangents["y"].shape[-1]
    dtype, bias = case.inputs["x"].dtype.name, "b_ih_l0" in case.inputs
    layer = fastrnn.LSTM(width, hidden, case.layers, bias=bias, dtype=dtype)
    ours = {name: name.replace("weight", "w").replace("bias", "b") for name in layer.params}
    for name, short in ours.items():
        layer.params[name][...] = case.inputs[short]
        layer.grads[name][...] = case.into[short]

    def stacked(run: ops.Run) -> tuple[np.ndarray, ...] | None:
        return tuple(np.stack([run[f"{s}_l{k}"] for k in range(case.layers)]) for s in "hc")

    given = "h_l0" in case.inputs
    (y, state), pullback = layer.vjp(case.inputs["x"], stacked(case.inputs) if given else None)
    dx, dstate = pullback(case.cotangents["y"], stacked(case.cotangents) if given else None)
    names = [(f"{s}_l{k}", j, k) for k in range(case.layers) for j, s in enumerate("hc") if given]
    return {
        "y": y,
        "d x": dx,
        **{f"d {short}": layer.grads[name] for name, short in ours.items()},
        **{name: state[j][k] for name, j, k in names},
        **{f"d {name}": dstate[j][k] for name, j, k in names},
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_layer_is_torch(
    torch: ModuleType,
    rng: np.random.Generator,
    dtype: np.dtype,
    shape: tuple[int, int, int, int],
    options: dict[str, Any],
) -> None:
    case = make_case(rng, shape, dtype, **options)
    checks.runs_close(run_layer(case), run_torch(torch, case), "peer", "peer")


@pytest.mark.parametrize("mean", [True, False])
@pytest.mark.parametrize("ignored", [0.0, 0.4, 1.0])
def test_cross_entropy(
    torch: ModuleType, rng: np.random.Generator, dtype: np.dtype, mean: bool, ignored: float
) -> None:
    case = ops.make_cross_entropy(rng, (6, 5), 17, 33, mean=mean, ignored=ignored).astype(dtype)
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in case.inputs.items()}
    logits = torch.nn.functional.linear(leaves["x"], leaves["weight"], leaves["bias"]).flatten(0, 1)
    target = torch.tensor(case.options["targets"]).flatten()
    loss = torch.nn.functional.cross_entropy(logits, target, reduction="mean" if mean else "sum")
    (loss * torch.tensor(case.cotangents["loss"])).backward()
    want = {f"d {name}": a.grad.numpy() + case.into.get(name, 0) for name, a in leaves.items()}
    checks.runs_close(ops.run_kernel(case), {"loss": loss.detach().numpy(), **want}, "peer", "peer")


def optimisers(torch: ModuleType) -> list[tuple[Any, Any, dict[str, Any]]]:
    """torch class, its arguments, and ours by the name of the function."""
    sgd, adam, adamw = torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW
    return [
        (sgd, "sgd", {"lr": 0.1}),
        (sgd, "sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1}),
        (sgd, "sgd", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
        (adam, "adam", {"lr": 0.1, "weight_decay": 0.1}),
        (adamw, "adam", {"lr": 0.1, "weight_decay": 0.1}),
    ]


@pytest.mark.parametrize("index", range(5))
@pytest.mark.parametrize("max_norm", [None, 2.0])
def test_optimisers(
    torch: ModuleType, rng: np.random.Generator, dtype: np.dtype, index: int, max_norm: float | None
) -> None:
    make, kind, options = optimisers(torch)[index]
    theirs = torch.tensor(rng.standard_normal(100).astype(dtype), requires_grad=True)
    optimiser = make([theirs], **options)
    ours = [theirs.detach().numpy().copy()]
    m, v = [np.zeros(100, dtype)], [np.zeros(100, dtype)]
    for step in range(1, 6):
        g = rng.standard_normal(100).astype(dtype)
        theirs.grad = torch.tensor(g)
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([theirs], max_norm)
        optimiser.step()
        if kind == "sgd":
            first = options.get("dampening", 0.0) if step > 1 else 0.0
            momentum, nesterov = options.get("momentum", 0.0), options.get("nesterov", False)
            decay = options.get("weight_decay", 0.0)
            _core.sgd(
                ours, [g], m if momentum else None, 0.1, momentum, first, nesterov, decay, max_norm, True
            )
        else:
            decoupled = make is torch.optim.AdamW
            _core.adam(ours, [g], m, v, step, 0.1, 0.9, 0.999, 1e-8, 0.1, decoupled, max_norm, True)
        checks.close(ours[0], theirs.detach().numpy(), "peer", f"step {step}")
