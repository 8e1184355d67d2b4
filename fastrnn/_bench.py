"""`fastrnn bench`: a recurrent layer on this machine, its share of the FMA peak, and PyTorch beside it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastrnn import _core
from fastrnn._compute import rounds
from fastrnn._timing import Turn, interleave, timed
from fastrnn._typing import Array
from fastrnn.layers import GRU, LSTM, RNN

Answer = dict[str, Array]
KINDS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}  # that PyTorch has too

SHAPES = ((64, 1, 128, 128), (64, 32, 128, 128), (35, 20, 200, 200), (64, 32, 256, 256), (64, 32, 512, 512))
ROUNDS = 11
# In eps of the largest element: both sides sum up to T*B terms, each in its own order. Over the shapes of
# bench_recurrent.py 48 at most, in a weight gradient over 16384 rows; a user's shape may have more of them.
TOLERANCE = 256
# With operands of 8 bits, whose rounding is 2**16 eps at most and mostly cancels.
ROUNDED = 2**17


class Shape(NamedTuple):
    """Steps, rows of the batch, inputs and hidden units of a recurrent layer."""

    T: int
    B: int
    I: int
    H: int

    def __str__(self) -> str:
        return ",".join(map(str, self))

    def flops(self, run: str, gates: int) -> float:
        """Of the matrix products; backward has two for each of forward's."""
        return (2.0 if run == "forward" else 6.0) * self.T * self.B * gates * self.H * (self.I + self.H)


class Ours:
    """One layer on fastrnn with an input and a gradient by its output."""

    def __init__(self, kind: str, shape: Shape, dtype: str = "float32", compute: str | None = None) -> None:
        draw = np.random.default_rng(0)
        self.kind = kind
        self.layer = KINDS[kind](shape.I, shape.H, dtype=dtype, compute=compute, seed=0)
        self.x: Array = draw.standard_normal((shape.T, shape.B, shape.I)).astype(dtype)
        self.dy: Array = draw.standard_normal((shape.T, shape.B, shape.H)).astype(dtype)

    def forward(self) -> object:
        """Without what a gradient needs."""
        return self.layer(self.x)

    def training(self) -> object:
        """Forward, dx, and the weight gradients, which add up: an optimiser sets them to zero in its pass."""
        _, pullback = self.layer.vjp(self.x)
        return pullback(self.dy)

    def answer(self) -> Answer:
        """All that both runs compute."""
        self.layer.zero_grad()
        y, state = self.layer(self.x)
        _, pullback = self.layer.vjp(self.x)
        dx, _ = pullback(self.dy)
        assert dx is not None
        states = dict(zip("hc", state, strict=False))
        return {"y": y, **states, "dx": dx} | {n: g.copy() for n, g in self.layer.grads.items()}


class Torch:
    """The same on the layer of that name in torch.nn, with the weights of `twin`."""

    def __init__(self, twin: Ours) -> None:
        self.torch = torch = peer("torch")
        dtype = getattr(torch, str(twin.layer.dtype))
        kind = getattr(torch.nn, twin.kind)
        self.layer = kind(twin.layer.input_size, twin.layer.hidden_size, dtype=dtype)
        weights = {name: torch.from_numpy(value.copy()) for name, value in twin.layer.params.items()}
        self.layer.load_state_dict(weights)
        self.x = torch.from_numpy(twin.x).requires_grad_()
        self.dy = torch.from_numpy(twin.dy)

    def forward(self) -> Any:
        """Without autograd."""
        with self.torch.no_grad():
            return self.layer(self.x)

    def training(self) -> object:
        """Forward and backward from no gradients, which is PyTorch's default and fastest."""
        self.x.grad = None
        self.layer.zero_grad()
        y, _ = self.layer(self.x)
        y.backward(self.dy)
        return y

    def answer(self) -> Answer:
        """All that both runs compute."""
        y, state = self.forward()
        states = dict(zip("hc", state if isinstance(state, tuple) else (state,), strict=False))
        self.training()
        grads = {name: p.grad for name, p in self.layer.named_parameters()}
        found = {"y": y, **states, "dx": self.x.grad} | grads
        return {name: self.array(tensor) for name, tensor in found.items()}

    def array(self, tensor: Any) -> Array:
        """A copy of a tensor."""
        found: Array = tensor.detach().numpy().copy()
        return found


def peer(name: str) -> Any:
    """Import another library; ImportError says what to do."""
    try:
        return __import__(name)
    except ImportError:
        raise ImportError(f"--against {name}: not installed; pip install {name}, or leave it out") from None


def check_equal(found: Answer, wanted: Answer, tolerance: float = TOLERANCE) -> None:
    """Raise ArithmeticError if two answers differ by more than `tolerance` eps of the largest element."""
    if found.keys() != wanted.keys():
        raise ArithmeticError(f"answers: expected {sorted(wanted)}, got {sorted(found)}")
    for name, want in wanted.items():
        got = found[name]
        if got.shape != want.shape:
            raise ArithmeticError(f"{name}: expected shape {want.shape}, got {got.shape}")
        unit = float(np.finfo(want.dtype).eps) * max(float(np.abs(want).max(initial=0)), 1e-3)
        error = float(np.abs(got - want).max(initial=0)) / unit
        if not error <= tolerance:
            raise ArithmeticError(f"{name}: expected to be equal within {tolerance:g} eps, got {error:.3g}")


def set_threads(threads: int | None, torch: Any = None) -> int:
    """Give all contenders the same number of threads; gives that number."""
    count = _core.get_num_threads() if threads is None else threads
    _core.set_num_threads(count)
    if torch is not None:
        torch.set_num_threads(count)
    return count


def _spread(values: Array, form: str) -> str:
    low, middle, high = np.percentile(values, [25, 50, 75])
    return f"{middle:{form}} [{low:{form}}, {high:{form}}]"


def _rows(
    kind: str, shape: Shape, dtype: str, compute: str | None, threads: int, rounds: int, against: str | None
) -> Iterable[list[Any]]:
    """Measure one shape; a row for forward, one for training, the ratio by round as the last item."""
    ours = Ours(kind, shape, dtype, compute)
    theirs = None if against is None else Torch(ours)
    if theirs is not None:
        check_equal(ours.answer(), theirs.answer(), TOLERANCE if compute is None else ROUNDED)
    turns: dict[str, Turn] = {"peak": lambda: _core.fma_peak(compute or dtype, threads)}
    for run in ("forward", "training"):
        turns[run] = timed(getattr(ours, run))
        if theirs is not None:
            turns[f"their {run}"] = timed(getattr(theirs, run))
    found = interleave(turns, rounds)
    for run in ("forward", "training"):
        speed = shape.flops(run, ours.layer.gates) / found[run] * 1e-9
        row = [str(shape), run, _spread(found[run] * 1e3, ".3f"), f"{np.median(speed):.1f}"]
        row.append(f"{np.median(speed / found['peak']):.0%}")
        ratio = None
        if theirs is not None:
            ratio = found[f"their {run}"] / found[run]
            row += [f"{np.median(found[f'their {run}']) * 1e3:.3f}", _spread(ratio, ".2f")]
        yield [row, found["peak"], ratio]


def _shape(text: str) -> Shape:
    parts = text.split(",")
    if len(parts) != 4 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected four positive whole numbers T,B,I,H, got {text}")
    return Shape(*map(int, parts))


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 to 1024, got {text}")
    return int(text)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    bench = argparse.ArgumentParser(
        prog="fastrnn bench", description="Time a recurrent layer: forward, and forward with all gradients."
    )
    bench.add_argument(
        "--shape",
        type=_shape,
        action="append",
        metavar="T,B,I,H",
        help="steps, batch, inputs, units; several times for several (default: five common ones)",
    )
    bench.add_argument("--cell", choices=list(KINDS), default="LSTM", help="default: %(default)s")
    bench.add_argument("--against", choices=["torch"], help="time another library beside it")
    bench.add_argument("--threads", type=_count, metavar="N", help="default: all cores")
    bench.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    bench.add_argument(
        "--compute", choices=["bfloat16"], help="what products are computed in, if not in dtype"
    )
    bench.add_argument("--rounds", type=_count, default=ROUNDS, metavar="N", help="default: %(default)s")
    return bench


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns 0.

    ImportError: no such peer; ArithmeticError: it gives another answer; ValueError, RuntimeError: it cannot
    compute in that.
    """
    from importlib.metadata import version

    args = parser().parse_args(argv)
    torch = None if args.against is None else peer(args.against)
    threads = set_threads(args.threads, torch)
    rounds(args.compute, args.dtype, strict=True)
    names = ["fastrnn", *([args.against] if args.against else [])]
    print(", ".join(f"{name} {version(name)}" for name in names), end="; ")
    print(f"{args.cell}, {_core.isa()}, {args.compute or args.dtype}, {threads} thread{'s'[: threads > 1]}")
    print(f"median [quartiles] of {args.rounds} rounds in random order; {_legend(args.against)}")
    head = ["T,B,I,H", "run", "ms", "GFLOP/s", "of peak"]
    head += [f"{args.against} ms", f"{args.against} / fastrnn"] if args.against else []
    widths = [17, 8, 25, 8, 7, 10, 18]
    print("  ".join(text.rjust(width) for text, width in zip(head, widths, strict=False)))
    peaks: list[Array] = []
    ratios: dict[str, list[float]] = {}
    for shape in args.shape or [Shape(*shape) for shape in SHAPES]:
        for row, peak, ratio in _rows(
            args.cell, shape, args.dtype, args.compute, threads, args.rounds, args.against
        ):
            print("  ".join(text.rjust(width) for text, width in zip(row, widths, strict=False)), flush=True)
            peaks.append(peak)
            if ratio is not None:
                ratios.setdefault(row[1], []).append(float(np.median(ratio)))
    for run, values in ratios.items():
        mean = math.exp(sum(map(math.log, values)) / len(values))
        print(f"{args.against} / fastrnn, {run}: geometric mean {mean:.2f}, least {min(values):.2f}")
    every = np.concatenate(peaks)
    print(f"{'FMA' if args.compute is None else args.compute} peak {_spread(every, '.0f')} GFLOP/s")
    low, high = np.percentile(every, [25, 75])
    if high > 1.1 * low:
        print("The peak varied by more than 10 %: something else uses this machine; measure again.")
    return 0


def _legend(against: str | None) -> str:
    text = "peak: fused multiply-adds alone, in the same rounds"
    return text if against is None else f"{text}; equal weights and threads, equal answers"
