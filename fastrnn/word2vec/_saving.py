"""Models in files, without pickle."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from fastrnn import checkpoint

from ._contexts import Contexts
from ._tables import Table

_KIND = "fastrnn.Word2Vec"
# Arguments of the class, by the names of the attributes that have them.
_OPTIONS = (
    "vector_size",
    "alpha",
    "window",
    "min_count",
    "max_vocab_size",
    "sample",
    "seed",
    "workers",
    "min_alpha",
    "sg",
    "hs",
    "negative",
    "ns_exponent",
    "cbow_mean",
    "epochs",
    "null_word",
    "sorted_vocab",
    "batch_words",
    "compute_loss",
    "comment",
    "max_final_vocab",
    "shrink_windows",
    "shared_negatives",
    "deterministic",
    "compat",
)
_STATE = (
    "train_count",
    "corpus_count",
    "corpus_total_words",
    "running_training_loss",
    "min_alpha_yet_reached",
    "_epochs_begun",
)


class Saving(Contexts):
    """The part of `Word2Vec` that writes and reads files."""

    def save(self, fname: str | os.PathLike[str]) -> None:
        """Write all of the model but functions (`trim_rule`, `tokenizer`, `hashfxn`) to a file.

        It is written aside and renamed when it is whole.
        """
        tables = None
        if self._tables is not None:
            found = self.tables()
            tables = {
                "input": found.input.rows.copy(),
                "output": None if found.output is None else found.output.rows.copy(),
                "nodes": None if found.nodes is None else found.nodes.rows.copy(),
                "counts": self._counts,
                "keep": self.keep_thresholds.astype(np.int64),
                "locks": np.asarray(self.wv.vectors_lockf, np.float32),
                "words": list(self.wv.index_to_key),
            }
        checkpoint.save(
            fname,
            {
                "kind": _KIND,
                "options": {name: getattr(self, name) for name in _OPTIONS},
                "state": {name: getattr(self, name) for name in _STATE},
                "tables": tables,
            },
        )

    @classmethod
    def load(cls, fname: str | os.PathLike[str]) -> Any:
        """Read a model that `save` has written.

        Raises
        ------
        ValueError
            For a file that is cut short, damaged, or something else.
        """
        saved: Any = checkpoint.load(fname)
        if not isinstance(saved, dict) or saved.get("kind") != _KIND:
            raise ValueError(f"{os.fspath(fname)}: expected a model of fastrnn.Word2Vec, got something else")
        model = cls(**saved["options"])
        for name, value in saved["state"].items():
            setattr(model, name, value)
        if saved["tables"] is not None:
            model._restore(saved["tables"])
        return model

    def _restore(self, saved: dict[str, Any]) -> None:
        words = saved["words"]
        self._set_words(dict(zip(words, saved["counts"].tolist(), strict=True)))
        self.keep_thresholds = saved["keep"].astype(np.uint32)
        tables = self.tables()
        tables.input = Table(saved["input"])
        tables.output = None if saved["output"] is None else Table(saved["output"])
        tables.nodes = None if saved["nodes"] is None else Table(saved["nodes"])
        self.wv.vectors = tables.input.rows
        self.wv.vectors_lockf = saved["locks"]
