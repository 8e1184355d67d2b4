"""What which_cell.py trains: a layer of every cell at equal parameters, and four tasks for it."""

from __future__ import annotations

import bisect
import functools
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from quality import folder, streams

import fastrnn
from fastrnn.data import Vocabulary, read_text
from fastrnn.losses import MSE, LinearCrossEntropy

PARAMETERS, EMBEDDING, LR = 30_000, 64, 3e-3
Make = Callable[..., Any]  # (inputs, hidden, seed=) to layer

CELLS: dict[str, Make] = {
    "RNN, tanh": fastrnn.RNN,
    "IRNN": lambda *sizes, **o: fastrnn.init.identity(fastrnn.RNN(*sizes, nonlinearity="relu", **o)),
    "LSTM": fastrnn.LSTM,
    "LSTM, coupled": lambda *sizes, **o: fastrnn.LSTM(*sizes, coupled=True, **o),
    "LSTM, projected to a half": lambda inputs, h, **o: fastrnn.LSTM(
        inputs, h, proj_size=max(h // 2, 1), **o
    ),
    "LSTM, diagonal peepholes": lambda *sizes, **o: fastrnn.LSTM(*sizes, peephole="diagonal", **o),
    "LSTM, full peepholes": lambda *sizes, **o: fastrnn.LSTM(*sizes, peephole="full", **o),
    "GRU, reset after": fastrnn.GRU,
    "GRU, reset before": lambda *sizes, **o: fastrnn.GRU(*sizes, reset="before", **o),
    "MinGRU": fastrnn.MinGRU,
    "MinLSTM": fastrnn.MinLSTM,
    "SCRN": lambda inputs, h, **o: fastrnn.SCRN(inputs, h - h // 4, h // 4, **o),  # a quarter is context
    "Clockwork": lambda inputs, h, **o: fastrnn.ClockworkRNN(inputs, h, module_sizes=_quarters(h), **o),
    "LSTM, two layers": lambda *sizes, **o: fastrnn.LSTM(*sizes, 2, **o),
    "LSTM, two layers, depth-gated": lambda *sizes, **o: fastrnn.DepthGatedLSTM(*sizes, 2, **o),
    "LSTM, layer norm over all gates": lambda *sizes, **o: fastrnn.LSTM(*sizes, layer_norm="all", **o),
    "LSTM, layer norm by gate": lambda *sizes, **o: fastrnn.LSTM(*sizes, layer_norm="gate", **o),
    "GRU, layer norm over all gates": lambda *sizes, **o: fastrnn.GRU(*sizes, layer_norm="all", **o),
    "GRU, layer norm by gate": lambda *sizes, **o: fastrnn.GRU(*sizes, layer_norm="gate", **o),
}


def _quarters(hidden: int) -> list[int]:
    return [hidden // 4 + (k < hidden % 4) for k in range(4)]


@functools.cache
def widest(cell: str) -> int:
    """The largest hidden size with no more parameters than there may be."""
    sizes = range(1, 1024)
    return bisect.bisect(sizes, PARAMETERS, key=lambda h: CELLS[cell](EMBEDDING, h, seed=0).flat_params.size)


def tagger(cell: str, words: int, classes: int, seed: int) -> Any:
    """Embedding, cell and softmax."""
    layer = CELLS[cell](EMBEDDING, widest(cell), seed=seed + 1)
    body = fastrnn.Sequential(fastrnn.Embedding(words, EMBEDDING, seed=seed), layer)
    return fastrnn.value_and_grad(body, LinearCrossEntropy(layer.output_size, classes, seed=seed + 2))


def train(model: Any, batches: Iterator[tuple[Any, Any, Any]], carry: bool = False) -> None:
    """One update for each (x, targets, mask)."""
    optimizer, state = fastrnn.optim.Adam(model, lr=LR), None
    for x, targets, mask in batches:
        _, after = model(x, targets, state, mask=mask)
        optimizer.step(max_norm=1.0)
        state = after if carry else None


class Text:
    """A language model; nats a token on held-out text."""

    def __init__(self, training: str, held_out: str, unit: Any, shape: tuple[int, int], updates: int) -> None:
        vocabulary = Vocabulary.from_text(training + held_out, unit)
        self.words, self.updates = len(vocabulary), updates
        self.training = streams(vocabulary, training, *shape)
        self.held_out = streams(vocabulary, held_out, 20, 100, whole=True)

    def run(self, cell: str, seed: int) -> float:
        """Train and judge; all cells see the same chunks."""
        model = tagger(cell, self.words, self.words, seed)
        chunks = itertools.islice(itertools.cycle(self.training), self.updates)
        train(model, ((x, targets, None) for x, targets in chunks), carry=True)
        total, count, state = 0.0, 0, None
        for x, targets in self.held_out:
            part, terms, state = model.total(x, targets, state)
            total, count = total + part, count + terms
        return total / count


class Adding:
    """The adding problem, see examples/long_memory.py; mean squared error, 1/6 = 0.167 for a guess."""

    STEPS, BATCH, UPDATES = 100, 16, 1500

    def examples(self, rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Numbers with two of them marked; their sum counts, after the last step."""
        x = np.zeros((self.STEPS, rows, 2), np.float32)
        x[..., 0] = rng.random((self.STEPS, rows))
        targets, mask = np.zeros((self.STEPS, rows, 1), np.float32), np.zeros((self.STEPS, rows), bool)
        mask[-1] = True
        for half in range(2):
            at = rng.integers(0, self.STEPS // 2, rows) + half * self.STEPS // 2, np.arange(rows)
            x[(*at, 1)] = 1
            targets[-1, :, 0] += x[(*at, 0)]
        return x, targets, mask

    def run(self, cell: str, seed: int) -> float:
        """Train and judge."""
        rng, layer = np.random.default_rng(seed), CELLS[cell](EMBEDDING, widest(cell), seed=seed + 1)
        body = fastrnn.Sequential(
            fastrnn.Linear(2, EMBEDDING, seed=seed),
            layer,
            fastrnn.Linear(layer.output_size, 1, seed=seed + 2),
        )
        model = fastrnn.value_and_grad(body, MSE())
        train(model, (self.examples(rng, self.BATCH) for _ in range(self.UPDATES)))
        x, targets, mask = self.examples(np.random.default_rng(10**6), 1000)
        return float(model.loss(x, targets, mask=mask)[0])


class Atis:
    """Slots of flight queries, read from left to right; F1 of whole slots, in per cent."""

    BATCH, EPOCHS = 16, 5

    def __init__(self, place: Path) -> None:
        self.training, self.test = (
            [
                tuple(part.split() for part in line.split("\t"))
                for line in (place / f"atis.{part}.iob").read_text().splitlines()
            ]
            for part in ("train", "test")
        )
        self.words = {
            word: k for k, word in enumerate(dict.fromkeys(["<unk>", *_all(w for w, _ in self.training)]))
        }
        self.tags = list(dict.fromkeys(_all(t for _, t in self.training)))
        self.classes = {tag: k for k, tag in enumerate(self.tags)}

    def batch(self, queries: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Words, classes and which of them are there, [T, B]."""
        shape = (max(len(words) for words, _ in queries), len(queries))
        x, targets, mask = np.zeros(shape, np.int32), np.zeros(shape, np.int32), np.zeros(shape, bool)
        for row, (words, tags) in enumerate(queries):
            x[: len(words), row] = [self.words.get(word, 0) for word in words]
            targets[: len(words), row] = [self.classes.get(tag, 0) for tag in tags]
            mask[: len(words), row] = True
        return x, targets, mask

    def run(self, cell: str, seed: int) -> float:
        """Train and judge."""
        rng, model = np.random.default_rng(seed), tagger(cell, len(self.words), len(self.tags), seed)
        orders = (rng.permutation(len(self.training)) for _ in range(self.EPOCHS))
        starts = range(0, len(self.training), self.BATCH)
        train(
            model,
            (
                self.batch([self.training[k] for k in order[s : s + self.BATCH]])
                for order, s in itertools.product(orders, starts)
            ),
        )
        x, _, _ = self.batch(self.test)
        found = model.children["loss"].logits(model.children["model"](x)[0]).argmax(-1)
        right = there = said = 0
        for row, (words, tags) in enumerate(self.test):
            truth, guess = _slots(tags), _slots([self.tags[k] for k in found[: len(words), row]])
            right, there, said = right + len(truth & guess), there + len(truth), said + len(guess)
        return 100 * 2 * right / (there + said)


def _all(lists: Any) -> list[str]:
    return [item for items in lists for item in items]


def _slots(tags: list[str]) -> set[tuple[int, int, str]]:
    """Slots as (begin, end, kind), as conlleval reads B- and I-."""
    found, begin, kind = set(), 0, ""
    for k, tag in enumerate([*tags, "O"]):
        if kind and tag != f"I-{kind}":
            found.add((begin, k, kind))
            kind = ""
        if tag != "O" and not kind:
            begin, kind = k, tag[2:]
    return found


def shakespeare() -> Text:
    """Characters."""
    text = read_text(folder("tinyshakespeare") / "input.txt")
    cut = len(text) * 9 // 10
    return Text(text[:cut], text[cut:], "character", (16, 64), 1500)


def ptb() -> Text:
    """Words."""
    train, valid = (read_text(folder("ptb") / f"ptb.{part}.txt") for part in ("train", "valid"))
    return Text(train, valid, "word", (20, 20), 600)


TASKS: dict[str, tuple[Callable[[], Any], str]] = {
    "adding": (Adding, "mean squared error"),
    "atis": (lambda: Atis(folder("atis")), "slot F1, %"),
    "tinyshakespeare": (shakespeare, "nats a character"),
    "ptb": (ptb, "nats a word"),
}
