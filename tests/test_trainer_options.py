"""What a Trainer does between gradient and update, and what it says of a run that diverges."""

from __future__ import annotations

import re
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn
from fastrnn import checkpoint, losses, optim
from fastrnn.batches import PaddedBatches, Sequences
from fastrnn.callbacks import Callback, EarlyStopping, History, ProgressBar, Score
from fastrnn.schedules import Plateau, StepDecay
from fastrnn.training import Trainer

RNG = np.random.default_rng(0)
DATA = [(RNG.standard_normal((6, 5, 3)), RNG.standard_normal((6, 5, 2))) for _ in range(5)]


def joined(seed: int = 0) -> Any:
    """A model with its loss, in float64."""
    body = fastrnn.Sequential(
        fastrnn.LSTM(3, 4, seed=seed, dtype="float64"), fastrnn.Linear(4, 2, seed=seed, dtype="float64")
    )
    return fastrnn.value_and_grad(body, losses.MSE())


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_rows_of_unlike_lengths(cell: str) -> None:
    """A body and a loss of one's own on padded batches: the losses and steps of `lengths=`."""
    draw = np.random.default_rng(1)
    sentences = [draw.integers(0, 7, n).astype(np.int32) for n in (3, 9, 1, 4, 4, 6)]
    tags = [tokens % 3 for tokens in sentences]
    data = PaddedBatches(Sequences("x", sentences), Sequences("y", tags), 2, seed=0)

    def made() -> Any:
        layer = getattr(fastrnn, cell)(4, 5, bidirectional=True, seed=1)
        body = fastrnn.Sequential(fastrnn.Embedding(7, 4, seed=0), layer)
        return fastrnn.value_and_grad(body, losses.LinearCrossEntropy(10, 3, seed=2))

    model, want, keep = made(), made(), Grads()
    Trainer(model, optim.SGD(model, lr=0.5), callbacks=[keep]).fit(data, 2, validation=data)
    optimizer, k = optim.SGD(want, lr=0.5), 0
    for epoch in range(2):
        data.set_epoch(epoch)
        for (tokens, lengths), targets in (data[i] for i in range(len(data))):
            loss, _ = want(tokens, targets, lengths=lengths)
            optimizer.step()
            assert keep.logs[k]["loss"] == loss
            checks.same_bits(keep.found[k], want.flat_params)
            k += 1
    assert k == len(keep.logs) == 6


class Grads(Callback):
    """Keeps parameters after each step."""

    def __init__(self) -> None:
        self.found: list[np.ndarray] = []
        self.logs: list[dict[str, Any]] = []

    def on_step_end(self, trainer: Any, logs: Any) -> None:
        self.found.append(trainer.model.flat_params.copy())
        self.logs.append(logs)


def test_gradients_are_accumulated() -> None:
    model, keep = joined(), Grads()
    Trainer(model, optim.SGD(model, lr=0.5), accumulate=2, max_norm=0.3, callbacks=[keep]).fit(DATA, 2)
    assert [logs["step"] for logs in keep.logs] == [1, 2, 3, 4, 5, 6]  # of two items, two, and one; twice
    want, steps = joined(), []
    for first in (0, 2, 4, 0, 2, 4):
        items, total = DATA[first : first + 2], 0.0
        want.zero_grad()
        for x, y in items:
            total += want(x, y)[0] / len(items)
        gradient = want.flat_grads / len(items)
        norm = np.sqrt((gradient**2).sum())
        want.flat_params[...] -= 0.5 * gradient * min(1, 0.3 / (norm + 1e-6))
        want.touch()
        steps.append((total, norm, want.flat_params.copy()))
    for logs, params, (total, norm, wanted) in zip(keep.logs, keep.found, steps, strict=True):
        checks.close(np.float64(logs["loss"]), total, "identity")
        checks.close(np.float64(logs["norm"]), norm, "identity")
        checks.close(params, wanted, "identity")


def test_gradients_are_clipped_by_value() -> None:
    model, keep = joined(), Grads()
    Trainer(model, optim.SGD(model, lr=0.5), clip_value=0.01, callbacks=[keep]).fit(DATA[:1], 1)
    want = joined()
    want(*DATA[0])
    assert (np.abs(want.flat_grads) > 0.01).any()
    checks.close(keep.found[0], want.flat_params - 0.5 * np.clip(want.flat_grads, -0.01, 0.01), "update")


def test_a_schedule_scales_the_rates_of_groups() -> None:
    """As if the group's own rate had been set for each epoch."""
    groups = [{"params": ["*bias*"], "lr": 0.3}]
    model, alone = joined(), joined()
    run = Trainer(model, optim.SGD(model, 0.5, groups=groups), schedule=StepDecay(0.5, 1, 0.25))
    run.fit(DATA, 2)
    for rate, own in ((0.5, 0.3), (0.125, 0.075)):
        part = optim.SGD(alone, rate, groups=[{"params": ["*bias*"], "lr": own}])
        for x, y in DATA:
            alone(x, y)
            part.step()
    checks.close(model.flat_params, alone.flat_params, "update")


def test_settings_must_be_those_of_the_checkpoint(tmp_path: Any) -> None:
    model = joined()
    Trainer(model, optim.Adam(model), checkpoint=tmp_path / "run").fit(DATA, 1)
    tree = checkpoint.load(tmp_path / "run")
    for name in ("accumulate", "clip_value"):  # as a file that is older than these settings
        del tree["training"][name]
    checkpoint.save(tmp_path / "run", tree)
    Trainer(model, optim.Adam(model), checkpoint=tmp_path / "run").fit(DATA, 1, resume=True)
    for options, message in (
        ({"accumulate": 2}, "trainer: expected accumulate = 1, as in the checkpoint, got 2"),
        ({"clip_value": 0.5}, "trainer: expected clip_value = None, as in the checkpoint, got 0.5"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Trainer(model, optim.Adam(model), checkpoint=tmp_path / "run", **options).fit(
                DATA, 1, resume=True
            )


def test_a_gradient_that_is_not_finite_changes_nothing(tmp_path: Any) -> None:
    model = joined()
    broken = [DATA[0], (DATA[1][0], DATA[1][1].copy())]
    broken[1][1][0, 0, 1] = 1e200  # its square overflows
    before = Grads()
    run = Trainer(model, optim.Adam(model), max_norm=1.0, callbacks=[before], checkpoint=tmp_path / "run")
    with pytest.raises(FloatingPointError) as raised, np.errstate(over="ignore"):
        run.fit(broken, 1)
    assert str(raised.value).startswith("step 2: loss inf, gradient norm ")
    checks.same_bits(model.flat_params, before.found[0])
    assert checkpoint.load(tmp_path / "run")["training"]["steps_done"] in (0, 1)


class Overflows:
    """A model whose loss is finite and whose gradient is not, from the second step on."""

    def __init__(self) -> None:
        self.inner, self.calls = joined(), 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def value_and_grad(self, x: Any, y: Any, state: Any = None, key: Any = None) -> Any:
        found = self.inner.value_and_grad(x, y)
        self.calls += 1
        if self.calls == 2:
            self.inner.grads["model.1.bias"][1] = np.inf
        return found


def test_the_parameter_is_named() -> None:
    model: Any = Overflows()
    keep = Grads()
    run = Trainer(model, optim.Adam(model.inner), max_norm=1.0, callbacks=[keep])
    with pytest.raises(FloatingPointError) as raised:
        run.fit(DATA, 1)
    loss = re.escape(str(model.inner.loss(*DATA[1])[0]))
    assert re.match(
        rf"^step 2: loss {loss}, gradient norm inf: a lower learning rate or max_norm may help; "
        r"not finite: the gradient of model\.1\.bias$",
        str(raised.value),
    )
    checks.same_bits(model.inner.flat_params, keep.found[0])


def test_a_parameter_that_is_broken_is_named() -> None:
    model = joined()
    model.params["model.0.bias_hh_l0"][3] = np.nan
    with pytest.raises(FloatingPointError, match=r"not finite: model\.0\.bias_hh_l0$"):
        Trainer(model, optim.Adam(model)).fit(DATA, 1)


def test_the_best_score_is_kept(capsys: Any) -> None:
    model, scores, kept = joined(), iter([0.2, 0.9, 0.5, 0.4, 0.3]), Grads()
    stop, history = EarlyStopping(1, monitor="f1"), History()
    callbacks = [kept, Score("f1", lambda: next(scores)), stop, history, ProgressBar("step")]
    Trainer(model, optim.Adam(model), callbacks=callbacks).fit(DATA, 5, DATA)
    assert [epoch["f1"] for epoch in history.epochs] == [0.2, 0.9, 0.5]
    assert stop.best_epoch == 1
    checks.same_bits(model.flat_params, kept.found[2 * len(DATA) - 1])
    assert "f1 0.9000" in capsys.readouterr().err


def test_a_run_goes_on_with_more_epochs() -> None:
    model, alone = joined(), joined()
    run = Trainer(model, optim.Adam(model))
    run.fit(DATA, 1)
    run.fit(DATA, 1)  # that is done
    assert run.steps_done == len(DATA)
    run.fit(DATA, 3)
    Trainer(alone, optim.Adam(alone)).fit(DATA, 3)
    checks.same_bits(model.flat_params, alone.flat_params)


def test_a_callback_may_remember_nothing_at_first(tmp_path: Any) -> None:
    class Seen(Callback):
        def __init__(self) -> None:
            self.losses: dict[str, float] = {}

        def on_step_end(self, trainer: Any, logs: Any) -> None:
            self.losses[str(logs["step"])] = logs["loss"]
            if logs["step"] == 3:
                trainer.stop(finished=False)

        def state_dict(self) -> dict[str, Any]:
            return self.losses

        def load_state_dict(self, state: dict[str, Any]) -> None:
            self.losses = state

    for resume in (False, True):
        model, seen = joined(), Seen()
        run = Trainer(model, optim.Adam(model), callbacks=[seen], checkpoint=tmp_path / "run")
        run.fit(DATA, 1, resume=resume)
    assert list(seen.losses) == ["1", "2", "3", "4", "5"]


def test_another_optimiser_is_refused_before_anything_changes(tmp_path: Any) -> None:
    model, path = joined(), tmp_path / "run"
    Trainer(model, optim.Adam(model), schedule=Plateau(0.1), checkpoint=path).fit(DATA, 2, DATA)
    schedule = Plateau(0.1)
    run = Trainer(model, optim.SGD(model, lr=0.1), schedule=schedule, checkpoint=path)
    with pytest.raises(ValueError, match=r"^state_dict: expected kind 'SGD', got 'Adam'$"):
        run.fit(DATA, 2, DATA, resume=True)
    assert schedule.state_dict() == Plateau(0.1).state_dict()


def test_no_target_counts() -> None:
    head = losses.LinearCrossEntropy(3, 4, seed=0)
    model = fastrnn.value_and_grad(fastrnn.Linear(3, 3, seed=0), head)
    x = np.ones((2, 3), np.float32)
    good, bad = (x, np.array([1, 2])), (x, np.array([-100, -100]))
    run = Trainer(model, optim.Adam(model))
    with pytest.raises(ValueError, match=r"^data: expected at least one target that counts, got none$"):
        run.evaluate([bad])
    with pytest.raises(ValueError, match=r"^validation: expected at least one target that counts, got none$"):
        run.fit([good], 1, [bad])
    with pytest.raises(FloatingPointError, match=r"norm 0: expected a target that counts, got none$"):
        Trainer(model, optim.Adam(model)).fit([good, bad], 1)


def test_an_optimiser_of_another_model() -> None:
    model, other = joined(), joined()
    with pytest.raises(ValueError, match=r"^optimizer: expected one of this model, got one of another Value"):
        Trainer(model, optim.Adam(other))
    Trainer(model, optim.Adam(model.children["model"])).fit(DATA, 1)  # of a part


def test_kinds_of_arguments() -> None:
    model = joined()
    adam = optim.Adam(model)
    for options, message in (
        ({"max_norm": "1"}, "max_norm: expected a positive number or None, got '1'"),
        ({"clip_value": True}, "clip_value: expected a positive number or None, got True"),
        ({"seed": 1.5}, "seed: expected an int, got 1.5"),
        ({"schedule": 0.1}, "schedule: expected one of fastrnn.schedules, got 0.1"),
        ({"callbacks": History()}, "callbacks: expected a list of callbacks, got History"),
        ({"callbacks": [History]}, "callbacks[0]: expected a Callback, got the class History"),
        ({"optimizer": "adam"}, "optimizer: expected one of fastrnn.optim, got 'adam'"),
    ):
        with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
            Trainer(model, **{"optimizer": adam, **options})


def test_bad_arguments() -> None:
    model = joined()
    for options, message in (
        ({"clip_value": 0.0}, "clip_value: expected a positive number or None, got 0.0"),
        ({"accumulate": 0}, "accumulate: expected an int >= 1, got 0"),
    ):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            Trainer(model, optim.Adam(model), **options)
