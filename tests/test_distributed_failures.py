"""Processes that are lost, late or unlike the others end a run with an error in all of them."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import checks
import numpy as np
import processes
from distributed_runs import DATA, EPOCHS, HELD_OUT, VOCABULARY, alone, language_model

from fastrnn import checkpoint, optim
from fastrnn.callbacks import Callback
from fastrnn.distributed import PeerError, connect
from fastrnn.models import LanguageModel
from fastrnn.training import Trainer


class TestTogether:
    """Runs of two and three processes."""

    pytestmark = processes.together

    def test_a_lost_process(self, tmp_path: Path) -> None:
        """Killed or stuck: the others end with an error, and the run goes on from the checkpoint."""
        for signum in (signal.SIGKILL, signal.SIGSTOP):
            path = tmp_path / f"run{signum}"

            class Strike(Callback):
                def on_step_end(self, trainer: Trainer, logs: Any, signum: int = signum) -> None:
                    if trainer._team.rank == 1 and trainer.steps_done == 4:
                        os.kill(os.getpid(), signum)

            def work(path: Path = path, strike: Callback = Strike()) -> Any:  # noqa: B008
                language_model(path, strike, distributed=connect(timeout=3)).fit(DATA, EPOCHS, HELD_OUT)

            port = processes.free_port()
            pids = [processes.start(rank, 3, port, tmp_path, work) for rank in range(3)]
            begun = time.monotonic()
            errors = [processes.wait(pids[rank], tmp_path, 20) for rank in (0, 2)]
            os.kill(pids[1], signal.SIGKILL)
            assert processes.wait(pids[1], tmp_path) is None
            assert time.monotonic() - begun < 15
            for error in errors:
                assert isinstance(error, PeerError), error
                assert "one was lost or is stuck" in str(error)
                assert "the last checkpoint stands" in str(error)
            tree = checkpoint.load(path)
            assert tree["training"]["steps_done"] == 4
        want, _ = alone()

        def resumed() -> Any:
            trainer = language_model(path, seed=99, distributed=connect(timeout=20))
            trainer.fit(DATA, EPOCHS, HELD_OUT, resume=True)
            return trainer.model.flat_params.copy()

        for params in processes.run(2, tmp_path, resumed):  # with one process less
            checks.close(params, want, "gradient")
        again = language_model(path, seed=98)
        again.fit(DATA, EPOCHS, HELD_OUT, resume=True)  # with one alone: the run is finished
        checks.close(again.model.flat_params, want, "gradient")

    def test_a_late_process(self, tmp_path: Path) -> None:
        port = processes.free_port()

        def work() -> Any:
            group = connect(timeout=15)
            group.sum(np.zeros(1))
            time.sleep(2.0)
            group.sum(np.zeros(1))
            return "done"

        def late() -> Any:
            return connect(timeout=2)

        first = [processes.start(rank, 2, port, tmp_path, work) for rank in range(2)]
        time.sleep(1.2)
        again = processes.start(1, 2, port, tmp_path, late)
        beyond = processes.start(2, 2, port, tmp_path, late)
        assert str(processes.wait(again, tmp_path)) == (
            "distributed: process 1 of 2 comes late: there was one already, and a run that has begun takes "
            "no more; start all of them again from the checkpoint"
        )
        assert str(processes.wait(beyond, tmp_path)) == (
            "distributed: expected a rank in [0, 2), got 2: a run that has begun takes no more"
        )
        assert [processes.wait(pid, tmp_path) for pid in first] == ["done", "done"]
        over = processes.wait(processes.start(1, 2, port, tmp_path, late), tmp_path)
        assert isinstance(over, PeerError)
        assert "expected all to meet at 127.0.0.1:" in str(over)

    def test_unlike_runs_and_failures(self, tmp_path: Path) -> None:
        def unlike() -> Any:
            group = connect(timeout=15)
            language_model(distributed=group, seed=1 + group.rank, accumulate=1 + group.rank).fit(DATA, 1)

        errors = processes.run(2, tmp_path, unlike)
        assert str(errors[1]) == (
            "distributed: process 1 of 2: this process trainer: expected accumulate = 1, as in "
            "process 0, got 2"
        )
        assert str(errors[0]) == (
            "distributed: process 1 of 2 failed: comparing the runs; it says why, and all end"
        )

        def absent() -> Any:
            language_model(tmp_path / "absent", distributed=connect(timeout=15)).fit(DATA, 1, resume=True)

        errors = processes.run(2, tmp_path, absent)
        assert isinstance(errors[0], FileNotFoundError)
        assert "process 0 of 2 failed: reading the checkpoint" in str(errors[1])

        def diverges() -> Any:
            trainer = language_model(distributed=connect(timeout=15))
            if trainer._team.rank == 1:
                trainer.model.value_and_grad = lambda *_, **__: (np.nan, None)
            trainer.fit(DATA, 1)

        assert [type(error) for error in processes.run(2, tmp_path, diverges)] == [FloatingPointError] * 2

    def test_unlike_settings(self, tmp_path: Path) -> None:
        def rates() -> Any:
            group = connect(timeout=15)
            model = LanguageModel(VOCABULARY, 6, 1, seed=3)
            Trainer(model, optim.SGD(model, 0.5 + group.rank), distributed=group).fit(DATA, 1)

        assert str(processes.run(2, tmp_path, rates)[1]) == (
            "distributed: process 1 of 2: this process optimizer: expected lr = 0.5, as in process 0, got 1.5"
        )

        def resumes() -> Any:
            group = connect(timeout=15)
            language_model(tmp_path / "none", distributed=group).fit(DATA, 1, resume=group.rank == 1)

        for error in processes.run(2, tmp_path, resumes):
            assert str(error).startswith("resume: expected the same in all 2 processes, got True in 1 of")
