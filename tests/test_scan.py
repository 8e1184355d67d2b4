"""Blocks of a sequence side by side: twin against loop, kernel against twin, layer against its own loop."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from mutants import mutant
from problems import Problem, make_problem, run_layer

import fastrnn
from fastrnn import _core, reference
from fastrnn.layers.scan import LEAST, ROWS, blocks_of
from fastrnn.reference import scan
from fastrnn.reference.math import sigmoid

KINDS = ["MinGru", "MinLstm"]
K, L, B, H = 4, 5, 3, 19


def blocks(rng: np.random.Generator, dtype: Any = np.longdouble) -> dict[str, np.ndarray]:
    """What is kept, what is added, and gradients, of K blocks of L steps."""
    keep, add, dy = (rng.random((K, L, B, H)).astype(dtype) for _ in range(3))
    state, dstate = (rng.standard_normal((B, H)).astype(dtype) for _ in range(2))
    return {"keep": keep, "add": add, "dy": dy, "state": state, "dstate": dstate}


def steps(keep: np.ndarray, add: np.ndarray, h: np.ndarray) -> np.ndarray:
    """h' = keep h + add, one after the other, [L, B, H]."""
    found = []
    for k, a in zip(keep, add, strict=True):
        h = k * h + a
        found.append(h)
    return np.stack(found)


def twin_is_the_loop(run: dict[str, np.ndarray], module: ModuleType = scan) -> None:
    """Joined states are those of the loop; edges backward are the gradients between blocks."""
    zeros = np.zeros((B, H), np.longdouble)
    apart = np.stack([steps(k, a, zeros) for k, a in zip(run["keep"], run["add"], strict=True)])
    y, edges = module.forward(run["keep"], apart, run["state"])
    want = steps(run["keep"].reshape(-1, B, H), run["add"].reshape(-1, B, H), run["state"])
    checks.close(y.reshape(-1, B, H), want, "identity")
    checks.close(edges, np.concatenate([run["state"][None], want[L - 1 : -1 : L]]), "identity")
    d, wanted = run["dstate"], []
    for k, dy in reversed(list(zip(run["keep"], run["dy"], strict=True))):
        wanted.insert(0, d)
        for keep, dy_t in zip(k[::-1], dy[::-1], strict=True):
            d = keep * (d + dy_t)
    checks.close(module.backward(run["keep"], run["dy"], run["dstate"]), np.stack(wanted), "identity")


def test_twin(rng: np.random.Generator) -> None:
    twin_is_the_loop(blocks(rng))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("y[k] + products[k] * state", "y[k] + state"),
        ("state = found[k, -1]", "state = y[k, -1]"),
        ("edges[k] = state", "edges[k] = found[k, -1]"),
        ("products[k, -1] * dstate", "dstate"),
    ],
)
def test_twin_sabotage(rng: np.random.Generator, right: str, wrong: str) -> None:
    with pytest.raises(AssertionError):
        twin_is_the_loop(blocks(rng), mutant(scan, right, wrong))


def kernel_is_the_twin(
    rng: np.random.Generator, dtype: Any, kind: str, reverse: bool, twin: ModuleType = scan
) -> None:
    """`_core.scan_forward` and `scan_backward`, of gates that the pass has made."""
    layer = make_problem(rng, kind, (1, 1, 7, H), dtype).layer
    weight, bias = (layer.params[f"{name}_l0"].astype(np.longdouble) for name in ("weight_ih", "bias_ih"))
    x = rng.standard_normal((B * K, L, 7)).astype(dtype)  # row b * K + k
    state, dstate = (rng.standard_normal((B, H)).astype(dtype) for _ in range(2))
    dy = rng.standard_normal((B * K, L, H)).astype(dtype)
    y, _, saved = _core.recurrent_forward(layer.cell, x, None, layer._weights[0], None, True, True, reverse)

    order = slice(None, None, -1 if reverse else 1)

    def turned(a: np.ndarray) -> np.ndarray:
        """By block and step, in the order of the pass: [K, L, B, columns]."""
        return a.astype(np.longdouble).reshape(B, K, L, -1)[:, order, order].transpose(1, 2, 0, 3)

    def back(a: np.ndarray) -> np.ndarray:
        """Rows again; of edges, [K, B, columns], too."""
        sequence = a if a.ndim == 4 else a[:, None]
        rows = sequence.transpose(2, 0, 1, 3)[:, order, order]
        return rows.reshape(B * K, *a.shape[1:-2], a.shape[-1])

    gates = np.split(turned(x) @ weight.T + bias, len(weight) // H, axis=-1)
    f, i = sigmoid(gates[0]), sigmoid(gates[1])
    keep = 1 - f if layer.cell == "min_gru" else f / (f + i)
    want, between = twin.forward(keep, turned(y), state.astype(np.longdouble))
    edges = _core.scan_forward(saved, K, y, state)
    checks.close(y, back(want), "forward")
    checks.close(edges, back(between), "forward")
    want = twin.backward(keep, turned(dy), dstate.astype(np.longdouble))
    checks.close(_core.scan_backward(saved, K, dy, dstate), back(want), "gradient")


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_kernel(isa: str, rng: np.random.Generator, dtype: np.dtype, kind: str, reverse: bool) -> None:
    kernel_is_the_twin(rng, dtype, kind, reverse)
    with pytest.raises(AssertionError):
        kernel_is_the_twin(
            rng, dtype, kind, reverse, mutant(scan, "state = found[k, -1]", "state = y[k, -1]")
        )


def scanned(problem: Problem) -> Problem:
    """The same problem for the layer with `scan=True`."""
    layer = problem.layer
    other = type(layer)(
        layer.input_size, layer.hidden_size, layer.num_layers, bias=layer.bias, batch_first=layer.batch_first,
        bidirectional=layer.bidirectional, dtype=str(layer.dtype), scan=True,
    )  # fmt: skip
    other.load_params(layer.params)
    other.flat_grads[:] = layer.flat_grads
    return replace(problem, layer=other)


@pytest.mark.parametrize(
    "options",
    [{}, {"state": False, "bias": False}, {"batch_first": True}, {"num_layers": 3, "bidirectional": True},
     {"num_layers": 2, "bidirectional": True, "batch_first": True}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize(
    "shape", [(4 * LEAST, 1, 5, 19), (5 * LEAST + 7, 3, 5, 16), (2 * LEAST + 1, 2, 9, 33)], ids=str
)
@pytest.mark.parametrize("kind", KINDS)
def test_layer(
    isa: str, rng: np.random.Generator, dtype: np.dtype, kind: str, shape: tuple, options: dict[str, Any]
) -> None:
    assert blocks_of(*shape[:2]) > 1
    problem = make_problem(rng, kind, shape, dtype, **options)
    checks.runs_close(run_layer(scanned(problem)), run_layer(problem), "identity", "identity")


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("kind", KINDS)
def test_threads(rng: np.random.Generator, kind: str) -> None:
    problem = scanned(make_problem(rng, kind, (3 * LEAST + 5, 2, 5, 40), "float32", bidirectional=True))
    checks.threads_change_nothing(lambda: run_layer(problem), (1, 2, 7))


@pytest.mark.parametrize("vocabulary", [5, 10_000])
def test_tokens(rng: np.random.Generator, vocabulary: int) -> None:
    found = []
    for scan_it in (False, True):
        model = fastrnn.Sequential(
            fastrnn.Embedding(vocabulary, 6, dtype="float64", seed=0),
            fastrnn.MinGRU(6, H, 2, bidirectional=True, scan=scan_it, dtype="float64", seed=1),
        )
        draw = np.random.default_rng(0)
        tokens, dy = draw.integers(0, vocabulary, (3 * LEAST, 2)), draw.standard_normal((3 * LEAST, 2, 2 * H))
        (y, (state,)), pullback = model.vjp(tokens)
        pullback(dy)
        found.append({"y": y, "h": state[0], "d": model.flat_grads.copy()})
    checks.runs_agree(found[1], found[0])


def test_blocks_depend_on_the_shape_alone() -> None:
    assert [blocks_of(t, 1) for t in (0, LEAST, 2 * LEAST - 1, 2 * LEAST, 10**6)] == [1, 1, 1, 2, ROWS]
    assert [blocks_of(10**6, rows) for rows in (1, 2, ROWS // 2, ROWS, 10**6)] == [ROWS, ROWS // 2, 2, 1, 1]


def test_short_sequences_run_as_ever(rng: np.random.Generator) -> None:
    problem = make_problem(rng, "MinGru", (2 * LEAST - 1, 2, 5, H), "float32")
    checks.runs_same_bits(run_layer(scanned(problem)), run_layer(problem))


def test_prepared_steps_run_the_loop(rng: np.random.Generator) -> None:
    layer = fastrnn.MinLSTM(5, H, scan=True, seed=0)
    x = rng.standard_normal((3 * LEAST, 2, 5)).astype("f4")
    want, _ = layer(x)
    y, _ = layer.prepare()(x)
    checks.close(y, want, "identity")


def test_errors(rng: np.random.Generator) -> None:
    layer, x = fastrnn.MinGRU(5, H, scan=True), np.zeros((3, 2, 5), "f4")
    with pytest.raises(ValueError, match=r"^lengths: expected None because scan is True, got some$"):
        layer(x, lengths=[1, 2])
    with pytest.raises(TypeError) as wrong:
        fastrnn.MinLSTM(5, H, scan=1)
    assert str(wrong.value) == "scan: expected True or False, got 1"
    y, _, saved = _core.recurrent_forward(
        "rnn_tanh", x, None, fastrnn.RNN(5, H)._weights[0], None, False, True
    )
    with pytest.raises(ValueError, match="cell: expected one that keeps a share of h, got 'rnn_tanh'"):
        _core.scan_forward(saved, 2, y, None)
    y, _, saved = _core.recurrent_forward("min_gru", x, None, layer._weights[0], None, False, True)
    with pytest.raises(ValueError, match="blocks: expected a divisor of 2 rows of one length, got 3"):
        _core.scan_forward(saved, 3, y, None)
    with pytest.raises(ValueError, match=r"y: expected shape \(T, B, H\) = \(3, 2, 19\), got \(3, 2, 5\)"):
        _core.scan_forward(saved, 2, x, None)
    with pytest.raises(TypeError, match="y: expected a NumPy array, got NoneType"):  # it is written to
        _core.scan_forward(saved, 2, None, None)
    with pytest.raises(ValueError, match=r"dstate: expected shape \(B, H\) = \(1, 19\), got \(2, 19\)"):
        _core.scan_backward(saved, 2, None, np.zeros((2, H), "f4"))


def test_reference_has_it() -> None:
    assert reference.scan is scan
