"""Pictures of training and of what models do; needs ``pip install 'fastrnn[plot]'``.

Every function gives a `matplotlib.figure.Figure`, for ``savefig`` or to be shown by a notebook, and raises
ModuleNotFoundError without matplotlib. Others are methods of what they draw: `KeyedVectors.plot`, and those
of `fastrnn.diagnosis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastrnn.callbacks import History
    from fastrnn.diagnosis import Saturation, Spectrum
    from fastrnn.models import Hypothesis


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def losses(history: History) -> Any:
    """Draw the losses by epoch, and below them every other number that was logged, but the rate.

    Parameters
    ----------
    history : History
        What ``fit`` of a model gives, or the callback.

    Raises
    ------
    ValueError
        There is no epoch in it.
    """
    if not history.epochs:
        raise ValueError("history: expected at least one epoch, got none")
    epochs = [logs["epoch"] + 1 for logs in history.epochs]
    names = {"loss": "training", "validation_loss": "held out"}
    others = [name for name in history.epochs[0] if name not in (*names, "epoch", "step", "lr")]
    figure = _figure(7, 3.5 + 2 * len(others))
    axes = figure.subplots(1 + len(others), 1, sharex=True, squeeze=False)[:, 0]
    for name, label in names.items():
        if name in history.epochs[0]:
            axes[0].plot(epochs, [logs[name] for logs in history.epochs], marker=".", label=label)
    axes[0].set_ylabel("loss")
    axes[0].legend()
    for name, below in zip(others, axes[1:], strict=True):
        below.plot(epochs, [logs[name] for logs in history.epochs], marker=".")
        below.set_ylabel(name)
    axes[-1].set_xlabel("epoch")
    axes[-1].xaxis.get_major_locator().set_params(integer=True)
    return figure


def attention(hypothesis: Hypothesis, source: Sequence[str]) -> Any:
    """Draw which tokens of the source an output has looked at: a row for each of its tokens.

    Parameters
    ----------
    hypothesis : Hypothesis
        Of `Seq2Seq.translate`.
    source : sequence of str
        The tokens that it was made from.

    Raises
    ------
    ValueError
        The model has no attention, or the source has another length.
    """
    if hypothesis.attention is None:
        raise ValueError("hypothesis: expected one of a model with attention, got one without")
    weights = np.asarray(hypothesis.attention).reshape(len(hypothesis.tokens), -1)
    if weights.shape[1] != len(source):
        raise ValueError(
            f"source: expected {weights.shape[1]} tokens, as were attended to, got {len(source)}"
        )
    figure = _figure(2 + 0.35 * len(source), 1.5 + 0.3 * len(hypothesis.tokens))
    axes = figure.subplots()
    image = axes.imshow(weights, vmin=0, vmax=1, cmap="Greys", aspect="auto", interpolation="nearest")
    turned = {"rotation": 60, "ha": "right", "rotation_mode": "anchor"} if max(map(len, source)) > 2 else {}
    axes.set_xticks(range(len(source)), source, **turned)
    axes.set_yticks(range(len(hypothesis.tokens)), hypothesis.tokens)
    figure.colorbar(image, ax=axes, label="weight")
    return figure


def forecast(
    past: Any, predicted: Any, interval: Any = None, actual: Any = None, names: Sequence[str] | None = None
) -> Any:
    """Draw the end of a series, its forecast, and what came: a picture below the other for each column.

    Parameters
    ----------
    past : ndarray, [N, K]
        What was known, in the order of the forecast's columns.
    predicted : ndarray, [S, K]
        Of `Forecaster.predict`.
    interval : tuple of two ndarray, each [S, K], optional
        Of `Forecaster.predict_interval`.
    actual : ndarray, [S, K], optional
        What came.
    names : sequence of str, optional
        Of the columns.

    Raises
    ------
    ValueError
        The shapes do not fit.
    """
    past, predicted = np.asarray(past), np.asarray(predicted)
    if past.ndim != 2 or predicted.ndim != 2 or past.shape[1] != predicted.shape[1]:
        raise ValueError(
            f"past: expected shape (N, K), and predicted (S, K), got {past.shape} and {predicted.shape}"
        )
    more = {
        "actual": [] if actual is None else [actual],
        "interval": [] if interval is None else list(interval),
    }
    for name, arrays in more.items():
        for values in arrays:
            if np.shape(values) != predicted.shape:
                raise ValueError(f"{name}: expected shape (S, K) = {predicted.shape}, got {np.shape(values)}")
    columns = past.shape[1]
    if names is not None and len(names) != columns:
        raise ValueError(f"names: expected {columns} names, one for each column, got {len(names)}")
    figure = _figure(8, 1 + 2.5 * columns)
    before, after = np.arange(-len(past), 0), np.arange(len(predicted))
    for k, axes in enumerate(figure.subplots(columns, 1, sharex=True, squeeze=False)[:, 0]):
        axes.plot(before, past[:, k], color="0.4", label="past")
        if interval is not None:
            low, high = (np.asarray(end)[:, k] for end in interval)
            axes.fill_between(after, low, high, color="C0", alpha=0.2, linewidth=0, label="interval")
        axes.plot(after, predicted[:, k], color="C0", label="forecast")
        if actual is not None:
            axes.plot(after, np.asarray(actual)[:, k], color="C1", label="what came")
        if names is not None:
            axes.set_ylabel(names[k])
        if k == 0:
            axes.legend(loc="best")
    axes.set_xlabel("step")
    return figure


def activations(values: Any, labels: Sequence[str]) -> Any:
    """Draw what units do over a sequence, such as a gate over a text: a row for each unit.

    Parameters
    ----------
    values : ndarray, [T, H]
        For a gate ``fastrnn.diagnosis.gates(layer, x)["f"][level, :, row]``; of y ``y[:, row]``.
    labels : sequence of str
        Of the T steps.

    Raises
    ------
    ValueError
        The shapes do not fit.
    """
    values = np.asarray(values)
    if values.ndim != 2:
        raise ValueError(f"values: expected shape (T, H), got {values.shape}")
    if len(labels) != len(values):
        raise ValueError(f"labels: expected {len(values)} of them, one for each step, got {len(labels)}")
    signed = bool((values < 0).any())
    figure = _figure(2 + 0.2 * len(values), min(1.5 + 0.12 * values.shape[1], 10))
    axes = figure.subplots()
    colours = {"cmap": "RdBu", "vmin": -1, "vmax": 1} if signed else {"cmap": "viridis", "vmin": 0, "vmax": 1}
    image = axes.imshow(values.T, aspect="auto", interpolation="nearest", **colours)
    axes.set_xticks(range(len(values)), labels)
    axes.set_ylabel("unit")
    figure.colorbar(image, ax=axes)
    return figure


def spectra(found: Mapping[str, Spectrum]) -> Any:
    """Draw spectral radius and largest singular value of each gate's recurrent matrix, a row for each matrix.

    Parameters
    ----------
    found : dict of str to Spectrum
        What `fastrnn.diagnosis.spectra` gives.

    Raises
    ------
    ValueError
        There is no matrix in it.
    """
    if not found:
        raise ValueError("found: expected at least one matrix, got none")
    widest = max(len(spectrum.gates) for spectrum in found.values())
    figure = _figure(3 + 0.7 * widest, 1 + 1.6 * len(found))
    axes = figure.subplots(len(found), 1, squeeze=False)[:, 0]
    for (name, spectrum), row in zip(found.items(), axes, strict=True):
        at = np.arange(len(spectrum.gates))
        row.bar(at - 0.2, spectrum.radius, 0.4, label="spectral radius")
        row.bar(at + 0.2, spectrum.norm, 0.4, label="largest singular value")
        row.axhline(1, color="black", linewidth=0.8)
        row.set_xticks(at, spectrum.gates)
        row.set_title(name, fontsize="medium")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=2, fontsize="small")
    return figure


def saturation(found: Mapping[str, Saturation]) -> Any:
    """Draw how often gates are open over how often they are shut, a point for each level.

    A gate that is always one or the other lies on the line. Source: Karpathy et al. 2015 (arXiv:1506.02078),
    figure 2.

    Parameters
    ----------
    found : dict of str to Saturation
        What `fastrnn.diagnosis.saturation` gives.
    """
    figure = _figure(4.5, 4.5)
    axes = figure.subplots()
    for name, shares in found.items():
        axes.plot(shares.shut, shares.open, "o", alpha=0.8, label=name)
        for level, (shut, open_) in enumerate(zip(shares.shut, shares.open, strict=True)):
            axes.annotate(
                str(level), (shut, open_), xytext=(4, 4), textcoords="offset points", fontsize="small"
            )
    axes.plot([0, 1], [1, 0], color="black", linewidth=0.8)
    axes.set(xlabel="share shut", ylabel="share open", xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
    axes.legend(title="gate")
    return figure
