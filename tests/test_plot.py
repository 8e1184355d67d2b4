"""Pictures of training, attention, forecasts and gates: what is drawn, and bad input."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import peer

import fastrnn
from fastrnn import diagnosis, plot
from fastrnn.callbacks import History
from fastrnn.models import Hypothesis

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


@pytest.fixture(autouse=True)
def matplotlib() -> Any:
    """A failure instead of a skip where peers are wanted."""
    return peer("matplotlib.figure")


def history(epochs: int, **more: float) -> History:
    """Losses that halve."""
    found = History()
    for epoch in range(epochs):
        logs = {"epoch": epoch, "step": 7 * epoch + 7, "loss": 2.0**-epoch, "lr": 0.1}
        found.on_epoch_end(SimpleNamespace(), logs | more)  # type: ignore[arg-type]
    return found


def hypothesis(weights: Any) -> Hypothesis:
    """Two tokens."""
    return Hypothesis(["der", "Hund"], -1.0, -1.0, weights)


def png(figure: Any, path: Path) -> None:
    """It can be written."""
    figure.savefig(path / "figure.png")
    assert (path / "figure.png").read_bytes().startswith(b"\x89PNG")


def test_losses(tmp_path: Path) -> None:
    figure = plot.losses(history(4, validation_loss=0.5, accuracy=0.9))
    loss, accuracy = figure.axes
    lines = {line.get_label(): line.get_ydata() for line in loss.get_lines()}
    assert {name: list(y) for name, y in lines.items()} == {
        "training": [1.0, 0.5, 0.25, 0.125],
        "held out": [0.5] * 4,
    }
    assert list(loss.get_lines()[0].get_xdata()) == [1, 2, 3, 4]
    assert accuracy.get_ylabel() == "accuracy"
    assert list(accuracy.get_lines()[0].get_ydata()) == [0.9] * 4
    png(figure, tmp_path)


def test_attention(tmp_path: Path) -> None:
    weights = np.array([[0.9, 0.1, 0.0], [0.0, 0.2, 0.8]])
    figure = plot.attention(hypothesis(weights), ["the", "old", "dog"])
    axes = figure.axes[0]
    assert np.array_equal(axes.images[0].get_array(), weights)
    assert [text.get_text() for text in axes.get_xticklabels()] == ["the", "old", "dog"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["der", "Hund"]
    png(figure, tmp_path)


def test_forecast(tmp_path: Path) -> None:
    past, predicted = np.arange(20.0).reshape(10, 2), np.full((3, 2), 21.0)
    ends = (predicted - 1, predicted + 1)
    figure = plot.forecast(past, predicted, ends, predicted + 0.5, ["load", "sun"])
    assert [axes.get_ylabel() for axes in figure.axes] == ["load", "sun"]
    drawn = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(drawn["past"].get_ydata()) == list(past[:, 0])
    assert list(drawn["past"].get_xdata()) == list(range(-10, 0))
    assert list(drawn["forecast"].get_xdata()) == [0, 1, 2]
    assert list(drawn["what came"].get_ydata()) == [21.5] * 3
    area = figure.axes[0].collections[0].get_paths()[0].vertices[:, 1]
    assert (area.min(), area.max()) == (20.0, 22.0)
    png(figure, tmp_path)


def test_activations(tmp_path: Path, rng: np.random.Generator) -> None:
    layer = fastrnn.LSTM(3, 5, seed=1)
    gates = diagnosis.gates(layer, rng.standard_normal((7, 2, 3)).astype(np.float32))
    for name, limits in (("f", (0.0, 1.0)), ("g", (-1.0, 1.0))):
        values = gates[name][0, :, 1]
        figure = plot.activations(values, list("abcdefg"))
        image = figure.axes[0].images[0]
        assert np.array_equal(image.get_array(), values.T)
        assert image.get_clim() == limits
        png(figure, tmp_path)


def test_spectra(tmp_path: Path) -> None:
    found = diagnosis.spectra(fastrnn.LSTM(3, 5, 2, peephole="full", seed=1))
    figure = plot.spectra(found)
    assert [axes.get_title() for axes in figure.axes] == list(found)
    for axes, spectrum in zip(figure.axes, found.values(), strict=True):
        assert [label.get_text() for label in axes.get_xticklabels()] == list(spectrum.gates)
        for bars, want in zip(axes.containers, (spectrum.radius, spectrum.norm), strict=True):
            assert np.array_equal([bar.get_height() for bar in bars], want)
    png(figure, tmp_path)


def test_saturation(tmp_path: Path, rng: np.random.Generator) -> None:
    layer = fastrnn.LSTM(3, 5, 2, seed=1)
    found = diagnosis.saturation(layer, 9 * rng.standard_normal((7, 2, 3)).astype(np.float32))
    figure = plot.saturation(found)
    points = {line.get_label(): line.get_xydata() for line in figure.axes[0].get_lines()}
    for name, shares in found.items():
        assert np.array_equal(points[name], np.column_stack([shares.shut, shares.open]))
    png(figure, tmp_path)


A = np.zeros((4, 2))
ERRORS: dict[str, tuple[Callable[[], Any], str]] = {
    "no epoch": (lambda: plot.losses(History()), "history: expected at least one epoch, got none"),
    "no attention": (
        lambda: plot.attention(hypothesis(None), ["a"]),
        "hypothesis: expected one of a model with attention, got one without",
    ),
    "source": (
        lambda: plot.attention(hypothesis(A[:2]), ["a"]),
        "source: expected 2 tokens, as were attended to, got 1",
    ),
    "columns": (
        lambda: plot.forecast(A, A[:, :1]),
        "past: expected shape (N, K), and predicted (S, K), got (4, 2) and (4, 1)",
    ),
    "interval": (
        lambda: plot.forecast(A, A, (A, A[:3])),
        "interval: expected shape (S, K) = (4, 2), got (3, 2)",
    ),
    "actual": (lambda: plot.forecast(A, A, None, A[0]), "actual: expected shape (S, K) = (4, 2), got (2,)"),
    "names": (
        lambda: plot.forecast(A, A, names=["a"]),
        "names: expected 2 names, one for each column, got 1",
    ),
    "no matrix": (lambda: plot.spectra({}), "found: expected at least one matrix, got none"),
    "values": (lambda: plot.activations(A[0], "ab"), "values: expected shape (T, H), got (2,)"),
    "labels": (lambda: plot.activations(A, "ab"), "labels: expected 4 of them, one for each step, got 2"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    call, message = ERRORS[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        call()
