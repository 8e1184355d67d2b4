"""MPI by mpi4py: exchanges that do not block, so that one that never ends is noticed."""

from __future__ import annotations

import atexit
import time
from typing import TYPE_CHECKING, Any

from ._group import Group

try:
    from mpi4py import MPI
except (ImportError, RuntimeError) as _error:  # RuntimeError: there is no MPI library
    raise ImportError(
        f"fastrnn.distributed: mpiexec needs mpi4py and an MPI library; pip install mpi4py mpich ({_error})"
    ) from _error

if TYPE_CHECKING:
    from fastrnn._typing import Array

_SPIN, _PAUSE = 2e-3, 1e-4  # seconds: how long to look without a pause, and the pause then


class MpiGroup(Group):
    """The processes that mpiexec started."""

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._comm: Any = MPI.COMM_WORLD.Dup()
        self.rank, self.size = self._comm.Get_rank(), self._comm.Get_size()

    def _sum(self, array: Array) -> None:
        self._wait(self._comm.Iallreduce(MPI.IN_PLACE, array, MPI.SUM))

    def _broadcast(self, array: Array) -> None:
        self._wait(self._comm.Ibcast(array, 0))

    def _wait(self, request: Any) -> None:
        begun = time.monotonic()
        try:
            while not request.Test():
                waited = time.monotonic() - begun
                if waited > self.timeout:
                    raise TimeoutError(f"no answer in {waited:.1f} s")
                if waited > _SPIN:
                    time.sleep(_PAUSE)
        except (MPI.Exception, TimeoutError) as error:
            atexit.register(MPI.COMM_WORLD.Abort, 1)  # else the end of the program waits for the lost one
            raise self.lost(error) from error

    def close(self) -> None:
        """Leave the run."""
        self._comm.Free()
