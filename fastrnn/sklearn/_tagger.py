"""A tagger of lists of words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from fastrnn import metrics
from fastrnn.data import Vocabulary
from fastrnn.models import SequenceTagger

if TYPE_CHECKING:
    from typing_extensions import Self


class RNNTagger(BaseEstimator):  # type: ignore[misc]
    """
    A tag for each word of a sentence: `fastrnn.SequenceTagger` as an estimator.

    X is a list of sentences, which are lists of words, and y a list of lists of tags. The checks of
    scikit-learn are for arrays of numbers, and do not apply.

    Parameters
    ----------
    min_count
        Words that are rarer in the training part are `<unk>`.
    hidden_size, num_layers, embedding_size, cell, bidirectional, dropout, embedding_dropout, compute
        See `SequenceTagger`.
    epochs, batch, lr, word_dropout
        See `SequenceTagger.fit`.
    random_state
        Of initial parameters, order and dropout.

    Attributes
    ----------
    classes_
        The names of the tags, sorted: those of the training part.
    model_
        The `SequenceTagger`.
    """

    def __init__(
        self,
        min_count: int = 1,
        hidden_size: int = 64,
        num_layers: int = 1,
        embedding_size: int | None = None,
        cell: str = "LSTM",
        bidirectional: bool = True,
        dropout: float = 0.0,
        embedding_dropout: float = 0.0,
        epochs: int = 10,
        batch: int = 16,
        lr: float = 5e-3,
        word_dropout: float = 0.0,
        compute: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.min_count = min_count
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.embedding_size = embedding_size
        self.cell = cell
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.embedding_dropout = embedding_dropout
        self.epochs = epochs
        self.batch = batch
        self.lr = lr
        self.word_dropout = word_dropout
        self.compute = compute
        self.random_state = random_state

    def fit(self, X: Any, y: Any) -> Self:
        """Train on sentences and their tags."""
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self.model_ = SequenceTagger(
            Vocabulary.from_sentences(X, min_count=self.min_count),
            y,
            self.hidden_size,
            self.num_layers,
            embedding_size=self.embedding_size,
            cell=self.cell,
            bidirectional=self.bidirectional,
            dropout=self.dropout,
            embedding_dropout=self.embedding_dropout,
            compute=self.compute,
            seed=seed,
        )
        self.classes_ = np.array(self.model_.labels.names)
        options: dict[str, Any] = {"epochs": self.epochs, "batch": self.batch, "lr": self.lr}
        self.model_.fit(X, y, word_dropout=self.word_dropout, seed=seed, progress=False, **options)
        return self

    def predict(self, X: Any) -> list[list[str]]:
        """Return the likeliest tag of each word."""
        check_is_fitted(self)
        return self.model_.predict(X)

    def predict_proba(self, X: Any) -> list[Any]:
        """Return the probabilities of ``classes_`` for each word, [words, tags] for each sentence."""
        check_is_fitted(self)
        return self.model_.predict_proba(X)

    def score(self, X: Any, y: Any) -> float:
        """Return the share of right tags."""
        found = self.predict(X)
        if len(y) != len(found):
            raise ValueError(f"y: expected {len(found)} lists of tags, as X has, got {len(y)}")
        for place, (wanted, tags) in enumerate(zip(y, found, strict=True)):
            if len(wanted) != len(tags):
                raise ValueError(
                    f"y[{place}]: expected {len(tags)} tags, as X[{place}] has, got {len(wanted)}"
                )
        return metrics.accuracy([tag for row in y for tag in row], [tag for row in found for tag in row])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.no_validation = True
        return tags
