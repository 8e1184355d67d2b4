"""torch.distributed with gloo, over the memory of NumPy arrays."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ._group import Group, PeerError

try:
    import torch
    import torch.distributed as dist
except ImportError as _error:
    raise ImportError("fastrnn.distributed: torchrun needs PyTorch; pip install 'fastrnn[torch]'") from _error

if TYPE_CHECKING:
    from fastrnn._typing import Array


class TorchGroup(Group):
    """The processes that torchrun started, or those of ``torch.distributed.init_process_group``."""

    def __init__(self, timeout: float) -> None:
        self.timeout, limit = timeout, timedelta(seconds=timeout)
        self._store: Any = None
        if not dist.is_initialized():
            self._join(limit)
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        with self._errors():
            self._group = dist.new_group(backend="gloo", timeout=limit)

    def _join(self, limit: timedelta) -> None:
        """Meet at the store; who comes a second time, or when all are there, is too late."""
        rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        if not 0 <= rank < size:
            raise PeerError(
                f"distributed: expected a rank in [0, {size}), got {rank}: a run that has begun takes no more"
            )
        try:
            self._store, _, _ = next(dist.rendezvous("env://", rank, size, timeout=limit))
        except (dist.DistError, RuntimeError, OSError) as error:
            words = str(error).strip().partition("\n")[0]
            raise PeerError(
                f"distributed: process {rank} of {size}: expected all to meet at {where} within "
                f"{self.timeout:g} s, but not all came, or the run is over ({words})"
            ) from error
        run = os.environ.get("TORCHELASTIC_RUN_ID", "") + os.environ.get("TORCHELASTIC_RESTART_COUNT", "")
        store = dist.PrefixStore(f"fastrnn/{run}", self._store)
        if store.add(f"joined/{rank}", 1) > 1:
            raise PeerError(
                f"distributed: process {rank} of {size} comes late: there was one already, and a run that "
                "has begun takes no more; start all of them again from the checkpoint"
            )
        try:
            dist.init_process_group("gloo", store=store, rank=rank, world_size=size, timeout=limit)
        except (RuntimeError, OSError) as error:
            self.rank, self.size = rank, size
            raise self.lost(error) from error

    def _sum(self, array: Array) -> None:
        dist.all_reduce(torch.from_numpy(array), group=self._group)

    def _broadcast(self, array: Array) -> None:
        dist.broadcast(torch.from_numpy(array), 0, group=self._group)

    def close(self) -> None:
        """Leave the run, and end torch's process group if `connect` has made it."""
        if dist.is_initialized():
            dist.destroy_process_group(None if self._store is not None else self._group)
