"""KeyedVectors to and from other libraries: NumPy's npz, safetensors, gensim, TensorBoard, pictures."""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from struct import error as struct_error
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn import _files as files
from fastrnn._files import Path

from ._files import Files

if TYPE_CHECKING:
    from typing_extensions import Self

    from fastrnn._typing import Array


class Interop(Files):
    """What other libraries read and write."""

    def save_npz(self, fname: Path, compressed: bool = False) -> None:
        """
        Write a NumPy archive, without pickle.

        ``vectors`` [V, vector_size]; ``keys``, the bytes of a JSON list; ``attribute.NAME`` for attributes.
        """
        arrays = {"keys": np.frombuffer(self._json_keys().encode(), np.uint8), "vectors": self.vectors}
        for name, values in self.expandos.items():
            if values.dtype.kind not in "fiub":
                raise TypeError(f"{name}: expected numbers, as npz holds them, got {values.dtype}")
            arrays[f"attribute.{name}"] = values
        with files.replacing("vectors", fname, flush=False) as file:
            (np.savez_compressed if compressed else np.savez)(file, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load_npz(cls, fname: Path) -> Self:
        """
        Read what `save_npz` wrote, or any npz of ``vectors`` and ``keys`` where these are an array of str.

        Raises
        ------
        ValueError
            It is another kind of file, or damaged.
        """
        with files.reading("vectors", fname) as file:
            try:
                with np.load(file, allow_pickle=False) as archive:
                    arrays = {name: archive[name] for name in archive.files}
                keys, vectors = arrays["keys"], arrays["vectors"]
                kv = cls(0)
                text = keys.tolist() if keys.dtype.kind == "U" else json.loads(keys.tobytes().decode())
                kv._restore(text, vectors)
                for name, values in arrays.items():
                    if name.startswith("attribute."):
                        if values.shape != (len(kv),):
                            raise ValueError(f"{name} of shape {values.shape}")
                        kv.expandos[name.removeprefix("attribute.")] = values
            except (
                ValueError, KeyError, TypeError, AttributeError, EOFError, OSError, NotImplementedError,
                RuntimeError, SyntaxError, OverflowError, MemoryError, RecursionError, struct_error,
                zipfile.BadZipFile, zlib.error,
            ) as error:  # fmt: skip
                raise _foreign("a NumPy archive of keys and vectors", fname, error) from None
        return kv

    def save_safetensors(self, fname: Path) -> None:
        """Write ``vectors`` and ``attribute.NAME``, keys as JSON in its metadata (extra: safetensors)."""
        from safetensors.numpy import save

        tensors = {"vectors": np.ascontiguousarray(self.vectors)}
        for name, values in self.expandos.items():
            if values.dtype.kind not in "fiub":
                raise TypeError(f"{name}: expected numbers, as safetensors holds them, got {values.dtype}")
            tensors[f"attribute.{name}"] = values
        data = save(tensors, {"format": "fastrnn.KeyedVectors", "keys": self._json_keys()})
        with files.replacing("vectors", fname, flush=False) as file:
            file.write(data)

    @classmethod
    def load_safetensors(cls, fname: Path) -> Self:
        """Read what `save_safetensors` wrote; ValueError for a foreign or damaged file."""
        from safetensors import SafetensorError, safe_open

        with files.reading("vectors", fname):
            try:
                with safe_open(os.fspath(fname), "numpy") as file:
                    metadata = file.metadata() or {}
                    arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
                kv = cls(0)
                kv._restore(json.loads(metadata["keys"]), arrays["vectors"])
                for name, values in arrays.items():
                    if name.startswith("attribute."):
                        kv.expandos[name.removeprefix("attribute.")] = values
            except (SafetensorError, ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
                raise _foreign("safetensors of keys and vectors", fname, error) from None
        return kv

    def _json_keys(self) -> str:
        keys = [int(key) if isinstance(key, np.integer) else key for key in self.index_to_key]
        for key in keys:
            if not isinstance(key, (str, int)):
                raise TypeError(f"keys: expected str or int, got {_check.describe(key)}")
        return json.dumps(keys, separators=(",", ":"))

    @classmethod
    def from_gensim(cls, other: Any) -> Self:
        """
        Copy gensim's KeyedVectors (or the ``wv`` of a model): keys, vectors and attributes.

        `FastTextKeyedVectors` copies those of gensim, n-grams too.
        """
        other = getattr(other, "wv", other)
        kv = cls._empty_like(other)
        kv._fill(other.index_to_key, np.array(other.vectors[: len(other.index_to_key)]))
        kv.expandos = {name: np.array(values) for name, values in other.expandos.items()}
        return kv

    @classmethod
    def _empty_like(cls, other: Any) -> Self:
        return cls(other.vector_size, dtype=other.vectors.dtype)

    def to_gensim(self) -> Any:
        """Copy into gensim's KeyedVectors; gensim must be installed."""
        other = self._empty_gensim()
        other.index_to_key, other.key_to_index = list(self.index_to_key), dict(self.key_to_index)
        other.vectors, other.next_index = np.array(self.vectors), len(self)
        other.expandos = {name: np.array(values) for name, values in self.expandos.items()}
        return other

    def _empty_gensim(self) -> Any:
        from gensim.models import KeyedVectors

        return KeyedVectors(self.vector_size, dtype=self.vectors.dtype)

    def to_projector(self, folder: Path, limit: int | None = None, name: str = "vectors") -> None:
        """
        Write a folder for TensorBoard's embedding projector: ``tensorboard --logdir FOLDER``.

        Makes ``vectors.bytes`` (float32), ``vectors.tsv`` (the keys, and the attributes that are numbers) and
        ``projector_config.pbtxt``. Tabs and line ends in keys become blanks.

        Parameters
        ----------
        folder
            It is made if it is not there.
        limit
            The first so many keys; the projector slows down beyond some 10,000.
        name
            Of the tensor, and of the files.
        """
        if not name.isidentifier():
            raise ValueError(f"name: expected letters, digits and underscores, got {name!r}")
        count = len(self) if limit is None else min(len(self), _check.integer("limit", limit, 1))
        folder = os.fspath(folder)
        os.makedirs(folder, exist_ok=True)
        columns = {n: a[:count] for n, a in self.expandos.items() if a.dtype.kind in "fiub"}
        keys = [" ".join(str(key).split()) or "(blank)" for key in self.index_to_key[:count]]
        rows = [keys, *([str(v) for v in values.tolist()] for values in columns.values())]
        lines = ["\t".join(row) for row in zip(*rows, strict=True)]
        if columns:  # the projector wants a header if, and only if, there is more than one column
            lines.insert(0, "\t".join(["key", *columns]))
        config = (
            f'embeddings {{\n  tensor_name: "{name}"\n  tensor_shape: {count}\n'
            f'  tensor_shape: {self.vector_size}\n  tensor_path: "{name}.bytes"\n'
            f'  metadata_path: "{name}.tsv"\n}}\n'
        )
        contents = {
            f"{name}.bytes": np.ascontiguousarray(self.vectors[:count], "<f4").tobytes(),
            f"{name}.tsv": ("\n".join(lines) + "\n").encode("utf8", "replace"),
            "projector_config.pbtxt": config.encode(),  # last: it says that the others are there
        }
        for file_name, content in contents.items():
            with files.replacing("vectors", os.path.join(folder, file_name), flush=False) as file:
                file.write(content)

    def project(self, keys: Any = None, dimensions: int = 2, method: str = "pca", seed: int = 0) -> Array:
        """
        Return coordinates of `keys` (a list, or the number of first ones; None: 100), [N, dimensions].

        ``method="pca"`` takes the directions of largest variance, each with its largest weight positive;
        ``"tsne"`` is scikit-learn's t-SNE on cosines, started from PCA (extra: plot).
        """
        from .plot import project

        return project(self, keys, dimensions, method, seed)

    def plot(self, keys: Any = None, dimensions: int = 2, method: str = "pca", seed: int = 0) -> Any:
        """
        Draw keys as labelled points in two or three dimensions; arguments are those of `project`.

        Returns
        -------
        matplotlib.figure.Figure
            ``figure.savefig("words.png")`` writes it. Extra: plot.
        """
        from .plot import plot

        return plot(self, keys, dimensions, method, seed)


def _foreign(expected: str, path: Path, error: Exception) -> ValueError:
    return ValueError(
        f"vectors: expected {expected} in {os.fspath(path)!r}, got {error or type(error).__name__}"
    )
