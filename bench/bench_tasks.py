"""A whole training epoch of a tagger and of a classifier against the same models in PyTorch.

Bidirectional LSTM or GRU, batches of sentences of unlike lengths; the time has all of an epoch in it,
batching and padding too. Both sides see the same rows in the same batches from the same weights: Adam (fused
in PyTorch), clipping by the global norm. PyTorch once with PackedSequence, which computes the same, and once
with padding that the reverse direction reads, which computes something else where lengths differ; so the
losses of the first steps are compared on sentences of one length for all, and on those of unlike lengths for
what computes the same.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from paired import OURS, Contender, Result, compare, equal_threads
from sentence_models import MODELS, Task

from fastrnn._bench import Answer, check_equal

TASKS = {
    "tagger-LSTM": Task("tagger", "LSTM", 870, 100, 128, 127, 800, 11.3, 16),
    "tagger-GRU": Task("tagger", "GRU", 870, 100, 128, 127, 800, 11.3, 16),
    "classifier-LSTM": Task("classifier", "LSTM", 20_000, 100, 100, 2, 800, 21.0, 32),
    "classifier-GRU": Task("classifier", "GRU", 20_000, 100, 100, 2, 800, 21.0, 32),
}
FIRST = 4  # steps whose losses are compared
# In eps. Adam divides a gradient by its size, noise in small ones too: losses drift apart.
TOLERANCE = 16


def losses(name: str, task: Task, *, ragged: bool) -> Answer:
    """Those of the first steps."""
    model = MODELS[name](task)
    items = islice(model.items(task.data(ragged=ragged)), FIRST)
    return {"losses": np.array([model.step(*item) for item in items], np.float32)}


def contender(name: str, task: Task) -> Contender:
    """One side: an epoch for a turn."""
    model, data = MODELS[name](task), task.data(ragged=True)

    def epoch() -> None:
        for item in model.items(data):
            model.step(*item)

    return Contender(epoch, lambda: losses(name, task, ragged=False))


def measure(task: Task, once: bool) -> Result:
    """All contenders on one task."""
    equal_threads()
    check_equal(losses(OURS, task, ragged=True), losses("torch, packed", task, ragged=True), TOLERANCE)
    sides = {name: contender(name, task) for name in MODELS}
    return compare(sides, flops=task.flops(task.data(ragged=True).tokens), tolerance=TOLERANCE, once=once)


@pytest.mark.parametrize("contender", list(MODELS))
@pytest.mark.parametrize("task", TASKS)
def test_epoch(paired: Paired, torch: Any, once: bool, task: str, contender: str) -> None:
    paired(f"epoch: {task}", contender, lambda: measure(TASKS[task], once))
