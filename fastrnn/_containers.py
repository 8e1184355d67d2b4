"""Checkpoints as safetensors and npz files: arrays by their place in the tree, and the tree as JSON.

An array is named by the keys on the way to it, ``training.optimizer.m``; the entry ``fastrnn`` (in
safetensors of the metadata) is the JSON of a checkpoint's header, in which ``{"$array": k}`` stands for array
k of ``names``.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

if TYPE_CHECKING:
    from fastrnn._typing import Array

_ENTRY = "fastrnn"


def _names(tree: Any, at: str, found: dict[int, str]) -> None:
    """Where in a packed tree the arrays are."""
    if isinstance(tree, dict) and "$array" in tree:
        found[tree["$array"]] = at
    else:
        pairs = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
        for key, part in pairs:
            _names(part, f"{at}.{key}" if at else str(key), found)


def _described(header: dict[str, Any], count: int) -> tuple[str, list[str]]:
    found: dict[int, str] = {}
    _names(header["tree"], "", found)
    names = [found[k] or "array" for k in range(count)]
    if len({*names, _ENTRY}) <= count:  # keys with dots in them
        names = [f"{k}.{name}" for k, name in enumerate(names)]
    return json.dumps({"tree": header["tree"], "names": names}), names


def write_npz(file: BinaryIO, arrays: dict[str, Any]) -> None:
    """What ``numpy.savez`` writes, for any names."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as parts:
        for name, array in arrays.items():
            with parts.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asanyarray(array), allow_pickle=False)


def to_safetensors(arrays: dict[str, Any], metadata: dict[str, str]) -> bytes:
    """The bytes of a file; ValueError where the names and the metadata are too long for the format."""
    from safetensors import SafetensorError
    from safetensors.numpy import save

    try:
        found = save({name: np.asarray(a, order="C") for name, a in arrays.items()}, metadata)
    except SafetensorError as error:
        raise ValueError(f"safetensors: expected what fits into its header, got more ({error})") from None
    return bytes(found)


class Npz:
    """Uncompressed zip files of .npy, as ``numpy.load`` reads them; pickles are refused."""

    @staticmethod
    def write(file: BinaryIO, header: dict[str, Any], arrays: list[Array]) -> None:
        """Write a packed tree."""
        text, names = _described(header, len(arrays))
        entry = np.frombuffer(text.encode(), np.uint8)
        write_npz(file, {_ENTRY: entry, **dict(zip(names, arrays, strict=True))})

    @staticmethod
    def read(raw: bytes) -> tuple[dict[str, Any], list[Array]]:
        """Read it; ValueError or KeyError where it is something else."""
        try:
            with np.load(io.BytesIO(raw), allow_pickle=False) as found:
                header = json.loads(found[_ENTRY].tobytes())
                return header, [found[name] for name in header["names"]]
        except (zipfile.BadZipFile, EOFError, AttributeError, NotImplementedError, RuntimeError) as error:
            raise ValueError(str(error) or "it ends too early") from None


class Safetensors:
    """Files of the package safetensors (extra ``safetensors``)."""

    @staticmethod
    def write(file: BinaryIO, header: dict[str, Any], arrays: list[Array]) -> None:
        """Write a packed tree."""
        text, names = _described(header, len(arrays))
        file.write(to_safetensors(dict(zip(names, arrays, strict=True)), {_ENTRY: text}))

    @staticmethod
    def read(raw: bytes) -> tuple[dict[str, Any], list[Array]]:
        """Read it; ValueError or KeyError where it is something else."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        try:
            arrays = load(raw)
        except SafetensorError as error:
            raise ValueError(str(error)) from None
        size = int.from_bytes(raw[:8], "little")
        header = json.loads(json.loads(raw[8 : 8 + size])["__metadata__"][_ENTRY])
        return header, [arrays[name] for name in header["names"]]


CONTAINERS: dict[str, Any] = {".npz": Npz, ".safetensors": Safetensors}
