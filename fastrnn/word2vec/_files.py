"""KeyedVectors in and out of files."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fastrnn import _check, checkpoint
from fastrnn._files import Path

from . import _arguments as arguments
from . import _word2vec_format as word2vec_format
from ._store import Store, packed_attributes, unpacked_attributes

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn._typing import Array

KIND = "fastrnn.KeyedVectors"


class Files(Store):
    """What reads and writes."""

    @classmethod
    def load_word2vec_format(
        cls,
        fname: Path,
        fvocab: Path | None = None,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
        limit: int | None = None,
        datatype: Any = np.float32,
        no_header: bool = False,
    ) -> Self:
        """
        Read vectors of word2vec (text or binary), GloVe (``no_header=True``) or fastText (.vec), or gzipped.

        Parameters
        ----------
        fname
            The file.
        fvocab
            A file of words and their counts, for the attribute ``count``. Without it the counts are made up,
            falling from the number of vectors to 1.
        binary
            Numbers are float32, not text.
        encoding, unicode_errors
            How words are read; ``"ignore"`` or ``"replace"`` goes on where bytes are no text, as where
            word2vec cut a word in the middle of a character.
        limit
            Read so many vectors and no more.
        datatype
            float16, float32 or float64.
        no_header
            Text only: the first line is a vector, not the count and the size.

        Raises
        ------
        EOFError
            The file ends too early.
        ValueError
            It is something else, or damaged. The message names the byte, of a gzip file that in its content.
        OSError
            It cannot be read.
        """
        binary, no_header = _check.flag("binary", binary), _check.flag("no_header", no_header)
        if binary and no_header:
            raise ValueError("no_header: expected False for a binary file, got True")
        kv = cls(0, dtype=datatype)
        words, vectors = word2vec_format.read(
            fname,
            binary=binary,
            encoding=encoding,
            errors=unicode_errors,
            limit=None if limit is None else _check.integer("limit", limit, 1),
            dtype=kv.vectors.dtype,
            no_header=no_header,
        )
        count = len(words)
        first = dict(zip(reversed(words), range(count - 1, -1, -1), strict=True))
        if len(first) < count:
            message = f"vectors: {count - len(first)} of {count} words came before; the first of each is kept"
            warnings.warn(message, UserWarning, stacklevel=2)
            rows = sorted(first.values())
            words, vectors = [words[i] for i in rows], vectors[rows]
        kv.vector_size = vectors.shape[1]
        kv._fill(words, vectors)
        counts = np.arange(count, count - len(words), -1)
        if fvocab is not None:
            known = word2vec_format.read_counts(fvocab, encoding, unicode_errors)
            missing = [word for word in words if word not in known]
            if missing:
                message = f"fvocab: {len(missing)} words have no count there and get 0, {missing[0]!r} first"
                warnings.warn(message, UserWarning, stacklevel=2)
            counts = np.array([known.get(word, 0) for word in words], np.int64)
        kv.expandos["count"] = counts.astype(np.int64)
        return kv

    def save_word2vec_format(
        self,
        fname: Path,
        fvocab: Path | None = None,
        binary: bool = False,
        total_vec: int | None = None,
        write_header: bool = True,
        prefix: str = "",
        append: bool = False,
        sort_attr: str = "count",
    ) -> None:
        """
        Write vectors as word2vec does, gzipped if the name ends in .gz; the file appears whole or not at all.

        Numbers in text are the shortest that read back as the same.

        Parameters
        ----------
        fname
            The file.
        fvocab
            Write words and their `sort_attr` to this file.
        binary
            Write float32 instead of text.
        total_vec
            The count to write into the header, when more vectors will be appended.
        write_header
            Begin with a line of count and size.
        prefix
            Put this before each word.
        append
            Add to the file.
        sort_attr
            Sort by this attribute, largest first, if there is one; keys that are their own row stay in front.

        Raises
        ------
        ValueError
            A key has a blank or a line end in it, so that the file could not be read.
        """
        count = len(self)
        order = np.arange(count)
        if sort_attr in self.expandos:
            numbers = next((i for i, key in enumerate(self.index_to_key) if key != i), count)
            rest = -self.expandos[sort_attr][numbers:]
            order[numbers:] = numbers + np.argsort(rest, kind="stable")
        elif fvocab is not None:
            raise ValueError(
                f"sort_attr: expected one of {sorted(self.expandos)} for fvocab, got {sort_attr!r}"
            )
        words = _encoded(prefix, [self.index_to_key[i] for i in order.tolist()])
        if fvocab is not None:
            values = self.expandos[sort_attr][order].tolist()
            lines = [b"%b %b\n" % (w, str(v).encode()) for w, v in zip(words, values, strict=True)]
            with word2vec_format.created(fvocab, append) as file:
                file.write(b"".join(lines))
        in_order = np.array_equal(order, np.arange(count))
        with word2vec_format.created(fname, append) as file:
            if write_header:
                total = count if total_vec is None else _check.integer("total_vec", total_vec, 0)
                file.write(f"{total} {self.vector_size}\n".encode())
            word2vec_format.write(file, words, self.vectors if in_order else self.vectors[order], binary)

    def intersect_word2vec_format(
        self,
        fname: Path,
        lockf: float = 0.0,
        binary: bool = False,
        encoding: str = "utf8",
        unicode_errors: str = "strict",
    ) -> None:
        """
        Take over the vectors of a word2vec file for the keys that are here; no key is added.

        `lockf` is what training multiplies their updates by from then on (``vectors_lockf``): 0 keeps them.
        """
        with word2vec_format.opened(fname) as file:
            reader = word2vec_format.Reader(file, fname, encoding, unicode_errors)
            count, size = reader.header()
            if size != self.vector_size:
                name = os.fspath(fname)
                raise ValueError(f"vectors: expected size {self.vector_size}, got {size} in {name!r}")
            found: dict[int, Array] = {}
            for words, rows in reader.records(size, count, binary, np.float32):
                for word, row in zip(words, rows, strict=True):
                    if word in self.key_to_index:
                        found[self.key_to_index[word]] = row.copy()
            reader.end(count)
        locks = getattr(self, "vectors_lockf", np.ones(1, np.float32))
        if len(locks) != len(self):
            locks = np.broadcast_to(locks[:1] if len(locks) else np.float32(1), len(self)).copy()
        for index, vector in found.items():
            self.vectors[index] = vector
            locks[index] = lockf
        self.vectors_lockf = locks
        self.norms = None

    def save(self, fname: Path, separately: Any = None, sep_limit: int = 10 << 20, **options: Any) -> None:
        """
        Write keys, vectors and attributes into a file of fastrnn's own, without pickle: see `checkpoint`.
        What is not `fname` is gensim's: see `Word2Vec.save`.

        Raises
        ------
        TypeError
            A key is no string and no int, or an attribute has a type that JSON does not know.
        """
        arguments.save_options(separately, sep_limit, **options)
        keys = [int(key) if isinstance(key, np.integer) else key for key in self.index_to_key]
        for key in keys:
            if not isinstance(key, (str, int)) or isinstance(key, bool):
                raise TypeError(f"keys: expected str or int, got {_check.describe(key)}")
        tree = {"kind": KIND, "keys": keys, "vectors": self.vectors}
        checkpoint.save(fname, tree | {"attributes": packed_attributes(self)})

    @classmethod
    def load(cls, fname: Path, mmap: Literal["r"] | bool | None = None) -> Self:
        """
        Read what `save` wrote.

        With ``mmap="r"`` (or True) the vectors stay in the file: read-only, shared between processes, read
        page by page as they are used.

        Raises
        ------
        ValueError
            It is another kind of file, or damaged.
        """
        tree = checkpoint.load(fname, mapped=arguments.mapped(mmap))
        kv = cls(0)
        try:
            if tree["kind"] != KIND:
                raise ValueError(f"a {tree['kind']}")
            kv._restore(tree["keys"], tree["vectors"])
            kv.expandos = unpacked_attributes(tree["attributes"])
            if any(len(values) != len(kv) for values in kv.expandos.values()):
                raise ValueError("attributes of another length")
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"vectors: expected KeyedVectors in {os.fspath(fname)!r}, got {error}") from None
        return kv

    def _restore(self, keys: Any, vectors: Any) -> None:
        """Take over what a file holds, if it fits together."""
        keys = list(keys)
        if not isinstance(vectors, np.ndarray) or vectors.ndim != 2 or vectors.dtype.kind != "f":
            raise ValueError(f"vectors that are a {_check.describe(vectors)}")
        if len(keys) != len(vectors) or not all(isinstance(key, (str, int)) for key in keys):
            raise ValueError(f"{len(keys)} keys for {len(vectors)} vectors")
        self.vector_size = vectors.shape[1]
        self._fill(keys, vectors)
        if len(self.key_to_index) != len(keys):
            raise ValueError("a key twice")


def _encoded(prefix: str, keys: list[Any]) -> list[bytes]:
    """Keys as they stand in a file, all at once: one by one they take longer than their vectors."""
    if prefix or not all(isinstance(key, str) for key in keys):
        keys = [f"{prefix}{key}" for key in keys]
    text = "\n".join(keys)
    if keys and (" " in text or text.count("\n") != len(keys) - 1):
        wrong = next(key for key in keys if " " in key or "\n" in key)
        raise ValueError(f"keys: expected no blank and no line end in a key, got {wrong!r}")
    return text.encode().split(b"\n") if keys else []
