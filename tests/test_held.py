"""A second input that stays the same for several steps: as if it stood beside x at each of them."""

from __future__ import annotations

from typing import Any

import checks
import numpy as np
import pytest
from errors import check
from layouts import without_padding

from fastrnn import _core

T, B, I, S, H = 13, 5, 6, 7, 19
OF = np.array([0] * 3 + [1] * 4 + [3] * 6)  # version 2 is nobody's
LENGTHS = np.array([13, 13, 8, 3, 0])


def inputs(rng: np.random.Generator, dtype: Any) -> dict[str, np.ndarray]:
    """Of one call."""
    shapes = {
        "x": (T, B, I),
        "held": (4, B, S),
        "w": (H, I),
        "v": (H, 2 * S),
        "r": (H, H),
        "b": (H,),
        "c": (H,),
    }
    return {name: rng.standard_normal(shape).astype(dtype) / 2 for name, shape in shapes.items()}


def run(cell: str, a: dict[str, np.ndarray], dy: np.ndarray, rounds: bool = False) -> dict[str, np.ndarray]:
    """All that a call with a held input gives; its weight is a part of a larger one."""
    weights, v = (a["w"], a["r"], a["b"], a["c"]), a["v"][:, S:]
    held = a["held"], v, OF
    y, (h,), saved = _core.recurrent_forward(
        cell, a["x"], None, weights, None, False, True, bfloat16=rounds, held=held
    )
    grads, whole, by_held = (
        tuple(map(np.zeros_like, weights)),
        np.zeros_like(a["v"]),
        np.zeros_like(a["held"]),
    )
    dx, (dh,) = _core.recurrent_backward(
        saved, a["x"], None, weights, None, y, dy, None, grads, None, True,
        held=(held, (by_held, whole[:, S:])),
    )  # fmt: skip
    assert not whole[:, :S].any()
    found = {"y": y, "h": h, "dx": dx, "dh": dh, "held": by_held, "v": whole[:, S:].copy()}
    return found | dict(zip(("w", "r", "b", "c"), grads, strict=True))


def run_beside(cell: str, a: dict[str, np.ndarray], dy: np.ndarray, rounds: bool = False) -> dict[str, Any]:
    """The same with an input of both at each step."""
    x = np.concatenate([a["held"][OF], a["x"]], axis=2)
    weights = np.concatenate([a["v"][:, S:], a["w"]], axis=1), a["r"], a["b"], a["c"]
    y, (h,), saved = _core.recurrent_forward(cell, x, None, weights, None, False, True, bfloat16=rounds)
    grads = tuple(map(np.zeros_like, weights))
    dx, (dh,) = _core.recurrent_backward(saved, x, None, weights, None, y, dy, None, grads, None, True)
    by_held = np.zeros_like(a["held"])
    np.add.at(by_held, OF, dx[..., :S])
    found = {"y": y, "h": h, "dx": dx[..., S:].copy(), "dh": dh, "held": by_held}
    return found | dict(
        zip(("v", "w", "r", "b", "c"), (*np.split(grads[0], [S], axis=1), *grads[1:]), strict=True)
    )


SIMPLE = ("rnn_tanh", "rnn_relu", "rnn_sigmoid", "rnn_identity")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("cell", SIMPLE)
def test_as_if_beside_x(isa: str, rng: np.random.Generator, dtype: np.dtype, cell: str) -> None:
    a, dy = inputs(rng, dtype), rng.standard_normal((T, B, H)).astype(dtype)
    found, want = run(cell, a, dy), run_beside(cell, a, dy)
    for name in ("y", "h", "dx", "dh", "w", "r", "b", "c"):
        checks.same_bits(found[name], np.ascontiguousarray(want[name]))
    for name in ("held", "v"):
        checks.close(found[name], want[name], "gradient")
    assert not found["held"][2].any()


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("rounds", [False, True])
def test_threads_and_batch_change_nothing(rng: np.random.Generator, rounds: bool) -> None:
    a, dy = inputs(rng, np.float32), rng.standard_normal((T, B, H)).astype(np.float32)
    runs = []
    for count in (1, 2, 7):
        _core.set_num_threads(count)
        runs.append(run("rnn_tanh", a, dy, rounds))
    for other in runs[1:]:
        for name, value in other.items():
            checks.same_bits(value, runs[0][name])
    row = slice(2, 3)
    alone = run("rnn_tanh", {**a, "x": a["x"][:, row], "held": a["held"][:, row]}, dy[:, row], rounds)
    for name in ("y", "dx", "held"):
        checks.same_bits(alone[name], runs[0][name][:, row].copy())


@pytest.mark.usefixtures("threads")
def test_rows_of_unlike_lengths(rng: np.random.Generator) -> None:
    a, dy = inputs(rng, np.float32), rng.standard_normal((T, B, H)).astype(np.float32)
    there = np.arange(T)[:, None] < LENGTHS
    dy[~there] = 0
    whole = run("rnn_tanh", a, dy)

    weights, held = (a["w"], a["r"], a["b"], a["c"]), a["held"].reshape(-1, S)
    of = without_padding(OF[:, None] * B + np.arange(B), LENGTHS)
    x = without_padding(a["x"], LENGTHS)
    for count in (1, 2, 7):
        _core.set_num_threads(count)
        y, _, saved = _core.recurrent_forward(
            "rnn_tanh", x, None, weights, None, False, True, lengths=LENGTHS, held=(held, a["v"][:, S:], of)
        )
        checks.same_bits(y, without_padding(whole["y"], LENGTHS))
        sums = np.zeros_like(held), np.zeros((H, S), np.float32)
        grads = tuple(map(np.zeros_like, weights))
        dx, _ = _core.recurrent_backward(
            saved, x, None, weights, None, y, without_padding(dy, LENGTHS), None, grads, None, True,
            held=((held, a["v"][:, S:], of), sums),
        )  # fmt: skip
        checks.same_bits(dx, without_padding(whole["dx"], LENGTHS))
        checks.same_bits(sums[0].reshape(4, B, S), whole["held"])
        checks.close(sums[1], whole["v"], "gradient")


@pytest.mark.usefixtures("threads")
def test_threads_of_wide_layers_with_lengths(rng: np.random.Generator) -> None:
    """Threads that share out units, and rows that are ever fewer, still add to rows of their own."""
    steps, hidden, lengths = 60, 256, np.array([60, 55, 47, 31, 30])
    widths = {"w": (hidden, 8), "r": (hidden, hidden), "v": (hidden, S)}
    w, r, v = (rng.standard_normal(shape).astype(np.float32) / 16 for shape in widths.values())
    there = np.arange(steps)[:, None] < lengths
    place = np.concatenate(
        [np.flatnonzero(there[t]) + len(lengths) * (t // 30) for t in reversed(range(steps))]
    )
    x = rng.standard_normal((len(place), 8)).astype(np.float32)
    held = rng.standard_normal((2 * len(lengths), S)).astype(np.float32), v, place
    weights, runs = (w, r, None, None), []
    for count in (1, 2, 7) * 8:
        _core.set_num_threads(count)
        y, _, saved = _core.recurrent_forward(
            "rnn_tanh", x, None, weights, None, False, True, lengths=lengths, held=held
        )
        sums = np.zeros_like(held[0]), np.zeros_like(v)
        grads = np.zeros_like(w), np.zeros_like(r), None, None
        _core.recurrent_backward(
            saved, x, None, weights, None, y, y, None, grads, None, True, held=(held, sums)
        )
        runs.append(sums)
    for other in runs[1:]:
        for found, want in zip(other, runs[0], strict=True):
            checks.same_bits(found, want)


A = inputs(np.random.default_rng(0), np.float32)
WEIGHTS = (A["w"], A["r"], A["b"], A["c"])
HELD = (A["held"], A["v"][:, S:], OF)


def forward(held: Any, cell: str = "rnn_tanh", **more: Any) -> Any:
    """A call with it."""
    weights = more.pop("weights", WEIGHTS)
    return _core.recurrent_forward(cell, A["x"], None, weights, None, False, True, held=held, **more)


def backward(dheld: Any, held: Any = HELD, forward_held: Any = HELD, **more: Any) -> Any:
    """And back."""
    y, _, saved = forward(forward_held)
    grads = tuple(map(np.zeros_like, WEIGHTS))
    return _core.recurrent_backward(
        saved, A["x"], None, WEIGHTS, None, y, y, None, grads, None, True, held=(held, dheld), **more
    )


def ragged(of: np.ndarray) -> Any:
    """A call with two rows of unlike lengths."""
    held = A["held"][:, 0].copy(), A["v"][:, S:], of
    x, lengths = A["x"][:3, 0].copy(), np.array([2, 1])
    return _core.recurrent_forward(
        "rnn_tanh", x, None, WEIGHTS, None, False, True, lengths=lengths, held=held
    )


SUMS = (np.zeros_like(A["held"]), np.zeros((H, S), np.float32))
OTHERS = "held: expected None but for simple cells without tokens, batch_first or reverse, got a tuple"
GRU = tuple(np.zeros(shape, np.float32) for shape in ((3 * H, I), (3 * H, H), (3 * H,), (3 * H,)))
ERRORS = {
    "cell": (lambda: forward(HELD, "gru", weights=GRU), ValueError, OTHERS),
    "reverse": (lambda: forward(HELD, reverse=True), ValueError, OTHERS),
    "no tuple": (lambda: forward(3), TypeError, "held: expected a tuple of 3 arrays, got int"),
    "rows": (
        lambda: forward((A["held"][:, :2], *HELD[1:])),
        ValueError,
        f"held[0]: expected shape (V, B, S) with axis 1 = {B}, got (4, 2, {S})",
    ),
    "weight": (
        lambda: forward((A["held"], A["w"], OF)),
        ValueError,
        f"held[1]: expected shape (H, S) = ({H}, {S}), got ({H}, {I})",
    ),
    "too few": (
        lambda: forward((*HELD[:2], OF[1:])),
        ValueError,
        f"held[2]: expected one for each step, ({T},), got ({T - 1},)",
    ),
    "range": (
        lambda: forward((*HELD[:2], OF + 1)),
        ValueError,
        "held[2]: expected integers in [0, 4), got 4 at index (7,)",
    ),
    "order": (
        lambda: forward((*HELD[:2], OF[::-1])),
        ValueError,
        "held[2]: expected ascending numbers, got others",
    ),
    "none forward": (
        lambda: backward(SUMS, forward_held=None),
        ValueError,
        "held: expected as in its forward call, got otherwise",
    ),
    "fewer rows than forward": (
        lambda: backward(SUMS, (A["held"][:3], *HELD[1:])),
        ValueError,
        "held[0]: expected V = 4 as in its forward call, got 3",
    ),
    "rows of two": (
        lambda: ragged(np.array([0, 1, 1])),
        ValueError,
        "held[2]: expected versions of one row of the batch each, got one of rows 0 and 1",
    ),
    "nothing to add to": (
        lambda: backward(SUMS, add=True),
        ValueError,
        "dx: expected an array to add to, got None",
    ),
    "no sums": (lambda: backward(None), TypeError, "dheld: expected a tuple of 2 arrays, got NoneType"),
    "shape of sums": (
        lambda: backward((SUMS[0][:2], SUMS[1])),
        ValueError,
        f"dheld[0]: expected shape of held[0] = (4, {B}, {S}), got (2, {B}, {S})",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    check(ERRORS[name])
