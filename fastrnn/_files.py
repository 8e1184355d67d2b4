"""Files in and out: a regular file or a clear error, and a new file in one step or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

try:
    import fcntl as _fcntl
except ImportError:  # Windows
    _fcntl = None  # type: ignore[assignment]
fcntl: Any = _fcntl

Path = str | os.PathLike[str]


@contextlib.contextmanager
def reading(what: str, path: Path) -> Iterator[BinaryIO]:
    """
    Open a regular file for reading; `what` begins the messages, as in ``checkpoint: cannot read 'x': ...``.

    Raises
    ------
    OSError
        It does not exist or cannot be read; the subclass is the system's (``FileNotFoundError``, ...).
    ValueError
        It is no regular file: a pipe or a device.
    """
    name = os.fspath(path)
    try:
        mode = os.stat(name).st_mode
        if stat.S_ISDIR(mode):
            raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not stat.S_ISREG(mode):
            raise ValueError(f"{what}: expected a regular file, got {name!r}")
        with open(name, "rb") as file:
            yield file
    except OSError as error:
        if error.errno is None:  # not the system's, but of a decoder
            raise
        raise OSError(error.errno, f"{what}: cannot read {name!r}: {error.strerror}") from None


@contextlib.contextmanager
def replacing(what: str, path: Path, *, flush: bool = True) -> Iterator[BinaryIO]:
    """
    Write a file aside, in the same folder, and put it into place at the end: what was there stays until then,
    and stays when anything fails.

    `flush` asks the disk to have the bytes before the rename, so that a power cut cannot leave a hole. The
    name aside has the number of the process in it; what a killed process has left there is removed.

    Raises
    ------
    OSError
        The file cannot be written (disk full, no permission).
    ValueError
        There is something at `path` that is no regular file: a pipe or a device.
    """
    target = os.path.realpath(os.fspath(path))
    aside = f"{target}.{os.getpid()}.tmp"
    mode = None
    with contextlib.suppress(OSError):
        mode = os.stat(target).st_mode
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise ValueError(f"{what}: expected a regular file, got {os.fspath(path)!r}")
    _remove_leftovers(target)
    try:
        with open(aside, "wb") as file:
            _lock(file.fileno())
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
        if mode is not None:
            os.chmod(aside, stat.S_IMODE(mode))
        os.replace(aside, target)
    except BaseException as error:
        with contextlib.suppress(OSError):
            if not os.path.isdir(aside):
                os.unlink(aside)
        if isinstance(error, OSError) and error.errno is not None:
            name = os.fspath(path)
            raise OSError(error.errno, f"{what}: cannot write {name!r}: {error.strerror}") from None
        raise
    if flush:
        _flush_folder(os.path.dirname(target))


def _remove_leftovers(target: str) -> None:
    """Remove what was written aside by processes that are no more."""
    folder, name = os.path.split(target)
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            process = entry.name.removeprefix(f"{name}.").removesuffix(".tmp")
            ours = entry.name == f"{name}.{process}.tmp" and process.isdecimal()
            if ours and _abandoned(entry.path, int(process)):
                os.unlink(entry.path)


def _abandoned(path: str, process: int) -> bool:
    """Whether nobody writes that file: no process of that number here, and none elsewhere, by its lock."""
    if fcntl is None:
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        with open(path, "rb") as file:
            return _lock(file.fileno())
    except (OSError, OverflowError):
        pass
    return False


def _lock(handle: int) -> bool:
    """Lock an open file, where the system can, until it is closed; whether that went."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _flush_folder(folder: str) -> None:
    # Without this a power cut may forget the rename. Not every file system lets a folder be opened or
    # flushed.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
