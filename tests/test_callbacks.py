"""Callbacks: when they are called, and what each of them does."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

from fastrnn import callbacks, optim
from fastrnn.callbacks import Callback, EarlyStopping, History, ProgressBar
from fastrnn.data import Streams, Vocabulary
from fastrnn.models import Forecaster, LanguageModel
from fastrnn.training import Trainer

TEXT = "pack my box with five dozen liquor jugs; " * 12
VOCABULARY = Vocabulary.from_text(TEXT)
DATA = Streams(VOCABULARY.encode(TEXT), 4, 20)
HELD_OUT = Streams(VOCABULARY.encode(TEXT[7:90]), 3, 9, whole=True)


def test_early_stopping_keeps_the_best():
    model = LanguageModel(VOCABULARY, 12, 1, seed=0)
    stop, history, best = EarlyStopping(patience=1), History(), []

    class Spoil(Callback):
        def on_epoch_end(self, trainer, logs):
            best.append(trainer.model.flat_params.copy())
            if logs["epoch"] == 1:
                trainer.model.params["head.bias"][:] = np.arange(len(VOCABULARY)) * 3
                trainer.model.touch()

    run = Trainer(model, optim.Adam(model, lr=1e-3), callbacks=[stop, history, Spoil()])
    run.fit(DATA, 50, HELD_OUT)
    assert run.finished
    assert len(history.epochs) == 3
    assert stop.best_epoch == 1
    assert (model.flat_params == best[1]).all()
    assert run.evaluate(HELD_OUT) == stop.best


def test_of_a_loss_the_smallest_is_the_best():
    found = []
    for monitor in (None, "validation_loss"):
        stop, model = EarlyStopping(monitor=monitor), LanguageModel(VOCABULARY, 6, 1, seed=0)
        Trainer(model, optim.SGD(model, lr=0.5), callbacks=[stop]).fit(DATA, 3, HELD_OUT)
        found.append((stop.best, stop.best_epoch))
    assert found[0] == found[1]
    assert found[0][1] > 0
    run = Trainer(model, optim.SGD(model, lr=0.5), callbacks=[EarlyStopping(monitor="f1")])
    names = "epoch, step, loss, lr, validation_loss"
    with pytest.raises(ValueError, match=f"^monitor: expected one of {names}, got 'f1'$"):
        run.fit(DATA, 3, HELD_OUT)


def test_callbacks_of_another_run_begin_anew():
    stop, history = EarlyStopping(patience=1), History()
    for seed in (0, 1):
        model, alone = LanguageModel(VOCABULARY, 6, 1, seed=seed), LanguageModel(VOCABULARY, 6, 1, seed=seed)
        Trainer(model, optim.SGD(model, lr=1e-3), callbacks=[stop, history]).fit(DATA, 2, HELD_OUT)
        Trainer(alone, optim.SGD(alone, lr=1e-3)).fit(DATA, 2, HELD_OUT)
        assert (model.flat_params == alone.flat_params).all()
        assert [logs["epoch"] for logs in history.epochs] == [0, 1]


def test_hooks_come_in_order():
    seen = []

    class Note(Callback):
        def __getattribute__(self, name):
            if name.startswith("on_"):
                seen.append(name)
            return super().__getattribute__(name)

    model = LanguageModel(VOCABULARY, 4, 1, seed=0)
    Trainer(model, optim.SGD(model, 0.1), callbacks=[Note()]).fit(DATA, 2)
    epoch = ["on_step_end"] * len(DATA) + ["on_epoch_end"]
    assert seen == ["on_fit_begin", *epoch, *epoch, "on_fit_end"]


def test_squares_have_no_perplexity(capsys):
    model = Forecaster(1, 8, 2, hidden_size=2, seed=0)
    series = np.sin(np.arange(60.0))
    model.fit(series, validation_data=series, epochs=1)
    assert re.match(r"epoch 1/1  loss [\d.]+  held-out loss [\d.]+  lr", capsys.readouterr().err)


def test_perplexity_does_not_overflow():
    assert callbacks.perplexity(1.0) == math.e
    assert callbacks.perplexity(1e4) == math.inf


class Terminal:
    """A stderr that says it is a terminal, and one that is none."""

    def __init__(self, terminal: bool) -> None:
        self.terminal, self.text = terminal, ""

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None:
        pass


def _show(monkeypatch, terminal: bool) -> str:
    model, stderr = LanguageModel(VOCABULARY, 4, 1, seed=0), Terminal(terminal)
    clock = iter(range(0, 10**6, 6))
    monkeypatch.setattr("sys.stderr", stderr)
    monkeypatch.setattr(callbacks.time, "monotonic", lambda: next(clock))
    Trainer(model, optim.SGD(model, 0.1), callbacks=[ProgressBar("char")]).fit(DATA, 2, HELD_OUT)
    return stderr.text


def test_progress_without_a_terminal_is_lines(monkeypatch):
    text = _show(monkeypatch, False)
    assert "\r" not in text
    steps = r"^ *\d+% \[\d+:\d+<\d+:\d+, +[\d.]+char/s, loss [\d.]+, perplexity [\d.]+\]$"
    assert len(re.findall(steps, text, re.MULTILINE)) >= 3
    epochs = r"^epoch \d/2  loss [\d.]+  held-out loss [\d.]+ \(perplexity [\d.]+\)  lr 0\.1$"
    assert len(re.findall(epochs, text, re.MULTILINE)) == 2


def test_progress_on_a_terminal_is_a_bar(monkeypatch):
    text = _show(monkeypatch, True)
    assert "\r" in text
    assert "100%" in text
    assert re.search(r"char/s, loss [\d.]+, perplexity", text)
