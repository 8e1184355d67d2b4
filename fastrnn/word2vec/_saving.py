"""Models in files, without pickle."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from fastrnn import _check, checkpoint

from . import _arguments as arguments
from ._contexts import Contexts
from ._store import packed_attributes, unpacked_attributes
from ._tables import Table, Tables


def read_model(fname: str | os.PathLike[str], kind: str, mmap: str | None) -> dict[str, Any]:
    """Read what a `save` has written of a model of that kind; ValueError for anything else."""
    saved: Any = checkpoint.load(fname, mapped=arguments.mapped(mmap))
    if not isinstance(saved, dict) or saved.get("kind") != kind:
        raise ValueError(f"{os.fspath(fname)}: expected a model of {kind}, got something else")
    return saved


class Saving(Contexts):
    """The part of `Word2Vec` that writes and reads files."""

    # Arguments of the class, by the names of the attributes that have them.
    _OPTIONS: tuple[str, ...] = (
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
    _STATE: tuple[str, ...] = (
        "train_count",
        "effective_min_count",
        "corpus_count",
        "corpus_total_words",
        "running_training_loss",
        "min_alpha_yet_reached",
        "_epochs_begun",
    )

    def save(
        self,
        fname: str | os.PathLike[str],
        separately: Any = None,
        sep_limit: int = 10 * 1024**2,
        ignore: Any = frozenset(),
        pickle_protocol: int = 4,
    ) -> None:
        """Write all of the model but functions (`trim_rule`, `tokenizer`, `hashfxn`) to a file.

        `epoch_losses` of the training so far are left out, too. It is written aside and renamed when it is
        whole.

        Parameters
        ----------
        fname : path
        separately, sep_limit, pickle_protocol
            Gensim's; they decide nothing. There is one file, without pickle, of which `load` maps arrays of
            any size.
        ignore : collection of str
            Must be empty: a model is saved whole.
        """
        arguments.save_options(separately, sep_limit, ignore, pickle_protocol)
        tables = None
        if self._tables is not None:
            found = self.tables()
            tables = {
                **{name: None if table is None else table.rows.copy() for name, table in vars(found).items()},
                "counts": self._counts,
                "keep": self.keep_thresholds.astype(np.int64),
                "locks": {n: np.asarray(getattr(*where), np.float32) for n, where in self._locked().items()},
                "words": arguments.own_words(self.wv, len(self._counts)),
                "attributes": packed_attributes(self.wv, but=("count", "sample_int")),
                "keys": self._saved_keys(),
            }
        checkpoint.save(
            fname,
            {
                "kind": self._kind(),
                "options": {name: getattr(self, name) for name in self._OPTIONS},
                "state": {name: getattr(self, name) for name in self._STATE},
                "raw_vocab": [list(self.raw_vocab), list(self.raw_vocab.values())],
                "tables": tables,
            },
        )

    @classmethod
    def load(cls, fname: str | os.PathLike[str], mmap: str | None = None) -> Any:
        """Read a model that `save` has written.

        With ``mmap="r"`` its tables stay in the file: read-only, shared between processes, read page by page
        as they are used; `train` and `infer_vector` bring them into memory.

        Raises
        ------
        ValueError
            For a file that is cut short, damaged, or something else.
        """
        saved = read_model(fname, cls._kind(), mmap)
        model = cls(**saved["options"])
        for name, value in saved["state"].items():
            setattr(model, name, value)
        model.raw_vocab = dict(zip(*saved.get("raw_vocab", ([], [])), strict=True))
        if saved["tables"] is not None:
            model._restore(saved["tables"], Table if mmap is None else Table.of_file)
        return model

    def reset_from(self, other_model: Any) -> None:
        """Take over words and counts of another model, and begin with new vectors.

        Raises
        ------
        TypeError
            Where `other_model` is no model of this package, or has no vocabulary.
        """
        if not isinstance(other_model, Saving) or not len(other_model.wv):
            raise TypeError(
                f"other_model: expected a model with a vocabulary, got {_check.describe(other_model)}"
            )
        self._set_words(other_model.wv.index_to_key, other_model.wv.expandos["count"])
        self.corpus_count = other_model.corpus_count
        self.corpus_total_words = other_model.corpus_total_words

    def _restore(self, saved: dict[str, Any], table: Callable[[Any], Table]) -> None:
        words = saved["words"]
        self._name_words(words, np.array(saved["counts"]))
        self.keep_thresholds = saved["keep"].astype(np.uint32)
        self._restore_keys(saved["keys"])
        found: dict[str, Any] = {
            name: None if saved[name] is None else table(saved[name])
            for name in ("input", "output", "nodes", "more")
        }
        self._take_tables(Tables(**found))
        self.wv.expandos.update(unpacked_attributes(saved.get("attributes", {})))
        for name, (owner, attribute) in self._locked().items():
            setattr(owner, attribute, np.array(saved["locks"][name]))

    def _saved_keys(self) -> Any:
        """What a model has keys for beside words."""
        return None

    def _restore_keys(self, saved: Any) -> None:
        assert saved is None

    @classmethod
    def _kind(cls) -> str:
        return f"fastrnn.{cls.__name__}"
