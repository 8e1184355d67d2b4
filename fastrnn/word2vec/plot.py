"""Vectors in two and three dimensions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check

if TYPE_CHECKING:
    from fastrnn._typing import Array

    from ._store import Store

METHODS = ("pca", "tsne")


def pca(vectors: Array, dimensions: int) -> Array:
    """Return the coordinates of vectors [N, D] along their `dimensions` directions of largest variance."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:dimensions]
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    found: Array = centred @ (directions * np.sign(largest)).T
    return found


def _chosen(kv: Store, keys: Any) -> list[Any]:
    if keys is None:
        keys = min(100, len(kv))
    if isinstance(keys, (int, np.integer)):
        return kv.index_to_key[: _check.integer("keys", keys, 1, len(kv))]
    return list(keys)


def project(kv: Store, keys: Any, dimensions: int, method: str, seed: int) -> Array:
    """See `KeyedVectors.project`."""
    dimensions = _check.integer("dimensions", dimensions, 1, 3)
    _check.choice("method", method, METHODS)
    seed = _check.integer("seed", seed, 0)
    chosen = _chosen(kv, keys)
    if len(chosen) <= dimensions:
        raise ValueError(f"keys: expected more than {dimensions}, one for each dimension, got {len(chosen)}")
    vectors = np.stack([kv.get_vector(key) for key in chosen])
    if method == "pca":
        return pca(vectors, dimensions)
    from sklearn.manifold import TSNE

    start = pca(vectors, dimensions)
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-300)  # as small as t-SNE wants its start
    tsne = TSNE(
        dimensions,
        perplexity=min(30.0, (len(chosen) - 1) / 3),
        metric="cosine",
        init=start.astype(np.float32),
        random_state=seed,
    )
    found: Array = tsne.fit_transform(vectors)
    return found


def plot(kv: Store, keys: Any, dimensions: int, method: str, seed: int) -> Any:
    """See `KeyedVectors.plot`."""
    from matplotlib.figure import Figure

    dimensions = _check.integer("dimensions", dimensions, 2, 3)
    points = project(kv, keys, dimensions, method, seed)
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes: Any = figure.add_subplot(projection="3d" if dimensions == 3 else None)
    axes.scatter(*points.T, s=8)
    for point, key in zip(points, _chosen(kv, keys), strict=True):
        axes.text(*point, f" {key}", fontsize=8)
    axes.set_title({"pca": "PCA", "tsne": "t-SNE"}[method])
    return figure
