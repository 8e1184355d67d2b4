"""What the options of recurrent layers cost: lengths, both directions, single steps, the variants of a cell.

The rival is PyTorch where it has the option; else a layer of ours without it, and then ratios below one are
the cost: 1 / 1.1 is a tenth more time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import Paired
from paired import OURS, Contender, Result, compare, equal_threads, measure_turns

import fastrnn
from fastrnn._timing import timed

T, B, I, H = 64, 32, 128, 128
VARIANTS: dict[str, tuple[Any, Any]] = {
    "coupled / LSTM": (lambda: fastrnn.LSTM(I, H, coupled=True, seed=0), lambda: fastrnn.LSTM(I, H, seed=0)),
    "diagonal peephole / LSTM": (
        lambda: fastrnn.LSTM(I, H, peephole="diagonal", seed=0),
        lambda: fastrnn.LSTM(I, H, seed=0),
    ),
    "full peephole / LSTM": (
        lambda: fastrnn.LSTM(I, H, peephole="full", seed=0),
        lambda: fastrnn.LSTM(I, H, seed=0),
    ),
    "LayerNorm / LSTM": (
        lambda: fastrnn.LSTM(I, H, layer_norm="all", seed=0),
        lambda: fastrnn.LSTM(I, H, seed=0),
    ),
    "LayerNorm by gate / LSTM": (
        lambda: fastrnn.LSTM(I, H, layer_norm="gate", seed=0),
        lambda: fastrnn.LSTM(I, H, seed=0),
    ),
    "LayerNorm GRU / GRU": (
        lambda: fastrnn.GRU(I, H, layer_norm="all", seed=0),
        lambda: fastrnn.GRU(I, H, seed=0),
    ),
    "GRU before / after": (
        lambda: fastrnn.GRU(I, H, reset="before", seed=0),
        lambda: fastrnn.GRU(I, H, seed=0),
    ),
    "depth-gated / LSTM, 2 layers": (
        lambda: fastrnn.DepthGatedLSTM(I, H, 2, seed=0),
        lambda: fastrnn.LSTM(I, H, 2, seed=0),
    ),
    # Per step and row SCRN's formula has 1.25 times the multiplications of the RNN with C = 32.
    "SCRN / RNN": (lambda: fastrnn.SCRN(I, H, 32, seed=0), lambda: fastrnn.RNN(I, H, seed=0)),
    "Clockwork / RNN": (lambda: fastrnn.ClockworkRNN(I, H, seed=0), lambda: fastrnn.RNN(I, H, seed=0)),
    "MinGRU / LSTM": (lambda: fastrnn.MinGRU(I, H, seed=0), lambda: fastrnn.LSTM(I, H, seed=0)),
}


def normal(seed: int, *shape: int) -> np.ndarray:
    """Random float32."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def training(layer: Any, x: np.ndarray, dy: np.ndarray, lengths: Any = None) -> Callable[[], Any]:
    """A training step: y and dx; weight gradients add up."""

    def run() -> tuple[np.ndarray, np.ndarray]:
        (y, _), pullback = layer.vjp(x, None, lengths)
        return y, pullback(dy)[0]

    return run


def twin(torch: Any, layer: Any) -> Any:
    """The layer of torch.nn with the same weights."""
    theirs = getattr(torch.nn, type(layer).__name__)(
        layer.input_size, layer.hidden_size, layer.num_layers, bidirectional=layer.bidirectional
    )
    theirs.load_state_dict({name: torch.from_numpy(p.copy()) for name, p in layer.params.items()})
    return theirs


def against_torch(torch: Any, layer: Any, lengths: np.ndarray | None, steps: int, once: bool) -> Result:
    """A training step of a layer, on padded input or with lengths, beside torch."""
    x, dy = normal(1, steps, B, I), normal(2, steps, B, H * layer.directions)
    theirs, leaf, tdy = twin(torch, layer), torch.from_numpy(x).requires_grad_(), torch.from_numpy(dy)
    packing = torch.nn.utils.rnn

    def run() -> tuple[Any, Any]:
        leaf.grad = None
        theirs.zero_grad()
        if lengths is None:
            y, _ = theirs(leaf)
        else:
            packed = packing.pack_padded_sequence(leaf, torch.from_numpy(lengths), enforce_sorted=False)
            y, _ = packing.pad_packed_sequence(theirs(packed)[0], total_length=steps)
        y.backward(tdy)
        return y.detach().numpy(), leaf.grad.numpy()

    def answer(function: Callable[[], tuple[Any, Any]]) -> Callable[[], dict[str, np.ndarray]]:
        return lambda: dict(zip(("y", "dx"), (a.copy() for a in function()), strict=True))

    ours = training(layer, x, dy, lengths)
    return compare({OURS: Contender(ours, answer(ours)), "torch": Contender(run, answer(run))}, once=once)


@pytest.mark.parametrize("contender", [OURS, "torch"])
@pytest.mark.parametrize("kind", [fastrnn.LSTM, fastrnn.GRU], ids=lambda kind: kind.__name__)
def test_lengths(paired: Paired, torch: Any, once: bool, kind: Any, contender: str) -> None:
    lengths = np.random.default_rng(0).integers(1, 129, B)
    paired(
        f"lengths uniform in 1..128: {kind.__name__}",
        contender,
        lambda: against_torch(torch, kind(I, H, seed=0), lengths, 128, once),
    )


@pytest.mark.parametrize("contender", [OURS, "torch"])
def test_bidirectional(paired: Paired, torch: Any, once: bool, contender: str) -> None:
    layer = fastrnn.LSTM(I, H, 2, bidirectional=True, seed=0)
    paired("bidirectional, 2 layers: LSTM", contender, lambda: against_torch(torch, layer, None, T, once))


@pytest.mark.parametrize("contender", [OURS, "torch"])
def test_step(paired: Paired, torch: Any, once: bool, contender: str) -> None:
    def measure() -> Result:
        layer, x = fastrnn.LSTM(I, H, seed=0), normal(1, 1, I)
        prepared, theirs, step = layer.prepare(), twin(torch, layer), torch.from_numpy(x)[None]

        def run() -> Any:
            with torch.no_grad():
                return theirs(step)[0]

        return compare(
            {
                OURS: Contender(lambda: prepared.step(x), lambda: {"y": prepared.step(x)[0]}),
                "torch": Contender(run, lambda: {"y": run()[0].numpy()}),
            },
            once=once,
        )

    paired("one step, B=1: LSTM", contender, measure)


@pytest.mark.parametrize("contender", [OURS, "without"])
@pytest.mark.parametrize("which", [*VARIANTS, "lengths / padded"])
def test_variants(paired: Paired, once: bool, which: str, contender: str) -> None:
    def measure() -> Result:
        equal_threads()
        least = 0.0 if once else 0.02
        if which == "lengths / padded":
            layer, x, dy = fastrnn.LSTM(I, H, seed=0), normal(1, 128, B, I), normal(2, 128, B, H)
            lengths = np.random.default_rng(0).integers(1, 129, B)
            turns = {OURS: training(layer, x, dy, lengths), "without": training(layer, x, dy)}
        else:
            layers = [make() for make in VARIANTS[which]]
            turns = {
                name: training(layer, normal(1, T, B, I), normal(2, T, B, layer.output_size))
                for name, layer in zip((OURS, "without"), layers, strict=True)
            }
        return measure_turns({name: timed(run, least) for name, run in turns.items()}, once=once)

    paired(f"variant: {which}", contender, measure)


@pytest.mark.parametrize("contender", [OURS, "without"])
@pytest.mark.parametrize("shape", [(8192, 1, 16, 16), (8192, 1, 128, 128), (1024, 4, 128, 128)], ids=str)
def test_scan(paired: Paired, once: bool, shape: tuple[int, int, int, int], contender: str) -> None:
    def measure() -> Result:
        equal_threads()
        steps, rows, inputs, hidden = shape
        x, dy = normal(1, steps, rows, inputs), normal(2, steps, rows, hidden)
        turns = {
            name: timed(
                training(fastrnn.MinGRU(inputs, hidden, scan=scan, seed=0), x, dy), 0.0 if once else 0.02
            )
            for name, scan in ((OURS, True), ("without", False))
        }
        return measure_turns(turns, once=once)

    paired(f"scan: MinGRU {shape}", contender, measure)
