"""Problems for the word2vec kernels, and how to run them on both sides."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import numpy as np
from ops import Run

from fastrnn import Word2Vec, _core
from fastrnn.reference import word2vec_inputs, word2vec_train, word2vec_windows
from fastrnn.word2vec import vocabulary
from fastrnn.word2vec._tables import Table

KEY = 0x1234_5678_9ABC_DEF0
OPTIONS: dict[str, Any] = {
    "cbow": False,
    "mean": True,
    "shrink": True,
    "shared": True,
    "deterministic": False,
}
# What is trained: against noise, against nodes, against both.
OUTPUTS = {"ns": ("output",), "hs": ("nodes",), "both": ("output", "nodes")}
# What a user asks for.
VARIANTS: dict[str, dict[str, Any]] = {
    "skip-gram": {"sg": 1},
    "cbow": {"sg": 0},
    "cbow sum": {"cbow_mean": 0},
    "skip-gram hs": {"sg": 1, "hs": 1, "negative": 0},
    "cbow hs": {"hs": 1, "negative": 0},
    "both": {"sg": 1, "hs": 1},
    "classic": {"sg": 1, "shared_negatives": False},
}


@dataclass
class Problem:
    """A corpus, tables in float32, and options of ``_core.Word2VecRun``."""

    ids: np.ndarray
    offsets: np.ndarray
    types: np.ndarray
    counts: np.ndarray
    tables: dict[str, np.ndarray]
    locks: np.ndarray
    window: int = 3
    negative: int = 5
    rate: float = 0.05
    slope: float = -1e-6
    options: dict[str, Any] = field(default_factory=dict)
    lists: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)  # bags or tags
    more_locks: np.ndarray = field(default_factory=lambda: np.ones(1, np.float32))


def make_problem(
    rng: np.random.Generator,
    outputs: str = "ns",
    *,
    words: int = 30,
    size: int = 20,
    sentences: int = 40,
    longest: int = 40,
    locks: int = 1,
    window: int = 3,
    negative: int = 5,
    bags: bool = False,
    tags: bool = False,
    joined: int = 0,
    **options: bool,
) -> Problem:
    """Sentences of 1 to `longest` words and some types that are no words; scores around 1.

    With `bags` a word is the mean of 1 to 6 rows, its own first; with `tags` a sentence has
    up to 2 documents, and with `joined` those with so many are trained, their inputs one after the other.
    """
    lengths = rng.integers(0, longest, sentences)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    types = words + 3
    ids = np.minimum(rng.geometric(0.1, offsets[-1]) - 1, types - 1).astype(np.int32)
    order = rng.permutation(types)
    table = np.zeros((types, 2), np.int32)
    table[:, 0] = np.where(order < words, order, -1)
    counts = np.bincount(order[ids], minlength=types)[:words].astype(np.int64)
    keep = vocabulary.keep_probability(counts, 0.02, int(counts.sum()))
    known = table[:, 0] >= 0
    table[known, 1] = vocabulary.keep_thresholds(keep)[table[known, 0]].view(np.int32)
    shapes = {"input": (words, size)}
    shapes["output"] = (words, (joined + 2 * window) * size if joined else size)
    shapes["nodes"] = (words - 1, shapes["output"][1])
    tables = {
        name: (rng.standard_normal(shapes[name]) * size**-0.25).astype(np.float32)
        for name in ("input", *OUTPUTS[outputs])
    }
    factors = np.ones(1, np.float32) if locks == 1 else rng.random(locks).astype(np.float32)
    case = Problem(
        ids, offsets, table, counts, tables, factors, window, negative, options={**OPTIONS, **options}
    )
    if joined:
        case.options["joined"] = (size, joined, words - 1)
    if bags or tags:
        tables["more"] = (rng.standard_normal((9, size)) * size**-0.25).astype(np.float32)
        case.more_locks = factors[::-1].copy()
    if bags:
        case.lists["bags"] = _lists(rng, [1 + i % 6 for i in range(words)], words)
        case.lists["bags"][1][case.lists["bags"][0][:-1]] = np.arange(words)
    if tags:
        case.lists["tags"] = _lists(rng, rng.integers(0, 3, sentences).tolist(), words)
    return case


def _lists(rng: np.random.Generator, lengths: list[int], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Lists of some of the 9 rows from `first` on, none twice in a list."""
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    rows = [first + rng.permutation(9)[:length] for length in lengths]
    return offsets, np.concatenate(rows).astype(np.int32)


def tables(case: Problem) -> dict[str, Table]:
    """Copies of its tables, to train."""
    return {name: Table(a) for name, a in case.tables.items()}


def arguments(case: Problem, tables: dict[str, Table], loss: bool = True) -> dict[str, Any]:
    """What ``_core.Word2VecRun`` takes, with these tables to train."""
    return {
        "ids": case.ids,
        "offsets": case.offsets,
        "types": case.types,
        **{
            name: tables[name].padded if name in tables else None
            for name in ("input", "output", "nodes", "more")
        },
        "alias": vocabulary.alias_table(case.counts, 0.75),
        "paths": _core.huffman_paths(case.counts + 1),
        "locks": None if (case.locks == 1).all() else case.locks,
        "more_locks": None if (case.more_locks == 1).all() else case.more_locks,
        **case.lists,
        "window": case.window,
        "negative": case.negative,
        "loss": loss,
        **case.options,
    }


def run_kernel(case: Problem, threads: int = 1, *, loss: bool = True, cuts: Sequence[int] = ()) -> Run:
    """Tables after an epoch, in turns that end at `cuts`, and the loss."""
    tables = {name: Table(a) for name, a in case.tables.items()}
    run = _core.Word2VecRun(**arguments(case, tables, loss))
    turns = itertools.pairwise([0, *cuts, len(case.ids)])
    found = sum(run.train(*turn, KEY, case.rate, case.slope, threads)[0] for turn in turns)
    for table in tables.values():
        assert not table.padded[:, table.rows.shape[1] :].any()
    return {
        **{name: table.rows.copy() for name, table in tables.items()},
        "loss": np.array([found], np.float32),
    }


def run_reference(case: Problem, train: ModuleType | None = None, dtype: Any = np.longdouble) -> Run:
    """The same by the reference, or by a mutant of it."""
    module: Any = word2vec_train if train is None else train
    tables = {name: a.astype(dtype) for name, a in case.tables.items()}
    run = module.Run(
        tables=tables,
        corpus=word2vec_windows.Corpus(case.ids, case.offsets, case.types),
        alias=vocabulary.alias_table(case.counts, 0.75),
        paths=_core.huffman_paths(case.counts + 1),
        locks=case.locks,
        more_locks=case.more_locks,
        window=case.window,
        negative=case.negative,
        **{name: word2vec_inputs.RowLists(*lists) for name, lists in case.lists.items()},
        **case.options,
    )
    run.train(KEY, case.rate, case.slope)
    return {**tables, "loss": np.array([run.loss])}


def topics(rng: np.random.Generator, sentences: int = 1500, length: int = 12) -> list[list[str]]:
    """Sentences of words from one of four topics: a0 ... a9 belong together."""
    return [[f"{'abcd'[t]}{i}" for i in rng.integers(0, 10, length)] for t in rng.integers(0, 4, sentences)]


def model(sentences: Any, **options: Any) -> Word2Vec:
    """A small one."""
    small = {"vector_size": 20, "epochs": 10, "workers": 1, "sample": 0, "alpha": 0.05}
    return Word2Vec(sentences, **{**small, **options})
