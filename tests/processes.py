"""Processes that train together, as forks of this one: without the seconds that importing torch takes."""

from __future__ import annotations

import faulthandler
import os
import pickle
import signal
import socket
import time
import traceback
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
