"""Text in: files, vocabularies, and parallel streams of ids for truncated back-propagation through time."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from fastrnn import _check, _files
from fastrnn._vocabulary import END_OF_LINE as END_OF_LINE
from fastrnn._vocabulary import UNKNOWN as UNKNOWN
from fastrnn._vocabulary import Ids as Ids
from fastrnn._vocabulary import Unit as Unit
from fastrnn._vocabulary import Vocabulary as Vocabulary

IGNORED = -100  # the target that LinearCrossEntropy leaves out by default


def read_text(path: str | os.PathLike[str]) -> str:
    r"""
    Read a whole UTF-8 text file; a byte-order mark is dropped and ``\r\n`` becomes ``\n``.

    Raises
    ------
    OSError
        The file does not exist or cannot be read; the subclass is the system's (``FileNotFoundError``, ...).
    ValueError
        It is no regular file, is empty, holds NUL bytes (binary), or is not UTF-8; the message says where.
    """
    name = os.fspath(path)
    with _files.reading("text", name) as file:
        raw = file.read()
    nul = raw.find(b"\0")
    if nul >= 0:
        raise ValueError(f"text: expected UTF-8 text, got a binary file: {name!r} has a NUL byte at {nul}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"text: expected UTF-8 text, got byte 0x{raw[error.start]:02x} at {error.start} of {name!r}"
        ) from None
    if not text.strip():
        raise ValueError(f"text: expected some text, got an empty file: {name!r}")
    return text.replace("\r\n", "\n")


def text_digest(text: str) -> str:
    """Return the SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class Streams:
    """
    Cut a sequence of ids into `batch` parallel streams and these into chunks of `steps` for truncated BPTT.

    Item k is ``(inputs, targets)``, int32 [T, B] each, where ``targets[t] = inputs[t + 1]``; both are views
    of one time-major matrix. Row b of chunk k + 1 goes on where row b of chunk k stopped, so a model
    carries its state.

    Parameters
    ----------
    ids
        Integers, [N].
    batch
        Streams side by side, B.
    steps
        Steps of a chunk, T.
    whole
        False (training): what is left after B streams of whole chunks is dropped. True (evaluation): every
        one of the N - 1 predictions is in exactly one chunk; the last is shorter and the last stream ends
        in targets that are ignored. B is then at most N - 1.

    Raises
    ------
    ValueError
        `ids` are too few for one chunk, or `batch` or `steps` is not positive.
    """

    carry_state = True

    def __init__(self, ids: Any, batch: int, steps: int, *, whole: bool = False) -> None:
        batch, steps = _check.integer("batch", batch, 1), _check.integer("steps", steps, 1)
        ids = np.asarray(_check.items(ids))
        if ids.dtype.kind not in "iu" or ids.ndim != 1:
            raise TypeError(f"ids: expected integers of one axis, got {ids.dtype} of shape {ids.shape}")
        ids = ids.astype(np.int32, copy=False)
        predictions = len(ids) - 1
        need = 1 if whole else batch * steps
        if predictions < need:
            what = "2 tokens" if whole else f"batch * steps + 1 = {batch} * {steps} + 1 = {need + 1} tokens"
            raise ValueError(f"text: expected at least {what}, got {len(ids)}")
        self.steps = steps
        self.batch = min(batch, predictions) if whole else batch
        length = -(-predictions // self.batch) if whole else predictions // batch // steps * steps
        self.tokens = predictions if whole else length * batch
        at = length * np.arange(self.batch) + np.arange(length + 1)[:, None]
        rows: Ids = np.ascontiguousarray(ids[np.minimum(at, predictions)])
        self._inputs, self._targets = rows[:-1], rows[1:]
        if whole and self.tokens < length * self.batch:
            self._targets = np.where(at[1:] > predictions, np.int32(IGNORED), rows[1:])
        self._length = length
        self._digest = hashlib.sha256(np.ascontiguousarray(ids).data).hexdigest()

    def __len__(self) -> int:
        return -(-self._length // self.steps)

    def __iter__(self) -> Iterator[tuple[Ids, Ids]]:
        return (self[k] for k in range(len(self)))

    def __getitem__(self, k: int) -> tuple[Ids, Ids]:
        if not 0 <= k < len(self):
            raise IndexError(f"chunk {k} of {len(self)}")
        rows = slice(k * self.steps, min((k + 1) * self.steps, self._length))
        return self._inputs[rows], self._targets[rows]

    def part(self, process: int, count: int) -> Streams:
        """Return the streams that one of `count` processes has, which lie side by side."""
        own = copy.copy(self)
        columns = np.array_split(np.arange(self.batch), count)[process]
        chosen = slice(columns[0], columns[-1] + 1) if len(columns) else slice(0, 0)
        own._inputs, own._targets = self._inputs[:, chosen], self._targets[:, chosen]
        return own

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        return {"batch": self.batch, "steps": self.steps, "tokens": self.tokens, "sha256": self._digest}
