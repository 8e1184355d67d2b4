"""Programs that torchrun and mpiexec start find each other, and train together."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import checks
import numpy as np
import pytest
from conftest import peer
from distributed_runs import alone, language_model

from fastrnn.distributed._connect import launcher

PROGRAM = """
import sys, numpy as np, fastrnn
sys.path.insert(0, sys.argv[1])
from distributed_runs import DATA, EPOCHS, HELD_OUT, language_model, outcome
group = fastrnn.distributed.connect(timeout=30)
total = group.sum(np.array([group.rank + 1.0]))
print(f"{type(group).__name__} {group.rank} of {group.size}: {total[0]:g}\\n", end="", flush=True)
trainer = language_model(distributed=True)
trainer.fit(DATA, EPOCHS, HELD_OUT)
np.save(f"{sys.argv[2]}/{group.rank}.npy", outcome(trainer)[0])
"""


@pytest.mark.peer
@pytest.mark.parametrize("kind", [pytest.param("torchrun", marks=pytest.mark.heavy), "mpiexec"])
def test_launchers(tmp_path: Path, kind: str) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    folder = Path(sys.executable).parent
    if kind == "torchrun":
        peer("torch")
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    else:
        peer("mpi4py")
        if not (folder / "mpiexec").exists():
            pytest.skip("there is no mpiexec")
        command = [str(folder / "mpiexec"), "-n", "2", sys.executable]
    done = subprocess.run(
        [*command, str(tmp_path / "program.py"), str(Path(__file__).parent), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    name = {"torchrun": "TorchGroup", "mpiexec": "MpiGroup"}[kind]
    assert sorted(line for line in done.stdout.splitlines() if name in line) == [
        f"{name} 0 of 2: 3",
        f"{name} 1 of 2: 3",
    ], done.stderr
    first, second = (np.load(tmp_path / f"{rank}.npy") for rank in (0, 1))
    checks.same_bits(first, second)
    checks.close(first, alone()[0], "gradient")


def test_which_launcher() -> None:
    torch = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"}
    assert launcher(torch) == "torch"
    assert launcher({"PMI_RANK": "1"}) == launcher({"OMPI_COMM_WORLD_RANK": "1"}) == "mpi"
    with pytest.raises(RuntimeError) as raised:
        launcher({})
    assert str(raised.value) == (
        "distributed: expected a program that torchrun or mpiexec started, got an environment without RANK "
        "and without OMPI_COMM_WORLD_RANK, PMIX_RANK and PMI_RANK"
    )
    with pytest.raises(TypeError) as wrong:
        language_model(distributed=2)
    assert str(wrong.value) == ("distributed: expected True, False or a fastrnn.distributed.Group, got 2")
