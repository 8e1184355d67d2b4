"""Problems for recurrent layers, and how to run them: fastrnn, PyTorch, the cells of `torch_cells`."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from ops import Run

import fastrnn


def clockwork(inputs: int, hidden: int, *levels: int, **options: Any) -> fastrnn.ClockworkRNN:
    """Three modules, or as many as there are units, the last one the largest."""
    modules = min(3, hidden)
    sizes = [hidden // modules] * (modules - 1)
    given = {"periods": range(1, modules + 1), "module_sizes": [*sizes, hidden - sum(sizes)]}
    return fastrnn.ClockworkRNN(inputs, hidden, *levels, **{k: tuple(v) for k, v in given.items()}, **options)


# Every cell by the name of its oracle in `torch_cells` or `torch_normed`: how our layer of it is made.
LAYERS: dict[str, Callable[..., Any]] = {
    "Tanh": fastrnn.RNN,
    "Relu": lambda *a, **o: fastrnn.RNN(*a, nonlinearity="relu", **o),
    "Sigmoid": lambda *a, **o: fastrnn.RNN(*a, nonlinearity="sigmoid", **o),
    "Identity": lambda *a, **o: fastrnn.RNN(*a, nonlinearity="identity", **o),
    "Lstm": fastrnn.LSTM,
    "Projected": lambda i, h, *a, **o: fastrnn.LSTM(i, h, *a, proj_size=h // 2, **o),
    "Coupled": lambda *a, **o: fastrnn.LSTM(*a, coupled=True, **o),
    "Peephole": lambda *a, **o: fastrnn.LSTM(*a, peephole="diagonal", **o),
    "Peephole full": lambda *a, **o: fastrnn.LSTM(*a, peephole="full", **o),
    "Gru": fastrnn.GRU,
    "GruBefore": lambda *a, **o: fastrnn.GRU(*a, reset="before", **o),
    "LstmNormed": lambda *a, **o: fastrnn.LSTM(*a, layer_norm="all", **o),
    "LstmNormedByGate": lambda *a, **o: fastrnn.LSTM(*a, layer_norm="gate", **o),
    "GruNormed": lambda *a, **o: fastrnn.GRU(*a, layer_norm="all", **o),
    "GruNormedByGate": lambda *a, **o: fastrnn.GRU(*a, layer_norm="gate", **o),
    "MinGru": fastrnn.MinGRU,
    "MinLstm": fastrnn.MinLSTM,
    "Scrn": lambda i, h, *a, **o: fastrnn.SCRN(i, h, 3, *a, **o),
    "Scrn learned": lambda i, h, *a, **o: fastrnn.SCRN(i, h, 5, *a, alpha=0.8, learn_alpha=True, **o),
    "Clockwork": clockwork,
}
TORCH = {
    "Tanh": "RNN",
    "Relu": "RNN",
    "Lstm": "LSTM",
    "Projected": "LSTM",
    "Gru": "GRU",
}  # those that PyTorch has, and its class
CROSS: dict[str, Any] = {"num_layers": 3, "bidirectional": True}  # with initial states: always in
OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"state": False},
    {"batch_first": True, "bidirectional": True},
    {"num_layers": 2},
    {"num_layers": 3, "bias": False, "state": False},
    CROSS,
    {**CROSS, "bias": False, "batch_first": True},
]
SHAPES = [(1, 1, 1, 1), (5, 3, 7, 17), (9, 8, 33, 16), (4, 2, 3, 65)]  # T, B, I, H


@dataclass(frozen=True)
class Problem:
    """A layer whose `grads` hold numbers already, its input, and the gradients of its outputs.

    x [T,B,I] and dy [T,B,D*H] as batch_first=False has them; states [L*D,B,H], None where none is given.
    """

    kind: str
    layer: Any
    x: np.ndarray
    dy: np.ndarray
    state: tuple[np.ndarray, ...] | None
    dstate: tuple[np.ndarray, ...] | None

    @property
    def zero_state(self) -> tuple[np.ndarray, ...]:
        """The initial states, zeros where none is given."""
        layer = self.layer
        return self.state or tuple(np.zeros(s, self.x.dtype) for s in state_shapes(layer, self.x.shape[1]))

    def named(self, y: np.ndarray, final: tuple, dx: np.ndarray, dstate: tuple, grads: Mapping) -> Run:
        """A run of arrays by their names; what the buffers of the gradients held is in `grads` already."""
        states = self.layer.states
        return {
            "y": y,
            **dict(zip(states, final, strict=True)),
            "d x": dx,
            **{f"d {s}": a for s, a in zip(states, dstate, strict=True)},
            **{f"d {name}": a for name, a in grads.items()},
        }


def state_shapes(layer: Any, rows: int) -> list[tuple[int, ...]]:
    """Of each state, [L*D, B, width]."""
    return [(layer.num_layers * layer.directions, rows, width) for width in layer.state_sizes]


def random_states(rng: np.random.Generator, layer: Any, rows: int, dtype: Any) -> tuple[np.ndarray, ...]:
    """Normal numbers, and a clock that each level has for all rows."""
    found = {
        name: rng.standard_normal(shape).astype(dtype)
        for name, shape in zip(layer.states, state_shapes(layer, rows), strict=True)
    }
    if "phase" in found:
        found["phase"][:] = rng.integers(0, layer.cycle, (len(found["phase"]), 1, 1))
    return tuple(found.values())


def make_problem(
    rng: np.random.Generator,
    kind: str,
    shape: tuple[int, int, int, int],
    dtype: np.typing.DTypeLike = "float64",
    *,
    state: bool = True,
    **options: Any,
) -> Problem:
    """Random problem of shape (T, B, I, H) for a layer with these options."""
    steps, rows, width, hidden = shape
    layer = LAYERS[kind](width, hidden, **options, dtype=np.dtype(dtype).name, seed=1)

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(dtype)

    def states() -> tuple[np.ndarray, ...]:
        return random_states(rng, layer, rows, dtype)

    for name, parameter in layer.params.items():
        if name.startswith(("gain", "bias_ch")):
            parameter[:] = rng.uniform(0.2, 0.6, parameter.shape)  # gains of 1 make chaos of an LSTM
    layer.flat_grads[:] = normal(layer.flat_grads.size)
    x, dy = normal(steps, rows, width), normal(steps, rows, layer.output_size * layer.directions)
    return Problem(kind, layer, x, dy, states() if state else None, states() if state else None)


def run_layer(problem: Problem) -> Run:
    """On our layer; its gradients are given back as they were."""
    layer = problem.layer

    def turn(a: np.ndarray) -> np.ndarray:
        return a.swapaxes(0, 1) if layer.batch_first else a

    (y, final), pullback = layer.vjp(turn(problem.x), problem.state)
    grads = {name: a.copy() for name, a in layer.grads.items()}
    dx, dstate = pullback(turn(problem.dy), problem.dstate, grads)
    return problem.named(turn(y), final, turn(dx), dstate, grads)


def _differentiated(
    torch: ModuleType, problem: Problem, dtype: Any, call: Callable, gradients: Callable[[], Mapping]
) -> Run:
    """Outputs and gradients of call(x, states) by autograd; x is [T,B,I], states a tuple."""
    x, *states = (torch.tensor(a, dtype=dtype, requires_grad=True) for a in (problem.x, *problem.zero_state))
    y, final = call(x, tuple(states))
    loss = (torch.tensor(problem.dy) * y).sum()
    if problem.dstate is not None:
        loss = loss + sum((torch.tensor(d) * a).sum() for d, a in zip(problem.dstate, final, strict=True))
    loss.backward()
    return problem.named(
        y.detach().numpy(),
        tuple(a.detach().numpy() for a in final),
        x.grad.numpy(),
        tuple(np.zeros(s.shape) if s.grad is None else s.grad.numpy() for s in states),
        {name: g.numpy() + problem.layer.grads[name] for name, g in gradients().items()},
    )


def run_cells(torch_cells: ModuleType, problem: Problem, noise: Any = None) -> Run:
    """On the oracle of its kind, in float64 whatever the dtype of the problem; `noise` of each place."""
    torch, kind = torch_cells.torch, problem.kind.split()[0]
    parameters = {name: a.astype(np.float64) for name, a in problem.layer.params.items()}
    cells = {**vars(importlib.import_module("torch_normed")), **vars(torch_cells)}
    network = torch_cells.Network(cells[kind], parameters, noise)
    return _differentiated(torch, problem, torch.float64, network, network.gradients)


def run_torch(torch: ModuleType, problem: Problem) -> Run:
    """On torch.nn, in float64; the state only where it is given."""
    layer = problem.layer
    options = {"nonlinearity": layer.nonlinearity} if TORCH[problem.kind] == "RNN" else {}
    options |= {"proj_size": layer.proj_size} if layer.proj_size else {}
    network = getattr(torch.nn, TORCH[problem.kind])(
        layer.input_size,
        layer.hidden_size,
        layer.num_layers,
        bias=layer.bias,
        batch_first=layer.batch_first,
        bidirectional=layer.bidirectional,
        dtype=torch.float64,
        **options,
    )
    network.load_state_dict({name: torch.tensor(a) for name, a in layer.params.items()})

    def call(x: Any, states: tuple) -> tuple:
        x = x.transpose(0, 1) if layer.batch_first else x
        y, final = network(x, states if len(states) > 1 else states[0])
        return y.transpose(0, 1) if layer.batch_first else y, final if len(states) > 1 else (final,)

    return _differentiated(
        torch, problem, torch.float64, call, lambda: {n: p.grad for n, p in network.named_parameters()}
    )
