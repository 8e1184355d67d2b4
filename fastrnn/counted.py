"""Language models that count: n-grams, and a bag of the words before."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn import _check
from fastrnn._stored import Stored
from fastrnn.callbacks import perplexity
from fastrnn.data import Ids, Vocabulary
from fastrnn.ngram import NgramModel

SMOOTHINGS = ("kneser-ney", "add-k", "counts")


class Counted(NamedTuple):
    """A loss in nats a token, exp(loss), over how many tokens, and how many of them had probability zero."""

    loss: float
    perplexity: float
    tokens: int
    impossible: int


class _CountingModel(Stored):
    """What both share; a subclass has `_count`, `_counts_of`, `_take`, `_probabilities` and `_after`."""

    vocabulary: Vocabulary
    _options: tuple[str, ...]  # names of attributes, and of arguments
    _fitted = False

    def _check_vocabulary(self, vocabulary: Any) -> Vocabulary:
        if not isinstance(vocabulary, Vocabulary):
            raise TypeError(f"vocabulary: expected a Vocabulary, got {type(vocabulary).__name__}")
        return vocabulary

    def fit(self, text: str) -> Any:
        """Count; raises ValueError for a text that is too short or has characters that are not known."""
        self._count(self.vocabulary.encode(text))
        self._fitted = True
        return self

    def _state(self) -> dict[str, Any]:
        self._need("save")
        options = {name: getattr(self, name) for name in self._options}
        return {"vocabulary": self.vocabulary.to_dict(), "options": options, "counts": self._counts_of()}

    @classmethod
    def _restored(cls, model: dict[str, Any]) -> Any:
        made: Any = cls(Vocabulary.from_dict(model["vocabulary"]), **model["options"])  # type: ignore[call-arg]
        made._take(model["counts"])
        made._fitted = True
        return made

    def _counts_of(self) -> dict[str, Any]:
        raise NotImplementedError

    def _take(self, counts: dict[str, Any]) -> None:
        raise NotImplementedError

    def _need(self, name: str) -> None:
        if not self._fitted:
            raise ValueError(f"{name}: expected a fitted model, got one without counts; call fit first")

    def probabilities(self, text: str) -> npt.NDArray[np.float64]:
        """Return the probability of each token of `text` after those before it, [N]."""
        self._need("probabilities")
        return self._probabilities(self.vocabulary.encode(text))

    def evaluate(self, text: str) -> Counted:
        """Return loss and perplexity on `text`: of each token but the first, given all before it."""
        self._need("evaluate")
        p = self._probabilities(self.vocabulary.encode(text))[1:]
        if not len(p):
            raise ValueError(f"text: expected at least 2 tokens, got {len(text.split())}")
        impossible = int(np.count_nonzero(p == 0))
        loss = math.inf if impossible else float(-np.log(p).mean())
        return Counted(loss, perplexity(loss), len(p), impossible)

    def next(self, text: str, topn: int = 8) -> list[tuple[str, float]]:
        """Return the `topn` likeliest tokens after `text` with their probabilities, the likeliest first."""
        self._need("next")
        return self.vocabulary.likeliest(self._after(self.vocabulary.encode(text)), topn)

    def _count(self, ids: Ids) -> None:
        raise NotImplementedError

    def _probabilities(self, ids: Ids) -> npt.NDArray[np.float64]:
        raise NotImplementedError

    def _after(self, ids: Ids) -> npt.NDArray[np.float64]:
        raise NotImplementedError


class NGramLanguageModel(_CountingModel):
    """
    The next token from the counts of n-grams.

    Parameters
    ----------
    vocabulary
        The tokens that the model knows.
    order
        n: a token is predicted from the n - 1 before it.
    smoothing
        ``"kneser-ney"``: modified and interpolated (Chen, Goodman 1998). ``"counts"``: c(context, token) /
        c(context), which is 0 for what never came after a context that did, and 1/V after a context that
        never came. ``"add-k"``: (c(context, token) + k) / (c(context) + k V).
    k
        For ``"add-k"``.

    Examples
    --------
    >>> model = fastrnn.NGramLanguageModel(Vocabulary.from_text(text, "word"), order=5).fit(text)
    >>> model.evaluate(test).perplexity
    """

    _options = ("order", "smoothing", "k")

    def __init__(
        self, vocabulary: Vocabulary, order: int = 5, smoothing: str = "kneser-ney", k: float = 1.0
    ) -> None:
        self.vocabulary = self._check_vocabulary(vocabulary)
        self.order = _check.integer("order", order, 1)
        self.smoothing = _check.choice("smoothing", smoothing, SMOOTHINGS)
        self.k = _check.real("k", k)
        if not self.k > 0:
            raise ValueError(f"k: expected a positive number, got {self.k:g}")
        if self.k != 1 and self.smoothing != "add-k":
            raise ValueError(f"k: expected smoothing='add-k' for one, got {self.smoothing!r}")

    def _count(self, ids: Ids) -> None:
        k = {"kneser-ney": None, "counts": 0.0, "add-k": self.k}[self.smoothing]
        self._model = NgramModel(ids, len(self.vocabulary), self.order, k)

    def _counts_of(self) -> dict[str, Any]:
        return self._model.state()

    def _take(self, counts: dict[str, Any]) -> None:
        self._model = NgramModel.restored(counts)

    def _probabilities(self, ids: Ids) -> npt.NDArray[np.float64]:
        return self._model.probabilities(ids)

    def _after(self, ids: Ids) -> npt.NDArray[np.float64]:
        return self._model.after(ids)


class BagOfWordsLanguageModel(_CountingModel):
    """
    The next token from the tokens before it, whatever their order.

    p(w | bag) = (1 - share) p(w) + share / n * sum over the n tokens v of the bag of c(v, w) / c(v), where
    c(v, w) counts how often w came at most `window` tokens after v, and c(v) all that came there. p(w) is
    (c(w) + 1) / (N + V). Two bags with the same counts have the same future: "good , not bad" and "bad ,
    not good" cannot be told apart.

    Parameters
    ----------
    vocabulary
        The tokens that the model knows.
    window
        Tokens before that are in the bag.
    share
        Weight of the bag, in [0, 1).
    """

    _options = ("window", "share")

    def __init__(self, vocabulary: Vocabulary, window: int = 5, share: float = 0.5) -> None:
        self.vocabulary = self._check_vocabulary(vocabulary)
        self.window = _check.integer("window", window, 1)
        self.share = _check.real("share", share, 0.0, 1.0)

    def table(self, text: str) -> list[tuple[str, int]]:
        """Return the bag after `text`: its tokens and how often each is in it, in the vocabulary's order."""
        ids, counts = np.unique(self.vocabulary.encode(text)[-self.window :], return_counts=True)
        return [(self.vocabulary.tokens[k], int(n)) for k, n in zip(ids, counts, strict=True)]

    def _count(self, ids: Ids) -> None:
        size = len(self.vocabulary)
        if not len(ids):
            raise ValueError("text: expected at least one token, got none")
        tokens = ids.astype(np.int64)
        pairs = [tokens[:-d] * size + tokens[d:] for d in range(1, self.window + 1)]
        keys, counts = np.unique(np.concatenate(pairs), return_counts=True)
        single = np.bincount(tokens, minlength=size)
        self._take({"keys": keys, "counts": counts.astype(np.float64), "single": single})

    def _counts_of(self) -> dict[str, Any]:
        return {"keys": self._keys, "counts": self._counts, "single": self._tokens}

    def _take(self, counts: dict[str, Any]) -> None:
        size = len(self.vocabulary)
        self._keys, self._counts, self._tokens = counts["keys"], counts["counts"], counts["single"]
        self._totals = np.bincount(self._keys // size, self._counts, size)
        self._single = (self._tokens + 1) / (self._tokens.sum() + size)

    def _probabilities(self, ids: Ids) -> npt.NDArray[np.float64]:
        size, tokens = len(self.vocabulary), ids.astype(np.int64)
        found, words = np.zeros(len(tokens)), np.zeros(len(tokens))
        for d in range(1, min(self.window, len(tokens) - 1) + 1):
            before = tokens[:-d]
            keys = before * size + tokens[d:]
            at = np.minimum(np.searchsorted(self._keys, keys), max(len(self._keys) - 1, 0))
            known = self._totals[before] > 0
            if len(self._keys):
                counts = np.where(self._keys[at] == keys, self._counts[at], 0.0)
                found[d:] += counts / np.where(known, self._totals[before], 1.0)
            words[d:] += known
        return self._mix(self._single[tokens], found, words)

    def _mix(self, alone: Any, found: Any, words: Any) -> npt.NDArray[np.float64]:
        """Where no token of the bag ever had a successor, p(w) alone."""
        mixed = (1 - self.share) * alone + self.share * found / np.maximum(words, 1)
        return np.asarray(np.where(words > 0, mixed, alone))

    def _after(self, ids: Ids) -> npt.NDArray[np.float64]:
        size, found, words = len(self.vocabulary), np.zeros(len(self.vocabulary)), 0
        for token in np.sort(ids[-self.window :]).tolist():  # sorted: equal bags give equal bits
            begin, end = np.searchsorted(self._keys, [token * size, (token + 1) * size])
            if begin < end:
                found[self._keys[begin:end] - token * size] += self._counts[begin:end] / self._totals[token]
                words += 1
        return self._mix(self._single, found, np.float64(words))
