"""Keys, vectors and attributes: what KeyedVectors holds, without any query."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fastrnn import _check

from ._unknown_key import UnknownKey

if TYPE_CHECKING:
    from fastrnn._typing import Array

    Key = str | int | np.integer[Any]

KEY_TYPES = (str, int, np.integer)


class Store:
    """
    A vector for each key, and attributes by name for each key.

    Attributes
    ----------
    vectors
        [V, vector_size]; after changing it in place, call ``fill_norms(force=True)``.
    norms
        Lengths of the vectors, [V], or None: to be computed.
    index_to_key, key_to_index
        The keys by row, and the row of each key.
    expandos
        Attributes: a name to an array of V values; see `set_vecattr`.
    """

    def __init__(self, vector_size: int, count: int = 0, dtype: Any = np.float32) -> None:
        self.vector_size = _check.integer("vector_size", vector_size, 0)
        count = _check.integer("count", count, 0)
        try:
            kind = np.dtype(object if dtype is None else dtype)
        except TypeError:
            kind = np.dtype(object)
        if kind.kind != "f" or kind.itemsize > 8:
            raise ValueError(f"dtype: expected float16, float32 or float64, got {dtype!r}")
        self.index_to_key: list[Any] = [None] * count
        self.next_index = 0
        self.key_to_index: dict[Any, int] = {}
        self.vectors: Array = np.zeros((count, self.vector_size), kind)
        self.norms: Array | None = None
        self.expandos: dict[str, Array] = {}
        self.paths: tuple[Array, Array, Array] | None = None  # offsets, nodes, labels: of the Huffman tree

    def __str__(self) -> str:
        return f"{type(self).__name__}<vector_size={self.vector_size}, {len(self)} keys>"

    __repr__ = __str__

    def __len__(self) -> int:
        return len(self.index_to_key)

    def __contains__(self, key: object) -> bool:
        return self.has_index_for(key)

    def __getitem__(self, key_or_keys: Any) -> Array:
        """Return the vector of a key, or those of a list of keys as [N, vector_size]."""
        if isinstance(key_or_keys, KEY_TYPES):
            return self.get_vector(key_or_keys)
        return np.vstack([self.get_vector(key) for key in key_or_keys])

    def __setitem__(self, keys: Any, weights: Any) -> None:
        """Set the vector of a key, or of each of a list of keys; new ones are added."""
        if not isinstance(keys, list):
            keys, weights = [keys], np.asarray(weights).reshape(1, -1)
        self.add_vectors(keys, weights, replace=True)

    def has_index_for(self, key: Any) -> bool:
        """Tell whether `key` is a key, or the number of a row."""
        return self.get_index(key, -1) >= 0

    def get_index(self, key: Any, default: int | None = None) -> int:
        """
        Return the row of `key`; an int that is no key is a row itself.

        Raises
        ------
        KeyError
            There is no such key, and `default` is None; the message has near spellings.
        """
        found = self.key_to_index.get(key, -1)
        if found >= 0:
            return found
        if isinstance(key, (int, np.integer)) and 0 <= key < len(self.index_to_key):
            return int(key)
        if default is not None:
            return default
        raise UnknownKey(key, self.index_to_key)

    def get_vector(self, key: Any, norm: bool = False) -> Array:
        """Return the vector of `key`, read-only; with `norm` scaled to length 1."""
        index = self.get_index(key)
        result = cast("Array", self.vectors[index])
        if norm:
            result = result / self._lengths()[index]
        result.setflags(write=False)
        return result

    def word_vec(self, *args: Any, **kwargs: Any) -> Array:
        """Do what `get_vector` does: gensim's older name."""
        return self.get_vector(*args, **kwargs)

    def fill_norms(self, force: bool = False) -> None:
        """Compute the lengths of the vectors if that is to be done, or always with `force`."""
        if self.norms is None or force:
            self.norms = np.linalg.norm(self.vectors, axis=1)

    def _lengths(self) -> Array:
        self.fill_norms()
        return cast("Array", self.norms)

    def get_normed_vectors(self) -> Array:
        """Return all vectors scaled to length 1, as a new array [V, vector_size]."""
        return cast("Array", self.vectors / self._lengths()[:, None])

    def unit_normalize_all(self) -> None:
        """Scale all vectors to length 1 in place. Training cannot go on from there."""
        self.vectors /= self._lengths()[:, None]
        self.norms = np.ones(len(self.vectors))

    def init_sims(self, replace: bool = False) -> None:
        """Do what `fill_norms` does, with `replace` also `unit_normalize_all`: gensim's older name."""
        self.fill_norms()
        if replace:
            self.unit_normalize_all()

    def add_vector(self, key: Key, vector: Any) -> int:
        """Add a key and its vector into the next row that is empty; return that row."""
        at = self.next_index
        if at < len(self) and self.index_to_key[at] is None:
            self.vectors[at] = vector
            self.index_to_key[at] = key
            self.key_to_index[key] = at
            self.norms = None
        else:
            at = len(self)
            warnings.warn(
                "add_vector: each call copies all vectors; use add_vectors, or count= when they are created",
                UserWarning,
                stacklevel=2,
            )
            self.add_vectors([key], [vector])
        self.next_index = at + 1
        return at

    def add_vectors(
        self, keys: Any, weights: Any, extras: dict[str, Array] | None = None, replace: bool = False
    ) -> None:
        """
        Add keys and their vectors; those that are there already change with `replace` alone.

        Parameters
        ----------
        keys
            A key, or N keys.
        weights
            A vector, or N of them.
        extras
            Attributes of the new keys: a name to an array of N values.
        """
        if isinstance(keys, KEY_TYPES):
            keys, weights = [keys], np.asarray(weights).reshape(1, -1)
        weights = np.asarray(weights).reshape(len(keys), -1) if len(keys) == 0 else np.asarray(weights)
        if weights.shape != (len(keys), self.vector_size) and len(keys):
            raise ValueError(
                f"weights: expected shape (keys, vector_size) = ({len(keys)}, {self.vector_size}), "
                f"got {weights.shape}"
            )
        extras = extras or {}
        for name, values in extras.items():
            if len(values) != len(keys):
                raise ValueError(f"extras: expected {len(keys)} values of {name!r}, got {len(values)}")
        self.allocate_vecattrs(list(extras), [values.dtype for values in extras.values()])
        first: dict[Any, int] = {}  # new keys, and which of `keys` is the first of them
        for i, key in enumerate(keys):
            if key not in self.key_to_index:
                first.setdefault(key, i)
        for key in first:
            self.key_to_index[key] = len(self.index_to_key)
            self.index_to_key.append(key)
        new = np.array(list(first.values()), np.intp)
        if len(new):
            self.vectors = np.vstack((self.vectors, weights[new].astype(self.vectors.dtype)))
        self.allocate_vecattrs()
        changed = np.arange(len(keys)) if replace else new
        rows = [self.key_to_index[keys[i]] for i in changed]
        if replace:
            self.vectors[rows] = weights
        for name, values in extras.items():
            self.expandos[name][rows] = values[changed]
        self.norms = None

    def allocate_vecattrs(self, attrs: Any = None, types: Any = None) -> None:
        """
        Make an array of every attribute in `attrs`, of the type in `types`, with a value for every key.

        Without arguments: make the arrays that are there as long as the list of keys.
        """
        if attrs is None:
            attrs, types = list(self.expandos), [a.dtype for a in self.expandos.values()]
        count = len(self.index_to_key)
        for attr, kind in zip(attrs, types, strict=True):
            kind = {int: np.int64, str: object}.get(kind, kind)  # an array of str pads all to the longest
            old = self.expandos.get(attr)
            if old is None:
                self.expandos[attr] = np.zeros(count, kind)
                continue
            if not np.issubdtype(kind, old.dtype):
                raise TypeError(f"{attr}: expected a value of type {old.dtype}, got one of {np.dtype(kind)}")
            if len(old) != count:
                self.expandos[attr] = np.zeros(count, old.dtype)
                self.expandos[attr][: len(old)] = old[:count]

    def set_vecattr(self, key: Any, attr: str, val: Any) -> None:
        """Set the attribute `attr` of a key; the type of the first value is that of all."""
        self.allocate_vecattrs([attr], [type(val)])
        self.expandos[attr][self.get_index(key)] = val

    def get_vecattr(self, key: Any, attr: str) -> Any:
        """
        Return the attribute `attr` of a key.

        With hierarchical softmax words have ``"code"`` (uint8) and ``"point"`` (uint32): turns from the root
        of the Huffman tree, and the rows of `syn1` where they are taken. Files keep neither.
        """
        index = self.get_index(key)
        if attr not in self.expandos:
            if attr in ("code", "point") and self.paths is not None:
                nodes, labels = (part[slice(*self.paths[0][index : index + 2])] for part in self.paths[1:])
                return np.uint32(nodes) if attr == "point" else np.uint8(1 - labels)
            raise KeyError(f"attr: expected one of {sorted(self.expandos)}, got {attr!r}")
        return self.expandos[attr][index]

    def resize_vectors(self, seed: int = 0) -> None:
        """Make as many vectors as there are keys; new ones are uniform in [-1, 1) / vector_size."""
        count, old = len(self.index_to_key), self.vectors
        if old.shape != (count, self.vector_size):
            draw = np.random.default_rng(seed).random((count, self.vector_size), np.float32)
            self.vectors = ((2 * draw - 1) / max(self.vector_size, 1)).astype(old.dtype)
            self.vectors[: len(old), : old.shape[1]] = old[:count]
        self.allocate_vecattrs()
        self.norms = None

    def sort_by_descending_frequency(self) -> None:
        """Sort keys, vectors and attributes by ``count``: largest first, and of equal ones the last."""
        if not len(self):
            return
        counts = np.asarray(self.expandos["count"], np.int64)
        order = np.lexsort((-np.arange(len(counts)), -counts))
        self.index_to_key = [self.index_to_key[i] for i in order]
        self.allocate_vecattrs()
        self.expandos = {name: values[order] for name, values in self.expandos.items()}
        if len(self.vectors):
            self.vectors = self.vectors[order]
            self.norms = None
        self.key_to_index = {key: i for i, key in enumerate(self.index_to_key)}

    def _fill(self, keys: Iterable[Any], vectors: Array) -> None:
        """Take over keys, all distinct, and their vectors."""
        self.index_to_key = list(keys)
        self.key_to_index = {key: i for i, key in enumerate(self.index_to_key)}
        self.vectors, self.norms = vectors, None
        self.next_index = len(self.index_to_key)


def packed_attributes(store: Any, but: Collection[str] = ()) -> dict[str, Any]:
    """The attributes of a store as a file holds them, without those of some names."""
    return {
        name: values if values.dtype.kind in "fiub" else {"type": "object", "values": values.tolist()}
        for name, values in store.expandos.items()
        if name not in but
    }


def unpacked_attributes(saved: dict[str, Any]) -> dict[str, Array]:
    """What `packed_attributes` gave."""
    found: dict[str, Array] = {}
    for name, values in saved.items():
        if isinstance(values, np.ndarray):
            found[name] = np.array(values)  # one of its own, where a file is mapped
        else:
            found[name] = np.empty(len(values["values"]), object)
            found[name][:] = values["values"]
    return found
