"""Which launcher started this program, and joining the run."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from fastrnn import _check

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._group import Group

_TORCH = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
_MPI = ("OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK")
BACKENDS = ("torch", "mpi")


def launcher(environment: Mapping[str, str]) -> str:
    """Name the back end of what started a program with this environment.

    Raises
    ------
    RuntimeError
        Nothing that we know did.
    """
    if all(name in environment for name in _TORCH):
        return "torch"
    if any(name in environment for name in _MPI):
        return "mpi"
    lacking = next(name for name in _TORCH if name not in environment)
    raise RuntimeError(
        f"distributed: expected a program that torchrun or mpiexec started, got an environment without "
        f"{lacking} and without {', '.join(_MPI[:-1])} and {_MPI[-1]}"
    )


def connect(*, timeout: float = 60.0, backend: str | None = None) -> Group:
    """Join the other processes of this program.

    Parameters
    ----------
    timeout : float
        Seconds that the others have to join, and that each exchange may take.
    backend : {"torch", "mpi"}, optional
        By default what the launcher's environment says: ``torchrun`` or ``mpiexec``. "torch" is
        torch.distributed with gloo and needs ``fastrnn[torch]``; if the program has called
        ``init_process_group`` already, a group of the same processes is made. "mpi" needs mpi4py and an MPI.

    Returns
    -------
    Group

    Raises
    ------
    RuntimeError
        Neither launcher started the program.
    PeerError
        The others did not come within `timeout`; or this process comes late, into a run that has begun.
    ImportError
        The back end is not installed.
    """
    timeout = _check.real("timeout", timeout)
    if backend is None:
        backend = launcher(os.environ)
    if _check.choice("backend", backend, BACKENDS) == "mpi":
        from ._mpi import MpiGroup

        return MpiGroup(timeout)
    from ._torch import TorchGroup

    return TorchGroup(timeout)


_joined: dict[int, Group] = {}  # of each process id that has connected by itself: a fork has to do it anew


def group_of(given: Group | bool | None) -> Group:
    """The group of an argument `distributed` or `group`: True and None connect, once in a process."""
    from ._group import Group

    if isinstance(given, Group):
        return given
    if given is None or given is True:
        if os.getpid() not in _joined:
            _joined[os.getpid()] = connect()
        return _joined[os.getpid()]
    raise TypeError(
        f"distributed: expected True, False or a fastrnn.distributed.Group, got {_check.describe(given)}"
    )
