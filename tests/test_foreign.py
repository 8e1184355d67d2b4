"""Arrays of other libraries, by DLPack and ``__array_interface__``, wherever an array is meant."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn
from fastrnn import functional, losses

T, B, I, H = 4, 3, 5, 6


class Interface:
    """What has ``__array_interface__`` alone."""

    def __init__(self, a: np.ndarray) -> None:
        self.kept, self.__array_interface__ = a, a.__array_interface__


class Capsule:
    """What has DLPack alone."""

    def __init__(self, a: np.ndarray) -> None:
        self.a = a

    def __dlpack__(self, **options: Any) -> Any:
        return self.a.__dlpack__(**options)

    def __dlpack_device__(self) -> Any:
        return self.a.__dlpack_device__()


def everything(wrap: Callable[[np.ndarray], Any], rng: np.random.Generator) -> list[Any]:
    """Calls, pullbacks, states, lengths, targets, masks, parameters."""
    x = rng.standard_normal((T, B, I)).astype(np.float32)
    h, c = rng.standard_normal((2, 1, B, H)).astype(np.float32)
    dy = rng.standard_normal((T, B, H)).astype(np.float32)
    targets, mask = rng.integers(0, H, (T, B)), rng.random((T, B)) < 0.7
    layer, lengths = fastrnn.LSTM(I, H, seed=0), np.array([4, 1, 2])
    state = (wrap(h), wrap(c))
    found: list[Any] = [*layer(wrap(x), state, lengths=wrap(lengths))]
    (y, _), pullback = layer.vjp(wrap(x), state)
    found += [y, *pullback(wrap(dy), dstate=(wrap(h), wrap(c))), layer.flat_grads.copy()]
    found += [*layer.prepare().step(wrap(x[0]), state)]
    model = fastrnn.Sequential(fastrnn.Embedding(9, I, seed=1), fastrnn.GRU(I, H, seed=2))
    f = fastrnn.value_and_grad(model, losses.LinearCrossEntropy(H, H, seed=3))
    found.append(f(wrap(targets), wrap(targets), mask=wrap(mask))[0])
    found.append(f.total(wrap(targets), wrap(targets))[0])
    out, pullback = fastrnn.Linear(I, H, seed=4).vjp(wrap(x))
    found += [out, pullback(wrap(dy))]
    found.append(functional.linear(wrap(x), wrap(rng.standard_normal((H, I)).astype(np.float32))))
    layer.load_params({name: wrap(a + 1) for name, a in layer.params.items()})
    return [*found, layer.flat_params.copy()]


def same(a: Any, b: Any) -> None:
    if isinstance(a, (tuple, list)):
        for one, other in zip(a, b, strict=True):
            same(one, other)
    elif isinstance(a, np.ndarray):
        checks.same_bits(a, b)
    else:
        assert a == b


@pytest.mark.parametrize("kind", [Interface, Capsule, "torch"])
def test_the_same_answers(kind: Any, request: pytest.FixtureRequest) -> None:
    wrap = request.getfixturevalue("torch").from_numpy if kind == "torch" else kind
    want = everything(lambda a: a, np.random.default_rng(0))
    same(everything(wrap, np.random.default_rng(0)), want)


def test_no_copy(torch: ModuleType) -> None:
    seen = []
    layer = fastrnn.Lambda(lambda x: seen.append(x) or x, lambda dy, x, y: dy)
    tensor = torch.ones(3, 2)
    layer(tensor)
    assert np.shares_memory(fastrnn._check.foreign("x", tensor), tensor.numpy())


def test_errors(torch: ModuleType) -> None:
    layer, x = fastrnn.LSTM(I, H, seed=0), torch.zeros(T, B, I)
    (_, _), pullback = layer.vjp(x)
    state = torch.zeros(1, B, H)
    for call, message in (
        (lambda: layer(x.clone().requires_grad_(True)), "x"),
        (lambda: layer(x, (state, state.clone().requires_grad_(True))), "state[1]"),
        (lambda: pullback(torch.zeros(T, B, H, requires_grad=True)), "dy"),
    ):
        with pytest.raises(TypeError) as raised:
            call()
        assert str(raised.value) == (
            f"{message}: expected an array, or a tensor that does not require grad, got one that does; "
            f"use {message}.detach(), or fastrnn.torch for its gradient"
        )
    with pytest.raises(TypeError, match=r"^x: expected memory of the CPU that NumPy can read, got Tensor \("):
        layer(torch.zeros(T, B, I, device="meta"))
    with pytest.raises(TypeError, match=r"^x: expected memory of the CPU that NumPy can read, got Tensor \("):
        layer(x.bfloat16())
    with pytest.raises(TypeError) as wrong:
        layer(x.double())
    assert str(wrong.value) == "x: expected float32, got float64; use x.astype(np.float32)"
    with pytest.raises(TypeError, match=r"^x: expected a NumPy array, got list$"):
        layer([[1.0]])  # type: ignore[arg-type]
