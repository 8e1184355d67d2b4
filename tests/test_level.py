"""A level may be several calls of the extension, with states and an output that are not H wide."""

from __future__ import annotations

import re
from typing import Any

import checks
import numpy as np
import problems
import pytest
from problems import Problem, make_problem, run_layer
from test_bidirectional import directions_are_two_layers
from test_ragged import equal, one_row, run

import fastrnn
from fastrnn import _core
from fastrnn.layers.level import Back, Call, CellPass
from fastrnn.layers.recurrent import Recurrent

T, B, I, H, S = 7, 4, 7, 19, 6
KINDS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class PairPass:
    """An LSTM, and a GRU that reads its output; y has both side by side."""

    def __init__(self, weights: Any, way: Any, call: Call) -> None:
        x, table, first, y = call
        if y is None:
            y = np.empty((*x.shape[: x.ndim - (table is None)], H + S), weights[0][0].dtype)
        self.lower = CellPass("lstm", weights[0], way, Call(x, table, first and first[:2], y[..., :H]))
        self.upper = CellPass(
            "gru", weights[1], way, Call(self.lower.y, None, first and first[2:], y[..., H:])
        )
        self.y, self.last = y, (*self.lower.last, *self.upper.last)

    def backward(self, back: Back) -> Any:
        dy, dlast, grads = back[:3]
        dh, dg = (None, None) if dy is None else (dy[..., :H], dy[..., H:])
        down, by_g = self.upper.backward(Back(dg, dlast and dlast[2:], grads[1]))
        down += 0 if dh is None else dh
        dx, by_h = self.lower.backward(back._replace(dy=down, dlast=dlast and dlast[:2], grads=grads[0]))
        return dx, (*by_h, *by_g)


class Pair(Recurrent):
    """Its layer."""

    def __init__(self, width: int, hidden: int = H, num_layers: int = 1, **options: Any) -> None:
        super().__init__("lstm", ("h", "c", "g"), width, hidden, num_layers, **options)

    @property
    def _widths(self) -> Any:
        return ("H+S", H + S), ("H", H), ("H", H), ("S", S)

    def _kinds(self, width: int) -> Any:
        sizes = [(4 * H, width), (4 * H, H), (4 * H,), (4 * H,), (3 * S, H), (3 * S, S), (3 * S,), (3 * S,)]
        return dict(zip([*KINDS, *(f"{kind}_g" for kind in KINDS)], sizes, strict=True))

    def _letters(self, name: str) -> str:
        return ""

    def _pack(self, named: Any) -> Any:
        ends = [f"_l{k}{suffix}" for k in range(self.num_layers) for suffix in ("", "_reverse")]
        return [
            tuple(tuple(named[kind + cell + end] for kind in KINDS) for cell in ("", "_g"))
            for end in ends
            if "weight_ih" + end in named
        ]

    def _run(self, weights: Any, way: Any, call: Call, below: Any) -> Any:
        assert (below is None) == (way.level == 0)
        return PairPass(weights, way, call)

    def _prepare(self, weights: Any) -> Any:
        lower, upper = _core.Prepared("lstm", weights[0]), _core.Prepared("gru", weights[1])

        def call(x: Any, state: Any) -> Any:
            h, last = lower(x, state and state[:2])
            g, more = upper(h, state and state[2:])
            return np.concatenate([h, g], axis=-1), (*last, *more)

        return call


def problem(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, **options: Any) -> Problem:
    monkeypatch.setitem(problems.LAYERS, "Pair", Pair)
    return make_problem(rng, "Pair", (T, B, I, H), **options)


def apart(pair: Problem) -> Any:
    """The same as two layers for each level, and what the pullbacks give."""
    x, dy, lower, upper = pair.x, pair.dy, [], []
    outputs, states = [], []
    for k in range(pair.layer.num_layers):
        width = x.shape[-1]
        lower.append(fastrnn.LSTM(width, H, dtype="float64"))
        upper.append(fastrnn.GRU(H, S, dtype="float64"))
        for one, cell in ((lower[k], ""), (upper[k], "_g")):
            one.load_params({f"{kind}_l0": pair.layer.params[f"{kind}{cell}_l{k}"] for kind in KINDS})
        h0, c0, g0 = (s[k : k + 1] for s in pair.state)
        (h, last), to_lower = lower[k].vjp(x, (h0, c0))
        (g, more), to_upper = upper[k].vjp(h, (g0,))
        outputs.append((to_lower, to_upper))
        states.append((*last, *more))
        x = np.concatenate([h, g], axis=-1)
    found = {"y": x} | {n: np.concatenate(s) for n, s in zip("hcg", zip(*states, strict=True), strict=True)}
    firsts = []
    for k in reversed(range(pair.layer.num_layers)):
        dh, dc, dg = (s[k : k + 1] for s in pair.dstate)
        down, by_g = outputs[k][1](dy[..., H:], (dg,))
        dy, by_h = outputs[k][0](down + dy[..., :H], (dh, dc))
        firsts.insert(0, (*by_h, *by_g))
        for one, cell in ((lower[k], ""), (upper[k], "_g")):
            found |= {
                f"d {n}{cell}_l{k}": one.grads[f"{n}_l0"] + pair.layer.grads[f"{n}{cell}_l{k}"] for n in KINDS
            }
    found |= {f"d {n}": np.concatenate(s) for n, s in zip("hcg", zip(*firsts, strict=True), strict=True)}
    return {**found, "d x": dy}


@pytest.mark.parametrize("layers", [1, 3])
def test_it_is_its_cells(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, layers: int) -> None:
    pair = problem(rng, monkeypatch, num_layers=layers)
    checks.runs_agree(run_layer(pair), apart(pair))


@pytest.mark.parametrize("batch_first", [False, True])
def test_both_directions(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, batch_first: bool
) -> None:
    directions_are_two_layers(problem(rng, monkeypatch, bidirectional=True, batch_first=batch_first))


def test_rows_of_unlike_lengths(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = problem(rng, monkeypatch, num_layers=2, bidirectional=True)
    lengths = np.array([3, T, 0, 5])
    whole = run(pair.layer, pair.x, pair.state, pair.dy, pair.dstate, lengths)
    for b, n in enumerate(lengths):
        if n:
            x, dy = pair.x[:n, b : b + 1], pair.dy[:n, b : b + 1]
            state, dlast = (tuple(s[:, b : b + 1].copy() for s in a) for a in (pair.state, pair.dstate))
            alone = run(pair.layer, x, state, dy, dlast)
            equal(one_row(whole, b, n), one_row(alone, 0, n))


def test_steps(rng: np.random.Generator) -> None:
    layer, x = Pair(I, num_layers=2, seed=1), rng.standard_normal((T, B, I)).astype("f4")
    want, last = layer(x)
    prepared, state = layer.prepare(), None
    for t in range(T):
        y, state = prepared.step(x[t], state)
        checks.same_bits(y, want[t].copy())
    for a, b in zip(state, last, strict=True):
        checks.same_bits(a, b)


def test_state_of_another_width() -> None:
    layer, x = Pair(I, seed=1), np.zeros((T, B, I), "f4")
    h, g = np.zeros((1, B, H), "f4"), np.zeros((1, B, H), "f4")
    message = f"g: expected shape (L, B, S) = (1, {B}, {S}), got (1, {B}, {H})"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        layer(x, (h, h, g))
