"""Simple models beside the networks: hidden Markov, naive Bayes, persistence, ridge regression."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check, metrics
from fastrnn._stored import Stored
from fastrnn.models._sentences import Labels

if TYPE_CHECKING:
    from fastrnn.models import Forecaster
    from fastrnn.windows import Windows

Sentences = Sequence[Sequence[str]]


class HiddenMarkovTagger(Stored):
    """
    Tags by a hidden Markov model of two tags, and Viterbi's algorithm.

    Probabilities are counts + `k`, over their sum. An unknown word has the emissions of the words that occur
    once.

    Parameters
    ----------
    k
        Added to all counts.

    References
    ----------
    Rabiner: A tutorial on hidden Markov models and selected applications in speech recognition. Proceedings
    of the IEEE 77, 1989.
    """

    def __init__(self, k: float = 0.1) -> None:
        self.k = _check.real("k", k)
        if not self.k > 0:
            raise ValueError(f"k: expected a positive number, got {self.k:g}")

    def fit(self, x: Sentences, y: Sentences) -> HiddenMarkovTagger:
        """Count; raises ValueError where sentences and tags do not go together."""
        x, y = _check.items(x), _check.items(y)
        self.labels = Labels("y", y)
        tags = self.labels.sequences("y", y, "x", x)
        size, words = len(self.labels), [word for sentence in x for word in sentence]
        moves, first = np.full((size, size), self.k), np.full(size, self.k)
        begin = tags.starts
        np.add.at(first, tags.flat[begin], 1)
        inner = np.ones(len(tags.flat), bool)
        inner[begin] = False
        np.add.at(moves, (tags.flat[:-1][inner[1:]], tags.flat[1:][inner[1:]]), 1)
        counts = Counter(words)
        emitted: dict[str, np.ndarray[Any, Any]] = defaultdict(lambda: np.zeros(size))
        unknown = np.zeros(size)
        for word, tag in zip(words, tags.flat, strict=True):
            emitted[word][tag] += 1
            unknown[tag] += counts[word] == 1
        total = sum(emitted.values()) + unknown + self.k * (len(emitted) + 1)
        self._first = np.log(first / first.sum())
        self._moves = np.log(moves / moves.sum(axis=1, keepdims=True))
        self._emit = {word: np.log((seen + self.k) / total) for word, seen in emitted.items()}
        self._unknown = np.log((unknown + self.k) / total)
        return self

    def _state(self) -> dict[str, Any]:
        _fitted(self, "save")
        logs = {"first": self._first, "moves": self._moves, "unknown": self._unknown}
        emit = np.array(list(self._emit.values()))
        return {"k": self.k, "labels": self.labels.names, "words": list(self._emit), "emit": emit, **logs}

    @classmethod
    def _restored(cls, model: dict[str, Any]) -> HiddenMarkovTagger:
        made = cls(model["k"])
        made.labels = Labels("labels", model["labels"])
        made._first, made._moves, made._unknown = (model[name] for name in ("first", "moves", "unknown"))
        made._emit = dict(zip(model["words"], model["emit"], strict=True))
        return made

    def predict(self, x: Sentences) -> list[list[str]]:
        """Return the likeliest tags of each sentence."""
        _fitted(self, "predict")
        return [self._viterbi(sentence) for sentence in _check.items(x)]

    def _viterbi(self, sentence: Sequence[str]) -> list[str]:
        best, back = self._first, []
        for place, word in enumerate(sentence):
            emit = self._emit.get(word, self._unknown)
            if place:
                through = best[:, None] + self._moves
                back.append(through.argmax(axis=0))
                best = through.max(axis=0)
            best = best + emit
        path = [int(best.argmax())] if len(sentence) else []
        for pointers in reversed(back):
            path.append(int(pointers[path[-1]]))
        return [self.labels.names[k] for k in reversed(path)]


class NaiveBayes(Stored):
    """
    Labels of sentences by their words and pairs of words: multinomial naive Bayes.

    Parameters
    ----------
    k
        Added to all counts.
    pairs
        Count pairs of neighbours too.
    binary
        Count a word once in a sentence.

    References
    ----------
    Wang, Manning: Baselines and bigrams: simple, good sentiment and topic classification. ACL 2012.
    """

    def __init__(self, k: float = 1.0, *, pairs: bool = True, binary: bool = True) -> None:
        self.k = _check.real("k", k)
        if not self.k > 0:
            raise ValueError(f"k: expected a positive number, got {self.k:g}")
        self.pairs, self.binary = _check.flag("pairs", pairs), _check.flag("binary", binary)

    def fit(self, x: Sentences, y: Sequence[str]) -> NaiveBayes:
        """Count; raises ValueError where sentences and labels do not go together."""
        x, y = _check.items(x), _check.items(y)
        self.labels = Labels("y", y)
        numbers, size = self.labels.array("y", y, "x", x), len(self.labels)
        counts: dict[Any, np.ndarray[Any, Any]] = defaultdict(lambda: np.full(size, self.k))
        for sentence, number in zip(x, numbers, strict=True):
            for item in self._features(sentence):
                counts[item][number] += 1
        total = sum(counts.values(), np.zeros(size))
        self._weights = {item: np.log(seen / total) for item, seen in counts.items()}
        self._prior = np.log(np.bincount(numbers, minlength=size) / len(numbers))
        return self

    def _state(self) -> dict[str, Any]:
        _fitted(self, "save")
        options = {"k": self.k, "pairs": self.pairs, "binary": self.binary}
        items = [[item] if isinstance(item, str) else list(item) for item in self._weights]
        weights = np.array(list(self._weights.values())).reshape(len(items), len(self.labels))
        return {
            "options": options,
            "labels": self.labels.names,
            "items": items,
            "weights": weights,
            "prior": self._prior,
        }

    @classmethod
    def _restored(cls, model: dict[str, Any]) -> NaiveBayes:
        made = cls(**model["options"])
        made.labels = Labels("labels", model["labels"])
        items = [tuple(item) if len(item) > 1 else item[0] for item in model["items"]]
        made._weights, made._prior = dict(zip(items, model["weights"], strict=True)), model["prior"]
        return made

    def predict(self, x: Sentences) -> list[str]:
        """Return the likeliest label of each sentence; what was never seen says nothing."""
        _fitted(self, "predict")
        nothing, found = np.zeros(len(self.labels)), []
        for sentence in _check.items(x):
            score = self._prior + sum(
                (self._weights.get(item, nothing) for item in self._features(sentence)), nothing
            )
            found.append(self.labels.names[int(score.argmax())])
        return found

    def score(self, x: Sentences, y: Sequence[str]) -> float:
        """Return the share of right labels."""
        return metrics.accuracy(y, self.predict(x))

    def _features(self, sentence: Sequence[str]) -> list[Any]:
        words = list(sentence)
        found: list[Any] = words + (list(pairwise(words)) if self.pairs else [])
        return list(dict.fromkeys(found)) if self.binary else found


def _fitted(model: Any, name: str) -> None:
    if not hasattr(model, "labels"):
        raise ValueError(f"{name}: expected a fitted model, got one without counts; call fit first")


def persistence(x: Any, model: Forecaster) -> float:
    """Return the mean squared error of the last value as the forecast, on the windows `model` would see."""
    return _squares(model._held_out("x", x), lambda past, targets: past[-1:, :, targets])


def seasonal_naive(x: Any, model: Forecaster, period: int) -> float:
    """Return the same of the value of one period before, or of the latest such one that has been seen."""
    _check.integer("period", period, 1, model.window)
    steps = model.window - period + np.arange(model.horizon) % period
    return _squares(model._held_out("x", x), lambda past, targets: past[steps][:, :, targets])


def _squares(data: Windows, forecast: Callable[[Any, list[int]], Any]) -> float:
    total, count = 0.0, 0
    for k in range(len(data)):
        past, wanted = data[k]
        error = forecast(past.values, data.targets).swapaxes(0, 1) - wanted
        total, count = total + float(np.square(error, dtype=np.float64).sum()), count + error.size
    return total / count


class RidgeForecaster:
    """
    Ridge regression from the window, less its last row, to all steps of all targets.

    Parameters
    ----------
    alpha
        Weight of the squared coefficients, beside the sum of squared errors of scaled values.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        self.alpha = _check.real("alpha", alpha)

    def fit(self, x: Any, model: Forecaster) -> RidgeForecaster:
        """Solve for the windows of series `x` that `model`, which has been fitted to it, would see."""
        self.model = model
        a, b = self._matrices(x)
        gram = a.T @ a
        gram[np.diag_indices(len(gram) - 1)] += self.alpha  # the last column is of ones, and free
        self.coefficients = np.linalg.solve(gram, a.T @ b)
        return self

    def score(self, x: Any) -> float:
        """Return the mean squared error on all windows of `x`, of scaled values."""
        a, b = self._matrices(x)
        return float(np.square(a @ self.coefficients - b).mean())

    def _matrices(self, x: Any) -> tuple[Any, Any]:
        data, inputs, outputs = self.model._held_out("x", x), [], []
        for k in range(len(data)):
            past, wanted = data[k]
            last = past.values[-1]
            relative = (past.values - last)[:-1].swapaxes(0, 1).reshape(len(wanted), -1)
            inputs.append(np.concatenate([relative, last, np.ones((len(wanted), 1))], axis=1))
            outputs.append((wanted - last[:, None, data.targets]).reshape(len(wanted), -1))
        return np.concatenate(inputs).astype(np.float64), np.concatenate(outputs).astype(np.float64)
