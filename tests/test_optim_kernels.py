"""Optimisers, norms and clipping: the kernels against the reference, on every instruction set."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import ops
import pytest
from mutants import mutant

from fastrnn import _core, reference
from fastrnn.reference import optim

SGD = [
    {},
    {"weight_decay": 0.01},
    {"momentum": 0.9},
    {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
    {"momentum": 0.9, "nesterov": True, "max_norm": 0.5},
    {"max_norm": 1e6, "zero_grad": False},
]
ADAM = [
    {},
    {"weight_decay": 0.1},
    {"weight_decay": 0.1, "decoupled": True, "max_norm": 0.5},
    {"max_norm": 1e6, "zero_grad": False},
]


@pytest.mark.parametrize("options", SGD, ids=str)
def test_sgd(isa: str, rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]) -> None:
    lists = ops.make_update(rng, dtype, 3)
    if "momentum" not in options:
        lists[2] = None
    checks.optimiser_matches(_core.sgd, reference.optim.sgd, lists, {"lr": 0.1, **options})


@pytest.mark.parametrize("options", ADAM, ids=str)
def test_adam(isa: str, rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]) -> None:
    lists = ops.make_update(rng, dtype, 4)
    checks.optimiser_matches(_core.adam, reference.optim.adam, lists, {"lr": 0.1, **options})


@pytest.mark.parametrize("options", [{}, {"alpha": 0.9, "weight_decay": 0.1}, {"max_norm": 0.5}], ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop(
    isa: str, rng: np.random.Generator, dtype: np.dtype, momentum: float, options: dict[str, Any]
) -> None:
    params, grads, buffers, v = ops.make_update(rng, dtype, 4)
    lists = [params, grads, v, buffers if momentum else None]
    options = {"lr": 0.1, "alpha": 0.99, "eps": 1e-4, "momentum": momentum, **options}
    checks.optimiser_matches(_core.rmsprop, reference.optim.rmsprop, lists, options)


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"max_norm": 0.5}], ids=str)
def test_adagrad(isa: str, rng: np.random.Generator, dtype: np.dtype, options: dict[str, Any]) -> None:
    params, grads, _, sums = ops.make_update(rng, dtype, 4)
    options = {"lr": 0.1, "eps": 1e-4, **options}
    checks.optimiser_matches(_core.adagrad, reference.optim.adagrad, [params, grads, sums], options)


def test_clip_value(isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
    for sizes in ([1], [15, 16, 17], [0, 5], [100_000]):
        grads = [rng.standard_normal(n).astype(dtype) for n in sizes]
        grads[-1][:1] = np.nan
        want = [g.copy() for g in grads]
        _core.clip_value(grads, 0.5)
        reference.optim.clip_value(want, 0.5)
        for got, twin in zip(grads, want, strict=True):
            checks.same_bits(got, twin)


def test_a_guard_changes_nothing_where_the_norm_is_not_finite(isa: str, dtype: np.dtype) -> None:
    for kind, more in (("sgd", 1), ("adam", 2), ("rmsprop", 1), ("adagrad", 1)):
        params, grads = [np.ones(5000, dtype)], [np.full(5000, 2, dtype)]
        grads[0][4999] = np.inf
        call = {
            "sgd": lambda p, g, s, **o: _core.sgd(p, g, s[0], 0.1, 0.9, 0.0, False, 0.0, 1.0, True, **o),
            "adam": lambda p, g, s, **o: _core.adam(
                p, g, *s, 1, 0.1, 0.9, 0.99, 1e-8, 0.0, False, 1.0, True, **o
            ),
            "rmsprop": lambda p, g, s, **o: _core.rmsprop(
                p, g, s[0], None, 0.1, 0.9, 1e-8, 0.0, 0.0, 1.0, True, **o
            ),
            "adagrad": lambda p, g, s, **o: _core.adagrad(p, g, s[0], 0.1, 1e-8, 0.0, 1.0, True, **o),
        }[kind]
        state = [[np.zeros(5000, dtype)] for _ in range(more)]
        assert call(params, grads, state, guard=True) == np.inf
        assert (params[0] == 1).all()
        assert (grads[0][:4999] == 2).all()
        assert not any(part[0].any() for part in state)
        call(params, grads, state)
        assert np.isnan(params[0][4999])
        assert not grads[0].any()


def test_global_norm(isa: str, rng: np.random.Generator, dtype: np.dtype) -> None:
    for sizes in ([1], [15, 16, 17], [0, 5], [100_000]):
        grads = [rng.standard_normal(n).astype(dtype) for n in sizes]
        want = reference.optim.global_norm([g.astype(np.longdouble) for g in grads])
        checks.close(dtype.type(_core.global_norm(grads)), want, "norm")


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        ("sgd", "(1 - dampening) * g\n", "g\n"),
        ("sgd", "g + momentum * b if", "g + b if"),
        ("sgd", "grad * factor + weight_decay * p", "grad + weight_decay * p"),
        ("sgd", "max_norm / (norm + 1e-6))\n", "max_norm / (norm + 1e-3))\n"),
        ("adam", "math.sqrt(1 - beta2**step)", "(1 - beta2**step)"),
        ("adam", "/ root + eps", "/ root"),
        ("adam", "1 - lr * weight_decay", "1 - weight_decay"),
        ("adam", "(1 - beta2) * g * g", "(1 - beta2) * g"),
        ("rmsprop", "alpha * v_i + (1 - alpha)", "v_i + (1 - alpha)"),
        ("rmsprop", "momentum * b + d", "b + d"),
        ("adagrad", "s += g * g", "s += 2 * g * g"),
    ],
)
def test_a_wrong_formula_is_noticed(rng: np.random.Generator, kind: str, right: str, wrong: str) -> None:
    module: Any = mutant(optim, right, wrong)
    options = {
        "sgd": {"lr": 0.1, "momentum": 0.9, "dampening": 0.3, "nesterov": True, "max_norm": 0.5},
        "adam": {"lr": 0.1, "eps": 1e-3, "weight_decay": 0.1, "decoupled": True, "max_norm": 0.5},
        "rmsprop": {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "momentum": 0.5, "max_norm": 0.5},
        "adagrad": {"lr": 0.1, "eps": 1e-3, "max_norm": 0.5},
    }[kind]
    lists = ops.make_update(rng, "float64", 4)
    lists = {"sgd": lists[:3], "adagrad": [*lists[:2], lists[3]]}.get(kind, lists)
    if kind == "rmsprop":
        lists = [*lists[:2], lists[3], lists[2]]
    with pytest.raises(AssertionError):
        checks.optimiser_matches(getattr(_core, kind), getattr(module, kind), lists, options)
