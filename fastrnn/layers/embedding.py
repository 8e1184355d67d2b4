"""A table of vectors, looked up by token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .base import Layer, Once

if TYPE_CHECKING:
    from .._typing import Array


class Embedding(Layer):
    """y = weight[tokens].

    Parameters
    ----------
    num_embeddings, embedding_dim : int
        V and I; ``weight`` is [V, I].
    dtype : {"float32", "float64"}
    seed : int, optional
        For the initial weight, U(-0.1, 0.1). (PyTorch's N(0, 1) costs up to ten points of accuracy on small
        tasks.)
    """

    def __init__(
        self, num_embeddings: int, embedding_dim: int, *, dtype: str = "float32", seed: int | None = None
    ) -> None:
        self.num_embeddings = _check.integer("num_embeddings", num_embeddings, 1)
        self.embedding_dim = _check.integer("embedding_dim", embedding_dim, 1)
        self._declare({"weight": (self.num_embeddings, self.embedding_dim)}, _check.dtype("dtype", dtype))
        self._initialise(0.1, seed)

    def __call__(self, tokens: Array) -> Array:
        """Look up tokens, [N] or [T, B] of int32 or int64 in [0, V); gives [N, I] or [T, B, I].

        Raises
        ------
        ValueError
            A token is negative or not below V.
        TypeError
            The tokens are no integer array.
        """
        return _core.embedding(tokens, self._weights[0])

    def vjp(self, tokens: Array, key: int | None = None, step: int = 0) -> tuple[Array, EmbeddingPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        return _core.embedding(tokens, self._weights[0]), EmbeddingPullback(self, tokens)

    def _describe(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"


class EmbeddingPullback(Once):
    """Gradient of one ``vjp`` call of an Embedding. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> None:
        """Add dy, [N, I] or [T, B, I], into the rows of the tokens, in order; tokens have no gradient."""
        layer = self._layer
        (tokens,) = self._peek()
        _check.array("dy", dy, (*tokens.shape, layer.embedding_dim), layer.flat_params.dtype)
        if grads is not None:
            into = layer._into(grads)[0]
            self._run_once(lambda tokens: _core.embedding_backward(tokens, dy, into))
            return
        with self._home.lock:
            self._run_once(lambda tokens: _core.embedding_backward(tokens, dy, layer._gradients[0]))
