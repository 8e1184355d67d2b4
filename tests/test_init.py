"""`fastrnn.init`: what it promises of the matrices and biases, gate by gate, of every level and direction."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import checks
import numpy as np
import pytest
from problems import LAYERS

from fastrnn import GRU, LSTM, RNN, DepthGatedLSTM, init

I, H, L = 7, 12, 2
DENSE = [
    kind for kind in LAYERS if kind != "Clockwork"
]  # whose blocks are those of modules: test_composites.py
RECURRENT = [kind for kind in DENSE if not kind.startswith("Min")]


def make(kind: str, dtype: np.dtype, **options: Any) -> Any:
    return LAYERS[kind](I, H, L, bidirectional=True, dtype=dtype.name, seed=1, **options)


def gates(layer: Any, kind: str) -> list[np.ndarray]:
    """Every gate's part of every parameter of one kind."""
    found = [a for name, a in layer.params.items() if name.startswith(kind)]
    assert len(found) == layer.num_layers * layer.directions
    return [block for a in found for block in np.split(a, len(a) // H)]


def is_orthogonal(layer: Any, gain: float) -> None:
    """Q'Q = gain^2 I for the recurrent matrix of every gate, and no two are equal."""
    blocks = gates(layer, "weight_hh")
    for q in blocks:
        checks.close(q.T @ q, gain**2 * np.eye(q.shape[1], dtype=q.dtype), "identity", "Q'Q")
    assert len({q.tobytes() for q in blocks}) == len(blocks)


def is_identity(layer: Any, scale: float) -> None:
    """The recurrent matrix of every gate is the identity times `scale`; biases are zero."""
    for block in gates(layer, "weight_hh"):
        checks.same_bits(block, (scale * np.eye(*block.shape)).astype(block.dtype), "weight_hh")
    for name, a in layer.params.items():
        assert "bias" not in name or not a.any(), name


def is_xavier(layer: Any, gain: float) -> None:
    """Gate by gate within +-gain sqrt(6 / (rows + columns)), as wide as uniform numbers are, of mean zero."""
    for kind in ("weight_ih", "weight_hh", "weight_ch"):
        if f"{kind}_l0" not in layer.params or layer.params[f"{kind}_l0"].ndim == 1:
            continue
        for block in gates(layer, kind):
            bound = gain * (6 / sum(block.shape)) ** 0.5
            assert 0.9 * bound < np.abs(block).max() <= np.nextafter(block.dtype.type(bound), np.inf)
            assert abs(block.std() / (bound / 3**0.5) - 1) < 0.25  # 84 draws or more: 3.6 deviations of 0.07
            assert abs(block.mean()) < 0.3 * bound  # 4.8 deviations


def forgets_less(layer: Any, value: float, forget: int) -> None:
    """bias_ih of gate `forget` is `value` and bias_hh zero; no other bias is either."""
    for kind, to in (("bias_ih", value), ("bias_hh", 0.0)):
        for name, a in layer.params.items():
            if name.startswith(kind):
                for k, block in enumerate(np.split(a, len(a) // H)):
                    assert (block == to).all() if k == forget else (block != to).all(), (name, k)


@pytest.mark.parametrize("gain", [1.0, 1.5])
@pytest.mark.parametrize("kind", RECURRENT)
def test_orthogonal(dtype: np.dtype, kind: str, gain: float) -> None:
    layer = make(kind, dtype)
    before = layer.params["weight_ih_l0"].copy()
    assert init.orthogonal(layer, gain, seed=2) is layer
    is_orthogonal(layer, gain)
    checks.same_bits(layer.params["weight_ih_l0"], before)
    again = init.orthogonal(make(kind, dtype), gain, seed=2)
    checks.same_bits(again.flat_params, layer.flat_params)
    assert (init.orthogonal(make(kind, dtype), gain, seed=3).flat_params != layer.flat_params).any()


@pytest.mark.parametrize("scale", [1.0, -0.5])
@pytest.mark.parametrize("kind", RECURRENT)
def test_identity(dtype: np.dtype, kind: str, scale: float) -> None:
    layer = make(kind, dtype)
    assert init.identity(layer, scale) is layer
    is_identity(layer, scale)


@pytest.mark.parametrize("gain", [1.0, 2.0])
@pytest.mark.parametrize("kind", DENSE)
def test_xavier(dtype: np.dtype, kind: str, gain: float) -> None:
    layer = make(kind, dtype)
    biases = {name: a.copy() for name, a in layer.params.items() if a.ndim == 1}
    assert init.xavier(layer, gain, seed=2) is layer
    is_xavier(layer, gain)
    for name, a in biases.items():
        checks.same_bits(layer.params[name], a, name)


@pytest.mark.parametrize(
    ("kind", "forget"), [("Lstm", 1), ("Peephole", 1), ("Peephole full", 1), ("Coupled", 0)]
)
@pytest.mark.parametrize("value", [1.0, -2.5])
def test_forget_bias(dtype: np.dtype, kind: str, forget: int, value: float) -> None:
    layer = make(kind, dtype)
    assert init.forget_bias(layer, value) is layer
    forgets_less(layer, value, forget)


def test_forget_bias_of_depth_gates() -> None:
    """Levels have four gates and five."""
    layer = DepthGatedLSTM(I, H, 3, bidirectional=True, seed=1)
    want = {name: a.copy() for name, a in layer.params.items()}
    for name, a in want.items():
        if name.startswith("bias"):
            a[H : 2 * H] = 2 if name.startswith("bias_ih") else 0
    init.forget_bias(layer, 2.0)
    checks.runs_same_bits(layer.params, want)


@pytest.mark.parametrize("function", [init.orthogonal, init.identity, init.xavier, init.forget_bias])
def test_a_pullback_from_before_is_refused(function: Callable) -> None:
    layer = LSTM(I, H, seed=1)
    (y, _), pullback = layer.vjp(np.ones((3, 2, I), np.float32))
    function(layer)
    with pytest.raises(RuntimeError, match="pullback: expected the parameters of its forward pass"):
        pullback(y)


def test_an_irnn_remembers() -> None:
    layer = init.identity(RNN(I, H, nonlinearity="relu", seed=1))
    layer.params["weight_ih_l0"][...] = 0
    h = np.abs(np.random.default_rng(0).standard_normal((1, 3, H))).astype(np.float32)
    _, (last,) = layer(np.ones((200, 3, I), np.float32), (h,))
    checks.same_bits(last, h)


TWINS: dict[str, tuple[Callable, tuple, Callable]] = {
    "orthogonal": (init.orthogonal, (), lambda layer: is_orthogonal(layer, 1.0)),
    "identity": (init.identity, (), lambda layer: is_identity(layer, 1.0)),
    "xavier": (init.xavier, (), lambda layer: is_xavier(layer, 1.0)),
    "forget_bias": (init.forget_bias, (), lambda layer: forgets_less(layer, 1.0, 1)),
}


@pytest.mark.parametrize("what", TWINS)
def test_twins(what: str) -> None:
    function, arguments, check = TWINS[what]
    for name in ("bias_ih_l1_reverse", "bias_hh_l0", "weight_hh_l1_reverse", "weight_ih_l0"):
        layer = function(LSTM(I, H, L, bidirectional=True, seed=1), *arguments)
        check(layer)
        layer.params[name][H if what == "forget_bias" else 0] += 1
        seen = {
            "orthogonal": name.startswith("weight_hh"),
            "identity": not name.startswith("weight_ih"),
            "xavier": name.startswith("weight"),
            "forget_bias": name.startswith("bias"),
        }[what]
        if seen:
            with pytest.raises(AssertionError):
                check(layer)
        else:
            check(layer)
    with pytest.raises(AssertionError):
        is_orthogonal(init.orthogonal(GRU(I, H, seed=1), 1.01), 1.0)
