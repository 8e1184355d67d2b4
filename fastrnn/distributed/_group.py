"""The processes of a run, and what they exchange."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from fastrnn._typing import Array


class PeerError(ConnectionError):
    """Another process of the run was lost, failed, or does not answer."""


class Group:
    """Processes that train together; `connect` makes one.

    Every method is called by all processes, in the same order, with arrays of the same shape and dtype.

    Attributes
    ----------
    rank, size : int
        Which process this is, from 0, and how many there are.
    timeout : float
        Seconds that an exchange may take.
    """

    rank: int
    size: int
    timeout: float

    # --- what a back end has

    def _sum(self, array: Array) -> None:
        raise NotImplementedError

    def _broadcast(self, array: Array) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Leave the run."""

    # --- what follows from that

    def sum(self, array: Array) -> Array:
        """Sum over the processes, in place: the same bits on all of them.

        Parameters
        ----------
        array : ndarray
            C-contiguous.

        Returns
        -------
        ndarray
            The same array.

        Raises
        ------
        PeerError
            A process was lost, or did not answer within `timeout`.
        """
        if self.size > 1:
            with self._errors():
                self._sum(array)
        return array

    def mean(self, array: Array) -> Array:
        """Mean over the processes, in place; see `sum`."""
        array *= array.dtype.type(1 / self.size)
        return self.sum(array)

    def broadcast(self, array: Array) -> Array:
        """Copy the array of process 0 into that of all others; see `sum`."""
        if self.size > 1:
            with self._errors():
                self._broadcast(array)
        return array

    def gather(self, array: Array) -> list[Array]:
        """Give the arrays of all processes, of one axis each and of any lengths, to all of them.

        Raises
        ------
        PeerError
            As `sum`.
        """
        lengths = np.zeros(self.size, np.int64)
        lengths[self.rank] = len(array)
        ends = np.cumsum(self.sum(lengths))
        whole = np.zeros(int(ends[-1]), array.dtype)
        whole[ends[self.rank] - len(array) : ends[self.rank]] = array
        return np.split(self.sum(whole), ends[:-1])

    def bytes(self, data: bytes | None) -> bytes:
        """Give the bytes that process 0 has to all of them."""
        size = self.broadcast(np.array([0 if data is None else len(data)], np.int64))
        buffer = np.zeros(int(size[0]), np.uint8)
        if self.rank == 0 and data is not None:
            buffer[:] = np.frombuffer(data, np.uint8)
        return self.broadcast(buffer).tobytes()

    @contextlib.contextmanager
    def together(self, what: str) -> Iterator[None]:
        """Do something that may fail on some processes alone: then it fails on all.

        Raises
        ------
        PeerError
            It failed elsewhere.
        """
        failed = np.zeros(self.size, np.int64)
        try:
            yield
        except BaseException:
            failed[self.rank] = 1
            with contextlib.suppress(PeerError):
                self.sum(failed)
            raise
        at = np.flatnonzero(self.sum(failed))
        if at.size:
            raise PeerError(
                f"distributed: process {at[0]} of {self.size} failed: {what}; it says why, and all end"
            )

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        """Say the same of what the back ends raise when a process is gone."""
        try:
            yield
        except PeerError:
            raise
        except (RuntimeError, OSError) as error:
            raise self.lost(str(error)) from error

    def lost(self, why: Any) -> PeerError:
        """The error for a process that is gone."""
        words = str(why).strip().partition("\n")[0]
        return PeerError(
            f"distributed: process {self.rank} of {self.size}: expected all others to answer within "
            f"{self.timeout:g} s, but one was lost or is stuck; the last checkpoint stands ({words})"
        )
