"""Against PyTorch with the same weights: the reference, the kernels, the loss and the optimisers.

The layers are in `test_oracles`.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import ops
import pytest
import recurrent
from recurrent_cases import Case, make_case

from fastrnn import _core, reference

pytestmark = pytest.mark.peer

SHAPES = [(1, 1, 1, 1), (5, 3, 7, 17), (9, 8, 33, 64), (4, 2, 3, 65)]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"state": False},
    {"layers": 2},
    {"layers": 3, "state": False},
]
CELLS = {
    "lstm": "LSTM",
    "gru": "GRU",
    "rnn_tanh": "RNN",
    "rnn_relu": "RNN",
}  # ours, and the class of torch.nn


def run_torch(torch: ModuleType, case: Case) -> ops.Run:
    """A case on torch.nn, in the dtype of the case."""
    width, hidden = case.inputs["x"].shape[-1], case.cotangents["y"].shape[-1]
    dtype, states = getattr(torch, case.inputs["x"].dtype.name), reference.CELLS[case.cell].STATES
    options = {"nonlinearity": case.cell[4:]} if CELLS[case.cell] == "RNN" else {}
    layer = getattr(torch.nn, CELLS[case.cell])(
        width, hidden, case.layers, bias="b_ih_l0" in case.inputs, dtype=dtype, **options
    )
    leaves = {name: torch.tensor(a, requires_grad=True) for name, a in case.inputs.items()}
    with torch.no_grad():
        for name, p in layer.named_parameters():
            p.copy_(leaves[name.replace("weight", "w").replace("bias", "b")])
    state = None
    if "h_l0" in case.inputs:
        state = tuple(torch.stack([leaves[f"{s}_l{k}"] for k in range(case.layers)]) for s in states)
    alone = state is not None and len(states) == 1  # PyTorch takes a state of one part without a tuple
    y, final = layer(leaves["x"], state[0] if alone else state)
    outputs = {"y": y}
    if state is not None:
        final = (final,) if alone else final
        outputs |= {f"{s}_l{k}": final[j][k] for k in range(case.layers) for j, s in enumerate(states)}
    sum((torch.tensor(case.cotangents[name]) * a).sum() for name, a in outputs.items()).backward()
    grads = {name: a.grad for name, a in leaves.items() if a.grad is not None}
    grads |= {n.replace("weight", "w").replace("bias", "b"): p.grad for n, p in layer.named_parameters()}
    return {
        **{name: a.detach().numpy() for name, a in outputs.items()},
        **{f"d {name}": a.numpy() + case.into.get(name, 0) for name, a in grads.items()},
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_the_reference_is_torch(
    torch: ModuleType,
    rng: np.random.Generator,
    cell: str,
    shape: tuple[int, int, int, int],
    options: dict[str, Any],
) -> None:
    case = make_case(rng, shape, "float64", cell=cell, **options)
    forward, backward = recurrent.reference_functions(case)
    found = backward(case.inputs, case.cotangents)
    run = {**forward(case.inputs), **{f"d {n}": a + case.into.get(n, 0) for n, a in found.items()}}
    checks.runs_close(run_torch(torch, case), run, "peer", "peer")


@pytest.mark.parametrize("options", [o for o in OPTIONS if "layers" not in o], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_the_kernel_is_torch(
    torch: ModuleType,
    isa: str,
    rng: np.random.Generator,
    dtype: np.dtype,
    cell: str,
    shape: tuple[int, int, int, int],
    options: dict[str, Any],
) -> None:
    case = make_case(rng, shape, dtype, cell=cell, **options)
    checks.runs_close(recurrent.run_kernel(case), run_torch(torch, case), "peer", "peer")


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
