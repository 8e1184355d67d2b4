"""IDX files, in which MNIST and Fashion-MNIST come."""

from __future__ import annotations

import gzip
import os
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _files

TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> npt.NDArray[Any]:
    """
    Read an array from an IDX file, plain or gzip: in the byte order of this machine.

    Layout: two zero bytes, a type, the number of axes, each axis as a big-endian u32, the elements (LeCun,
    Cortes, Burges: The MNIST database).

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no IDX file, or has more or fewer bytes than its header says.
    """
    name = os.fspath(path)
    with _files.reading("idx", name) as file:
        raw = file.read()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError) as error:
            raise ValueError(f"idx: expected a whole gzip file, got {name!r}: {error}") from None
    kind = raw[2] if len(raw) >= 4 else -1
    if raw[:2] != b"\0\0" or kind not in TYPES:
        raise ValueError(f"idx: expected the header of an IDX file, got {raw[:4]!r} in {name!r}")
    head = 4 + 4 * raw[3]
    if len(raw) < head:
        raise ValueError(f"idx: expected a header of {head} bytes, got a file of {len(raw)}: {name!r}")
    shape = struct.unpack(f">{raw[3]}I", raw[4:head])
    dtype, size = np.dtype(TYPES[kind]), 1
    for extent in shape:
        size *= extent
    if len(raw) - head != size * dtype.itemsize:
        raise ValueError(
            f"idx: expected {size * dtype.itemsize} bytes after the header, for shape {shape}, "
            f"got {len(raw) - head} in {name!r}"
        )
    return np.frombuffer(raw, dtype, offset=head).reshape(shape).astype(dtype.newbyteorder("="))
