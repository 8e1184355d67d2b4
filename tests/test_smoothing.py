"""Label smoothing: against the definition, by differences, with rows that do not count, and torch's."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest

from fastrnn.losses import LinearCrossEntropy

I, V, IGNORED = 5, 7, -100
TARGETS = np.array([[0, 6, IGNORED], [3, 3, 1]], np.int32)
MASK = np.array([[True, False, True], [True, True, True]])


def problem(rng: np.random.Generator, dtype: str, **options: Any) -> tuple[LinearCrossEntropy, np.ndarray]:
    head = LinearCrossEntropy(I, V, label_smoothing=0.2, dtype=dtype, seed=1, **options)
    return head, rng.standard_normal((2, 3, I)).astype(dtype)


def defined(head: LinearCrossEntropy, x: np.ndarray, kept: np.ndarray) -> float:
    """(1 - e) of the target's loss and e of the mean of all, in longdouble."""
    wide = {name: value.astype(np.longdouble) for name, value in head.params.items()}
    z = x.astype(np.longdouble) @ wide["weight"].T + wide.get("bias", 0)
    losses = np.log(np.exp(z).sum(axis=-1, keepdims=True)) - z
    rows = losses[kept]
    own = rows[np.arange(len(rows)), TARGETS[kept]]
    each = 0.8 * own + 0.2 * rows.mean(axis=1)
    return float(each.mean() if head.reduction == "mean" else each.sum())


@pytest.mark.parametrize("mask", [None, MASK], ids=["all", "mask"])
@pytest.mark.parametrize("options", [{}, {"bias": False}, {"reduction": "sum"}], ids=str)
def test_value_and_gradients(rng: np.random.Generator, options: dict[str, Any], mask: Any) -> None:
    head, x = problem(rng, "float64", **options)
    kept = (TARGETS != IGNORED) & (True if mask is None else mask)
    loss, dx = head.value_and_grad(x, TARGETS, scale=0.5, mask=mask)
    checks.close(np.array(loss), np.array(defined(head, x, kept)), "loss")
    assert head(x, TARGETS, mask=mask) == pytest.approx(loss, rel=1e-14)
    assert not dx[~kept].any()
    for values, found in ((x, dx), (head.flat_params, head.flat_grads)):
        for place in np.ndindex(values.shape):
            before, ends = values[place], []
            for change in (1e-6, -1e-6):
                values[place] = before + change
                ends.append(head(x, TARGETS, mask=mask))
            values[place] = before
            assert found[place] == pytest.approx(0.5 * (ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-9)


def test_the_total_is_without_it(rng: np.random.Generator) -> None:
    head, x = problem(rng, "float32")
    plain = LinearCrossEntropy(I, V, seed=1)
    assert head.total(x, TARGETS) == plain.total(x, TARGETS)
    assert head(x, TARGETS) != plain(x, TARGETS)


def test_rows_that_do_not_count_at_all(rng: np.random.Generator) -> None:
    head, x = problem(rng, "float32", reduction="sum")
    loss, dx = head.value_and_grad(x, np.full((2, 3), IGNORED, np.int32))
    assert loss == 0
    assert not dx.any()
    assert not head.flat_grads.any()


def test_errors() -> None:
    with pytest.raises(ValueError, match=r"^label_smoothing: expected 0 <= label_smoothing < 1, got 1$"):
        LinearCrossEntropy(I, V, label_smoothing=1.0)


@pytest.mark.peer
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_against_torch(rng: np.random.Generator, torch: ModuleType, reduction: str) -> None:
    head, x = problem(rng, "float64", reduction=reduction)
    loss, dx = head.value_and_grad(x, TARGETS)
    weight, bias, inputs = (
        torch.tensor(value, requires_grad=True) for value in (head.params["weight"], head.params["bias"], x)
    )
    logits = torch.nn.functional.linear(inputs, weight, bias).reshape(-1, V)
    wanted = torch.nn.functional.cross_entropy(
        logits, torch.tensor(TARGETS.reshape(-1)).long(), label_smoothing=0.2, reduction=reduction
    )
    wanted.backward()
    checks.close(np.array(loss), wanted.detach().numpy(), "peer")
    for found, peer in ((dx, inputs), (head.grads["weight"], weight), (head.grads["bias"], bias)):
        checks.close(found, peer.grad.numpy(), "peer")
