"""Documents: a corpus whose sentences have tags."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn import _check

from ._cache import load_store
from .corpus import Corpus, _files, _lines


class TaggedDocument(NamedTuple):
    """Words, and tags whose vectors are learned from them.

    Attributes
    ----------
    words : list of str
    tags : list of int or str
        Ints are rows of the table of documents, so they should be 0, 1, 2, ...
    """

    words: list[str]
    tags: list[Any]


class TaggedLineDocument:
    """The lines of a text file (or a .gz of one) as `TaggedDocument`, each with its number as tag."""

    def __init__(self, source: str | os.PathLike[str]) -> None:
        self.source = source

    def __iter__(self) -> Iterator[TaggedDocument]:
        """Read the file from its beginning."""
        for number, line in enumerate(_lines([Path(self.source)], "strict")):
            yield TaggedDocument(line.split(), [number])


class Documents(Corpus):
    """A `Corpus` and the tags of its sentences.

    Attributes
    ----------
    tags : list
        Of all sentences, one after the other.
    tag_offsets : ndarray of int64, shape (S + 1,)
        Those of sentence s are ``tags[tag_offsets[s]:tag_offsets[s + 1]]``.
    doc_counts, word_counts : dict
        Documents and words of each tag, also of those without words, in the order in which they are met.
    """

    tags: list[Any]
    tag_offsets: npt.NDArray[np.int64]
    doc_counts: dict[Any, int]
    word_counts: dict[Any, int]

    @classmethod
    def read_tagged(
        cls, source: Any, *, tokenizer: Callable[[Any], Iterable[str]] | None = None, **reading: Any
    ) -> Documents:
        """Encode documents.

        Parameters
        ----------
        source : iterable of TaggedDocument, path, or Corpus
            What has ``words`` and ``tags``, read once. Of a file each line is a document, and of a corpus
            each sentence; its number is its tag.
        tokenizer : callable, optional
            From the ``words`` of a document, or a line, to a list of str.
        **reading
            As in `Corpus.read`.
        """
        if isinstance(source, Documents):
            return source
        if isinstance(source, (str, os.PathLike)):
            corpus = Corpus.read(source, tokenizer=tokenizer, **reading)
            path = Path(source)
            if path.is_file() and load_store(path) is None:
                return cls._numbered(corpus, _lines(_files(path), reading.get("errors", "strict")), tokenizer)
            return cls._numbered(corpus, None, None)
        if isinstance(source, Corpus):
            return cls._numbered(source, None, None)
        if not hasattr(source, "__iter__"):
            raise TypeError(f"documents: expected an iterable of documents, got {_check.describe(source)}")
        tagged: list[tuple[Any, int]] = []
        corpus = Corpus.read(_words(source, tokenizer, tagged), **reading)
        return cls._of(corpus, tagged)

    @classmethod
    def _numbered(cls, corpus: Corpus, lines: Iterable[str] | None, tokenizer: Any) -> Documents:
        """Tag sentences with their numbers, or with those of the lines that have words."""
        if lines is None:
            return cls._of(corpus, [([s], n) for s, n in enumerate(np.diff(corpus.offsets).tolist())])
        split = tokenizer or str.split
        return cls._of(corpus, [([number], len(list(split(line)))) for number, line in enumerate(lines)])

    @classmethod
    def _of(cls, corpus: Corpus, tagged: list[tuple[Any, int]]) -> Documents:
        """Join a corpus with the tags and the number of words of each document, empty ones too."""
        found = cls(corpus.ids, corpus.offsets, corpus.types, corpus.counts)
        found.tags, found.doc_counts, found.word_counts = [], {}, {}
        ends = [0]
        for tags, words in tagged:
            for tag in tags:
                found.doc_counts[tag] = found.doc_counts.get(tag, 0) + 1
                found.word_counts[tag] = found.word_counts.get(tag, 0) + words
            if words:
                found.tags.extend(tags)
                ends.append(len(found.tags))
        found.tag_offsets = np.array(ends, np.int64)
        assert len(ends) == len(found) + 1, "a document was read as another number of sentences"
        return found

    def rows(self, row_of: Callable[[Any], int]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
        """Lists of rows for the kernels; tags without one (-1) are left out."""
        rows = np.fromiter((row_of(tag) for tag in self.tags), np.int32, len(self.tags))
        known = np.concatenate([[0], np.cumsum(rows >= 0)])
        return known[self.tag_offsets].astype(np.int64), rows[rows >= 0]


def _words(source: Iterable[Any], tokenizer: Any, tagged: list[tuple[Any, int]]) -> Iterator[list[str]]:
    """The words of documents, whose tags are noted."""
    for number, document in enumerate(source):
        words, tags = getattr(document, "words", None), getattr(document, "tags", None)
        if words is None or tags is None:
            raise TypeError(
                f"documents: expected objects with words and tags, as TaggedDocument, got "
                f"{_check.describe(document)} as document {number}"
            )
        if isinstance(tags, str):
            raise TypeError(
                f"documents: expected a list of tags, got the string {tags!r} in document {number}"
            )
        words = words if tokenizer is None else list(tokenizer(words))
        if isinstance(words, (str, bytes)):
            raise TypeError(
                f"documents: expected lists of words, got a string in document {number}; split it, or give "
                "tokenizer="
            )
        tags = [_tag(tag, number) for tag in tags]
        tagged.append((tags, len(words)))
        yield words


def _tag(tag: Any, number: int) -> Any:
    if isinstance(tag, (int, np.integer)) and not isinstance(tag, bool):
        if not 0 <= tag < 2**31:
            raise ValueError(f"documents: expected int tags in [0, 2**31), got {tag} in document {number}")
        return int(tag)
    if not isinstance(tag, str):
        raise TypeError(
            f"documents: expected tags that are int or str, got {_check.describe(tag)} in document {number}"
        )
    return tag
