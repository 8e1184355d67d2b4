"""Parameters of a layer or model by name, in a file that other programs read: safetensors or npz.

>>> fastrnn.interop.weights.save(model, "weights.safetensors")
>>> torch_module.load_state_dict(safetensors.torch.load_file("weights.safetensors"))    # an LSTM's, say
>>> fastrnn.interop.weights.load(model, "weights.safetensors")

A whole model or training state is a matter of ``model.save`` and `Trainer`, which take these suffixes too.
"""

from __future__ import annotations

import io
import os
import zipfile
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check, _containers, _files

if TYPE_CHECKING:
    from fastrnn.layers.base import Layer

__all__ = ["load", "save"]

_SUFFIXES = (".npz", ".safetensors")
_DAMAGE = (zipfile.BadZipFile, EOFError, AttributeError, ValueError, NotImplementedError, RuntimeError)


def _suffix(path: str | os.PathLike[str]) -> str:
    return _check.choice("path", os.path.splitext(os.fspath(path))[1], _SUFFIXES)


def save(layer: Layer, path: str | os.PathLike[str]) -> None:
    """Write ``layer.params``; the suffix of `path`, .safetensors or .npz, decides on the format.

    Raises
    ------
    OSError
        The file cannot be written; what was there stays.
    ValueError
        Another suffix.
    """
    suffix = _suffix(path)
    with _files.replacing("weights", path) as file:
        if suffix == ".npz":
            _containers.write_npz(file, dict(layer.params))
        else:
            file.write(_containers.to_safetensors(dict(layer.params), {"format": "np"}))


def load(layer: Layer, path: str | os.PathLike[str]) -> None:
    """Read parameters into a layer, all or none: what `save`, or safetensors of PyTorch, wrote.

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError, TypeError
        It is damaged or has another suffix; a name is missing or foreign, a shape or dtype differs: see
        ``layer.load_params``.
    """
    suffix = _suffix(path)
    with _files.reading("weights", path) as file:
        raw = file.read()
    try:
        if suffix == ".npz":
            with np.load(io.BytesIO(raw), allow_pickle=False) as found:
                arrays = {name: found[name] for name in found.files}
        else:
            arrays = _read(raw)
    except _DAMAGE as error:
        raise ValueError(f"weights: {os.fspath(path)!r} is no {suffix} file, or damaged: {error}") from None
    layer.load_params(arrays)


def _read(raw: bytes) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays: dict[str, Any] = from_bytes(raw)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
    return arrays
