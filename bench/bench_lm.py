"""The whole training step of a language model against the same model in PyTorch.

Embedding, two LSTM layers, softmax and cross-entropy, clipping by the global norm, Adam; float32, the state
carried on. PyTorch: fused Adam, foreach clipping. The losses of both must agree over the first steps.

And what `Trainer` adds to the same steps in a bare loop: a ratio of 0.97 is 3 %.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from language_models import MODELS, Config, Ours, batches
from paired import OURS, Contender, Result, compare

from fastrnn._bench import Answer
from fastrnn.callbacks import ProgressBar
from fastrnn.data import Streams
from fastrnn.training import Trainer

SHAPES = {  # name: model, rows B, steps T
    "V10000-H200-B20-T35": (Config(10_000, 200), 20, 35),
    "V65-H256-B64-T100": (Config(65, 256), 64, 100),
    "V65-H128-B50-T50": (Config(65, 128), 50, 50),
}
FIRST = 6  # steps whose losses are compared
MAX_NORM = 0.25  # small enough to clip at every one of them
# In eps; 1 found. Adam divides a gradient by its size, noise in small ones too: losses drift apart.
TOLERANCE = 8


def contender(model: Any, config: Config, rows: int, steps: int) -> Contender:
    """One side, going through the same chunks for ever."""
    chunks = [model.prepare(*chunk) for chunk in batches(config, rows, steps, FIRST)]
    source = cycle(chunks)

    def answer() -> Answer:
        losses = [model.step(*chunk, MAX_NORM) for chunk in chunks]
        assert losses[-1] < losses[0], losses
        return {"losses": np.array(losses, np.float32)}

    return Contender(lambda: model.step(*next(source), MAX_NORM), answer)


def measure(config: Config, rows: int, steps: int, once: bool) -> Result:
    """Both contenders on one shape."""
    sides = {name: contender(kind(config), config, rows, steps) for name, kind in MODELS.items()}
    return compare(sides, flops=config.flops(rows * steps), tolerance=TOLERANCE, once=once)


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("shape", SHAPES)
def test_language_model(paired: Paired, torch: Any, once: bool, shape: str, contender: str) -> None:
    paired(f"language model step: {shape}", contender, lambda: measure(*SHAPES[shape], once))


def loops(config: Config, rows: int, steps: int, once: bool) -> Result:
    """An epoch by `Trainer`, with a progress bar, and by a loop of calls; both go on from turn to turn."""
    ids = np.concatenate([x.T.reshape(-1) for x, _ in batches(config, rows, steps, 20)])
    data, trained, bare = Streams(ids, rows, steps), Ours(config), Ours(config)

    def fit() -> None:
        trainer = Trainer(trained.model, trained.optimizer, max_norm=MAX_NORM, callbacks=[ProgressBar()])
        trainer.fit(data, epochs=1)

    def loop() -> None:
        bare.state = None
        for k in range(len(data)):
            bare.step(*data[k], MAX_NORM)

    def after(run: Any, side: Ours) -> Any:
        def answer() -> Answer:
            run()
            return {"parameters": side.model.flat_params.copy()}

        return answer

    sides = {OURS: Contender(fit, after(fit, trained)), "bare loop": Contender(loop, after(loop, bare))}
    return compare(sides, flops=config.flops(rows * steps) * len(data), tolerance=0, once=once)


@pytest.mark.parametrize("contender", [OURS, "bare loop"])
@pytest.mark.parametrize("shape", ["V65-H128-B50-T50"])
def test_trainer(paired: Paired, once: bool, shape: str, contender: str) -> None:
    paired(f"Trainer: {shape}", contender, lambda: loops(*SHAPES[shape], once))
