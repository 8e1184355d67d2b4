"""Inside of PyTorch: layers of fastrnn.torch against those of torch.nn, autograd and module calls included.

A training step of one layer on the shapes of `bench_recurrent`; packed sequences; a word-level language model
before and after ``accelerate()``, its embedding, linear layer, loss and optimiser left to torch; and our
parallel regions in turn with an operation of torch, beside the same work one after the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bench_recurrent import SHAPES
from conftest import Paired
from paired import OURS, Contender, Result, compare

from fastrnn._bench import Answer, Shape

KINDS = ("LSTM", "GRU", "RNN")
CONTENDERS = (OURS, "torch")
LM_TOLERANCE = 64  # losses after some steps of Adam, which divides a gradient by its size: they drift apart


def pair(torch: Any, kind: str, inputs: int, hidden: int) -> dict[str, Any]:
    """Ours and torch's layer, with equal parameters."""
    import fastrnn.torch

    torch.manual_seed(0)
    layers = {
        OURS: getattr(fastrnn.torch, kind)(inputs, hidden),
        "torch": getattr(torch.nn, kind)(inputs, hidden),
    }
    layers[OURS].load_state_dict(layers["torch"].state_dict())
    return layers


def contender(layer: Any, x: Any, leaf: Any, dy: Any) -> Contender:
    """A training step: forward, and all gradients from none, which is torch's default."""

    def step() -> Any:
        leaf.grad = None
        layer.zero_grad()
        y, last = layer(x)
        y = getattr(y, "data", y) if x is not leaf else y
        y.backward(dy)
        return y, last

    def answer() -> Answer:
        y, last = step()
        states = dict(zip("hc", last if isinstance(last, tuple) else (last,), strict=False))
        found = {"y": y, **states, "dx": leaf.grad} | {n: p.grad for n, p in layer.named_parameters()}
        return {name: t.detach().numpy().copy() for name, t in found.items()}

    return Contender(step, answer)


def measure_step(torch: Any, kind: str, shape: Shape, once: bool) -> Result:
    """Both layers on one shape."""
    steps, rows, inputs, hidden = shape
    layers = pair(torch, kind, inputs, hidden)
    x, dy = torch.randn(steps, rows, inputs, requires_grad=True), torch.randn(steps, rows, hidden)
    sides = {name: contender(layer, x, x, dy) for name, layer in layers.items()}
    gates = layers[OURS].weight_ih_l0.shape[0] // hidden
    return compare(sides, flops=shape.flops("training", gates), once=once)


def measure_packed(torch: Any, kind: str, once: bool) -> Result:
    """32 rows of lengths uniform in 1..128, H = 128."""
    layers = pair(torch, kind, 128, 128)
    lengths = torch.from_numpy(np.random.default_rng(0).integers(1, 129, 32))
    padded = torch.randn(int(lengths.max()), 32, 128)
    packed = torch.nn.utils.rnn.pack_padded_sequence(padded, lengths, enforce_sorted=False)
    packed = packed._replace(data=packed.data.requires_grad_())
    dy = torch.randn(packed.data.shape[0], 128)
    sides = {name: contender(layer, packed, packed.data, dy) for name, layer in layers.items()}
    return compare(sides, once=once)


class WordModel:
    """Embedding, two layers, linear and softmax, Adam with clipping: a usual script, but for the swap."""

    def __init__(self, torch: Any, kind: str, swap: bool) -> None:
        self.torch, vocabulary, hidden = torch, 10_000, 200
        torch.manual_seed(0)
        layer = getattr(torch.nn, kind)(hidden, hidden, 2)
        parts = {
            "embed": torch.nn.Embedding(vocabulary, hidden),
            "recurrent": layer,
            "head": torch.nn.Linear(hidden, vocabulary),
        }
        self.model = torch.nn.ModuleDict(parts)
        self.optimizer = torch.optim.Adam(self.model.parameters(), 1e-3, fused=True)
        if swap:
            import fastrnn.torch

            fastrnn.torch.accelerate(self.model)
        self.tokens = torch.randint(vocabulary, (36, 20))

    def step(self) -> float:
        """One training step."""
        y, _ = self.model["recurrent"](self.model["embed"](self.tokens[:-1]))
        logits = self.model["head"](y).flatten(0, 1)
        loss = self.torch.nn.functional.cross_entropy(logits, self.tokens[1:].flatten())
        self.optimizer.zero_grad()
        loss.backward()
        self.torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.25)
        self.optimizer.step()
        return float(loss.detach())

    def answer(self) -> Answer:
        """The losses of the first steps."""
        return {"losses": np.array([self.step() for _ in range(4)], np.float32)}


def measure_model(torch: Any, kind: str, once: bool) -> Result:
    """The model with our layers and as it was."""
    models = {OURS: WordModel(torch, kind, True), "torch": WordModel(torch, kind, False)}
    sides = {name: Contender(model.step, model.answer) for name, model in models.items()}
    return compare(sides, tolerance=LM_TOLERANCE, once=once)


def measure_turns_with_torch(torch: Any, once: bool) -> Result:
    """Ten calls of ours and of torch.sin in turn, beside ten of the one and then ten of the other."""
    layer, values = pair(torch, "LSTM", 64, 64)[OURS], torch.randn(1 << 18)
    x = torch.randn(4, 32, 64)

    def contender(order: str) -> Contender:
        calls: dict[str, Callable[[], Any]] = {"f": lambda: layer(x), "t": lambda: torch.sin(values)}

        def run() -> None:
            with torch.no_grad():
                for call in order:
                    calls[call]()

        return Contender(run, lambda: {"y": layer(x)[0].detach().numpy()})

    return compare({OURS: contender("ft" * 10), "apart": contender("f" * 10 + "t" * 10)}, once=once)


def measure_overhead(torch: Any, kind: str, once: bool) -> Result:
    """A step with next to no arithmetic: plain autograd, the operator for compilers, torch's layer."""
    from fastrnn.torch import _op

    layers, traced = pair(torch, kind, 4, 4), _op._traced
    x, dy = torch.randn(1, 1, 4, requires_grad=True), torch.randn(1, 1, 4)
    sides = {name: contender(layer, x, x, dy) for name, layer in layers.items()}

    def through_operator(run: Callable[[], Any]) -> Callable[[], Any]:
        def call() -> Any:
            _op._traced = lambda: True
            try:
                return run()
            finally:
                _op._traced = traced

        return call

    own = sides[OURS]
    sides["operator"] = Contender(through_operator(own.run), through_operator(own.answer))
    return compare(sides, once=once)


@pytest.mark.parametrize("contender", [*CONTENDERS, "operator"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_overhead(paired: Paired, torch: Any, once: bool, kind: str, contender: str) -> None:
    paired(f"{kind} overhead: 1,1,4,4", contender, lambda: measure_overhead(torch, kind, once))


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: "x".join(map(str, shape)))
@pytest.mark.parametrize("kind", KINDS)
def test_training_step(
    paired: Paired, torch: Any, once: bool, kind: str, shape: Shape, contender: str
) -> None:
    paired(f"{kind} in torch: {shape}", contender, lambda: measure_step(torch, kind, shape, once))


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_packed(paired: Paired, torch: Any, once: bool, kind: str, contender: str) -> None:
    paired(f"{kind} packed in torch: 32 rows of 1..128", contender, lambda: measure_packed(torch, kind, once))


@pytest.mark.parametrize("contender", CONTENDERS)
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_word_model(paired: Paired, torch: Any, once: bool, kind: str, contender: str) -> None:
    paired(f"{kind} model accelerated: V10000-H200", contender, lambda: measure_model(torch, kind, once))


@pytest.mark.parametrize("contender", [OURS, "apart"])
def test_one_team_of_threads(paired: Paired, torch: Any, once: bool, contender: str) -> None:
    result = paired(
        "in turn with torch: apart / in turn", contender, lambda: measure_turns_with_torch(torch, once)
    )
    if not once:
        assert np.median(result.ratios("apart")) > 1 / 1.3, "two OpenMP runtimes would take 16 times as long"
