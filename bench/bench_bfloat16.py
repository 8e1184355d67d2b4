"""Products of bfloat16 against float32 of our own, PyTorch's float32 and PyTorch's own bfloat16.

Layers: the training step. PyTorch's bfloat16 has its parameters, states and results in bfloat16 as well,
which ours has not. The language model: a whole training step with Adam; PyTorch's is float32. Answers are
compared within the rounding of numbers of 8 bits, PyTorch's of all of them. Without an instruction for
bfloat16 there is nothing to measure.
"""

from __future__ import annotations

from typing import Any

import pytest
from bench_lm import contender
from conftest import Paired
from language_models import Config, Ours, TorchModel
from paired import OURS, Contender, Result, compare

from fastrnn import _bench, _core
from fastrnn._bench import KINDS, ROUNDED, Shape

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


class TorchBfloat16(_bench.Torch):
    """A layer of PyTorch that is bfloat16 in all."""

    def __init__(self, twin: _bench.Ours) -> None:
        super().__init__(twin)
        self.layer = self.layer.to(self.torch.bfloat16)
        self.x = self.x.detach().to(self.torch.bfloat16).requires_grad_()
        self.dy = self.dy.to(self.torch.bfloat16)

    def array(self, tensor: Any) -> Any:
        """As float32."""
        return super().array(tensor.float())


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
    sides = {name: contender(model, config, rows, steps) for name, model in models.items()}
    return compare(sides, flops=config.flops(rows * steps), dtype="bfloat16", tolerance=2**14, once=once)


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("kind", KINDS)
def test_layer(paired: Paired, torch: Any, once: bool, kind: str, shape: Shape, peer: str) -> None:
    paired(f"{kind} bfloat16: {shape}", peer, lambda: measure_layer(kind, shape, once))


@pytest.mark.parametrize("peer", [OURS, "float32", "torch"])
@pytest.mark.parametrize("name", MODELS)
def test_language_model(paired: Paired, torch: Any, once: bool, name: str, peer: str) -> None:
    paired(f"language model bfloat16: {name}", peer, lambda: measure_model(*MODELS[name], once))
