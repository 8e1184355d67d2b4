"""Optimisers against plain formulas and against PyTorch; groups, clipping, saving."""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import checks
import numpy as np
import pytest

from fastrnn import LSTM, Embedding, Linear, Sequential, optim

STEPS = 5
KINDS: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True}),
    ("Adam", {}),
    ("Adam", {"lr": 0.02, "betas": (0.8, 0.95), "eps": 1e-3, "weight_decay": 0.05}),
    ("AdamW", {"lr": 0.02}),
    ("AdamW", {"lr": 0.02, "weight_decay": 0.3}),
    ("RMSProp", {"lr": 0.02, "eps": 1e-3}),
    ("RMSProp", {"lr": 0.02, "alpha": 0.8, "eps": 1e-3, "momentum": 0.7, "weight_decay": 0.05}),
    ("Adagrad", {"lr": 0.02, "eps": 1e-3}),
    ("Adagrad", {"lr": 0.02, "eps": 1e-3, "weight_decay": 0.05}),
]
TORCH_NAMES = {"RMSProp": "RMSprop"}


def model(dtype: str = "float64") -> Sequential:
    return Sequential(
        Embedding(7, 5, dtype=dtype, seed=1),
        LSTM(5, 6, dtype=dtype, seed=2),
        Linear(6, 2, dtype=dtype, seed=3),
    )


def gradients(m: Any) -> np.ndarray:
    """A gradient for each step, [STEPS, n]."""
    return np.random.default_rng(5).standard_normal((STEPS, m.flat_params.size)).astype(m.flat_params.dtype)


def train(m: Any, optimizer: Any, grads: np.ndarray, max_norm: float | None = None) -> list[float]:
    norms = []
    for g in grads:
        m.flat_grads[:] = g
        norms.append(optimizer.step(max_norm=max_norm))
        assert not m.flat_grads.any()
    return norms


def formula(
    kind: str, lr: float = 1e-3, **o: Any
) -> Callable[[np.ndarray, np.ndarray, dict[str, Any]], np.ndarray]:
    """One step, as the papers and PyTorch's documentation write it."""

    def sgd(p: np.ndarray, g: np.ndarray, s: dict[str, Any]) -> np.ndarray:
        g, momentum = g + o.get("weight_decay", 0) * p, o.get("momentum", 0)
        if momentum:
            s["b"] = momentum * s["b"] + (1 - o.get("dampening", 0)) * g if "b" in s else g
            g = g + momentum * s["b"] if o.get("nesterov") else s["b"]
        return p - lr * g

    def adam(p: np.ndarray, g: np.ndarray, s: dict[str, Any]) -> np.ndarray:
        (a, b), decay = o.get("betas", (0.9, 0.999)), o.get("weight_decay", 1e-2 if kind == "AdamW" else 0)
        g, p = (g, p * (1 - lr * decay)) if kind == "AdamW" else (g + decay * p, p)
        t = s["t"] = s.get("t", 0) + 1
        s["m"], s["v"] = a * s.get("m", 0) + (1 - a) * g, b * s.get("v", 0) + (1 - b) * g * g
        return p - lr * (s["m"] / (1 - a**t)) / (np.sqrt(s["v"] / (1 - b**t)) + o.get("eps", 1e-8))

    def squares(p: np.ndarray, g: np.ndarray, s: dict[str, Any]) -> np.ndarray:
        g, alpha = g + o.get("weight_decay", 0) * p, o.get("alpha", 0.99)
        old, fresh = (1, 1) if kind == "Adagrad" else (alpha, 1 - alpha)
        s["v"] = old * s.get("v", 0) + fresh * g * g
        s["b"] = o.get("momentum", 0) * s.get("b", 0) + g / (np.sqrt(s["v"]) + o["eps"])
        return p - lr * s["b"]

    return {"SGD": sgd, "RMSProp": squares, "Adagrad": squares}.get(kind, adam)


@pytest.mark.parametrize("max_norm", [None, 0.5, 1e9])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_steps_are_the_formulas(
    dtype: np.dtype, kind: str, options: dict[str, Any], max_norm: float | None
) -> None:
    m = model(dtype.name)
    grads, want, state = gradients(m), m.flat_params.astype(np.longdouble), {}
    norms = train(m, getattr(optim, kind)(m, **options), grads, max_norm)
    for g, norm in zip(grads.astype(np.longdouble), norms, strict=True):
        length = np.sqrt(np.sum(g * g))
        if max_norm is None:
            assert math.isnan(norm)
        else:
            checks.close(dtype.type(norm), length, "norm")
            g *= min(1, max_norm / (length + 1e-6))
        want = formula(kind, **options)(want, g, state)
    checks.close(m.flat_params, want, "gradient")


@pytest.mark.peer
@pytest.mark.parametrize("max_norm", [None, 0.5])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_steps_are_those_of_torch(
    torch: Any, kind: str, options: dict[str, Any], max_norm: float | None
) -> None:
    m = model()
    leaf = torch.nn.Parameter(torch.tensor(m.flat_params))
    theirs = getattr(torch.optim, TORCH_NAMES.get(kind, kind))([leaf], **options)
    grads = gradients(m)
    for g in grads:
        leaf.grad = torch.tensor(g)
        if max_norm is not None:
            torch.nn.utils.clip_grad_norm_([leaf], max_norm)
        theirs.step()
    train(m, getattr(optim, kind)(m, **options), grads, max_norm)
    checks.close(m.flat_params, leaf.detach().numpy(), "peer")


@pytest.mark.parametrize("max_norm", [None, 0.5, 1e9])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_groups_are_steps_of_their_own(kind: str, options: dict[str, Any], max_norm: float | None) -> None:
    m = model()
    grads, before = gradients(m), {name: a.copy() for name, a in m.params.items()}
    groups = [{"params": ["*bias*"], "weight_decay": 0.0}, {"params": ["1.weight_hh_l0"], "lr": 0.3}]
    optimizer = getattr(optim, kind)(m, **options, groups=groups, frozen=["0.weight"])
    assert [len(group["params"]) for group in optimizer.groups] == [3, 1, 2]
    norms = train(m, optimizer, grads, max_norm)
    checks.same_bits(m.params["0.weight"], before["0.weight"])
    start = before["0.weight"].size  # the first parameter is frozen: its gradient does not count
    for name in list(before)[1:]:
        want, state = before[name].ravel().astype(np.longdouble), {}
        own = {"weight_decay": 0.0} if "bias" in name else {"lr": 0.3} if name == "1.weight_hh_l0" else {}
        for g in grads.astype(np.longdouble):
            length = np.sqrt(np.sum(g[before["0.weight"].size :] ** 2))
            scale = 1 if max_norm is None else min(1, max_norm / (length + 1e-6))
            want = formula(kind, **{**options, **own})(want, g[start : start + want.size] * scale, state)
        checks.close(m.params[name].ravel(), want, "gradient", name)
        start += want.size
    if max_norm is not None:
        checks.close(np.float64(norms[-1]), length, "norm")


def test_a_model_is_one_span() -> None:
    m = model()
    optimizer = optim.Adam(m)
    train(m, optimizer, gradients(m))
    [(params, _, _)] = optimizer._spans
    assert [p.shape for p in params] == [m.flat_params.shape]


def test_the_optimiser_follows_a_layer_that_moves() -> None:
    layer = Linear(6, 2, seed=3)
    optimizer = optim.SGD(layer, 1.0)
    m = Sequential(Linear(5, 6, seed=2), layer)
    before = m.flat_params.copy()
    m.flat_grads[:] = 1
    optimizer.step()
    moved = m.flat_params != before
    assert moved.sum() == layer.flat_params.size
    assert moved[-layer.flat_params.size :].all()


@pytest.mark.parametrize("groups", [[], [{"params": ["*bias*"], "lr": 0.5}]], ids=["one group", "two"])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
def test_a_guard_keeps_everything(kind: str, options: dict[str, Any], groups: list[Any]) -> None:
    m = model()
    optimizer = getattr(optim, kind)(m, **options, groups=groups)
    before, state = m.flat_params.copy(), copy.deepcopy(optimizer.state_dict())
    m.flat_grads[:] = 1
    m.flat_grads[3] = np.nan
    assert math.isnan(optimizer.step(max_norm=1.0, guard=True))
    checks.same_bits(m.flat_params, before)
    assert optimizer.steps == 0
    assert np.isnan(m.flat_grads[3])
    for name, a in state["state"].items():
        checks.same_bits(optimizer.state[name], a)
    m.flat_grads[3] = 1
    assert optimizer.step(max_norm=1.0, guard=True) > 0
    assert optimizer.steps == 1
    assert (m.flat_params != before).all()


def test_momentum_needs_its_buffer() -> None:
    optimizer = optim.RMSProp(model())
    assert list(optimizer.state) == ["v"]
    state = optimizer.state_dict()
    state["options"] = {**state["options"], "momentum": 0.5}
    with pytest.raises(
        ValueError, match=r"^momentum: expected 0, as when the optimiser was made, got a buffer"
    ):
        optimizer.load_state_dict(state)
    with pytest.raises(ValueError, match=r"^alpha: expected 0 <= alpha < 1, got 1$"):
        optim.RMSProp(model(), alpha=1.0)


def test_gradients_can_stay() -> None:
    m = model()
    m.flat_grads[:] = 1
    optim.SGD(m, 0.1).step(zero_grad=False)
    assert (m.flat_grads == 1).all()


def test_learning_rate_can_change_between_steps() -> None:
    m = model()
    optimizer = optim.SGD(m, 0.1, groups=[{"params": ["2.*"], "lr": 0.5}])
    optimizer.lr = 0.25
    assert optimizer.lr == 0.25
    before = m.flat_params.copy()
    m.flat_grads[:] = 1
    optimizer.step()
    np.testing.assert_allclose((before - m.flat_params)[[0, -1]], [0.25, 0.5])
    before = m.flat_params.copy()
    m.flat_grads[:] = 1
    optimizer.group_scale = 0.5
    optimizer.step()
    np.testing.assert_allclose((before - m.flat_params)[[0, -1]], [0.25, 0.25], rtol=1e-6)


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=str)
@pytest.mark.parametrize("way", ["state_dict", "pickle"])
def test_a_resumed_run_repeats_the_bits(kind: str, options: dict[str, Any], way: str) -> None:
    whole, first = model(), model()
    grads = gradients(whole)
    train(whole, getattr(optim, kind)(whole, **options), grads, 0.5)
    optimizer = getattr(optim, kind)(first, **options)
    train(first, optimizer, grads[:2], 0.5)
    if way == "pickle":
        second, resumed = pickle.loads(pickle.dumps((first, optimizer)))
        assert resumed.model is second
    else:
        second = copy.deepcopy(first)
        resumed = getattr(optim, kind)(second, **{**options, "lr": 9.0})
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    train(second, resumed, grads[2:], 0.5)
    checks.same_bits(second.flat_params, whole.flat_params)


def test_a_foreign_state_changes_nothing() -> None:
    m = model()
    optimizer = optim.Adam(m)
    train(m, optimizer, gradients(m))
    before = copy.deepcopy(optimizer.state_dict())
    damaged: list[tuple[str, Any, str]] = [
        ("kind", "SGD", "state_dict: expected kind 'Adam', got 'SGD'"),
        ("steps", -1, "steps: expected an int >= 0, got -1"),
        ("options", {"lr": 0.1}, "options: expected 'beta1', got no such name (4 missing)"),
        ("frozen", ["0.weight"], "frozen: expected [], got ['0.weight']"),
        ("state", {"m": before["state"]["m"]}, "state: expected 'v', got no such name (1 missing)"),
        (
            "state",
            {"m": before["state"]["m"], "v": np.ones(3)},
            f"v: expected shape {m.flat_params.shape}, got (3,)",
        ),
    ]
    for name, value, message in damaged:
        with pytest.raises(ValueError, match="expected") as raised:
            optimizer.load_state_dict({**before, name: value})
        assert str(raised.value) == message
        after = optimizer.state_dict()
        checks.same_bits(after["state"]["m"], before["state"]["m"])
        assert {**after, "state": 0} == {**before, "state": 0}


def test_the_check_sees_a_wrong_formula() -> None:
    m = model()
    grads, want, state = gradients(m), m.flat_params.copy(), {}
    train(m, optim.SGD(m, 0.1, momentum=0.9, dampening=0.3), grads)
    for g in grads:
        want = formula("SGD", 0.1, momentum=0.9)(want, g, state)
    with pytest.raises(AssertionError, match="eps, allowed"):
        checks.close(m.flat_params, want, "gradient")
