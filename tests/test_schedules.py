"""Learning-rate schedules: the published curves, and going on where a checkpoint was written."""

from __future__ import annotations

import math

import pytest

from fastrnn.schedules import Constant, Cosine, Plateau, StepDecay


def test_constant():
    assert {Constant(0.5).lr(step, epoch) for step in (0, 9, 10**9) for epoch in (0, 7)} == {0.5}


def test_step_decay_is_that_of_zaremba():
    """Small model: lr 1, from the fifth epoch on halved before each (ptb_word_lm.py, max_epoch 4)."""
    rates = [StepDecay(1.0, 4, 0.5).lr(0, epoch) for epoch in range(13)]
    assert rates == [0.5 ** max(epoch + 1 - 4, 0) for epoch in range(13)]
    assert rates[:5] == [1, 1, 1, 1, 0.5]


def test_plateau_cuts_after_patience():
    schedule, rates = Plateau(1.0, factor=0.25, patience=1, threshold=0.1), []
    for loss in (3.0, 2.0, 1.95, 1.94, 1.93, 1.92, 1.0, 1.0, 1.0):
        schedule.on_loss(loss)
        rates.append(schedule.lr(0, 0))
    assert rates == [1, 1, 1, 0.25, 0.25, 0.0625, 0.0625, 0.0625, 0.015625]


def test_cosine_rises_and_falls():
    schedule = Cosine(2.0, total=110, warmup=10, final=0.1)
    rates = [schedule.lr(step, 0) for step in range(111)]
    assert rates[0] == pytest.approx(2 / 11)
    assert rates[:11] == sorted(rates[:11])
    assert rates[10] == 2.0
    assert rates[60] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[110] == pytest.approx(0.2)
    assert schedule.lr(10**6, 0) == rates[110]


@pytest.mark.parametrize(
    "make",
    [lambda: Constant(1.0), lambda: StepDecay(1.0, 2, 0.5), lambda: Plateau(1.0), lambda: Cosine(1.0, 9, 2)],
)
def test_a_loaded_schedule_goes_on(make):
    first, second = make(), make()
    for loss in (3.0, 4.0):
        first.on_loss(loss)
    second.load_state_dict(first.state_dict())
    for epoch, loss in enumerate((4.0, 2.0, 5.0, 5.0)):
        for schedule in (first, second):
            schedule.on_loss(loss)
        assert [first.lr(s, epoch) for s in range(12)] == [second.lr(s, epoch) for s in range(12)]


def test_another_schedule_is_refused():
    with pytest.raises(ValueError, match=r"^schedule: expected factor = 0.5, as in the checkpoint, got 0.25"):
        Plateau(1.0, 0.25).load_state_dict(Plateau(1.0, 0.5).state_dict())
    with pytest.raises(ValueError, match=r"^schedule: expected "):
        Constant(1.0).load_state_dict(Cosine(1.0, 5).state_dict())


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant(0),
        lambda: Constant(-1.0),
        lambda: Constant(math.nan),
        lambda: Constant(math.inf),
        lambda: StepDecay(1.0, 1, 0),
        lambda: Plateau(1.0, 1.5),
        lambda: Cosine(1.0, 0),
        lambda: Cosine(1.0, 5, -1),
        lambda: Plateau(1.0, patience=-1),
        lambda: Plateau(1.0, threshold=math.nan),
    ],
)
def test_bad_settings(make):
    with pytest.raises(ValueError, match=r": expected "):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Constant("1"),
        lambda: StepDecay(1.0, "1", 0.5),
        lambda: StepDecay(1.0, 1, "1"),
        lambda: Plateau(1.0, patience=0.5),
        lambda: Cosine(1.0, 10.5),
    ],
)
def test_settings_of_another_kind(make):
    with pytest.raises(TypeError, match=r": expected (a number|an int), got "):
        make()
