"""Products of bfloat16 against float32 of our own, PyTorch's float32 and PyTorch's own bfloat16.

Layers: the training step. PyTorch's bfloat16 has its parameters, states and results in bfloat16 as well,
which ours has not. The language model: a whole training step with Adam; PyTorch's is float32. Answers are
compared within the rounding of numbers of 8 bits, PyTorch's of all of them. Without an instruction for
bfloat16 there is nothing to measure.
"""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from language_models import Config, Ours, TorchModel, batches
from paired import OURS, Contender, Result, compare

from fastrnn import _bench, _core
from fastrnn._bench import KINDS, ROUNDED, Answer, Shape

pytestmark = pytest.mark.skipif(not _core.has_bfloat16(), reason="no instruction for bfloat16")

SHAPES = [
    Shape(64, 32, 128, 128),
    Shape(64, 32, 256, 256),
    Shape(35, 20, 650, 650),
    Shape(64, 32, 512, 512),
    Shape(64, 64, 1024, 1024),
    Shape(37, 13, 77, 111),
]
PEERS = [OURS, "float32", "torch", "torch bf16"]
MODELS = {  # name: model, rows B, steps T
    "V10000-H650-B20-T35": (Config(10_000, 650), 20, 35),
    "V65-H256-B64-T100": (Config(65, 256), 64, 100),
}
FIRST = 6  # steps whose losses are compared


class TorchBfloat16(_bench.Torch):
    """A layer of PyTorch that is bfloat16 in all."""

    def __init__(self, twin: _bench.Ours) -> None:
        super().__init__(twin)
        self.layer = self.layer.to(self.torch.bfloat16)
        self.x = self.x.detach().to(self.torch.bfloat16).requires_grad_()
        self.dy = self.dy.to(self.torch.bfloat16)

    def answer(self) -> Answer:
        """As float32."""
        y, state = self.forward()
        self.training()
        found = dict(
            zip(("y", "h", "c"), (y, *(state if isinstance(state, tuple) else (state,))), strict=False)
        )
        found |= {"dx": self.x.grad} | {name: p.grad for name, p in self.layer.named_parameters()}
        return {name: a.detach().float().numpy().copy() for name, a in found.items()}


def measure_layer(kind: str, shape: Shape, once: bool) -> Result:
    """All contenders on one shape."""
    ours, plain = (_bench.Ours(kind, shape, compute=compute) for compute in ("bfloat16", None))
    sides: dict[str, Any] = {OURS: ours, "float32": plain, "torch": _bench.Torch(ours)}
    sides["torch bf16"] = TorchBfloat16(ours)
    contenders = {name: Contender(side.training, side.answer) for name, side in sides.items()}
    flops = shape.flops("training", ours.layer.gates)
    return compare(contenders, flops=flops, dtype="bfloat16", tolerance=4 * ROUNDED, once=once)


def measure_model(config: Config, rows: int, steps: int, once: bool) -> Result:
    """The whole step of a language model."""
    models: dict[str, Any] = {OURS: Ours(config), "float32": Ours(config), "torch": TorchModel(config)}
    models[OURS].model.set_compute("bfloat16", strict=True)
    sides = {}
    for name, model in models.items():
        chunks = [model.prepare(*chunk) for chunk in batches(config, rows, steps, FIRST)]

        def answer(model: Any = model, chunks: Any = chunks) -> Answer:
            losses = [model.step(*chunk, 0.25) for chunk in chunks]
            assert losses[-1] < losses[0], losses
            return {"losses": np.array(losses, np.float32)}

        source = cycle(chunks)
        run = lambda model=model, source=source: model.step(*next(source), 0.25)  # noqa: E731
        sides[name] = Contender(run, answer)
    return compare(sides, flops=config.flops(rows * steps), dtype="bfloat16", tolerance=2**14, once=once)


@pytest.mark.parametrize("contender", PEERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("kind", KINDS)
def test_layer(paired: Paired, torch: Any, once: bool, kind: str, shape: Shape, contender: str) -> None:
    paired(f"{kind} bfloat16: {shape}", contender, lambda: measure_layer(kind, shape, once))


@pytest.mark.parametrize("contender", [OURS, "float32", "torch"])
@pytest.mark.parametrize("name", MODELS)
def test_language_model(paired: Paired, torch: Any, once: bool, name: str, contender: str) -> None:
    paired(f"language model bfloat16: {name}", contender, lambda: measure_model(*MODELS[name], once))
