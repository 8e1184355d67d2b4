r"""
One file for a model or a whole training state: a JSON tree and raw arrays, nothing that can run code.

Layout, little-endian::

    8 bytes   b"fastrnn\n"
    u32       version of the layout
    u32       zero
    u64       bytes of the header H
    H bytes   UTF-8 JSON {"tree": ..., "arrays": [[dtype, shape], ...]}; {"$array": k} stands for array k
              arrays in order, C-contiguous, each beginning at a multiple of 64
    32 bytes  SHA-256 of all bytes before

A path that ends in ``.safetensors`` or ``.npz`` gets that format instead, with the tree as JSON beside the
arrays, for other programs to read; see `fastrnn._containers`.

`save` writes aside in the same folder, flushes it to the disk and renames: a kill or a full disk leaves the
file that was there before. `load` checks everything and says what is wrong
(safetensors have no digest of the numbers).
"""

from __future__ import annotations

import hashlib
import json
import math
import mmap
import os
import struct
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from fastrnn import _files

MAGIC = b"fastrnn\n"
VERSION = 1
_PREFIX = struct.Struct("<8sIIQ")
_DIGEST = 32
_ALIGN = 64  # a cache line: an array may be mapped and used in place
_DTYPES = ("<f2", "<f4", "<f8", "<i4", "<i8", "<u4", "<u8", "|u1", "|b1")

Tree = Any  # None, bool, int, float, str, array, or a list, tuple or dict (str keys) of these


def save(path: str | os.PathLike[str], tree: Tree) -> None:
    """
    Write `tree` to `path`, replacing it in one step.

    Tuples come back as lists, NumPy scalars as Python numbers; floats and arrays keep their bits.

    Raises
    ------
    OSError
        The file cannot be written (disk full, no permission); what was at `path` is untouched.
    TypeError
        `tree` holds something else than numbers, strings, None, arrays, lists and dicts.
    """
    arrays: list[npt.NDArray[Any]] = []
    header = {"tree": _pack(tree, arrays), "arrays": [[a.dtype.str, list(a.shape)] for a in arrays]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    with _files.replacing("checkpoint", path) as file:
        container = _container(path)
        if container is not None:
            container.write(file, header, arrays)
        else:
            _write(file, text, arrays)


def load(path: str | os.PathLike[str], *, mapped: bool = False) -> Tree:
    """
    Read what `save` wrote.

    `mapped` leaves the arrays in the file: they are read-only, come page by page as they are used, and are
    shared with other processes that do the same. The digest is then not checked, because that would read
    everything; the layout is.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is no checkpoint, has another version, is truncated or damaged; the message says which.
    """
    name = os.fspath(path)
    with _files.reading("checkpoint", name) as file:
        container = _container(path)
        if container is not None:
            if mapped:
                raise ValueError(f"mapped: expected False for another format, got True for {name!r}")
            return parse(file.read(), name)
        start = file.read(_PREFIX.size)
        if not start.startswith(MAGIC):
            short = MAGIC.startswith(start[: len(MAGIC)])
            raise ValueError(
                f"checkpoint: {name!r} is truncated: {len(start)} bytes"
                if short
                else f"checkpoint: expected a fastrnn checkpoint, got {name!r} that begins {start[:8]!r}"
            )
        raw = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if mapped else start + file.read()
    return parse(raw, name, mapped)


def parse(raw: bytes | mmap.mmap, name: str, mapped: bool = False) -> Tree:
    """Read the bytes of a file of that name; see `load`."""
    try:
        container = _container(name)
        if container is None:
            return _parse(raw, mapped)
        try:
            header, arrays = container.read(bytes(raw))
            return _unpack(header["tree"], arrays)
        except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
            raise _Damaged(f"is no checkpoint of this format, or damaged: {error}") from None
    except _Damaged as error:
        raise ValueError(f"checkpoint: {name!r} {error}") from None


class _Damaged(Exception):
    pass


def _container(path: str | os.PathLike[str]) -> Any:
    """What writes and reads files of that suffix; None: this module."""
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix not in (".npz", ".safetensors"):
        return None
    from fastrnn import _containers

    return _containers.CONTAINERS[suffix]


def _write(file: BinaryIO, header: bytes, arrays: list[npt.NDArray[Any]]) -> None:
    digest = hashlib.sha256()

    def put(data: bytes | memoryview) -> None:
        digest.update(data)
        file.write(data)

    put(_PREFIX.pack(MAGIC, VERSION, 0, len(header)))
    put(header)
    at = _PREFIX.size + len(header)
    for array in arrays:
        put(bytes(-at % _ALIGN))
        if array.size:
            put(array.reshape(-1).view(np.uint8).data)
        at += -at % _ALIGN + array.nbytes
    file.write(digest.digest())


def _pack(tree: Tree, arrays: list[npt.NDArray[Any]]) -> Any:
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    if isinstance(tree, np.bool_ | np.integer | np.floating):
        return tree.item()
    if isinstance(tree, np.ndarray):
        dtype = tree.dtype.newbyteorder("<")
        if dtype.str not in _DTYPES:
            raise TypeError(f"checkpoint: expected an array of {', '.join(_DTYPES)}, got {tree.dtype}")
        arrays.append(np.asarray(tree, dtype, order="C"))
        return {"$array": len(arrays) - 1}
    if isinstance(tree, list | tuple):
        return [_pack(item, arrays) for item in tree]
    if isinstance(tree, dict):
        for key in tree:
            if not isinstance(key, str) or key.startswith("$"):
                raise TypeError(
                    f"checkpoint: expected keys of type str that do not begin with '$', got {key!r}"
                )
        return {key: _pack(item, arrays) for key, item in tree.items()}
    raise TypeError(
        f"checkpoint: expected numbers, strings, arrays, lists and dicts, got {type(tree).__name__}"
    )


def _unpack(tree: Any, arrays: list[npt.NDArray[Any]]) -> Tree:
    if isinstance(tree, list):
        return [_unpack(item, arrays) for item in tree]
    if isinstance(tree, dict):
        if "$array" in tree:
            return arrays[tree["$array"]]
        return {key: _unpack(item, arrays) for key, item in tree.items()}
    return tree


def _parse(raw: bytes | mmap.mmap, mapped: bool) -> Tree:
    if len(raw) < _PREFIX.size + _DIGEST:
        raise _Damaged(f"is truncated: {len(raw)} bytes")
    _, version, _, size = _PREFIX.unpack_from(raw)
    if version != VERSION:
        raise _Damaged(f"has layout version {version}, this fastrnn reads version {VERSION}")
    body = memoryview(raw)[:-_DIGEST]
    if not mapped and hashlib.sha256(body).digest() != raw[-_DIGEST:]:
        raise _Damaged("is truncated or damaged: its SHA-256 does not match")
    # What follows can only fail on a file that somebody made, checksum and all, or when mapped.
    try:
        header = json.loads(bytes(body[_PREFIX.size : _PREFIX.size + size]).decode())
        arrays = list(_arrays(body, _PREFIX.size + size, header["arrays"], mapped))
        return _unpack(header["tree"], arrays)
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise _Damaged(f"has an invalid header: {error}") from None


def _arrays(body: memoryview, at: int, described: list[Any], mapped: bool) -> Iterator[npt.NDArray[Any]]:
    for dtype, shape in described:
        if dtype not in _DTYPES or not all(isinstance(n, int) and n >= 0 for n in shape):
            raise ValueError(f"array of {dtype} {shape}")
        at += -at % _ALIGN
        count = math.prod(shape)
        end = at + count * np.dtype(dtype).itemsize
        if end > len(body):
            raise ValueError(f"array of {dtype} {shape} ends past the file")
        native = np.dtype(dtype).newbyteorder("=")
        yield (
            np.frombuffer(body, dtype, count, at).reshape(shape).astype(native, copy=not mapped)
            if count
            else np.empty(shape, native)
        )
        at = end
