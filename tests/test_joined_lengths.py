"""A model joined to its loss takes rows of unlike lengths: what it gives is what the rows give one by one."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from errors import H, I

import fastrnn
from fastrnn import LSTM, Inputs, Linear, Pool, Sequential
from fastrnn.batches import Rows
from fastrnn.distributed._team import terms


def test_a_joined_model_takes_lengths(rng: np.random.Generator) -> None:
    def made() -> Any:
        body = Sequential(LSTM(I, H, seed=0), Pool("mean"))
        return fastrnn.value_and_grad(body, fastrnn.losses.LinearCrossEntropy(H, 3, reduction="sum", seed=1))

    x, targets, lengths = rng.standard_normal((5, 3, I), np.float32), np.array([0, 2, 1]), [5, 2, 4]
    whole, rows = made(), made()
    loss, _ = whole(x, targets, lengths=lengths)
    parts = [rows(x[:n, b : b + 1], targets[b : b + 1])[0] for b, n in enumerate(lengths)]
    assert loss == pytest.approx(sum(parts), rel=1e-6)
    checks.close(whole.flat_grads, rows.flat_grads, "identity")
    assert whole.loss(x, targets, lengths=lengths)[0] == loss
    assert whole.total(x, targets, lengths=lengths)[:2] == (loss, 3)
    assert whole.value_and_grad(x, targets, lengths=lengths)[0] == loss
    padded = Rows(x, np.array(lengths))
    for call in (whole, whole.loss, whole.total):
        assert call(padded, targets)[0] == loss
    assert loss != whole(x, targets)[0]
    with pytest.raises(ValueError, match=r"^lengths: expected None for an x that has them, got some$"):
        whole(padded, targets, lengths=lengths)


def test_several_inputs_of_which_some_have_lengths(rng: np.random.Generator) -> None:
    two = Inputs(Sequential(LSTM(I, H, seed=0), Pool("last")), Linear(2, 4, seed=1))
    f = fastrnn.value_and_grad(two, fastrnn.losses.LinearCrossEntropy(H + 4, 2, seed=2))
    x, numbers = rng.standard_normal((5, 3, I), np.float32), rng.standard_normal((3, 2), np.float32)
    lengths, targets = np.array([5, 0, 3]), np.array([0, 1, 1])
    loss, _ = f((x, numbers), targets, lengths=(lengths, None))
    assert f((Rows(x, lengths), numbers), targets)[0] == loss


@pytest.mark.parametrize("masked", [False, True])
def test_terms_of_rows(rng: np.random.Generator, masked: bool) -> None:
    """What the processes of a distributed run weigh their shares by is what the loss counts."""
    x, wanted = (rng.standard_normal((5, 3, n), np.float32) for n in (I, H))
    rows, mask = Rows(x, np.array([5, 0, 3])), rng.random((5, 3)) < 0.7
    item = (mask,) if masked else ()
    for loss, targets in (
        (fastrnn.losses.MSE(), wanted),
        (fastrnn.losses.LinearCrossEntropy(H, 3, seed=1), np.argmax(wanted[..., :3], axis=2)),
    ):
        f = fastrnn.value_and_grad(LSTM(I, H, seed=0), loss)
        counted = terms(f, (rows, targets, *item))
        assert counted == f.total(rows, targets, mask=item[0] if masked else None)[1]
        assert counted < terms(f, (x, targets, *item))


@pytest.mark.parametrize("batch_first", [False, True])
def test_steps_past_the_end_do_not_count(rng: np.random.Generator, batch_first: bool) -> None:
    """The loss and the gradients of padded rows are those of the rows one by one."""
    x, lengths = rng.standard_normal((5, 3, I), np.float32), [5, 2, 4]
    wanted, chosen = rng.standard_normal((5, 3, H), np.float32), rng.random((5, 3)) < 0.7
    made: Any
    for made, targets in (
        (lambda: fastrnn.losses.MSE("sum"), wanted),
        (
            lambda: fastrnn.losses.LinearCrossEntropy(H, 3, reduction="sum", seed=1),
            wanted[..., 0].argsort(axis=0) % 3,
        ),
    ):
        for mask in (None, chosen):
            whole, rows = (
                fastrnn.value_and_grad(LSTM(I, H, batch_first=batch_first, seed=0), made()) for _ in range(2)
            )

            def turned(a: Any) -> Any:
                return None if a is None else np.ascontiguousarray(a.swapaxes(0, 1)) if batch_first else a

            call = [turned(x), turned(targets)]
            options = {"lengths": lengths, "mask": turned(mask)}
            loss, _ = whole(*call, **options)
            parts = [
                rows(
                    *(np.ascontiguousarray(turned(a[:n, b : b + 1])) for a in (x, targets)),
                    mask=None if mask is None else turned(mask[:n, b : b + 1].copy()),
                )[0]
                for b, n in enumerate(lengths)
            ]
            assert loss == pytest.approx(sum(parts), rel=1e-5)
            checks.close(whole.flat_grads, rows.flat_grads, "identity")
            assert whole.loss(*call, **options)[0] == pytest.approx(loss, rel=1e-6)
            total, count, _ = whole.total(*call, **options)
            assert total == pytest.approx(loss, rel=1e-6)
            there = np.arange(5)[:, None] < lengths
            each = H if targets is wanted else 1
            assert count == each * np.count_nonzero(there if mask is None else there & mask)
