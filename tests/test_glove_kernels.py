"""The kernels of GloVe: counts, updates and gradients against the reference."""

from __future__ import annotations

import itertools
import subprocess
import sys
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutants import mutant, one_bit_off
from ops import Run

from fastrnn import _core, reference
from fastrnn.reference.testing import complex_gradient
from fastrnn.word2vec import _cooccurrence
from fastrnn.word2vec._tables import Table

RATE, MOST, POWER = 0.05, 8.0, 0.75
NAMES = ("words", "contexts", "word_squares", "context_squares", "word_biases", "context_biases")


def counted(ids: np.ndarray, words: np.ndarray, offsets: np.ndarray, window: int, **how: Any) -> dict:
    """The kernel's entries as a dictionary."""
    vocabulary = int(words.max()) + 1
    span = {"first": 0, "last": vocabulary, "threads": 1, **how}
    found = _core.cooccurrences(ids, words, offsets, vocabulary, window=window, **span)
    assert (np.diff(found[:, 0]) >= 0).all()
    return {(r, c): x for r, c, x in zip(*found[:, :2].T.tolist(), found[:, 2].view("f4"), strict=True)}


@given(
    seed=st.integers(0, 1 << 30), window=st.integers(1, 7), threads=st.integers(1, 3), words=st.integers(1, 9)
)
def test_counts(seed: int, window: int, threads: int, words: int) -> None:
    rng = np.random.default_rng(seed)
    lengths = rng.integers(0, 12, 6)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    table = rng.permutation(np.arange(-2, words).clip(-1)).astype(np.int32)
    ids = rng.integers(0, len(table), offsets[-1]).astype(np.int32)
    sentences = [table[ids[a:b]] for a, b in itertools.pairwise(offsets)]
    want = reference.glove.cooccurrences(sentences, window)
    got = counted(ids, table, offsets, window, threads=threads)
    assert got.keys() == want.keys()
    checks.close(np.array([*got.values()], "f4"), np.array([want[k] for k in got]), "update", "counts")
    middle = words // 2
    parts = [counted(ids, table, offsets, window, first=a, last=b) for a, b in ((0, middle), (middle, words))]
    assert {**parts[0], **parts[1]} == got


VAST = """
import resource, numpy as np
from fastrnn import _core
resource.setrlimit(resource.RLIMIT_AS, (1 << 33, 1 << 33))
ids, words, offsets = np.array([0, 1, 0], "i4"), np.array([1, 0], "i4"), np.array([0, 3])
print(_core.cooccurrences(ids, words, offsets, 2**31 - 1, 0, 2**31 - 1, 2, 2)[:, :2].tolist())
"""


def test_a_vocabulary_beyond_its_words() -> None:
    """What is past the largest word is empty and costs no memory; 2**31 - 1 rows would take 69 GB."""
    done = subprocess.run([sys.executable, "-I", "-c", VAST], check=True, capture_output=True, text=True)
    assert done.stdout == "[[1, 0], [1, 1]]\n"


def test_groups() -> None:
    """Of rows that are counted together; one that is too large is alone."""
    counts = np.array([9, 1, 2, 3, 1])
    assert list(_cooccurrence.groups(counts, 4)) == [(0, 1), (1, 3), (3, 5)]
    assert list(_cooccurrence.groups(counts, 100)) == [(0, 5)]


def problem(
    rng: np.random.Generator, size: int = 20, words: int = 9
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Tables in float32, and entries of which some have the full weight."""
    tables = {name: rng.standard_normal((words, size)).astype(np.float32) / 3 for name in NAMES[:2]}
    tables |= {name: 1 + rng.random((words, size), np.float32) for name in NAMES[2:4]}
    tables |= {name: 1 + rng.random((words, 2), np.float32) for name in NAMES[4:]}
    places = np.stack(np.tril_indices(words), axis=1).astype(np.int32)
    counts = rng.gamma(0.5, 20, (len(places), 1)).astype(np.float32) + np.float32(0.1)
    return tables, np.concatenate([places, counts.view(np.int32)], axis=1)


def run_kernel(tables: dict[str, np.ndarray], entries: np.ndarray, cuts: tuple[int, ...] = ()) -> Run:
    """Tables after a pass on one thread, and the loss."""
    rows = {name: Table(tables[name]) for name in NAMES[:4]}
    for name in NAMES[2:4]:
        rows[name].padded[:, rows[name].rows.shape[1] :] = 1
    biases = {name: tables[name].copy() for name in NAMES[4:]}
    padded = {name: table.padded for name, table in rows.items()}
    run = _core.GloveRun(entries=entries, **padded, **biases, rate=RATE, most=MOST, power=POWER)
    parts = itertools.pairwise([0, *cuts, len(entries)])
    loss = sum(run.train(begin, end, 3, 7, 1) for begin, end in parts)
    for name in NAMES[:2]:
        assert not rows[name].padded[:, rows[name].rows.shape[1] :].any()
    trained = {name: table.rows.copy() for name, table in rows.items()}
    return {**trained, **biases, "loss": np.array([loss], np.float32)}


def run_reference(
    tables: dict[str, np.ndarray], entries: np.ndarray, module: ModuleType = reference.glove
) -> Run:
    """The same in longdouble."""
    any_module: Any = module
    t = any_module.Tables(**{name: a.astype(np.longdouble) for name, a in tables.items()})
    triples = [
        (int(r), int(c), x) for (r, c), x in zip(entries[:, :2], entries[:, 2].view("f4"), strict=True)
    ]
    triples = [(r, c, np.longdouble(x)) for r, c, x in triples]
    loss = any_module.train(t, triples, 3, 7, *(np.longdouble(np.float32(x)) for x in (RATE, MOST, POWER)))
    return {**{name: getattr(t, name) for name in NAMES}, "loss": np.array([loss])}


@pytest.mark.parametrize("size", [1, 16, 17, 100])
def test_kernel(isa: str, rng: np.random.Generator, size: int) -> None:
    tables, entries = problem(rng, size)
    checks.runs_close(run_kernel(tables, entries), run_reference(tables, entries), "word2vec")


def test_instruction_sets(rng: np.random.Generator) -> None:
    tables, entries = problem(rng)
    fused = tuple(name for name in _core.available_isas() if name != "sse4")  # has no fma
    checks.isas_agree(lambda: run_kernel(tables, entries), fused)


def test_parts_of_a_pass(rng: np.random.Generator) -> None:
    tables, entries = problem(rng, 5, 60)
    assert len(entries) > _core.GLOVE_SLICE
    whole, cut = run_kernel(tables, entries), run_kernel(tables, entries, (_core.GLOVE_SLICE,))
    checks.runs_same_bits({**cut, "loss": whole["loss"]}, whole)
    with pytest.raises(AssertionError):
        checks.runs_same_bits(one_bit_off(whole, "contexts"), whole)


MUTANTS = {
    "sign": ("value -= gradient", "value += gradient"),
    "squares first": (
        "    value -= gradient / np.sqrt(squares)\n    squares += gradient * gradient",
        "    squares += gradient * gradient\n    value -= gradient / np.sqrt(squares)",
    ),
    "weight": ("np.minimum(1, (np", "np.minimum(2, (np"),
    "one after the other": ("scale * c, scale * w", "scale * c, scale * (w - scale * c)"),
    "one direction": ("if row != column:", "if row > column + 99:"),
    "order": ("entries[(start + i * stride)", "entries[(start + i)"),
    "no bias": ("w @ c + b[0] + a[0] - np", "w @ c + b[0] - np"),
}


@pytest.mark.parametrize("what", MUTANTS)
def test_kernel_is_far_from_a_wrong_reference(rng: np.random.Generator, what: str) -> None:
    tables, entries = problem(rng)
    wrong = mutant(reference.glove, *MUTANTS[what])
    with pytest.raises(AssertionError):
        checks.runs_close(run_kernel(tables, entries), run_reference(tables, entries, wrong), "word2vec")


def updates_are_gradients(rng: np.random.Generator, module: Any = reference.glove) -> None:
    """With squares of 1 a step is minus the rate times the derivative of the loss."""
    tables = {name: a.astype(np.float64) for name, a in problem(rng, 5)[0].items()}
    for name in NAMES[2:4]:
        tables[name][:] = 1
    for name in NAMES[4:]:
        tables[name][:, 1] = 1
    for count in (0.7, 30.0):  # below and above MOST
        t = module.Tables(**{name: a.copy() for name, a in tables.items()})
        module.step(t, 2, 5, count, 0.01, MOST, POWER)
        parts = [tables["words"][2], tables["contexts"][5]]
        parts += [tables["word_biases"][2, :1], tables["context_biases"][5, :1]]
        got = [t.words[2], t.contexts[5], t.word_biases[2, :1], t.context_biases[5, :1]]
        for k, name in enumerate(("w", "c", "b", "a")):

            def loss(value: np.ndarray, k: int = k, count: float = count, parts: Any = parts) -> Any:
                w, c, b, a = (value if i == k else part for i, part in enumerate(parts))
                return module.loss(w, c, b[0], a[0], count, MOST, POWER)

            checks.close(got[k] - parts[k], -0.01 * complex_gradient(loss, parts[k]), "complex step", name)


def test_updates_are_gradients(rng: np.random.Generator) -> None:
    updates_are_gradients(rng)
    with pytest.raises(AssertionError):
        updates_are_gradients(
            rng, mutant(reference.glove, "a[0] - np.log(count)", "a[0] - np.log(2 * count)")
        )
