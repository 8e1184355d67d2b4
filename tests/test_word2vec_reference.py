"""The reference of word2vec: every update is the learning rate times a gradient, by complex step."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from mutants import mutant, one_bit_off
from word2vec import make_problem, run_kernel, run_reference

from fastrnn.reference import word2vec, word2vec_inputs, word2vec_train, word2vec_windows
from fastrnn.reference.testing import complex_gradient

RATE = 0.5
CONTEXTS, ROWS = np.array([1, 4, 2]), np.array([3, 0, 5, 2])
TAGGED = np.array([1, 4, 7 + 2])  # the last is a document
# Outputs from noise and from a path, and by what the update of the contexts differs from the gradient, as in
# gensim: each context gets all of the gradient of the mean, and a share of that of the sum.
VARIANTS: dict[str, tuple[dict[str, bool], str, list[float], float]] = {
    "skip-gram ns": ({}, "output", [1, 0, 0, 0], 1),
    "skip-gram hs": ({}, "nodes", [1, 0, 1, 1], 1),
    "cbow mean ns": ({"cbow": True}, "output", [1, 0, 0, 0], 3),
    "cbow mean hs": ({"cbow": True}, "nodes", [0, 0, 1, 0], 3),
    "cbow sum ns": ({"cbow": True, "mean": False}, "output", [1, 0, 0, 0], 1 / 3),
    "cbow sum hs": ({"cbow": True, "mean": False}, "nodes", [0, 1, 1, 0], 1 / 3),
    "n-grams": ({"bags": True}, "output", [1, 0, 0, 0], 2),
    "n-grams cbow": ({"bags": True, "cbow": True}, "output", [1, 0, 0, 0], 6),
    "n-grams cbow sum": ({"bags": True, "cbow": True, "mean": False}, "nodes", [1, 0, 0, 1], 1 / 6),
    "documents": ({"tags": True}, "output", [1, 0, 0, 0], 1),
    "documents cbow": ({"tags": True, "cbow": True}, "nodes", [1, 0, 0, 1], 3),
    "joined": ({"tags": True, "cbow": True, "joined": 1, "window": 1}, "output", [1, 0, 0, 0], 1),
    "joined hs": ({"tags": True, "cbow": True, "joined": 1, "window": 1}, "nodes", [1, 0, 0, 1], 1),
    "documents cbow sum": ({"tags": True, "cbow": True, "mean": False}, "output", [1, 0, 0, 0], 1 / 3),
}


def updates_are_gradients(
    rng: np.random.Generator, variant: str, module: ModuleType = word2vec_train
) -> None:
    """Skip-gram and CBOW: what a step adds is minus the rate times the derivative of its loss."""
    options, name, labels, factor = VARIANTS[variant]
    case = make_problem(rng, "ns" if name == "output" else "hs", words=7, size=5, **options)
    tables = {key: a.astype(np.float64) for key, a in case.tables.items()}
    unit = word2vec_train.Unit(TAGGED if "tags" in options else CONTEXTS, name, ROWS, np.array(labels))
    any_module: Any = module
    pairs = np.stack([np.arange(7), np.arange(7, 14)], axis=1).ravel()  # bags of two rows
    lists = {"bags": word2vec_inputs.RowLists(2 * np.arange(8), pairs)} if "bags" in options else {}

    def run(start: dict[str, np.ndarray]) -> Any:
        corpus = word2vec_windows.Corpus(case.ids, case.offsets, case.types)
        return any_module.Run(
            tables=start,
            corpus=corpus,
            alias=None,
            paths=None,
            locks=np.ones(1),
            window=3,
            negative=5,
            **lists,
            **case.options,
        )

    def loss(key: str, value: np.ndarray) -> Any:
        trainer = run({**tables, key: value})
        scores = word2vec.score(trainer.scored(unit, trainer._inputs(unit)), trainer.tables[name][ROWS])
        return word2vec.negative_log_likelihood(scores, unit.labels)

    after = {key: a.copy() for key, a in tables.items()}
    run(after)._steps(unit, RATE)
    for key, scale in (("input", factor), ("more", factor), (name, 1.0)):
        if key not in tables:
            continue
        gradient = complex_gradient(lambda value, key=key: loss(key, value), tables[key])
        checks.close(after[key] - tables[key], -RATE * scale * gradient, "complex step", key)


@pytest.mark.parametrize("variant", VARIANTS)
def test_updates_are_gradients(rng: np.random.Generator, variant: str) -> None:
    updates_are_gradients(rng, variant)


MUTANTS: dict[str, tuple[ModuleType, str, str]] = {
    "sign": (word2vec, "(labels - math.sigmoid(scores))", "(math.sigmoid(scores) - labels)"),
    "rate": (word2vec, "np.asarray(rate * ", "np.asarray(1.1 * rate * "),
    "inputs for outputs": (word2vec, "return g @ o, g.T @ x", "return g @ o, g.T @ (x + 1)"),
    "labels": (word2vec, "(labels - math", "(labels * 0.9 - math"),
}


@pytest.mark.parametrize("what", MUTANTS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_wrong_updates(rng: np.random.Generator, variant: str, what: str) -> None:
    wrong = mutant(word2vec_train, word2vec=mutant(*MUTANTS[what]))
    with pytest.raises(AssertionError):
        updates_are_gradients(rng, variant, wrong)


TRAIN_MUTANTS = {
    "mean": ("/ (self._rows(unit) if self.mean else 1)", "/ 1"),
    "share": ("share = 1 / self._rows(unit)", "share = 2 / self._rows(unit)"),
    "locks": ("self.inputs.lock(i) * dx[0]\n        return due", "dx[0]\n        return due"),
    "sentence": ("& (sentence[near] == sentence[i])", "& (sentence[near] > 0)"),
    "joined without null words": ("np.where(inside, words[at], self.joined[2])", "words[at]"),
    "joined in another order": (
        "np.concatenate([tags, self._padded",
        "np.concatenate([tags[::-1], self._padded",
    ),
    "joined of any tags": ("if len(tags) == self.joined[1]:", "if len(tags := tags[:1]):"),
    "joined gradient": ("row += self.inputs.lock(i) * part", "row += self.inputs.lock(i) * part[::-1]"),
    "documents": ("self.tags[sentence[i] - 1]", "self.tags[sentence[i] - 2]"),
    "weights": (
        "weights = np.array([len(self.inputs.rows(i)) for i in unit.inputs])",
        "weights = np.ones(len(x))",
    ),
    "outputs that stay": ("if not self.fixed_outputs", "if True"),
    "settled late": ("self.slots = 1 <<", "self.slots = 4 <<"),
    "never settled": ("        means.leave_all()\n", ""),
    "centre": ("near[(near != i)", "near[(near != i + 1)"),
    "target among the noise": ("(drawn[:, None] != words).sum(axis=1)", "np.full(len(drawn), len(words))"),
    "weights of noise": ("(drawn[:, None] != words).sum(axis=1)", "(drawn[:, None] != words).any(axis=1)"),
    "more words together": ("TOGETHER = 2", "TOGETHER = 3"),
    "documents together": ("lambda i: sentence[i]", "lambda i: 0"),
    "noise of another context": ("j * self.negative", "0 * self.negative"),
    "piece after piece": ("                table[:] = before[name]\n", ""),
    "all of the changes": ("(1 + q) / (1 + pieces * q)", "1 + 0 * q"),
    "another number of pieces": ("PIECE, PIECES = 128, 4", "PIECE, PIECES = 256, 2"),
    "pieces without changes": ("np.any(changes[name], axis=2).sum(axis=0)", "PIECES"),
    "a step late": ("(first - first % SLICE)", "(first + SLICE)"),
    "duplicates": (
        "np.add.at(self.tables[unit.table], rows, due)",
        "add_once(self.tables[unit.table], rows, due)",
    ),
    "stale group": ("np.array(x) if in_place else one", "one"),
}
BLOCKS: dict[str, Any] = {"deterministic": True, "words": 1024}
OPTIONS: dict[str, dict[str, Any]] = {
    "mean": {"cbow": True},
    "share": {"cbow": True, "mean": False},
    "locks": {"locks": 3},
    "noise of another context": {"shared": False},
    "documents": {"tags": True},
    "joined without null words": {"tags": True, "cbow": True, "joined": 1},
    "joined in another order": {"tags": True, "cbow": True, "joined": 2},
    "joined of any tags": {"tags": True, "cbow": True, "joined": 1},
    "joined gradient": {"tags": True, "cbow": True, "joined": 1},
    "weights": {"bags": True, "cbow": True},
    "outputs that stay": {"tags": True, "fixed_outputs": True},
    "weights of noise": {"tags": True, "windows": False},
    "more words together": {"tags": True, "windows": False},
    "documents together": {"tags": True, "windows": False},
    "settled late": {"bags": True, "window": 4},
    "never settled": {"bags": True},
    "duplicates": {"words": 4},
    "stale group": {"negative": 13},
    "a step late": {"slope": -1e-4},
    "piece after piece": BLOCKS,
    "all of the changes": BLOCKS,
    "another number of pieces": BLOCKS,
    "pieces without changes": BLOCKS,
}


def add_once(table: np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
    """What np.add.at is not."""
    table[rows] += values


@pytest.mark.parametrize("what", TRAIN_MUTANTS)
def test_kernel_is_far_from_a_wrong_reference(rng: np.random.Generator, what: str) -> None:
    options = dict(OPTIONS.get(what, {}))
    slope = options.pop("slope", 0.0)
    case = make_problem(rng, "ns", **options)
    case.slope = slope
    wrong = mutant(word2vec_train, *TRAIN_MUTANTS[what], add_once=add_once)
    checks.runs_close(run_kernel(case), run_reference(case), "word2vec")
    with pytest.raises(AssertionError):
        checks.runs_close(run_kernel(case), run_reference(case, wrong), "word2vec")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(streams & _LOW) <= ", "(streams >> _HALF) <= "),
        ("1 + ((streams >> _HALF)", "1 + ((streams & _LOW)"),
        ("(r & _LOW) < alias", "(r & _LOW) > alias"),
        ("np.arange(first, first + count)", "np.arange(first + 1, first + 1 + count)"),
    ],
)
def test_kernel_is_far_from_wrong_windows(rng: np.random.Generator, right: str, wrong: str) -> None:
    case = make_problem(rng, "ns")
    module = mutant(word2vec_train, word2vec_windows=mutant(word2vec_windows, right, wrong))
    with pytest.raises(AssertionError):
        checks.runs_close(run_kernel(case), run_reference(case, module), "word2vec")


def test_every_table_is_compared(rng: np.random.Generator) -> None:
    case = make_problem(rng, "both", deterministic=True)
    run = run_kernel(case)
    for name in run:
        with pytest.raises(AssertionError):
            checks.runs_same_bits(one_bit_off(run, name), run)
