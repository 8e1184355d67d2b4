"""Layers that are made of passes of the engine: SCRN and Clockwork against their step-by-step twins."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from mutants import mutant
from ops import Run
from problems import make_problem, random_states, run_layer

import fastrnn
from fastrnn import _core, reference
from fastrnn.reference import clockwork, scrn

T, B, I, H, C = 7, 3, 4, 6, 2
PERIODS: list[tuple[tuple[int, ...], tuple[int, ...] | None]] = [
    ((1, 2, 4, 8), (2, 1, 2, 1)),
    ((1,), None),
    ((5,), None),
    ((2, 3), None),
    ((3, 4, 100), (1, 3, 2)),
    ((1, 7, 8), None),
]


def scrn_functions(module: ModuleType = scrn) -> tuple[Callable[[Run], Run], Callable[[Run, Run], Run]]:
    """Forward and backward of the twin, as `checks` wants them."""

    def parts(run: Run) -> tuple[Any, ...]:
        return run["x"], module.Weights(*(run[name] for name in module.Weights._fields)), run["h"], run["s"]

    def forward(inputs: Run) -> Run:
        return dict(zip(("y", "h", "s"), module.forward(*parts(inputs)), strict=True))

    def backward(inputs: Run, d: Run) -> Run:
        dx, dw, dh, ds = module.backward(*parts(inputs), d["y"], d["h"], d["s"])
        return {"x": dx, **dw._asdict(), "h": dh, "s": ds}

    return forward, backward


def clockwork_functions(
    periods: np.ndarray, phase: int, module: ModuleType = clockwork
) -> tuple[Callable[[Run], Run], Callable[[Run, Run], Run]]:
    """The same."""

    def parts(run: Run) -> tuple[Any, ...]:
        return run["x"], module.Weights(*(run[n] for n in module.Weights._fields)), run["h"], periods, phase

    def forward(inputs: Run) -> Run:
        y = module.forward(*parts(inputs))
        return {"y": y, "h": y[-1]}

    def backward(inputs: Run, d: Run) -> Run:
        dx, dw, dh = module.backward(*parts(inputs), d["y"], d["h"])
        return {"x": dx, **dw._asdict(), "h": dh}

    return forward, backward


def case_of(layer: Any, rng: np.random.Generator, steps: int = T) -> tuple[Run, Run]:
    """Inputs of a twin by name, with the parameters of the layer, and gradients of its outputs."""
    states = {
        name: a[0].astype("f8")
        for name, a in zip(layer.states, random_states(rng, layer, B, "f8"), strict=True)
    }
    weights = {name.removesuffix("_l0"): a.astype("f8") for name, a in layer.params.items()}
    if isinstance(layer, fastrnn.SCRN):
        weights.setdefault(
            "alpha_logit", np.full(layer.context_size, np.log(layer.alpha / (1 - layer.alpha)))
        )
    d = {"y": rng.standard_normal((steps, B, layer.output_size))}
    d |= {name: rng.standard_normal(a.shape) for name, a in states.items()}
    return {"x": rng.standard_normal((steps, B, layer.input_size)), **weights, **states}, d


def layer_run(layer: Any, inputs: Run, d: Run) -> Run:
    """Everything that the layer makes of the case."""
    dtype = layer.dtype
    state, dlast = (tuple(run[name][None].astype(dtype) for name in layer.states) for run in (inputs, d))
    layer.zero_grad()
    (y, final), pullback = layer.vjp(inputs["x"].astype(dtype), state)
    dx, dfirst = pullback(d["y"].astype(dtype), dlast)
    found = {"y": y, "d x": dx, **{f"d {n.removesuffix('_l0')}": a for n, a in layer.grads.items()}}
    found |= {name: a[0] for name, a in zip(layer.states, final, strict=True)}
    return found | {f"d {name}": a[0] for name, a in zip(layer.states, dfirst, strict=True)}


def layer_is_the_twin(layer: Any, inputs: Run, d: Run, functions: tuple) -> None:
    """In longdouble, from the numbers that the layer has."""
    exact, into = (
        {n: a.astype(layer.dtype).astype(np.longdouble) for n, a in run.items()} for run in (inputs, d)
    )
    want = functions[0](exact) | {f"d {name}": a for name, a in functions[1](exact, into).items()}
    got = layer_run(layer, inputs, d)
    for name in ("phase", "d phase"):
        got.pop(name, None)
    checks.runs_close({name: got[name] for name in got}, {name: want[name] for name in got})
    assert set(got) >= set(want) - {"d alpha_logit"}


def make_clockwork(
    periods: tuple[int, ...], sizes: tuple[int, ...] | None, **options: Any
) -> tuple[Any, np.ndarray]:
    """A layer, and the periods of its units."""
    layer = fastrnn.ClockworkRNN(I, H, periods=periods, module_sizes=sizes, seed=1, **options)
    return layer, np.repeat(periods, sizes or [H // len(periods)] * len(periods))


@pytest.mark.parametrize("learned", [False, True])
class TestScrn:
    """h' = sigmoid(A x + P s' + R h), s' = (1 - a) B x + a s."""

    def make(self, learned: bool, **options: Any) -> Any:
        return fastrnn.SCRN(I, H, C, alpha=0.7, learn_alpha=learned, seed=1, **options)

    def test_twin_by_complex_step(self, rng: np.random.Generator, learned: bool) -> None:
        inputs, d = case_of(self.make(learned), rng)
        checks.gradients_by_complex_step(*scrn_functions(), inputs, d)

    def test_layer(self, isa: str, rng: np.random.Generator, dtype: np.dtype, learned: bool) -> None:
        layer = self.make(learned, dtype=dtype.name)
        layer_is_the_twin(layer, *case_of(layer, rng, 40), scrn_functions())

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [("+ a * s\n", "+ s\n"), ("dseen[:, inputs:]", "0"), ("du @ w.weight_ic", "0"), ("ds * a\n", "ds\n")],
    )
    def test_sabotage(self, rng: np.random.Generator, learned: bool, right: str, wrong: str) -> None:
        layer, wrong_twin = self.make(learned, dtype="float64"), scrn_functions(mutant(scrn, right, wrong))
        inputs, d = case_of(layer, rng)
        with pytest.raises(AssertionError):
            layer_is_the_twin(layer, inputs, d, wrong_twin)
        with pytest.raises(AssertionError):
            checks.gradients_by_complex_step(*wrong_twin, inputs, d)


@pytest.mark.parametrize(("periods", "sizes"), PERIODS, ids=str)
class TestClockwork:
    """Modules that rest hold their states."""

    def test_twin_by_complex_step(self, rng: np.random.Generator, periods: tuple, sizes: Any) -> None:
        layer, of_units = make_clockwork(periods, sizes)
        inputs, d = case_of(layer, rng)
        phase = int(inputs.pop("phase")[0, 0])
        del d["phase"]
        checks.gradients_by_complex_step(*clockwork_functions(of_units, phase), inputs, d)

    def test_layer(
        self, isa: str, rng: np.random.Generator, dtype: np.dtype, periods: tuple, sizes: Any
    ) -> None:
        layer, of_units = make_clockwork(periods, sizes, dtype=dtype.name)
        for steps in (1, 2, 8, 43):
            inputs, d = case_of(layer, rng, steps)
            phase = int(inputs["phase"][0, 0])
            layer_is_the_twin(layer, inputs, d, clockwork_functions(of_units, phase))
            below = of_units[:, None] > of_units
            assert not layer.params["weight_hh_l0"][below].any()
            assert not layer.grads["weight_hh_l0"][below].any()

    def test_sabotage(self, rng: np.random.Generator, periods: tuple, sizes: Any) -> None:
        layer, of_units = make_clockwork(periods, sizes, dtype="float64")
        inputs, d = case_of(layer, rng, 43)
        phase = int(inputs["phase"][0, 0])
        wrongs = [("+ da @", "- da @"), ("dh * (1 - y[t] * y[t])", "dh")]
        if max(periods) > 1:
            wrongs += [("np.where(updates, 0, dh) +", ""), ("(phase + t) % periods == 0, new", "t >= 0, new")]
        for right, wrong in wrongs:
            functions = clockwork_functions(of_units, phase, mutant(clockwork, right, wrong))
            with pytest.raises(AssertionError):
                layer_is_the_twin(layer, inputs, d, functions)

    def test_chunks_go_on_where_the_clock_stands(
        self, rng: np.random.Generator, periods: tuple, sizes: Any
    ) -> None:
        layer, _ = make_clockwork(periods, sizes, num_layers=2)
        x = rng.standard_normal((29, B, I)).astype("f4")
        want, last = layer(x)
        for cuts in ([1], [13], [0, 5, 6, 7, 20]):
            state, parts = None, []
            for part in np.split(x, cuts):
                y, state = layer(part, state)
                parts.append(y)
            checks.same_bits(np.concatenate(parts), want.copy())
            for a, b in zip(state, last, strict=True):
                checks.same_bits(a.copy(), b.copy())


def test_gradients_of_chunks(rng: np.random.Generator) -> None:
    """Backward through the chunks: as the whole, within rounding."""
    layer, _ = make_clockwork((1, 2, 3), None, dtype="float64")
    x, dy = rng.standard_normal((29, B, I)), rng.standard_normal((29, B, H))
    (_, _), pullback = layer.vjp(x)
    dx, first = pullback(dy)
    want = layer.flat_grads.copy()
    layer.zero_grad()
    state, calls = None, []
    for part in (slice(0, 4), slice(4, 5), slice(5, 29)):
        (_, state), call = layer.vjp(x[part], state)
        calls.append((part, call))
    dstate = None
    for part, call in reversed(calls):
        found, dstate = call(dy[part], dstate)
        checks.close(found, dx[part], "identity")
    checks.close(layer.flat_grads, want, "identity")
    checks.close(dstate[0], first[0], "identity")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", ["Scrn learned", "Clockwork"])
@pytest.mark.parametrize("shape", [(9, 1, 5, 40), (9, 23, 5, 16), (7, 6, 33, 65)], ids=str)
def test_threads(rng: np.random.Generator, kind: str, shape: tuple[int, int, int, int]) -> None:
    problem = make_problem(rng, kind, shape, "float32", num_layers=2)
    checks.threads_change_nothing(partial(run_layer, problem), (1, 2, 7))


@pytest.mark.parametrize("kind", ["Scrn", "Clockwork"])
def test_an_embedding_before_them_works_by_itself(rng: np.random.Generator, kind: str) -> None:
    layer = make_problem(rng, kind, (T, B, I, H), "float32").layer
    model = fastrnn.Sequential(fastrnn.Embedding(5, I, seed=0), layer)
    tokens = rng.integers(0, 5, (T, B))
    y, _ = model(tokens)
    want, _ = layer(model.children["0"](tokens))
    checks.same_bits(y, want)


def test_explain() -> None:
    found = fastrnn.explain(fastrnn.SCRN(I, H, C, 2, bidirectional=True), T, B)
    assert [(level["cell"], level["I"], level["H"]) for level in found] == [
        ("leaky", I, C), ("rnn_sigmoid", I + C, H),
        ("leaky", 2 * (H + C), C), ("rnn_sigmoid", 2 * H + 3 * C, H),
    ]  # fmt: skip
    found = fastrnn.explain(fastrnn.ClockworkRNN(I, 8), 9, B)
    assert [(level["T"], level["I"], level["H"]) for level in found] == [
        (2, I, 2),
        (3, I, 2),
        (5, I, 2),
        (9, I, 2),
    ]


def test_initialisation_of_modules() -> None:
    layer, of_units = make_clockwork((1, 2, 5), (2, 3, 1))
    weight, below = layer.params["weight_hh_l0"], of_units[:, None] > of_units
    own = of_units[:, None] == of_units
    fastrnn.init.orthogonal(layer, seed=1)
    checks.close((weight * own).T @ (weight * own), np.eye(H, dtype="f4"), "identity")
    assert weight[~own & ~below].all()
    fastrnn.init.xavier(layer, seed=1)
    assert weight[~below].all()
    assert not weight[below].any()
    fastrnn.init.identity(layer)
    checks.same_bits(weight, np.eye(H, dtype="f4"))


def test_learned_alpha_begins_where_it_is_told() -> None:
    layer = fastrnn.SCRN(I, H, C, alpha=0.9, learn_alpha=True, bidirectional=True)
    for suffix in ("", "_reverse"):
        checks.close(_core.sigmoid(layer.params[f"alpha_logit_l0{suffix}"]), np.full(C, 0.9, "f4"), "update")


def test_every_step_forgets_with_alpha_zero(rng: np.random.Generator) -> None:
    layer, x = fastrnn.SCRN(I, H, C, alpha=0, seed=1), rng.standard_normal((T, B, I)).astype("f4")
    y, _ = layer(x)
    checks.close(y[..., H:], x @ layer.params["weight_ic_l0"].T, "product")


def test_reference_has_them() -> None:
    assert reference.scrn is scrn
    assert reference.clockwork is clockwork
