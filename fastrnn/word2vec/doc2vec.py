"""Doc2Vec: Word2Vec whose documents are inputs as words are."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from fastrnn import _check, _core

from . import _arguments as arguments
from ._inference import Inference
from ._saving import Saving
from ._store import packed_attributes, unpacked_attributes
from ._tables import Table, initial_vectors, row_bytes
from .corpus import Corpus
from .documents import Documents
from .keyedvectors import KeyedVectors
from .vocabulary import TrimRule

_SEED = 7919  # documents draw other vectors than words: gensim's number


class Doc2Vec(Inference):
    """Vectors of documents (Le and Mikolov 2014), with the arguments of gensim 4.

    Parameters
    ----------
    documents : iterable of TaggedDocument, optional
        See `Documents.read_tagged`.
    corpus_file : path, optional
        Each line is a document, its number the tag.
    vector_size : int
    dm_mean : {0, 1}, optional
        PV-DM: the mean of the vectors of document and contexts, or their sum. Default: `cbow_mean`, or 1.
    dm : {0, 1}
        1: PV-DM, CBOW with the document among the contexts. 0: PV-DBOW, skip-gram with the document in place
        of the contexts.
    dbow_words : {0, 1}
        PV-DBOW: words are contexts too.
    dm_concat : {0, 1}
        PV-DM: the vectors of tags and of all words of the window one after the other, instead of their mean.
        Windows are not shrunk; beyond the ends of a document stands the word ``"\\0"``, which joins the
        vocabulary. With `deterministic` on one thread.
    dm_tag_count : int
        Tags of a document with `dm_concat`; documents of another number are left out.
    dv : KeyedVectors, optional
        To be filled, in place of new ones.
    dv_mapfile : path, optional
        Vectors of documents are kept in this file, mapped into memory.
    comment, trim_rule, callbacks, window, epochs, shrink_windows, **kwargs
        As of `Word2Vec`, but for `sg` and `null_word`.

    Attributes
    ----------
    dv : KeyedVectors
        The vectors of the tags.
    wv : KeyedVectors
        Those of the words; PV-DBOW without `dbow_words` does not train them.
    """

    _SOURCE = "documents"
    _OPTIONS = (
        *(name for name in Saving._OPTIONS if name not in ("sg", "cbow_mean", "null_word")),
        *("dm", "dm_mean", "dbow_words", "dm_concat", "dm_tag_count"),
    )
    dv: KeyedVectors

    def __init__(
        self,
        documents: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        vector_size: int = 100,
        dm_mean: int | None = None,
        dm: int = 1,
        dbow_words: int = 0,
        dm_concat: int = 0,
        dm_tag_count: int = 1,
        dv: KeyedVectors | None = None,
        dv_mapfile: str | os.PathLike[str] | None = None,
        comment: str | None = None,
        trim_rule: TrimRule | None = None,
        callbacks: Iterable[Any] = (),
        window: int = 5,
        epochs: int = 10,
        shrink_windows: bool = True,
        **kwargs: Any,
    ) -> None:
        for name in {"sg", "null_word"} & set(kwargs):
            raise TypeError(f"{name}: Doc2Vec has no such argument; see dm")
        if dm_mean is not None:
            kwargs["cbow_mean"] = arguments.switch("dm_mean", dm_mean)
        self.dm_mean = kwargs.get("cbow_mean", 1)
        self.dbow_words = arguments.switch("dbow_words", dbow_words)
        self.dm_concat = arguments.switch("dm_concat", dm_concat)
        self.dm_tag_count = _check.integer("dm_tag_count", dm_tag_count, 1, 1 << 20)
        if self.dm_concat and not dm:
            raise ValueError("dm_concat: expected 0 with dm=0, got 1")
        if self.dm_tag_count > 1 and not self.dm_concat:
            raise ValueError(f"dm_tag_count: expected 1 without dm_concat, got {dm_tag_count}")
        if dv is not None and (not isinstance(dv, KeyedVectors) or dv.vector_size != vector_size):
            raise TypeError(f"dv: expected KeyedVectors of {vector_size} numbers, got {_check.describe(dv)}")
        self.dv = KeyedVectors(_check.integer("vector_size", vector_size, 1)) if dv is None else dv
        self.dv.vectors_lockf = np.ones(1, np.float32)
        self._dv_mapfile = dv_mapfile
        super().__init__(
            documents,
            corpus_file,
            vector_size,
            sg=1 - arguments.switch("dm", dm),
            comment=comment,
            trim_rule=trim_rule,
            callbacks=callbacks,
            window=window,
            epochs=epochs,
            shrink_windows=shrink_windows,
            null_word=self.dm_concat,
            **kwargs,
        )

    @property
    def layer1_size(self) -> int:
        """Numbers in a row of `syn1neg` and `syn1`."""
        return self.vector_size * (self.dm_tag_count + 2 * self.window if self.dm_concat else 1)

    def joined(self) -> tuple[int, int, int] | None:
        """With `dm_concat`: numbers in a vector, tags of a document, row of the null word."""
        if not self.dm_concat:
            return None
        return self.vector_size, self.dm_tag_count, self.wv.key_to_index["\0"]

    @property
    def dm(self) -> bool:
        """Whether this is PV-DM."""
        return not self.sg

    @property
    def dbow(self) -> bool:
        """Whether this is PV-DBOW."""
        return bool(self.sg)

    def _read(self, source: Any, workers: int | None = None) -> Documents:
        threads = min(workers or self.workers, _core.get_num_threads())
        return Documents.read_tagged(source, threads=threads, **self._reading)

    def build_vocab(
        self,
        corpus_iterable: Any = None,
        corpus_file: str | os.PathLike[str] | None = None,
        update: bool = False,
        progress_per: int = 10000,
        keep_raw_vocab: bool = False,
        trim_rule: TrimRule | None = None,
    ) -> None:
        """Choose the words, note the tags and make the tables; see `Word2Vec.build_vocab`."""
        source = arguments.one_source(("corpus_iterable", corpus_iterable), ("corpus_file", corpus_file))
        documents = self._read(source)
        with self._tags_of(documents, update):
            super().build_vocab(documents, None, update, progress_per, keep_raw_vocab, trim_rule)

    def scan_vocab(self, corpus_iterable: Any = None, *rest: Any, **options: Any) -> tuple[int, int]:
        """Count the types of a corpus and note the tags; see `Word2Vec.scan_vocab`."""
        file = rest[0] if rest else options.pop("corpus_file", None)
        source = arguments.one_source(("corpus_iterable", corpus_iterable), ("corpus_file", file))
        documents = self._read(source, options.get("workers"))
        with self._tags_of(documents, False):
            return super().scan_vocab(documents, None, *rest[1:], **options)

    def reset_from(self, other_model: Any) -> None:
        """Take over words, tags and counts of another model, and begin with new vectors."""
        if not isinstance(other_model, Doc2Vec):
            raise TypeError(f"other_model: expected a Doc2Vec, got {_check.describe(other_model)}")
        for name in ("index_to_key", "key_to_index", "expandos"):
            setattr(self.dv, name, getattr(other_model.dv, name).copy())
        super().reset_from(other_model)

    @contextlib.contextmanager
    def _tags_of(self, documents: Documents, update: bool) -> Iterator[None]:
        """Take the tags of documents, unless what is done with them fails."""
        names, dv = ("index_to_key", "key_to_index", "expandos"), self.dv
        before = {name: copy.deepcopy(getattr(dv, name)) for name in names}
        try:
            self._take_tags(documents.doc_counts, documents.word_counts, update)
            yield
        except BaseException:
            vars(dv).update(before)
            raise

    def _take_tags(self, docs: dict[Any, int], words: dict[Any, int], update: bool) -> None:
        """Give tags their rows: an int has its own, strings those after all ints."""
        dv = self.dv
        if not update:
            dv.index_to_key, dv.key_to_index, dv.expandos = [], {}, {}
        names = dict.fromkeys(key for key in dv.index_to_key if isinstance(key, str))
        ints = len(dv.index_to_key) - len(names)
        wanted = max((tag + 1 for tag in docs if isinstance(tag, int)), default=0)
        if names and wanted > ints:
            raise ValueError(
                f"update: expected int tags below {ints}, as rows of names follow, got {wanted - 1}"
            )
        ints = max(ints, wanted)
        names.update(dict.fromkeys(tag for tag in docs if isinstance(tag, str)))
        dv.index_to_key = [*range(ints), *names]
        dv.key_to_index = {name: row for row, name in enumerate(names, ints)}
        dv.allocate_vecattrs(["word_count", "doc_count"], [np.int64, np.int64])
        for attribute, counts in (("word_count", words), ("doc_count", docs)):
            at = np.fromiter((dv.get_index(tag) for tag in counts), np.int64, len(counts))
            dv.expandos[attribute][at] += np.fromiter(counts.values(), np.int64, len(counts))

    def _make_more(self, old: Table | None) -> Table | None:
        known = np.zeros((0, 1), np.float32) if old is None else old.rows.copy()  # whose file is made anew
        size, seed = self.vector_size, self.seed + _SEED
        table = initial_vectors(len(self.dv), size, seed, self.compat, self._dv_mapfile)
        table.rows[: len(known)] = known
        return table

    def _shown(self) -> dict[str, tuple[KeyedVectors, str]]:
        return {**super()._shown(), "more": (self.dv, "vectors")}

    def _locked(self) -> dict[str, tuple[KeyedVectors, str]]:
        return {**super()._locked(), "more_locks": (self.dv, "vectors_lockf")}

    def kernel_inputs(self, corpus: Corpus) -> dict[str, Any]:
        """Return the arguments of ``_core.Word2VecRun`` that say what inputs are."""
        more = self.tables().more
        assert more is not None
        assert isinstance(corpus, Documents)
        offsets, rows = corpus.rows(lambda tag: self.dv.get_index(tag, -1))
        inputs = super().kernel_inputs(corpus)
        windows = bool(self.dm or self.dbow_words)
        if self.dm_concat and not (np.diff(offsets) == self.dm_tag_count).any():
            raise ValueError(
                f"documents: expected some of dm_tag_count = {self.dm_tag_count} known tags, got none"
            )
        return {**inputs, "more": more.padded, "tags": (offsets, rows + len(self.wv)), "windows": windows}

    def _memory_of_inputs(self, words: int) -> dict[str, int]:
        names = len(self.dv.key_to_index)
        tags = {"doctag_lookup": names * 134 + len(self.dv) * 24, "doctag_syn0": len(self.dv)}
        tags["doctag_syn0"] *= row_bytes(self.vector_size)
        return {**super()._memory_of_inputs(words), **tags}

    def settle(self) -> None:
        """Forget what follows from vectors that have changed."""
        self.wv.norms = self.dv.norms = None

    def __getitem__(self, tag: Any) -> Any:
        """Return the vector of a word, or else of a tag; of a list of these as [N, vector_size]."""
        if isinstance(tag, (str, int, np.integer)):
            return (self.wv if tag in self.wv else self.dv)[tag]
        return np.vstack([self[each] for each in tag])

    def save_word2vec_format(
        self,
        fname: str | os.PathLike[str],
        doctag_vec: bool = False,
        word_vec: bool = True,
        prefix: str = "*dt_",
        fvocab: str | os.PathLike[str] | None = None,
        binary: bool = False,
    ) -> None:
        """Write vectors of words, of documents (named by `prefix` and their tag), or both into a file."""
        if word_vec:
            total = len(self.wv) + len(self.dv) if doctag_vec else None
            self.wv.save_word2vec_format(fname, fvocab, binary, total)
        if doctag_vec:
            own = not word_vec
            self.dv.save_word2vec_format(
                fname, fvocab, binary, None, own, prefix, append=not own, sort_attr="doc_count"
            )

    def _saved_keys(self) -> Any:
        names = [key for key in self.dv.index_to_key if isinstance(key, str)]
        attributes = packed_attributes(self.dv)
        return {"ints": len(self.dv) - len(names), "names": names, "attributes": attributes}

    def _restore_keys(self, saved: Any) -> None:
        ints, names, dv = saved["ints"], saved["names"], self.dv
        dv.index_to_key = [*range(ints), *names]
        dv.key_to_index = {name: row for row, name in enumerate(names, ints)}
        dv.expandos = unpacked_attributes(saved["attributes"])
