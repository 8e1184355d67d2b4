"""Losses against the reference and against finite formulas."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest

from fastrnn import losses, reference

T, B, I, V = 5, 4, 9, 11


def case(rng: np.random.Generator, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Inputs, and targets some of which are ignored."""
    targets = rng.integers(0, V, (T, B))
    targets[1, :2] = -100
    return rng.standard_normal((T, B, I)).astype(dtype), targets


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_cross_entropy_is_the_reference(
    rng: np.random.Generator, dtype: np.dtype, reduction: str, bias: bool
) -> None:
    head = losses.LinearCrossEntropy(I, V, bias, reduction=reduction, dtype=dtype.name, seed=1)
    x, targets = case(rng, dtype)
    logits = x.astype(np.longdouble) @ head.params["weight"].T.astype(np.longdouble)
    if bias:
        logits += head.params["bias"]
    plain = losses.CrossEntropy(reduction=reduction)
    kept = targets >= 0
    shifted = logits - logits.max(-1, keepdims=True)
    softmax = np.exp(shifted) / np.exp(shifted).sum(-1, keepdims=True)
    factor = 1 / kept.sum() if reduction == "mean" else 1
    want = (
        -np.log(np.take_along_axis(softmax, np.where(kept, targets, 0)[..., None], -1)[..., 0])[kept].sum()
        * factor
    )
    dlogits = np.where(kept[..., None], (softmax - (np.arange(V) == targets[..., None])) * factor, 0)

    close = lambda got, expected, name: checks.close(np.asarray(got, dtype), expected, "gradient", name)  # noqa: E731
    close(head(x, targets), want, "loss")
    close(plain(logits.astype(dtype), targets), want, "loss of logits")
    loss, dy = plain.value_and_grad(logits.astype(dtype), targets, scale=0.5)
    close(loss, want, "loss of logits")
    close(dy, 0.5 * dlogits, "dlogits")

    loss, dx = head.value_and_grad(x, targets, scale=0.5)
    close(loss, want, "fused loss")
    close(dx, 0.5 * dlogits @ head.params["weight"], "dx")
    close(head.grads["weight"], 0.5 * np.einsum("tbv,tbi->vi", dlogits, x), "dweight")
    if bias:
        close(head.grads["bias"], 0.5 * dlogits.sum((0, 1)), "dbias")

    fused = head.flat_grads.copy()
    head.zero_grad()
    loss, pullback = head.vjp(x, targets)
    checks.same_bits(pullback(0.5), dx)
    checks.same_bits(head.flat_grads, fused)
    total, count = head.total(x, targets)
    assert count == kept.sum()
    close(total * factor, want, "total")
    np.testing.assert_array_equal(head.logits(x).shape, (T, B, V))


def test_gradients_go_where_they_are_sent(rng: np.random.Generator) -> None:
    head = losses.LinearCrossEntropy(I, V, seed=1)
    x, targets = case(rng, np.dtype("float32"))
    grads = np.zeros_like(head.flat_grads)
    _, dx = head.value_and_grad(x, targets, grads, want_dx=False)
    assert dx is None
    assert grads.any()
    assert not head.flat_grads.any()


def test_rows_that_do_not_count_change_no_bit(rng: np.random.Generator, dtype: np.dtype) -> None:
    head = losses.LinearCrossEntropy(I, V, dtype=dtype.name, seed=1)
    x, targets = case(rng, dtype)
    kept = targets >= 0
    x[~kept] = np.nan
    loss, dx = head.value_and_grad(x, targets)
    grads = {name: value.copy() for name, value in head.grads.items()}
    head.zero_grad()
    order = kept[::-1]  # from the last step on
    alone, dkept = head.value_and_grad(x[::-1][order], targets[::-1][order])
    assert alone == loss
    checks.same_bits(dx[::-1][order], dkept)
    assert not dx[~kept].any()
    for name, value in grads.items():
        checks.same_bits(head.grads[name], value)


def test_rows_and_sequences_are_the_same(rng: np.random.Generator) -> None:
    head = losses.LinearCrossEntropy(I, V, seed=1)
    x, targets = case(rng, np.dtype("float32"))
    loss, dx = head.value_and_grad(x, targets)
    flat, flat_dx = head.value_and_grad(x.reshape(-1, I), targets.reshape(-1))
    checks.close(np.float32(flat), np.float32(loss), "loss")
    checks.same_bits(dx.reshape(-1, I), flat_dx)


def masked_is_a_choice(loss: Any, y: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> None:
    """A loss with a mask is that of the rows chosen, in values, gradients and bits; the others get none."""
    value, dy = loss.value_and_grad(y, targets, scale=0.5, mask=mask)
    grads = loss.flat_grads.copy()
    loss.zero_grad()
    want, chosen = loss.value_and_grad(y[mask], targets[mask], scale=0.5)
    checks.close(y.dtype.type(value), y.dtype.type(want), "loss")
    checks.close(dy[mask], chosen, "gradient", "dy")
    assert not dy[~mask].any()
    checks.close(grads, loss.flat_grads, "gradient", "grads")
    assert loss(y, targets, mask=mask) == value
    assert loss.total(y, targets, mask=mask)[1] == loss.total(y[mask], targets[mask])[1]
    again, pullback = loss.vjp(y, targets, mask=mask)
    assert again == value
    checks.same_bits(pullback(0.5), dy)


class Blind:
    """A loss that does not see the mask."""

    def __init__(self, loss: Any) -> None:
        self.loss = loss

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loss, name)

    def value_and_grad(self, y: np.ndarray, targets: np.ndarray, scale: float, mask: Any = None) -> Any:
        return self.loss.value_and_grad(y, targets, scale=scale)


LOSSES = {
    "LinearCrossEntropy": lambda reduction, dtype: losses.LinearCrossEntropy(
        I, V, reduction=reduction, dtype=dtype, seed=1
    ),
    "CrossEntropy": lambda reduction, dtype: losses.CrossEntropy(reduction=reduction),
    "MSE": lambda reduction, dtype: losses.MSE(reduction),
}


@pytest.mark.parametrize("junk", [np.nan, np.inf])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_a_mask_chooses_rows(
    rng: np.random.Generator, dtype: np.dtype, name: str, reduction: str, junk: float
) -> None:
    loss = LOSSES[name](reduction, dtype.name)
    x, targets = case(rng, dtype)
    mask = rng.random((T, B)) < 0.5
    if name == "MSE":
        targets = rng.standard_normal(x.shape).astype(dtype)
        targets[~mask] = junk
    else:
        targets = np.where(targets < 0, targets, targets % I)
        targets[~mask] = V + 7  # is not looked at
    x[~mask] = junk  # nor is this
    masked_is_a_choice(loss, x, targets, mask)
    x[~mask], targets[~mask] = 1, 0
    with pytest.raises(AssertionError):
        masked_is_a_choice(Blind(loss), x, targets, mask)


def test_mse_of_some_elements(rng: np.random.Generator) -> None:
    y, targets = (rng.standard_normal((T, B, I)) for _ in range(2))
    mask = rng.random(y.shape) < 0.5
    masked_is_a_choice(losses.MSE(), y, targets, mask)


@pytest.mark.parametrize("name", LOSSES)
def test_an_empty_mask(name: str) -> None:
    loss, x = LOSSES[name]("mean", "float32"), np.ones((3, I), np.float32)
    targets = x if name == "MSE" else np.zeros(3, np.int64)
    value, dx = loss.value_and_grad(x, targets, mask=np.zeros(3, bool))
    assert np.isnan(value)
    assert not dx.any()


@pytest.mark.parametrize("make", [lambda: losses.LinearCrossEntropy(I, V), lambda: losses.CrossEntropy()])
def test_all_ignored(make: Any) -> None:
    loss = make()
    x = np.ones((3, I if loss.params else V), np.float32)
    value, dx = loss.value_and_grad(x, np.full(3, -100))
    assert np.isnan(value)  # as PyTorch: the mean of nothing
    assert loss.total(x, np.full(3, -100)) == (0, 0)
    assert not dx.any()


def test_large_logits_do_not_overflow(dtype: np.dtype) -> None:
    y = np.array([[1e4, -1e4, 0]], dtype)
    loss, dy = losses.CrossEntropy().value_and_grad(y, np.array([1]))
    assert loss == 2e4
    checks.same_bits(dy, np.array([[1, -1, 0]], dtype))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mse(rng: np.random.Generator, dtype: np.dtype, reduction: str) -> None:
    y, targets = (rng.standard_normal((T, B, I)).astype(dtype) for _ in range(2))
    loss = losses.MSE(reduction)
    wide = y.astype(np.longdouble) - targets
    factor = 1 / wide.size if reduction == "mean" else 1
    value, dy = loss.value_and_grad(y, targets, scale=3.0)
    checks.close(dtype.type(value), np.sum(wide**2) * factor, "loss")
    checks.close(dy, 6 * wide * factor, "update")
    value, pullback = loss.vjp(y, targets)
    checks.same_bits(pullback(3.0), dy)
    assert loss(y, targets) == value
    assert loss.total(y, targets)[1] == y.size


def test_the_fused_loss_is_the_reference_kernel(rng: np.random.Generator) -> None:
    head = losses.LinearCrossEntropy(I, V, dtype="float64", seed=1)
    x, targets = case(rng, np.dtype("float64"))
    want = reference.cross_entropy.cross_entropy(x, head.params["weight"], head.params["bias"], targets)
    checks.close(np.float64(head(x, targets)), np.float64(want[0]), "loss")


def test_the_checks_see_a_wrong_gradient(rng: np.random.Generator) -> None:
    y, targets = (rng.standard_normal((T, B)).astype(np.float32) for _ in range(2))
    loss = losses.MSE("sum")
    _, dy = loss.value_and_grad(y, targets)
    with pytest.raises(AssertionError, match="eps, allowed"):
        checks.close(-dy, 2 * (y - targets), "update")
