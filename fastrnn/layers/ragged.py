"""Batches whose rows have unlike lengths: sequences without padding, in the order that the kernels want."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _check, _core

if TYPE_CHECKING:
    from .._typing import Array, Shape, State


class Rows(NamedTuple):
    """A padded batch: tokens [T, B], or numbers [T, B, I], and the lengths of its rows, [B]."""

    tokens: Array
    lengths: np.ndarray[Any, np.dtype[np.int64]]


def apart(x: Any, lengths: Any) -> tuple[Any, Any]:
    """Inputs, and the lengths of those that are `Rows`."""
    several = isinstance(x, tuple) and not isinstance(x, Rows)
    parts = x if several else (x,)
    if not any(isinstance(part, Rows) for part in parts):
        return x, lengths
    if lengths is not None:
        raise ValueError("lengths: expected None for an x that has them, got some")
    inputs = tuple(part.tokens if isinstance(part, Rows) else part for part in parts)
    known = tuple(part.lengths if isinstance(part, Rows) else None for part in parts)
    return (inputs, known) if several else (inputs[0], known[0])


def elements(lengths: Array) -> tuple[Array, Array]:
    """Give the step and the row of each element of rows without padding; the lengths descend."""
    last = int(lengths[0]) - 1
    from_end, row = np.nonzero(np.arange(last, -1, -1)[:, None] < lengths)
    return last - from_end, row


class Ragged:
    """Where each step of each row of a batch lies with padding and without.

    Without padding the rows are sorted, the longest first, and lie by step from the last to the first. The
    reverse direction reads each row from its own end.

    Parameters
    ----------
    given : ndarray of int64, [B]
        The lengths, in any order, 0 allowed, at most T.
    shape : tuple of int
        Of the padded array, (T, B, ...) or (B, T, ...).
    batch_first : bool
    """

    def __init__(self, given: np.ndarray[Any, np.dtype[np.int64]], shape: Shape, batch_first: bool) -> None:
        steps, rows = shape[1::-1] if batch_first else shape[:2]
        self.batch_first = batch_first
        self.order = np.argsort(-given, kind="stable")
        self.lengths = np.ascontiguousarray(given[self.order])
        t, row = elements(self.lengths)
        b = self.order[row]
        self.places = tuple(
            b * steps + step if batch_first else step * rows + b for step in (t, self.lengths[row] - 1 - t)
        )

    @classmethod
    def of(cls, lengths: Any, shape: Shape, batch_first: bool) -> Ragged | None:
        """The places of checked lengths; None where no row has padding."""
        steps, rows = shape[1::-1] if batch_first else shape[:2]
        given = _check.lengths(lengths, rows, steps)
        return None if (given == steps).all() else cls(given, shape, batch_first)

    def gather(self, padded: Array, direction: int, columns: slice | None = None) -> Array:
        """The rows of a padded array, or some of their columns, without padding."""
        flat = padded.reshape(-1, *padded.shape[2:])
        if flat.ndim == 1:
            tokens: Array = flat[self.places[direction]]
            return tokens
        if columns is not None:
            flat = flat[:, columns]
        if flat.strides[1] != flat.itemsize:
            flat = np.ascontiguousarray(flat)
        out = _core.empty((len(self.places[direction]), flat.shape[1]), padded)
        _core.take(flat, self.places[direction], out)
        return out

    def scatter(self, packed: Array, padded: Array, direction: int, columns: slice) -> None:
        """Write rows into some columns of a contiguous padded array, and zeros where there are none."""
        whole, places = padded.reshape(-1, padded.shape[2])[:, columns], self.places[direction]
        back = np.full(len(whole), -1)  # where a padded row comes from
        back[places] = np.arange(len(places))
        _core.take(packed, back, whole)

    def sort(self, states: State | None) -> State | None:
        """States, each [B, H], in the order of the rows without padding."""
        return None if states is None else tuple([part[self.order] for part in states])

    def unsort(self, states: State) -> State:
        """And back."""
        found = []
        for part in states:
            whole = np.empty_like(part)
            whole[self.order] = part
            found.append(whole)
        return tuple(found)
