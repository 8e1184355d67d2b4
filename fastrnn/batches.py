"""Batches of sequences of unlike lengths: padded, sorted into buckets, shuffled anew each epoch."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn import _check
from fastrnn._random import fold
from fastrnn.data import IGNORED, Ids
from fastrnn.layers.ragged import Rows as Rows

Lengths = npt.NDArray[np.int64]
BUCKET = 50  # batches that are sorted by length together: less leaves more padding, more less chance
Share = tuple[int, int]  # process, and how many there are


def own_rows(rows: Any, share: Share | None) -> Any:
    """Those of one process: every n-th, as rows are sorted by length."""
    return rows if share is None else rows[share[0] :: share[1]]


class Sequences:
    """Sequences of ids, one after the other in one array.

    Parameters
    ----------
    name
        What messages call them.
    ids
        A sequence of int32 arrays, none of them empty.

    Attributes
    ----------
    flat, starts, lengths
        All ids, int32 [N]; where each sequence begins, and how long it is.
    """

    def __init__(self, name: str, ids: Sequence[Ids]) -> None:
        if not len(ids):
            raise ValueError(f"{name}: expected at least one sequence, got none")
        self.lengths: Lengths = np.fromiter(map(len, ids), np.int64, len(ids))
        if not self.lengths.all():
            raise ValueError(f"{name}[{np.argmin(self.lengths)}]: expected at least one token, got none")
        self.flat: Ids = np.concatenate(ids)
        self.starts = np.cumsum(self.lengths) - self.lengths

    def __len__(self) -> int:
        return len(self.lengths)

    def padded(self, rows: npt.NDArray[np.integer[Any]], flat: Ids, filler: int) -> Ids:
        """Return sequences, by number, as columns of [T, B] out of `flat`, `filler` past their ends."""
        lengths = self.lengths[rows]
        step = np.arange(lengths.max(initial=0))[:, None]
        at = self.starts[rows] + np.minimum(step, lengths - 1)
        return np.where(step < lengths, flat[at], np.int32(filler))


class PaddedBatches:
    """Cut sequences into batches of alike lengths; see `fastrnn.protocols.Batches`.

    Item k is ``(Rows(tokens, lengths), targets)``. Targets are [T, B], `IGNORED` past the end of a row, or
    one for each row, [B].

    Parameters
    ----------
    inputs
        Sequences of tokens.
    targets
        Sequences as long as these, or an array with a label for each.
    batch
        Rows of a batch; the last one of an epoch may have fewer.
    seed
        Shuffles every epoch: sequences are dealt to buckets of 50 batches, sorted by length within them, and
        the batches shuffled. None sorts everything once, the longest first.
    rare, unknown, rate
        In training, tokens of `rare` (bools by token) become `unknown` with probability `rate`, drawn anew
        each epoch.
    aligned
        A target sequence has as many tokens as its input; False for translation and the like.
    """

    carry_state = False
    _share: Share | None = None

    def __init__(
        self,
        inputs: Sequences,
        targets: Sequences | npt.NDArray[np.int32],
        batch: int,
        *,
        seed: int | None = None,
        rare: npt.NDArray[np.bool_] | None = None,
        unknown: int = 0,
        rate: float = 0.0,
        aligned: bool = True,
    ) -> None:
        if len(targets) != len(inputs):
            raise ValueError(f"targets: expected {len(inputs)}, one for each sequence, got {len(targets)}")
        if aligned and isinstance(targets, Sequences) and (targets.lengths != inputs.lengths).any():
            at = int((targets.lengths != inputs.lengths).argmax())
            raise ValueError(
                f"targets[{at}]: expected {inputs.lengths[at]}, one for each token, got {targets.lengths[at]}"
            )
        self.inputs, self.targets = inputs, targets
        self.batch, self.seed = _check.integer("batch", batch, 1), seed
        self.tokens = len(inputs.flat)
        self._replace = (rare, unknown, rate) if rate else None
        self._flat = inputs.flat
        self._batches = self._cut(np.argsort(-inputs.lengths, kind="stable"))
        if seed is not None:
            self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle as epoch `epoch` of this seed has it, whatever was before."""
        if self.seed is None:
            return
        draw = np.random.Generator(np.random.PCG64(fold(self.seed, epoch)))
        order, size = draw.permutation(len(self.inputs)), self.batch * BUCKET
        buckets = [order[at : at + size] for at in range(0, len(order), size)]
        lengths = self.inputs.lengths
        ordered = [bucket[np.argsort(-lengths[bucket], kind="stable")] for bucket in buckets]
        batches = [part for bucket in ordered for part in self._cut(bucket)]
        self._batches = [batches[k] for k in draw.permutation(len(batches))]
        if self._replace is not None:
            rare, unknown, rate = self._replace
            flat = self.inputs.flat
            chosen = draw.random(len(flat)) < rate
            if rare is not None:
                chosen &= rare[flat]
            self._flat = np.where(chosen, np.int32(unknown), flat)

    def _cut(self, order: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        return [order[at : at + self.batch] for at in range(0, len(order), self.batch)]

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, k: int) -> tuple[Rows, Ids]:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of {len(self)}")
        rows = self.rows(k)
        x = Rows(self.inputs.padded(rows, self._flat, 0), self.inputs.lengths[rows])
        if isinstance(self.targets, Sequences):
            return x, self.targets.padded(rows, self.targets.flat, IGNORED)
        return x, self.targets[rows]

    def rows(self, k: int) -> npt.NDArray[np.int64]:
        """Return the numbers of the sequences of batch k."""
        found: npt.NDArray[np.int64] = own_rows(self._batches[k], self._share)
        return found

    def part(self, process: int, count: int) -> PaddedBatches:
        """Return the rows of every batch that one of `count` processes has."""
        own = copy.copy(self)
        own._share = (process, count)
        return own

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        targets = self.targets.flat if isinstance(self.targets, Sequences) else self.targets
        digest = hashlib.sha256()
        for part in (self.inputs.flat, self.inputs.lengths, targets):
            digest.update(np.ascontiguousarray(part).data)
        rate = 0.0 if self._replace is None else self._replace[2]
        return {"batch": self.batch, "seed": self.seed, "rate": rate, "sha256": digest.hexdigest()}


class DescribedBatches(PaddedBatches):
    """Pair rows of numbers with sequences; item k is ``(x [B, ...], targets [T, B])``.

    Parameters
    ----------
    x
        [N, ...].
    targets
        N sequences, by whose lengths rows go together.
    batch, seed
        See `PaddedBatches`.
    """

    def __init__(
        self, x: npt.NDArray[Any], targets: Sequences, batch: int, *, seed: int | None = None
    ) -> None:
        if len(x) != len(targets):
            raise ValueError(f"x: expected {len(targets)} rows, one for each sequence, got {len(x)}")
        self.x = x
        super().__init__(targets, targets, batch, seed=seed)

    def __getitem__(self, k: int) -> tuple[Any, Ids]:
        _, targets = super().__getitem__(k)
        return self.x[self.rows(k)], targets

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        return {**super().fingerprint(), "x": hashlib.sha256(np.ascontiguousarray(self.x).data).hexdigest()}


class Asked(NamedTuple):
    """A batch of texts, and of a question about each."""

    text: Rows
    question: Rows


class AskedBatches(PaddedBatches):
    """Pair texts with questions; item k is ``(Asked(text, question), targets)``.

    Parameters
    ----------
    texts, questions
        As many of one as of the other.
    targets
        [N, ...]; a batch has them as [..., B].
    batch, seed
        See `PaddedBatches`: texts of alike lengths go together.
    """

    def __init__(
        self,
        texts: Sequences,
        questions: Sequences,
        targets: npt.NDArray[np.int32],
        batch: int,
        *,
        seed: int | None = None,
    ) -> None:
        if len(questions) != len(texts):
            raise ValueError(f"questions: expected {len(texts)}, one for each text, got {len(questions)}")
        self.questions = questions
        super().__init__(texts, targets, batch, seed=seed)

    def __getitem__(self, k: int) -> tuple[Any, Ids]:
        text, targets = super().__getitem__(k)
        rows = self.rows(k)
        question = Rows(self.questions.padded(rows, self.questions.flat, 0), self.questions.lengths[rows])
        return Asked(text, question), np.ascontiguousarray(np.moveaxis(targets, 0, -1))

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        digest = hashlib.sha256(self.questions.flat.data)
        digest.update(self.questions.lengths.data)
        return {**super().fingerprint(), "questions": digest.hexdigest()}


class DenseBatches:
    """Cut rows of numbers into batches; item k is ``(x [B, I], targets [B, ...])``.

    Parameters
    ----------
    x, targets
        [N, I], and as many targets.
    batch
        Rows of a batch; the last one of an epoch may have fewer.
    seed
        Shuffles the rows anew in every epoch; None leaves them in order.
    """

    carry_state = False
    _share: Share | None = None

    def __init__(
        self, x: npt.NDArray[Any], targets: npt.NDArray[Any], batch: int, *, seed: int | None = None
    ) -> None:
        if not len(x):
            raise ValueError("x: expected at least one row, got none")
        if len(targets) != len(x):
            raise ValueError(f"targets: expected {len(x)}, one for each row, got {len(targets)}")
        self.x, self.targets, self.batch, self.seed = x, targets, _check.integer("batch", batch, 1), seed
        self.tokens = len(x)
        self._order = np.arange(len(x))
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Shuffle as epoch `epoch` of this seed has it, whatever was before."""
        if self.seed is not None:
            draw = np.random.Generator(np.random.PCG64(fold(self.seed, epoch)))
            self._order = draw.permutation(len(self.x))

    def __len__(self) -> int:
        return -(-len(self.x) // self.batch)

    def __getitem__(self, k: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        if not 0 <= k < len(self):
            raise IndexError(f"batch {k} of {len(self)}")
        rows = own_rows(self._order[k * self.batch : (k + 1) * self.batch], self._share)
        return self.x[rows], self.targets[rows]

    def part(self, process: int, count: int) -> DenseBatches:
        """Return the rows of every batch that one of `count` processes has."""
        own = copy.copy(self)
        own._share = (process, count)
        return own

    def fingerprint(self) -> dict[str, Any]:
        """Describe the data so that a checkpoint can tell whether it goes on with the same."""
        digest = hashlib.sha256(np.ascontiguousarray(self.x).data)
        digest.update(np.ascontiguousarray(self.targets).data)
        return {"batch": self.batch, "seed": self.seed, "sha256": digest.hexdigest()}
