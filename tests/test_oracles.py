"""Every recurrent layer against those who know nothing of it: autograd, PyTorch, ONNX Runtime."""

from __future__ import annotations

import importlib
from dataclasses import replace
from functools import partial
from types import ModuleType
from typing import Any

import checks
import numpy as np
import onnx_graphs
import pytest
from conftest import peer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutants import mutant
from problems import CROSS, LAYERS, OPTIONS, SHAPES, TORCH, make_problem, run_cells, run_layer, run_torch

from fastrnn import reference

pytestmark = pytest.mark.peer

Shape = tuple[int, int, int, int]
SMALL = (5, 3, 4, 6)


@pytest.fixture
def torch_cells(torch: ModuleType) -> ModuleType:
    """The cells of `torch_cells`; importing them needs PyTorch."""
    return importlib.import_module("torch_cells")


def layer_is_the_oracle(torch_cells: ModuleType, problem: Any) -> None:
    """Outputs, final states, and the gradients by x, the initial states and every parameter."""
    checks.runs_close(run_layer(problem), run_cells(torch_cells, problem), "peer", "peer")


def layer_is_torch(torch: ModuleType, problem: Any) -> None:
    """The same against torch.nn."""
    checks.runs_close(run_layer(problem), run_torch(torch, problem), "peer", "peer")


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", LAYERS)
def test_cells(
    torch_cells: ModuleType,
    rng: np.random.Generator,
    dtype: np.dtype,
    kind: str,
    shape: Shape,
    options: dict[str, Any],
) -> None:
    layer_is_the_oracle(torch_cells, make_problem(rng, kind, shape, dtype, **options))


@pytest.mark.parametrize("kind", LAYERS)
def test_long_sequences(
    torch_cells: ModuleType, isa: str, rng: np.random.Generator, dtype: np.dtype, kind: str
) -> None:
    """T B = 335 rows: more than one chunk of the backward pass, which forms states again chunk by chunk."""
    problem = make_problem(rng, kind, (67, 5, 4, 19), dtype, num_layers=2, bidirectional=True)
    layer_is_the_oracle(torch_cells, problem)


@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    shape=st.tuples(*(st.integers(1, n) for n in (12, 10, 40, 40))),
    options=st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            **{name: st.booleans() for name in ("bidirectional", "bias", "batch_first", "state")},
        }
    ),
    seed=st.integers(0, 99),
)
def test_any_shape(
    torch_cells: ModuleType, kind: str, shape: Shape, options: dict[str, Any], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    layer_is_the_oracle(torch_cells, make_problem(rng, kind, shape, "float32", **options))


def test_every_cell_has_an_oracle() -> None:
    found = {cell for make in LAYERS.values() for cell in make(2, 2).cells}
    assert {*found, "lstm_depth_gated"} == reference.CELLS.keys()  # see test_depth_gated.py


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", TORCH)
def test_torch(
    torch: ModuleType,
    rng: np.random.Generator,
    dtype: np.dtype,
    kind: str,
    shape: Shape,
    options: dict[str, Any],
) -> None:
    layer_is_torch(torch, make_problem(rng, kind, shape, dtype, **options))


def forward_is_onnx(run: Any, problem: Any) -> None:
    """Output and final states against `run(problem)`."""
    want, got = run(problem), run_layer(problem)
    checks.runs_close({name: got[name] for name in ("y", *problem.layer.states)}, want, "peer")


@pytest.fixture
def run_onnx() -> Any:
    """ONNX Runtime."""
    return partial(onnx_graphs.run_onnx, peer("onnx"), peer("onnxruntime"))


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", onnx_graphs.ORDER)
def test_onnx(
    run_onnx: Any, rng: np.random.Generator, kind: str, shape: Shape, options: dict[str, Any]
) -> None:
    forward_is_onnx(run_onnx, make_problem(rng, kind, shape, "float32", **options))


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("kind", onnx_graphs.ORDER)
def test_onnx_with_lengths(run_onnx: Any, rng: np.random.Generator, kind: str, bidirectional: bool) -> None:
    problem = make_problem(
        rng, kind, (9, 5, 4, 19), "float32", num_layers=3, bidirectional=bidirectional, state=True
    )
    lengths = np.array([4, 9, 1, 7, 9])
    want = run_onnx(problem, lengths)
    y, final = problem.layer(problem.x, problem.state, lengths)
    checks.runs_close({"y": y, **dict(zip(problem.layer.states, final, strict=True))}, want, "peer")
    with pytest.raises(AssertionError, match="eps, allowed"):
        checks.runs_close({"y": y}, {"y": run_onnx(problem, lengths[::-1])["y"]}, "peer")


class TestTheOtherGru:
    """(1 - z) h' + z n, as Chung et al. 2014 write it, is z h' + (1 - z) n with z's rows negated."""

    @pytest.mark.parametrize("ours_first", [True, False], ids=["ours to theirs", "theirs to ours"])
    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("bidirectional", [False, True])
    @pytest.mark.parametrize("kind", ["Gru", "GruBefore"])
    def test_converts(
        self,
        torch_cells: ModuleType,
        rng: np.random.Generator,
        dtype: np.dtype,
        kind: str,
        bidirectional: bool,
        bias: bool,
        ours_first: bool,
    ) -> None:
        problem = make_problem(rng, kind, SMALL, dtype, num_layers=2, bias=bias, bidirectional=bidirectional)
        self.other_convention(torch_cells, problem, negated, ours_first)

    def test_twins(self, torch_cells: ModuleType, rng: np.random.Generator) -> None:
        for kind in ("Gru", "GruBefore"):
            problem = make_problem(rng, kind, SMALL)
            with pytest.raises(AssertionError, match="eps, allowed"):
                self.other_convention(torch_cells, problem, lambda a: a, True)

    def other_convention(self, torch_cells: ModuleType, problem: Any, convert: Any, ours_first: bool) -> None:
        """Ours, run with the parameters of the other kind converted, gives its outputs and gradients."""
        layer = problem.layer
        theirs = {name: a.copy() for name, a in layer.params.items()}
        if ours_first:
            theirs = convert(theirs)
        else:
            layer.load_params(convert(theirs))
        layer.flat_grads[:] = 0
        got = run_layer(problem)
        layer.load_params(theirs)
        want = run_cells(torch_cells, replace(problem, kind=problem.kind + "Other"))
        grads = {name: want[f"d {name}"] for name in theirs}
        checks.runs_close(got, {**want, **{f"d {n}": a for n, a in convert(grads).items()}}, "peer", "peer")


def negated(parameters: Any) -> dict[str, np.ndarray]:
    """With the rows of z, the second third, negated."""
    found = {}
    for name, a in parameters.items():
        r, z, n = np.split(a, 3)
        found[name] = np.concatenate([r, -z, n])
    return found


class TestStateDict:
    """PyTorch's parameters by PyTorch's names."""

    @pytest.mark.parametrize("options", [{}, {"bias": False}, CROSS], ids=str)
    @pytest.mark.parametrize("kind", TORCH)
    @pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
    def test_round_trip(
        self, torch: ModuleType, rng: np.random.Generator, kind: str, options: dict[str, Any]
    ) -> None:
        problem = make_problem(rng, kind, SMALL, "float32", **options)
        layer = problem.layer
        more = {"nonlinearity": "relu"} if kind == "Relu" else {}
        more |= {"proj_size": layer.proj_size} if layer.proj_size else {}
        theirs = getattr(torch.nn, TORCH[kind])(4, 6, **options, **more)
        assert list(layer.params) == list(theirs.state_dict())
        layer.load_params(theirs.state_dict())
        with torch.no_grad():
            want, _ = theirs(torch.tensor(problem.x))
        checks.close(layer(problem.x)[0], want.numpy(), "peer", "y")
        theirs.load_state_dict({name: torch.tensor(a) for name, a in layer.params.items()})


# Of the definition of each kind, one thing wrong.
WRONG = {
    "Tanh": ("staticmethod(torch.tanh)", "staticmethod(torch.sin)"),
    "Relu": ("staticmethod(torch.relu)", "staticmethod(torch.nn.functional.leaky_relu)"),
    "Sigmoid": ("staticmethod(torch.sigmoid)", "staticmethod(torch.nn.functional.hardsigmoid)"),
    "Identity": ("staticmethod(torch.positive)", "staticmethod(torch.tanh)"),
    "Lstm": ('("o", h))\n        new = f * c + i * g', '("o", h))\n        new = f * c + g'),
    "Projected": ("h @ self.weight_hr.T", "h @ self.weight_hr.T.abs()"),
    "Coupled": ("new = f * c + (1 - f) * g", "new = (1 - f) * c + f * g"),
    "Peephole": ('self.p("o", new)', 'self.p("o", c)'),
    "Peephole full": ('self.p("o", new)', 'self.p("o", new.detach())'),
    "Gru": ("r * self.r(", "self.r("),
    "GruBefore": ('self.r("n", r * h)', 'r * self.r("n", h)'),
    "LstmNormed": ('groups = ("ifgo",)', 'groups = ("i", "f", "g", "o")'),
    "LstmNormedByGate": ('groups = ("i", "f", "g", "o")', 'groups = ("if", "go")'),
    "GruNormed": ('groups = ("rz", "n")', 'groups = ("rzn",)'),
    "GruNormedByGate": ('groups = ("r", "z", "n")', 'groups = ("rz", "n")'),
    "MinGru": ("(1 - z) * h + z * self", "z * h + (1 - z) * self"),
    "MinLstm": ("kept * h +", "f * h +"),
    "Scrn": ("else 0.95", "else 0.9"),
    "Scrn learned": ("s @ by_context.T", "s.detach() @ by_context.T"),
    "Clockwork": ("(period[:, None] <= period)", "(period[:, None] >= period)"),
}  # fmt: skip
WRONG_NETWORKS = {
    "order of time": ("if place % self.directions == 0 else reversed(steps)", ""),
    "order of the output": ("found.reverse()", "pass"),
    "state of another place": ("s[place] for", "s[place - 1] for"),
    "final states": ("finals.append(state)", "finals.insert(0, state)"),
    "sides": ("torch.cat(outputs, dim=-1)", "torch.cat(outputs[::-1], dim=-1)"),
}


class TestTwins:
    """A wrong definition, or a disturbed layer, does not pass."""

    @pytest.mark.parametrize("kind", WRONG)
    def test_cells(self, torch_cells: ModuleType, rng: np.random.Generator, kind: str) -> None:
        problem = make_problem(rng, kind, SMALL)
        layer_is_the_oracle(torch_cells, problem)
        if hasattr(torch_cells, kind.split()[0]):
            wrong = mutant(torch_cells, *WRONG[kind])
        else:
            cells = mutant(importlib.import_module("torch_normed"), *WRONG[kind])
            wrong = mutant(torch_cells, **{kind: getattr(cells, kind)})
        with pytest.raises(AssertionError, match="eps, allowed"):
            layer_is_the_oracle(wrong, problem)

    def test_every_cell_has_one(self) -> None:
        assert WRONG.keys() == LAYERS.keys()

    @pytest.mark.parametrize("what", WRONG_NETWORKS)
    def test_networks(self, torch_cells: ModuleType, rng: np.random.Generator, what: str) -> None:
        problem = make_problem(rng, "Gru", SMALL, **CROSS)
        with pytest.raises(AssertionError, match="eps, allowed"):
            layer_is_the_oracle(mutant(torch_cells, *WRONG_NETWORKS[what]), problem)

    @pytest.mark.parametrize("kind", TORCH)
    def test_torch(self, torch: ModuleType, rng: np.random.Generator, kind: str) -> None:
        problem = make_problem(rng, kind, SMALL, **CROSS)
        with pytest.raises(AssertionError, match="eps, allowed"):
            checks.runs_close(run_layer(problem), one_weight_off(partial(run_torch, torch), problem), "peer")

    @pytest.mark.parametrize("kind", onnx_graphs.ORDER)
    def test_onnx(self, run_onnx: Any, rng: np.random.Generator, kind: str) -> None:
        problem = make_problem(rng, kind, SMALL, "float32", **CROSS)
        with pytest.raises(AssertionError, match="eps, allowed"):
            forward_is_onnx(partial(one_weight_off, run_onnx), problem)


def one_weight_off(run: Any, problem: Any) -> Any:
    """What `run` says of a problem with another last recurrent weight."""
    weight = problem.layer.params["weight_hh_l2_reverse"]
    before = weight[-1, -1]
    weight[-1, -1] += 0.01
    found = run(problem)
    weight[-1, -1] = before
    return found
