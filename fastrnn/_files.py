"""Files in and out: a regular file or a clear error, and a new file in one step or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

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

    `flush` asks the disk to have the bytes before the rename, so that a power cut cannot leave a hole.

    Raises
    ------
    OSError
        The file cannot be written (disk full, no permission).
    """
    target = os.path.realpath(os.fspath(path))
    aside = target + ".tmp"
    try:
        with open(aside, "wb") as file:
            yield file
            file.flush()
            if flush:
                os.fsync(file.fileno())
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


def _flush_folder(folder: str) -> None:
    # Without this a power cut may forget the rename. Not every file system lets a folder be opened or
    # flushed.
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
