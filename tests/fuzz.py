"""Fuzzing of the readers of files by coverage: `fuzz.py TARGET [LIBFUZZER OPTION...]`, needs atheris.

A reader reads what it is given, or raises one of the errors that it promises, with a message. Anything else
ends the run and leaves the input in a file; it belongs into a test.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np

with atheris.instrument_imports(include=["fastrnn"]):
    from test_vector_fuzz import READERS, SAMPLES, survives

    from fastrnn import checkpoint

warnings.simplefilter("ignore")
Target = Callable[[Path, bytes], None]


def damaged(path: Path, data: bytes) -> None:
    """Open a checkpoint whose digest fits, so that what is behind the digest is met; mapped, and not."""
    content = sealed(data)
    path.write_bytes(content)
    for mapped in (False, True):
        message = "checkpoint: "
        try:
            checkpoint.load(path, mapped=mapped)
        except ValueError as error:
            message = str(error)
        assert message.startswith("checkpoint: ")


def sealed(data: bytes) -> bytes:
    """The bytes with the digest that `checkpoint.load` wants behind them."""
    return data + hashlib.sha256(data).digest()


def vectors(path: Path, data: bytes) -> None:
    """Every reader of vector files on the same bytes."""
    survives(path, data, READERS)


TARGETS: dict[str, Target] = {"checkpoint": damaged, "vectors": vectors}


def corpus(name: str, folder: Path) -> None:
    """Good files to begin with."""
    if name == "vectors":
        for kind, content in SAMPLES.items():
            (folder / kind).write_bytes(content)
        return
    path = folder / "good"
    checkpoint.save(
        path, {"a": np.arange(3.0), "b": [1, None, {"c": np.zeros((0, 2), np.float32)}], "d": "x"}
    )
    path.write_bytes(path.read_bytes()[:-32])


def main() -> None:
    name, *options = sys.argv[1:]
    target = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        seeds = Path(folder) / "seeds"
        seeds.mkdir()
        corpus(name, seeds)
        path = Path(folder) / "file"
        atheris.Setup([sys.argv[0], *options, str(seeds)], lambda data: target(path, data))
        atheris.Fuzz()


if __name__ == "__main__":
    main()
