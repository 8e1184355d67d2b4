"""A whole training epoch of models for usual tasks against the same models in PyTorch.

The time has all of an epoch in it, batching and padding too. Both sides see the same rows in the same
batches from the same weights: Adam (fused in PyTorch), clipping by the global norm.

Tagger and classifier: bidirectional LSTM or GRU, batches of sentences of unlike lengths; PyTorch once with
PackedSequence, which computes the same, and once with padding that the reverse direction reads, which
computes something else where lengths differ. So the losses of the first steps are compared on sentences of
one length for all, and on those of unlike lengths for what computes the same. Translation: encoder, decoder
and attention. Forecast: windows of a series.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import forecast_models
import numpy as np
import pytest
import sentence_models
import translation_models
from conftest import Paired
from paired import OURS, Contender, Result, compare, equal_threads

from fastrnn._bench import Answer, check_equal

Task = sentence_models.Task
TASKS: dict[str, Any] = {
    "tagger-LSTM": Task("tagger", "LSTM", 870, 100, 128, 127, 800, 11.3, 16),
    "tagger-GRU": Task("tagger", "GRU", 870, 100, 128, 127, 800, 11.3, 16),
    "classifier-LSTM": Task("classifier", "LSTM", 20_000, 100, 100, 2, 800, 21.0, 32),
    "classifier-GRU": Task("classifier", "GRU", 20_000, 100, 100, 2, 800, 21.0, 32),
    "translation-LSTM": translation_models.Task("LSTM", 4000, 192, 256, 800, 13.0, 32),
    "translation-GRU": translation_models.Task("GRU", 4000, 192, 256, 800, 13.0, 32),
    "forecast-LSTM": forecast_models.Task("LSTM", 7, 96, 24, 64, 3000, 32),
    "forecast-GRU": forecast_models.Task("GRU", 7, 96, 24, 64, 3000, 32),
}
MODELS: dict[type, dict[str, Any]] = {
    module.Task: module.MODELS for module in (sentence_models, translation_models, forecast_models)
}
SIDES = [(task, name) for task, of in TASKS.items() for name in MODELS[type(of)]]
FIRST = 4  # steps whose losses are compared
# In eps. Adam divides a gradient by its size, noise in small ones too: losses drift apart.
TOLERANCE = 16


def losses(name: str, task: Any, data: Any) -> Answer:
    """Those of the first steps."""
    model = MODELS[type(task)][name](task)
    return {"losses": np.array([model.step(*item) for item in islice(model.items(data), FIRST)], np.float32)}


def contender(name: str, task: Any) -> Contender:
    """One side: an epoch for a turn."""
    model, data = MODELS[type(task)][name](task), task.data()

    def epoch() -> None:
        for item in model.items(data):
            model.step(*item)

    return Contender(epoch, lambda: losses(name, task, task.same()))


def measure(task: Any, once: bool) -> Result:
    """All contenders on one task."""
    equal_threads()
    models, task = MODELS[type(task)], task.small() if once else task
    want = losses(OURS, task, task.data())
    for name, model in models.items():
        if name != OURS and model.exact:
            check_equal(want, losses(name, task, task.data()), TOLERANCE)
    sides = {name: contender(name, task) for name in models}
    return compare(sides, flops=task.flops(), tolerance=TOLERANCE, once=once)


@pytest.mark.parametrize(("task", "contender"), SIDES)
def test_epoch(paired: Paired, torch: Any, once: bool, task: str, contender: str) -> None:
    paired(f"epoch: {task}", contender, lambda: measure(TASKS[task], once))
