"""Forks of this process: one that does one thing, or several that train together, without importing torch."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import socket
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

together = [
    pytest.mark.peer,
    pytest.mark.usefixtures("forks"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]


DEADLINE = 60  # seconds for what takes less than one


def fork(child: Callable[[], bool]) -> int:
    """The exit status of a child that runs `child`: 0 if it gives True, 1 if not, -14 if it hangs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork: what is tested here
        pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(DEADLINE)
            status = 0 if child() else 1
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def start(rank: int, size: int, port: int, folder: Path, work: Callable[[], Any]) -> int:
    """Run work() as that process of the run; its answer, or its error, goes to a file. Gives the pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        faulthandler.dump_traceback_later(30)
        os.environ.update(where, RANK=str(rank), WORLD_SIZE=str(size))
        (folder / f"{rank}.{os.getpid()}.begun").touch()
        try:
            found = work()
        except BaseException as error:
            found = error
            if not isinstance(error, (OSError, ValueError, FloatingPointError)):
                traceback.print_exc()
        (folder / str(os.getpid())).write_bytes(pickle.dumps(found))
        code = 0
    finally:
        os._exit(code)


def wait(pid: int, folder: Path, seconds: float = 60.0) -> Any:
    """The answer of a process, or its error; None if it was killed."""
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"a process did not end within {seconds:g} s")
        time.sleep(0.01)
    if os.WIFSIGNALED(status):
        return None
    return pickle.loads((folder / str(pid)).read_bytes())


def run(size: int, folder: Path, work: Callable[[], Any]) -> list[Any]:
    """The answers of all processes of a run."""
    port = free_port()
    pids = [start(rank, size, port, folder, work) for rank in range(size)]
    return [wait(pid, folder) for pid in pids]
