"""Attention over the steps of a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .base import Layer, OnceAdding

if TYPE_CHECKING:
    from .._typing import Array


def seen(lengths: Any, rows: int, steps: int) -> Array | None:
    """Which steps of which rows there are, bools [B, T]; None of None."""
    if lengths is None:
        return None
    return np.asarray(np.arange(steps) < _check.lengths(lengths, rows, steps)[:, None])


class AttentionPool(Layer):
    """y [B, H] from x [T, B, H]: the sum of the steps by weights that the steps decide.

    The weights are the softmax over the steps of ``weight . tanh(x + bias)``.

    Parameters
    ----------
    features : int
        H; ``weight`` and ``bias`` are [H].
    batch_first : bool, optional
        Whether x is [B, T, H]; without it, as the recurrent layers of the Sequential it is in, else False.
    dtype : {"float32", "float64"}
    seed : int, optional
        For the initial weight, U(-1/sqrt(H), 1/sqrt(H)); the bias begins with 0.

    References
    ----------
    Yang et al.: Hierarchical attention networks for document classification. NAACL 2016 (there with a matrix
    before tanh: put a Linear layer before this one for it).
    """

    _ragged = True

    def __init__(
        self,
        features: int,
        *,
        batch_first: bool | None = None,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.features = _check.integer("features", features, 1)
        self.batch_first = None if batch_first is None else _check.flag("batch_first", batch_first)
        self._declare({"weight": (self.features,), "bias": (self.features,)}, _check.dtype("dtype", dtype))
        self._initialise(self.features**-0.5, seed)
        self.params["bias"].fill(0)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Pool x, [T, B, H]; `lengths`, [B] ints in [0, T], say which steps of a row count.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a length is wrong.
        """
        return self._run(x, lengths)[0]

    def weights(self, x: Array, lengths: Any = None) -> Array:
        """Give the weights of the steps, [B, T]: a row sums to one, or is zero without steps."""
        return self._run(x, lengths)[1][:, 0]

    def vjp(
        self, x: Array, lengths: Any = None, key: int | None = None, step: int = 0
    ) -> tuple[Array, AttentionPoolPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        y, weights, arguments = self._run(x, lengths)
        return y, AttentionPoolPullback(self, y.shape, weights, arguments)

    def _run(self, x: Any, lengths: Any) -> tuple[Array, Array, tuple[Any, ...]]:
        letters = "B, T, H" if self.batch_first else "T, B, H"
        if _check.rank("x", x, 3, letters)[2] != self.features:
            raise ValueError(f"x: expected shape ({letters}) with H = {self.features}, got {x.shape}")
        _check.array("x", x, x.shape, self.flat_params.dtype)
        x = x.swapaxes(0, 1) if self.batch_first else x
        steps, rows, width = x.shape
        weight, bias = self._weights
        query = np.broadcast_to(bias, (1, rows, width))
        arguments = (query, x, x, seen(lengths, rows, steps), weight, 1.0)
        context, weights = _core.attention(*arguments)
        return context[0], weights, arguments

    def _describe(self) -> str:
        return f"{self.features}"


class AttentionPoolPullback(OnceAdding):
    """Gradients of one ``vjp`` call of an AttentionPool. One-shot."""

    __slots__ = ()

    def _backward(self, dy: Array, into: Any, want_dx: bool) -> Array | None:
        shape, weights, arguments = self._peek()
        _check.array("dy", dy, shape, weights.dtype)
        self._take()
        dweight, dbias = into
        q, k, v, mask, energy, scale = arguments
        dq, dk, dv = _core.attention_backward(dy[None], weights, q, k, v, mask, energy, scale, dweight)
        for row in dq[0]:  # in order, as all sums over rows
            dbias += row
        if not want_dx:
            return None
        dx = np.add(dk, dv, out=dk)
        return dx.swapaxes(0, 1) if self._layer.batch_first else dx


KINDS = ("dot", "general", "additive")


class Energy(Layer):
    """The vector of additive attention: ``weight`` [D], U(-1/sqrt(D), 1/sqrt(D)) at first."""

    def __init__(self, features: int, *, dtype: str = "float32", seed: int | None = None) -> None:
        self._declare({"weight": (features,)}, _check.dtype("dtype", dtype))
        self._initialise(features**-0.5, seed)

    def _describe(self) -> str:
        return f"{self.flat_params.size}"
