"""GloVe models in files, without pickle."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _core, checkpoint

from . import _arguments as arguments
from ._saving import read_model
from ._store import packed_attributes, unpacked_attributes
from ._tables import Table
from .keyedvectors import KeyedVectors

if TYPE_CHECKING:
    from typing_extensions import Self

KIND = "fastrnn.GloVe"


class GloVeFiles:
    """The part of `GloVe` that writes and reads files, and what a model consists of."""

    # Arguments of the class, by the names of the attributes that have them.
    _OPTIONS = (
        "vector_size",
        "window",
        "min_count",
        "x_max",
        "alpha",
        "learning_rate",
        "epochs",
        "workers",
        "seed",
        "max_vocab_size",
        "max_final_vocab",
        "memory",
    )

    vector_size: int
    x_max: float
    alpha: float
    learning_rate: float
    wv: KeyedVectors
    entries: np.ndarray[Any, np.dtype[np.int32]]
    epoch_losses: list[float]
    _progress: Any
    _epochs_begun: int
    _vectors: list[Table]  # of words, of contexts
    _squares: list[Table]  # sums of squares of gradients
    _biases: list[np.ndarray[Any, np.dtype[np.float32]]]  # and sums of squares of theirs

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write all of the model, the matrix too, to a file: `load` gives one that trains on.

        It is written aside and renamed when it is whole. Vectors alone: `wv.save`.
        """
        checkpoint.save(
            fname,
            {
                "kind": KIND,
                "options": {name: getattr(self, name) for name in self._OPTIONS},
                "epochs_begun": self._epochs_begun,
                "epoch_losses": self.epoch_losses,
                "words": arguments.own_words(self.wv, len(self._biases[0])),
                "counts": self.wv.expandos["count"],
                "attributes": packed_attributes(self.wv, but=("count",)),
                "vectors": [table.rows for table in self._vectors],
                "squares": [table.rows for table in self._squares],
                "biases": self._biases,
                "entries": self.entries,
            },
        )

    @classmethod
    def load(cls, fname: str | os.PathLike[str], mmap: str | None = None) -> Self:
        """Read a model that `save` has written.

        With ``mmap="r"`` the matrix stays in the file, from which `train` reads it.

        Raises
        ------
        ValueError
            For a file that is cut short, damaged, or something else.
        """
        saved = read_model(fname, KIND, mmap)
        model = cls.__new__(cls)
        for name, value in saved["options"].items():
            setattr(model, name, value)
        model._progress = None
        model._epochs_begun, model.epoch_losses = saved["epochs_begun"], saved["epoch_losses"]
        model._name_words(saved["words"], np.array(saved["counts"]))
        model.wv.expandos.update(unpacked_attributes(saved.get("attributes", {})))
        model.entries = saved["entries"]
        model._vectors, model._squares = (
            [Table(rows) for rows in saved[part]] for part in ("vectors", "squares")
        )
        model._biases = [np.array(biases) for biases in saved["biases"]]
        model._begin()
        return model

    def _name_words(self, words: list[Any], counts: Any) -> None:
        self.wv = KeyedVectors(self.vector_size)
        self.wv.index_to_key = words
        self.wv.key_to_index = {word: i for i, word in enumerate(words)}
        self.wv.expandos["count"] = counts

    def _begin(self) -> None:
        self._joined()  # says what is wrong with them
        diagonal = int((self.entries[:, 0] == self.entries[:, 1]).sum())
        self._directed = 2 * len(self.entries) - diagonal
        self._settle()

    def _joined(self) -> _core.GloveRun:
        """Return the arrays, and the rates as they are now, for the kernel."""
        for table in self._squares:
            table.padded[:, self.vector_size :] = 1  # nothing is divided by the root of zero
        return _core.GloveRun(
            entries=self.entries,
            words=self._vectors[0].padded,
            contexts=self._vectors[1].padded,
            word_squares=self._squares[0].padded,
            context_squares=self._squares[1].padded,
            word_biases=self._biases[0],
            context_biases=self._biases[1],
            rate=self.learning_rate,
            most=self.x_max,
            power=self.alpha,
        )

    def _settle(self) -> None:
        self.wv.vectors = self._vectors[0].rows + self._vectors[1].rows
        self.wv.norms = None
