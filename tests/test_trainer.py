"""The training loop: a run that was broken off and resumed ends with the bits of one that was not."""

from __future__ import annotations

import math
import os

import numpy as np
import pytest

import fastrnn
from fastrnn import checkpoint, losses, optim
from fastrnn.callbacks import Callback, EarlyStopping, History, TimeLimit
from fastrnn.data import Streams, Vocabulary
from fastrnn.models import LanguageModel
from fastrnn.schedules import Plateau
from fastrnn.training import Trainer

TEXT = "pack my box with five dozen liquor jugs; " * 12
VOCABULARY = Vocabulary.from_text(TEXT)
DATA = Streams(VOCABULARY.encode(TEXT), 4, 20)
HELD_OUT = Streams(VOCABULARY.encode(TEXT[7:90]), 3, 9, whole=True)
EPOCHS = 3
STEPS = EPOCHS * len(DATA)


def trainer(path, *extra: Callback, model_seed: int = 0, every: float = 1e9, **options: object) -> Trainer:
    """A run with all that must survive: masks, moments, schedule, callbacks with a memory, carried state."""
    model = LanguageModel(VOCABULARY, 12, 2, dropout=0.25, seed=model_seed)
    settings = {"max_norm": 0.5, "schedule": Plateau(2e-2, 0.5, threshold=0.3), "seed": 7, **options}
    return Trainer(
        model,
        optim.Adam(model, lr=1.0),
        callbacks=[EarlyStopping(5), History(), *extra],
        checkpoint=path,
        checkpoint_every=every,
        **settings,
    )


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    path = tmp_path_factory.mktemp("unbroken") / "run"
    trainer(path).fit(DATA, EPOCHS, HELD_OUT)
    return path.read_bytes()


class Break(Callback):
    """Ctrl-C in a hook, after so many steps."""

    def __init__(self, hook: str, step: int) -> None:
        self.step = step
        setattr(self, hook, self.strike)

    def strike(self, trainer: Trainer, logs: object) -> None:
        if trainer.steps_done >= self.step:
            raise KeyboardInterrupt


def resume(path) -> bytes:
    again = trainer(path, model_seed=99)
    again.fit(DATA, EPOCHS, HELD_OUT, resume=True)
    assert again.finished
    return path.read_bytes()


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_broken_after_any_step(tmp_path, unbroken, step):
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "run", Break("on_step_end", step)).fit(DATA, EPOCHS, HELD_OUT)
    assert checkpoint.load(tmp_path / "run")["training"]["steps_done"] == step
    assert resume(tmp_path / "run") == unbroken


@pytest.mark.parametrize("part", ["model.value_and_grad", "optimizer.step", "model.total", "set_parameters"])
def test_broken_inside(tmp_path, unbroken, monkeypatch, part):
    """Ctrl-C within a step, within validation, and between them."""
    broken = trainer(tmp_path / "run", every=0)
    *owner, name = part.split(".")
    place = getattr(broken, owner[0]) if owner else broken
    before, calls = getattr(place, name), []

    def strike(*args, **options):
        calls.append(0)
        result = before(*args, **options)
        if len(calls) >= {"model.value_and_grad": 8, "optimizer.step": 8, "model.total": 2}.get(part, 1):
            raise KeyboardInterrupt
        return result

    monkeypatch.setattr(place, name, strike, raising=False)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(DATA, EPOCHS, HELD_OUT)
    assert resume(tmp_path / "run") == unbroken


def test_broken_at_the_end_of_an_epoch(tmp_path, unbroken):
    """The schedule has seen the loss, the next epoch has not begun: this state is not written."""
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "run", Break("on_epoch_end", 7), every=0).fit(DATA, EPOCHS, HELD_OUT)
    assert checkpoint.load(tmp_path / "run")["training"]["position"] == len(DATA)
    assert resume(tmp_path / "run") == unbroken


def test_a_relative_path_stays_where_it_was(tmp_path, unbroken, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    leaving = trainer("run")
    monkeypatch.chdir("elsewhere")
    leaving.fit(DATA, EPOCHS, HELD_OUT)
    assert (tmp_path / "run").read_bytes() == unbroken


def test_resumed_in_the_same_process(tmp_path, unbroken):
    strike = Break("on_step_end", 5)
    same = trainer(tmp_path / "run", strike)
    with pytest.raises(KeyboardInterrupt):
        same.fit(DATA, EPOCHS, HELD_OUT)
    same.model.flat_grads[:] = 1  # what an interrupted step may leave
    strike.step = 10**9
    same.fit(DATA, EPOCHS, HELD_OUT, resume=True)
    assert (tmp_path / "run").read_bytes() == unbroken


def _drop(tree, *keys):
    *path, last = keys
    for key in path:
        tree = tree[key]
    tree[last] = tree[last] / 2 if isinstance(tree[last], np.ndarray) else None


@pytest.mark.parametrize(
    "keys",
    [
        ("training", "state"),
        ("training", "optimizer", "state", "m"),
        ("training", "optimizer", "state", "v"),
        ("model", "parameters"),
    ],
)
def test_each_part_of_the_state_matters(tmp_path, unbroken, keys):
    """The sabotage twin: without any one part the resumed run ends elsewhere."""
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path / "run", Break("on_step_end", 2)).fit(DATA, EPOCHS, HELD_OUT)
    tree = checkpoint.load(tmp_path / "run")
    _drop(tree, *keys)
    checkpoint.save(tmp_path / "run", tree)
    assert resume(tmp_path / "run") != unbroken


def test_writing_often_changes_nothing(tmp_path, unbroken):
    trainer(tmp_path / "run", every=0).fit(DATA, EPOCHS, HELD_OUT)
    assert (tmp_path / "run").read_bytes() == unbroken
    assert os.listdir(tmp_path) == ["run"]


def test_a_time_limit_is_an_end_that_can_be_resumed(tmp_path, unbroken):
    for _ in range(4):
        path = tmp_path / "run"
        limited = trainer(path, TimeLimit(0), model_seed=9 * path.exists())
        limited.fit(DATA, EPOCHS, HELD_OUT, resume=path.exists())
        assert not limited.finished
    assert limited.steps_done == 4
    assert resume(path) == unbroken


def test_a_finished_run_stays_as_it_is(tmp_path, unbroken):
    (tmp_path / "run").write_bytes(unbroken)
    again = trainer(tmp_path / "run", model_seed=4)
    again.fit(DATA, EPOCHS, HELD_OUT, resume=True)
    assert again.finished
    assert (tmp_path / "run").read_bytes() == unbroken


def test_any_number_of_threads(tmp_path, unbroken, threads):
    for count in (1, 2, 3):
        fastrnn.set_num_threads(count)
        trainer(tmp_path / "run").fit(DATA, EPOCHS, HELD_OUT)
        assert (tmp_path / "run").read_bytes() == unbroken


def other(**changes):
    text = TEXT + "a"
    streams = {"training": DATA, "validation": HELD_OUT, "epochs": EPOCHS} | changes
    if "text" in changes:
        streams[changes["text"]] = Streams(VOCABULARY.encode(text.replace("my", "ym")), 4, 20)
    return streams


@pytest.mark.parametrize(
    ("options", "streams", "message"),
    [
        ({}, other(text="training"), r"training data: expected sha256 = '\w+', as in the checkpoint"),
        ({}, other(text="validation"), r"validation data: expected batch = 3, as in the checkpoint, got 4"),
        ({}, other(validation=None), r"validation data: expected batch = 3, as in the checkpoint, got None"),
        ({}, other(epochs=4), r"trainer: expected epochs = 3, as in the checkpoint, got 4"),
        ({"seed": 8}, other(), r"trainer: expected seed = 7, as in the checkpoint, got 8"),
        ({"max_norm": None}, other(), r"trainer: expected max_norm = 0.5, as in the checkpoint, got None"),
        ({"schedule": Plateau(1.0)}, other(), r"schedule: expected \w+ = .*, as in the checkpoint"),
    ],
)
def test_resuming_another_run_is_refused(tmp_path, unbroken, options, streams, message):
    (tmp_path / "run").write_bytes(unbroken)
    run = trainer(tmp_path / "run", **options)
    before = run.model.flat_params.copy()
    with pytest.raises(ValueError, match=message):
        run.fit(streams["training"], streams["epochs"], streams["validation"], resume=True)
    assert (run.model.flat_params == before).all()
    assert (tmp_path / "run").read_bytes() == unbroken


def test_resuming_another_model_is_refused(tmp_path, unbroken):
    (tmp_path / "run").write_bytes(unbroken)
    model = LanguageModel(VOCABULARY, 13, 2, seed=0)
    run = Trainer(model, optim.Adam(model), checkpoint=tmp_path / "run")
    with pytest.raises(
        ValueError, match=r"model config: expected dropout = 0.25, as in the checkpoint, got 0.0"
    ):
        run.fit(DATA, EPOCHS, HELD_OUT, resume=True)
    model.save(tmp_path / "model")
    run = Trainer(model, optim.Adam(model), checkpoint=tmp_path / "model")
    with pytest.raises(ValueError, match="expected one of a training run, got one that holds a model only"):
        run.fit(DATA, EPOCHS, resume=True)
    with pytest.raises(ValueError, match="resume: expected a Trainer with checkpoint=, got none"):
        Trainer(model, optim.Adam(model)).fit(DATA, EPOCHS, resume=True)


def test_training_that_diverges_says_so_and_keeps_the_checkpoint(tmp_path):
    run = trainer(tmp_path / "run", every=0, schedule=Plateau(1e-2))
    run.model.params["head.bias"][3] = np.nan
    with pytest.raises(
        FloatingPointError, match=r"^step 1: loss nan, gradient norm nan: a lower learning rate"
    ):
        run.fit(DATA, EPOCHS)
    assert checkpoint.load(tmp_path / "run")["training"]["steps_done"] == 0


def test_a_full_disk_warns_and_the_last_write_raises(tmp_path, monkeypatch):
    run, before = trainer(tmp_path / "run", every=0), checkpoint.save

    def full(path, tree):
        if tree["training"]["steps_done"]:
            raise OSError(28, "checkpoint: cannot write 'run': No space left on device")
        before(path, tree)

    monkeypatch.setattr(checkpoint, "save", full)
    with (
        pytest.warns(RuntimeWarning, match="No space left on device; the one before it stands"),
        pytest.raises(OSError, match="No space left"),
    ):
        run.fit(DATA, 1)
    assert run.finished
    assert checkpoint.load(tmp_path / "run")["training"]["steps_done"] == 0


def test_plain_batches_and_a_joined_model():
    """Any model joined to its loss, any list of pairs; nothing is carried from one to the next."""
    rng = np.random.default_rng(0)
    x = [rng.standard_normal((6, 5, 3)).astype(np.float32) for _ in range(4)]
    data = [(each, np.ascontiguousarray(np.cumsum(each, axis=0)[:, :, :2])) for each in x]
    body = fastrnn.Sequential(fastrnn.LSTM(3, 16, seed=0), fastrnn.Linear(16, 2, seed=0))
    joined = fastrnn.value_and_grad(body, losses.MSE())
    history = History()
    run = Trainer(joined, optim.Adam(joined, lr=1e-2), callbacks=[history])
    run.fit(data, 30, data)
    assert history.epochs[-1]["validation_loss"] < 0.3 * history.epochs[0]["validation_loss"]


def test_batches_with_masks():
    """What the mask leaves out is not learned, and not counted in the validation loss."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 6, 5, 3)).astype(np.float32)
    last = np.zeros((6, 5), bool)
    last[-1] = True
    wanted = np.cumsum(x, axis=1)[..., :2]
    data = [(each, np.where(last[..., None], y, np.nan), last) for each, y in zip(x, wanted, strict=True)]
    body = fastrnn.Sequential(fastrnn.LSTM(3, 16, seed=0), fastrnn.Linear(16, 2, seed=0))
    joined = fastrnn.value_and_grad(body, losses.MSE())
    run, before = (
        Trainer(joined, optim.Adam(joined, lr=1e-2)),
        [joined.loss(*d[:2], mask=d[2])[0] for d in data],
    )
    assert run.evaluate(data) == pytest.approx(np.mean(before))
    run.fit(data, 30, data)
    assert run.evaluate(data) < 0.3 * np.mean(before)


def test_bad_arguments():
    model = LanguageModel(VOCABULARY, 4, 1, seed=0)
    for bad in (0, -1.0, math.nan):
        with pytest.raises(ValueError, match="max_norm: expected a positive number or None"):
            Trainer(model, optim.Adam(model), max_norm=bad)
    for data, epochs in (([], 1), (DATA, 0)):
        with pytest.raises(ValueError, match="data, epochs: expected at least one item and one epoch"):
            Trainer(model, optim.Adam(model)).fit(data, epochs)
