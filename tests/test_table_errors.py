"""Tables and buffers of the word2vec kernels that would be read, or written, past their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from binding_calls import CALLS
from errors import WEIGHTS, Case, I, check

from fastrnn import _core

OFFSETS, NODES, LABELS = CALLS["Word2VecRun"].arguments["paths"]
WORDS = len(OFFSETS) - 1
ALIAS = CALLS["Word2VecRun"].arguments["alias"]
ENDS, MEMBERS = CALLS["Word2VecRun: bags"].arguments["bags"]
BAGGED = len(ENDS) - 1
ROWS = BAGGED + len(CALLS["Word2VecRun: bags"].arguments["more"])
READ = CALLS["read_records"].arguments
STRIDED = memoryview(bytes(24))[::-2]


def run(**changed: Any) -> Any:
    return _core.Word2VecRun(**{**CALLS["Word2VecRun"].arguments, **changed})


def paths(offsets: np.ndarray = OFFSETS, nodes: np.ndarray = NODES) -> Any:
    return run(paths=(offsets, nodes, LABELS))


def bags(ends: np.ndarray = ENDS, members: np.ndarray = MEMBERS, **changed: Any) -> Any:
    return _core.Word2VecRun(**{**CALLS["Word2VecRun: bags"].arguments, "bags": (ends, members), **changed})


def edited(a: np.ndarray, at: Any, value: int) -> np.ndarray:
    out = a.copy()
    out[at] = value
    return out


def ragged(*lengths: int) -> Any:
    x = np.zeros((6, I), np.float32)
    return _core.recurrent_forward(
        "lstm", x, None, WEIGHTS, None, False, False, False, None, np.array(lengths)
    )


ERRORS: dict[str, Case] = {
    "alias": (
        lambda: run(alias=edited(ALIAS, (3, 1), WORDS)),
        ValueError,
        f"alias: expected words in [0, {WORDS}), got {WORDS}",
    ),
    "alias below": (
        lambda: run(alias=edited(ALIAS, (3, 1), 2**32 - 1)),
        ValueError,
        f"alias: expected words in [0, {WORDS}), got -1",
    ),
    "half of an entry": (
        lambda: run(types=np.zeros((40, 1), np.int32)),
        ValueError,
        "types: expected shape (N, 2) with axis 1 = 2, got (40, 1)",
    ),
    "paths": (
        lambda: paths(edited(OFFSETS, 1, OFFSETS[-1] + 5)),
        ValueError,
        "path offsets: expected numbers ascending from 0, got others",
    ),
    "paths begin": (
        lambda: paths(edited(OFFSETS, 0, -4)),
        ValueError,
        "path offsets: expected numbers ascending from 0, got others",
    ),
    "nodes": (
        lambda: paths(nodes=edited(NODES, 0, WORDS - 1)),
        ValueError,
        f"path nodes: expected integers in [0, {WORDS - 1}), got {WORDS - 1}",
    ),
    "two of three": (
        lambda: run(paths=(OFFSETS, NODES)),
        ValueError,
        "paths: expected 3 arrays, got 2",
    ),
    "bags": (
        lambda: bags(edited(ENDS, 1, 2**62)),
        ValueError,
        "bags offsets: expected ascending from 0 to the number of rows, got others",
    ),
    "bags begin": (
        lambda: bags(edited(ENDS, 0, -(2**62))),
        ValueError,
        "bags offsets: expected ascending from 0 to the number of rows, got others",
    ),
    "empty bag": (
        lambda: bags(edited(ENDS, 1, 0)),
        ValueError,
        "bags: expected lists of at least one row, got an empty one",
    ),
    "rows of bags": (
        lambda: bags(members=edited(MEMBERS, 0, ROWS)),
        ValueError,
        f"bags rows: expected integers in [0, {ROWS}), got {ROWS}",
    ),
    "one bag too few": (
        lambda: bags(ENDS[:-1].copy()),
        ValueError,
        f"bags offsets: expected shape (N,) = ({BAGGED + 1},), got ({BAGGED},)",
    ),
    "bags alone": (lambda: bags(bags=ENDS), TypeError, "bags: expected a tuple of 2 arrays, got ndarray"),
    "bags and tags": (
        lambda: bags(tags=CALLS["Word2VecRun: tags"].arguments["tags"]),
        ValueError,
        "bags: expected None where there are tags, got lists",
    ),
    "no inputs": (
        lambda: run(windows=False),
        ValueError,
        "windows: expected true where there are no tags, got false",
    ),
    "no factors": (
        lambda: run(more_locks=np.zeros(0, np.float32)),
        ValueError,
        "more_locks: expected at least one factor, got none",
    ),
    "rows of more": (
        lambda: run(more=np.zeros(16, np.float32)),
        ValueError,
        "more: expected shape (rows, stride), got (16,)",
    ),
    "buckets": (
        lambda: _core.ngrams([b"a"], 1, 3, 0),
        ValueError,
        "buckets: expected 1 to 2^31 - 1, got 0",
    ),
    "window": (lambda: run(window=0), ValueError, "window: expected an integer in [1, 1048576], got 0"),
    "negative": (lambda: run(negative=0), ValueError, "negative: expected an integer in [1, 1048576], got 0"),
    "no outputs": (
        lambda: run(output=None, nodes=None),
        TypeError,
        "output: expected an array when nodes is None, got None",
    ),
    "counts": (
        lambda: _core.huffman_paths(np.array([1, -1])),
        ValueError,
        "counts: expected numbers >= 0 with a sum below 2**63, got -1",
    ),
    "sum of counts": (
        lambda: _core.huffman_paths(np.array([2**62, 2**62])),
        ValueError,
        f"counts: expected numbers >= 0 with a sum below 2**63, got {2**62}",
    ),
    "threads": (
        lambda: _core.TextEncoder(-1, False),
        ValueError,
        "threads: expected an integer in [1, 1024], got -1",
    ),
    "text": (
        lambda: _core.TextEncoder(1, True).feed(STRIDED, True),
        ValueError,
        "text: expected contiguous bytes, got a strided buffer",
    ),
    "data": (
        lambda: _core.read_records(**{**READ, "data": STRIDED}),
        ValueError,
        "data: expected contiguous bytes, got a strided buffer",
    ),
    "range": (
        lambda: _core.read_records(**{**READ, "end": 13}),
        ValueError,
        "begin, end: expected a range of 12 bytes, got (0, 13)",
    ),
    "word": (
        lambda: _core.write_records([b"a", "b"], READ["rows"], False),
        TypeError,
        "words[1]: expected bytes, got str",
    ),
    "shape": (
        lambda: _core.empty((2, -1), READ["rows"]),
        ValueError,
        "shape: expected lengths >= 0, got (2, -1)",
    ),
    "lengths": (
        lambda: ragged(2**40, 1),
        ValueError,
        f"lengths: expected as many steps as x of shape (6, 5) has, got {2**40}",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
