"""What `fastrnn.diagnosis` says, against gradients of whole calls, eigenvalues and formulas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer
from problems import LAYERS, make_problem

import fastrnn
from fastrnn import diagnosis, losses

T, B, I, H = 9, 2, 3, 5
ONE_LEVEL = [{"num_layers": 1}, {"num_layers": 3}]


def flow_is_that_of_whole_calls(layer: Any, x: np.ndarray, dy: np.ndarray, flow: Any) -> None:
    """Each norm is that of the gradient by the initial state of a call over the steps k + 1 to t."""
    states = [None]
    for t in range(T):
        states.append(layer.vjp(x[t : t + 1], states[-1], step=t)[0][1])
    grads = np.zeros_like(layer.flat_grads)
    total = np.zeros((len(layer.states), layer.num_layers, T))

    def norms(state: Any) -> np.ndarray:
        return np.array([[np.linalg.norm(level) for level in part] for part in state])

    for k in range(T - 1):
        (y, _), pullback = layer.vjp(x[k + 1 :], states[k + 1], step=k + 1)
        whole = [s.copy() for s in pullback(dy[k + 1 :], grads=grads)[1]]
        column = 0
        for part in whole:  # what step k itself gives out
            width = min(part.shape[-1], dy.shape[-1] - column)
            part[-1, :, :width] += dy[k, :, column : column + width]
            column += width
        total[..., k] = norms(whole)
        for t in range(k + 1, T):
            (y, _), pullback = layer.vjp(x[k + 1 : t + 1], states[k + 1], step=k + 1)
            late = np.zeros_like(y)
            late[-1] = dy[t]
            want = norms(pullback(late, grads=grads)[1])
            for name, of_levels in zip(layer.states, want, strict=True):
                checks.close(flow.steps[name][:, t, k], of_levels, "gradient", f"dJ({t})/d{name}({k})")
    for place, name in enumerate(layer.states):
        checks.close(flow.total[name][:, :-1], total[place][:, :-1], "gradient", f"dL/d{name}")
        assert not np.triu(flow.steps[name][-1], 1).any()
    shown = np.linalg.norm([of_state[-1, -1, -1] for of_state in flow.steps.values()])
    checks.close(shown, np.linalg.norm(dy[-1]), "gradient", "J(T) by y(T)")


@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("kind", LAYERS)
def test_flow(rng: np.random.Generator, kind: str, levels: int) -> None:
    p = make_problem(rng, kind, (T, B, I, H), num_layers=levels, state=False)
    before = p.layer.flat_grads.copy()
    flow = diagnosis.gradient_flow(p.layer, p.x, p.dy)
    checks.same_bits(p.layer.flat_grads, before)
    flow_is_that_of_whole_calls(p.layer, p.x, p.dy, flow)
    with pytest.raises(AssertionError):
        flow_is_that_of_whole_calls(p.layer, p.x, np.roll(p.dy, 1, axis=0), flow)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_flow_of_a_linear_network_is_its_eigenvalues(rng: np.random.Generator, symmetric: bool) -> None:
    """|dJ(t)/dh(k)| = |V'^-1 diag(eigenvalues)^(t - k) V' dy|, for V of R'."""
    layer = fastrnn.RNN(I, H, nonlinearity="identity", dtype="float64", seed=1)
    r = rng.standard_normal((H, H))
    layer.params["weight_hh_l0"][...] = r = (r + r.T if symmetric else r) / 2
    x, dy = rng.standard_normal((12, 1, I)), rng.standard_normal((12, 1, H))
    flow = diagnosis.gradient_flow(layer, x, dy)
    values, vectors = np.linalg.eig(r.T)
    parts = np.linalg.solve(vectors, dy[:, 0].T.astype(complex))
    for t in range(12):
        powers = values[:, None] ** (t - np.arange(t + 1))
        want = np.linalg.norm(vectors @ (powers * parts[:, [t]]), axis=0)
        ratio = flow.steps["h"][0, t, : t + 1] / want
        checks.close(ratio, np.ones_like(ratio), "peer", f"norms of J({t})")


def test_an_lstm_keeps_what_a_tanh_network_loses(rng: np.random.Generator) -> None:
    x = rng.standard_normal((101, 4, I)).astype(np.float32)
    simple = diagnosis.gradient_flow(fastrnn.RNN(I, 16, seed=1), x, at=[100]).steps["h"][0, 0]
    gated = fastrnn.init.forget_bias(fastrnn.LSTM(I, 16, seed=1), 4.6)
    kept = diagnosis.gradient_flow(gated, x, at=[100]).steps["c"][0, 0]
    assert simple[0] < 1e-10 * simple[99]
    assert kept[0] > 0.1 * kept[99]


def test_flow_options(rng: np.random.Generator) -> None:
    p = make_problem(rng, "Lstm", (T, B, I, H), num_layers=2)
    whole = diagnosis.gradient_flow(p.layer, p.x, p.dy, p.state)
    some = diagnosis.gradient_flow(p.layer, p.x, p.dy, p.state, at=[6, 2, 6])
    np.testing.assert_array_equal(some.at, [2, 6])
    for name in p.layer.states:
        checks.same_bits(some.steps[name], whole.steps[name][:, [2, 6]])
        checks.same_bits(some.total[name], whole.total[name])
    assert not np.array_equal(whole.total["c"], diagnosis.gradient_flow(p.layer, p.x, p.dy).total["c"])

    turned = fastrnn.LSTM(I, H, 2, batch_first=True, dropout=0.5, dtype="float64")
    turned.load_params(p.layer.params)
    swapped = diagnosis.gradient_flow(turned, p.x.swapaxes(0, 1), p.dy.swapaxes(0, 1), p.state)
    checks.same_bits(swapped.steps["c"], whole.steps["c"])  # without dropout
    ones = diagnosis.gradient_flow(p.layer, p.x, np.ones_like(p.dy), p.state)
    checks.same_bits(diagnosis.gradient_flow(p.layer, p.x, None, p.state).total["h"], ones.total["h"])


def test_flow_of_a_loss(rng: np.random.Generator) -> None:
    """The gradients that a loss with reduction="sum" gives are those of its steps."""
    layer = fastrnn.GRU(I, H, dtype="float64", seed=1)
    head = losses.LinearCrossEntropy(H, 4, reduction="sum", dtype="float64", seed=2)
    x, targets = rng.standard_normal((T, B, I)), rng.integers(0, 4, (T, B))
    dy = head.value_and_grad(layer(x)[0], targets)[1]
    found = diagnosis.gradient_flow(layer, x, dy, at=[3]).steps["h"][0, 0]
    (y, _), pullback = layer.vjp(x[:4], (np.zeros((1, B, H)),))
    only = np.zeros((4, B), bool)
    only[3] = True
    _, (dh,) = pullback(head.value_and_grad(y, targets[:4], mask=only)[1])
    (_, (h,)), _ = layer.vjp(x[:1])
    (y, _), pullback = layer.vjp(x[1:4], (h,))
    _, (dh,) = pullback(head.value_and_grad(y, targets[1:4], mask=only[1:])[1])
    checks.close(found[0], np.linalg.norm(dh), "gradient")


def pascanu(w: float = 5.0) -> tuple[Any, np.ndarray, np.ndarray]:
    """h(t) = sigmoid(w h(t-1) + b), 50 steps; the square of h(50) - 0.7, as Pascanu et al. 2013 draw it."""
    layer = fastrnn.RNN(1, 1, nonlinearity="sigmoid", dtype="float64")
    layer.flat_params[:] = 0
    layer.params["weight_hh_l0"][:], layer.params["bias_ih_l0"][:] = w, -2.45
    x = np.zeros((50, 1, 1))
    return fastrnn.value_and_grad(layer, losses.MSE("sum")), x, np.full((50, 1, 1), 0.7)


def test_the_loss_around_a_point() -> None:
    f, x, targets = pascanu()
    at = {name: place for place, name in enumerate(f.params)}
    u, v = np.zeros((2, f.flat_params.size))
    u[at["model.weight_hh_l0"]], v[at["model.bias_ih_l0"]] = 1, 1
    last = np.zeros((50, 1), bool)
    last[-1] = True
    before = f.flat_params.copy()
    options: Any = {"mask": last, "extent": 0.5, "points": 9, "steps": 40, "lr": 0.02, "max_norm": 0.5}
    plane = diagnosis.loss_plane(f, x, targets, (u, v), **options)
    checks.same_bits(f.flat_params, before)
    assert not f.flat_grads.any()
    for i, a in enumerate(plane.a):
        for j, b in enumerate(plane.b):
            h = 0.0
            for _ in range(50):
                h = 1 / (1 + np.exp(-((5 + a) * h - 2.45 + b)))
            checks.close(plane.loss[i, j], np.float64((h - 0.7) ** 2), "peer", f"loss at {a}, {b}")
    # A wall: the loss jumps between neighbours, and a step without clipping jumps with the gradient there.
    assert np.abs(np.diff(np.log(plane.loss), axis=0)).max() > 2
    lengths = [np.linalg.norm(np.diff(path, axis=0), axis=1) for path in (plane.free, plane.clipped)]
    assert lengths[0].max() > 10 * lengths[1].max()
    assert lengths[1].max() <= 0.02 * 0.5
    same = diagnosis.loss_plane(f, x, targets, (u, v), **{**options, "points": 2, "max_norm": 1e9})
    checks.close(same.clipped, same.free, "identity")


def test_random_directions(rng: np.random.Generator) -> None:
    f = fastrnn.value_and_grad(fastrnn.GRU(I, H, seed=1), losses.MSE())
    x, targets = (rng.standard_normal((T, B, width)).astype(np.float32) for width in (I, H))
    planes = [diagnosis.loss_plane(f, x, targets, points=3, seed=4) for _ in range(2)]
    checks.same_bits(*(plane.loss for plane in planes))
    assert planes[0].loss[1, 1] == f.loss(x, targets)[0]
    assert planes[0].free.shape == (1, 2)


ERRORS: dict[str, tuple[Any, type[Exception], str]] = {
    "no layer": (
        lambda x: diagnosis.gradient_flow(fastrnn.Linear(I, H), x),
        TypeError,
        "layer: expected a recurrent layer, got Linear",
    ),
    "both directions": (
        lambda x: diagnosis.gradient_flow(fastrnn.GRU(I, H, bidirectional=True), x),
        ValueError,
        "bidirectional: expected False for gradient_flow(), got True",
    ),
    "dy": (
        lambda x: diagnosis.gradient_flow(fastrnn.GRU(I, H), x, x),
        ValueError,
        f"dy: expected shape {(T, B, H)}, got {(T, B, I)}",
    ),
    "at": (
        lambda x: diagnosis.gradient_flow(fastrnn.GRU(I, H), x, at=[T]),
        ValueError,
        f"at: expected an int <= {T - 1}, got {T}",
    ),
    "spectra": (
        lambda x: diagnosis.spectra(fastrnn.Linear(I, H)),
        TypeError,
        "layer: expected a recurrent layer, got Linear",
    ),
    "margin": (
        lambda x: diagnosis.saturation(fastrnn.GRU(I, H), x, margin=0.5),
        ValueError,
        "margin: expected 0 <= margin < 0.5, got 0.5",
    ),
    "plane": (
        lambda x: diagnosis.loss_plane(fastrnn.GRU(I, H), x, x),
        TypeError,
        "model: expected one of value_and_grad, got GRU",
    ),
    "dropout": (
        lambda x: diagnosis.loss_plane(
            fastrnn.value_and_grad(fastrnn.GRU(I, I, 2, dropout=0.5), losses.MSE()), x, x
        ),
        ValueError,
        "model: expected one without dropout, got some",
    ),
    "directions": (
        lambda x: diagnosis.loss_plane(pascanu()[0], x, x, np.zeros(4)),
        TypeError,
        "directions: expected two arrays, got float64 array of shape (4,)",
    ),
    "direction": (
        lambda x: diagnosis.loss_plane(pascanu()[0], x, x, (np.zeros(4), np.zeros(3))),
        ValueError,
        "directions[1]: expected shape (4,), got (3,)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, kind, message = ERRORS[name]
    with pytest.raises(kind) as raised:
        call(np.zeros((T, B, I), np.float32))
    assert str(raised.value) == message


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_pictures(rng: np.random.Generator, tmp_path: Path) -> None:
    peer("matplotlib.figure")
    layer = fastrnn.LSTM(I, H, seed=1)
    flow = diagnosis.gradient_flow(layer, rng.standard_normal((T, B, I)).astype(np.float32))
    figure = flow.plot()
    assert figure.axes[1].get_title() == "|dL/dc(k)|" or figure.axes[0].get_title().startswith("log10")
    figure.savefig(tmp_path / "flow.png")
    f, x, targets = pascanu()
    diagnosis.loss_plane(f, x, targets, points=5, steps=3, seed=1).plot().savefig(tmp_path / "plane.png")
    for name in ("flow", "plane"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="state: expected one of 'h', 'c', got 'x'"):
        flow.plot("x")
