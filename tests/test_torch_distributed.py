"""Layers of fastrnn.torch in two processes, under DistributedDataParallel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import ModuleType

import checks
import pytest

pytestmark = pytest.mark.peer

RANK = """
import os, sys, torch
import torch.distributed as dist
import fastrnn.torch
rank, folder = int(sys.argv[1]), sys.argv[2]
torch.set_num_threads(1)
dist.init_process_group("gloo", init_method="file://" + folder + "/meet", rank=rank, world_size=2)
torch.manual_seed(0)
layer = fastrnn.torch.LSTM(7, 17, num_layers=2, bidirectional=True, dtype=torch.float64)
model = torch.nn.parallel.DistributedDataParallel(layer)
x = torch.randn(5, 6, 7, dtype=torch.float64)
y, _ = model(x[:, 3 * rank : 3 * rank + 3])
y.square().mean().backward()
both = {n: p.grad.clone() for n, p in layer.named_parameters()}
layer.zero_grad()
layer(x)[0].square().mean().backward()
alone = {n: p.grad for n, p in layer.named_parameters()}
torch.save((both, alone), f"{folder}/{rank}.pt")
dist.destroy_process_group()
"""


def test_distributed_data_parallel(torch: ModuleType, tmp_path: Path) -> None:
    command = [sys.executable, "-I", "-W", "ignore", "-c", RANK]
    ranks = [subprocess.Popen([*command, str(rank), str(tmp_path)]) for rank in range(2)]
    assert [rank.wait(300) for rank in ranks] == [0, 0]
    (both, alone), (others, _) = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    for name, want in alone.items():
        checks.same_bits(both[name].numpy(), others[name].numpy(), name)
        checks.close(both[name].numpy(), want.numpy(), "identity", name)
