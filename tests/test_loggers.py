"""CSV files and TensorBoard's events of a training run, whole, resumed, and where they cannot be written."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import peer

from fastrnn import LanguageModel, Trainer, optim
from fastrnn.callbacks import Callback
from fastrnn.data import Streams, Vocabulary
from fastrnn.loggers import CSVLogger, TensorBoard

TEXT = "pack my box with five dozen liquor jugs; " * 12
VOCABULARY = Vocabulary.from_text(TEXT)
DATA = Streams(VOCABULARY.encode(TEXT), 4, 20)
HELD_OUT = Streams(VOCABULARY.encode(TEXT[7:90]), 3, 9, whole=True)
STEPS = len(DATA)


class Stop(Callback):
    """Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, trainer: Any, logs: Any) -> None:
        if logs["step"] == self.step:
            raise KeyboardInterrupt


def trainer(*callbacks: Callback, **options: Any) -> Trainer:
    """A small model and its trainer."""
    model = LanguageModel(VOCABULARY, 12, 1, seed=0)
    return Trainer(model, optim.Adam(model, lr=1e-3), callbacks=callbacks, max_norm=1.0, **options)


def lines(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, by the names in its first line."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_epochs(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text("of another run\n" * 100)
    run = trainer(CSVLogger(path))
    run.fit(DATA, 3, HELD_OUT)
    found = lines(path)
    assert [row["epoch"] for row in found] == ["0", "1", "2"]
    assert [row["step"] for row in found] == [str(STEPS * k) for k in (1, 2, 3)]
    assert float(found[-1]["validation_loss"]) == run.evaluate(HELD_OUT)


def test_steps(tmp_path: Path) -> None:
    trainer(CSVLogger(tmp_path / "log.csv", steps=True)).fit(DATA, 2)
    found = lines(tmp_path / "log.csv")
    assert [int(row["step"]) for row in found] == list(range(1, 2 * STEPS + 1))
    assert all(math.isfinite(float(row["norm"])) for row in found)


@pytest.mark.parametrize("steps", [False, True])
@pytest.mark.parametrize("stop", [2, STEPS, 2 * STEPS + 1])
def test_a_resumed_run_has_the_file_of_an_unbroken_one(tmp_path: Path, stop: int, steps: bool) -> None:
    whole, broken = tmp_path / "whole.csv", tmp_path / "broken.csv"
    trainer(CSVLogger(whole, steps)).fit(DATA, 3, HELD_OUT)
    options = {"checkpoint": tmp_path / "run", "checkpoint_every": 0.0}
    with pytest.raises(KeyboardInterrupt):
        trainer(CSVLogger(broken, steps), Stop(stop), **options).fit(DATA, 3, HELD_OUT)
    with broken.open("a") as file:
        file.write("written after the checkpoint\n")
    trainer(CSVLogger(broken, steps), Stop(-1), **options).fit(DATA, 3, HELD_OUT, resume=True)
    assert broken.read_bytes() == whole.read_bytes()


def test_a_logger_of_another_run_begins_anew(tmp_path: Path) -> None:
    logger = CSVLogger(tmp_path / "log.csv")
    trainer(logger).fit(DATA, 3)
    trainer(logger).fit(DATA, 2)
    assert [line["epoch"] for line in lines(tmp_path / "log.csv")] == ["0", "1"]


def test_what_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"CSVLogger: cannot write '.*nowhere.*log.csv': No such file"):
        trainer(CSVLogger(tmp_path / "nowhere" / "log.csv")).fit(DATA, 1)
    with pytest.raises(TypeError, match=r"^steps: expected True or False, got 1$"):
        CSVLogger(tmp_path / "log.csv", steps=1)  # type: ignore[arg-type]
    short = CSVLogger(tmp_path / "log.csv")
    short.load_state_dict({"names": ["epoch"], "length": 40})
    (tmp_path / "log.csv").write_text("epoch\n")
    run = trainer(short)
    run.steps_done = 1
    with pytest.raises(ValueError, match=r"^path: expected the 40 bytes of the run that goes on, got 6 in"):
        run.fit(DATA, 1)


def test_other_names_than_the_first(tmp_path: Path) -> None:
    class Late(Callback):
        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            if logs["epoch"] == 1:
                logs["late"] = 1.0

    with pytest.raises(
        ValueError, match=r"^logs: expected \['epoch', .*\], as in the first line, got \['epoch'"
    ):
        trainer(Late(), CSVLogger(tmp_path / "log.csv")).fit(DATA, 2)
    assert len(lines(tmp_path / "log.csv")) == 1


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("stop", [None, STEPS + 2])
def test_tensorboard_reads_what_was_written(tmp_path: Path, stop: int | None) -> None:
    peer("tensorboardX")
    peer("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    options: dict[str, Any] = {"checkpoint": tmp_path / "state", "checkpoint_every": 0.0}
    if stop is not None:
        with pytest.raises(KeyboardInterrupt):
            trainer(TensorBoard(tmp_path / "run", 2, True), Stop(stop), **options).fit(DATA, 3, HELD_OUT)
    board, wanted = (
        TensorBoard(tmp_path / "run", every=2, histograms=True),
        CSVLogger(tmp_path / "log.csv", True),
    )
    if stop is None:
        run = trainer(board, wanted, **options)
    else:
        trainer(wanted).fit(DATA, 3, HELD_OUT)
        run = trainer(board, Stop(-1), **options)
    run.fit(DATA, 3, HELD_OUT, resume=stop is not None)
    found = EventAccumulator(str(tmp_path / "run")).Reload()
    losses = {event.step: event.value for event in found.Scalars("step/loss")}
    rows = {int(row["step"]): float(row["loss"]) for row in lines(tmp_path / "log.csv")}
    assert losses.keys() == {step for step in rows if step % 2 == 0}
    assert all(losses[step] == pytest.approx(rows[step], rel=1e-6) for step in losses)
    validation = found.Scalars("epoch/validation_loss")
    assert [event.step for event in validation] == [STEPS * k for k in (1, 2, 3)]
    assert validation[-1].value == pytest.approx(run.evaluate(HELD_OUT), rel=1e-6)
    assert set(found.Tags()["histograms"]) == set(run.model.params)
    assert "model/text_summary" in found.Tags()["tensors"]


@pytest.mark.peer
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    peer("tensorboardX")
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"TensorBoard: cannot write '.*file.*run': Not a directory"):
        trainer(TensorBoard(tmp_path / "file" / "run")).fit(DATA, 1)
    with pytest.raises(ValueError, match=r"^every: expected an int >= 1, got 0$"):
        TensorBoard(tmp_path, every=0)


def test_without_tensorboardx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(
        ImportError, match=r"^TensorBoard: needs tensorboardX; pip install 'fastrnn\[tensorboard\]'$"
    ):
        TensorBoard(tmp_path)
