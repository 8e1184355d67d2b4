"""One vector for a sequence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .base import Layer, Once, OnceAdding

if TYPE_CHECKING:
    from .._typing import Array, Maybe

KINDS = ("last", "mean", "max")


class Pool(Layer):
    """y [B, H] from x [T, B, H]: of each row the last step, the mean, or the largest of each column.

    Parameters
    ----------
    kind : {"last", "mean", "max"}
    bidirectional : bool
        For "last": the second half of the columns runs backwards in time, as in the output of a bidirectional
        layer, so that its last step is the first one of x.
    batch_first : bool, optional
        Whether x is [B, T, H]; without it, as the recurrent layers of the Sequential it is in, else False.

    Notes
    -----
    With `lengths` only the steps of each row count; a row without steps gives zeros. The gradient by the
    largest element goes to the first step that has it, as in PyTorch; a NaN is the largest.
    """

    _ragged = True

    def __init__(
        self, kind: str = "last", *, bidirectional: bool = False, batch_first: bool | None = None
    ) -> None:
        self.kind = _check.choice("kind", kind, KINDS)
        self.bidirectional = _check.flag("bidirectional", bidirectional)
        self.batch_first = None if batch_first is None else _check.flag("batch_first", batch_first)
        self._declare({}, None)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Pool x, [T, B, H]; `lengths`, [B] ints in [0, T], say which steps of a row count.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a length is wrong.
        """
        return _core.pool(x, *self._options(x, lengths))

    def vjp(
        self, x: Array, lengths: Any = None, key: int | None = None, step: int = 0
    ) -> tuple[Array, PoolPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        options = self._options(x, lengths)
        y = _core.pool(x, *options)
        return y, PoolPullback(self, x, y, options)

    def _options(self, x: Any, lengths: Any) -> tuple[Any, str, int, bool]:
        batch_first = bool(self.batch_first)
        shape = _check.rank("x", x, 3, "B, T, H" if batch_first else "T, B, H")
        if lengths is not None:
            rows, steps = shape[:2] if batch_first else shape[1::-1]
            lengths = _check.lengths(lengths, rows, steps)
        turned = shape[2] // 2 if self.bidirectional and self.kind == "last" else 0
        return lengths, self.kind, turned, batch_first

    def _describe(self) -> str:
        return f"{self.kind!r}{', bidirectional=True' if self.bidirectional else ''}"


class PoolPullback(Once):
    """Gradient of one ``vjp`` call of a Pool. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give dx, like x, for dy, [B, H]; there are no parameters for `grads`."""
        x, y, options = self._peek()
        _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        return _core.pool_backward(dy, x, y, *options) if want_dx else None


class ConvMax(Layer):
    """y [B, F] from x [T, B, I]: of each filter over W steps the largest value over time.

    y[b, f] = max over t of bias[f] + sum over j, i of weight[f, i, j] x[t + j - (W - 1) // 2, b, i], where x
    is zero outside of the row: a row has as many windows as steps, so that it may be shorter than W.

    Parameters
    ----------
    in_features, filters, width : int
        I, F and W; ``weight`` is [F, I, W], as that of ``torch.nn.Conv1d``, ``bias`` [F].
    batch_first : bool, optional
        Whether x is [B, T, I]; without it, as the recurrent layers of the Sequential it is in, else False.
    dtype : {"float32", "float64"}
    seed : int, optional
        For the initial parameters, U(-1/sqrt(I W), 1/sqrt(I W)) as in PyTorch.

    Notes
    -----
    With `lengths` only the steps of each row count; a row without steps gives zeros. The gradient goes
    through the first of the largest windows alone, so that the backward pass costs 1/T of the forward one.

    References
    ----------
    Collobert et al.: Natural language processing (almost) from scratch. JMLR 12, 2011. Of characters: dos
    Santos, Zadrozny: Learning character-level representations for part-of-speech tagging. ICML 2014.
    """

    _ragged = True

    def __init__(
        self,
        in_features: int,
        filters: int,
        width: int = 3,
        *,
        batch_first: bool | None = None,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.in_features = _check.integer("in_features", in_features, 1)
        self.filters = _check.integer("filters", filters, 1)
        self.width = _check.integer("width", width, 1)
        self.batch_first = None if batch_first is None else _check.flag("batch_first", batch_first)
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.filters, self.in_features, self.width)}
        self._declare({**shapes, "bias": (self.filters,)}, _check.dtype("dtype", dtype))
        self._initialise((self.in_features * self.width) ** -0.5, seed)

    def __call__(self, x: Array, lengths: Any = None) -> Array:
        """Give [B, F] for x, [T, B, I]; `lengths`, [B] ints in [0, T], say which steps of a row count.

        Raises
        ------
        ValueError, TypeError
            A shape, a dtype or a length is wrong.
        """
        y: Array = _core.convolution(*self._arguments(x, lengths))[0]
        return y

    def vjp(
        self, x: Array, lengths: Any = None, key: int | None = None, step: int = 0
    ) -> tuple[Array, ConvMaxPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        arguments = self._arguments(x, lengths)
        y, at = _core.convolution(*arguments)
        return y, ConvMaxPullback(self, y.shape, at, arguments)

    def _arguments(self, x: Any, lengths: Any) -> tuple[Any, ...]:
        shape = _check.rank("x", x, 3, "B, T, I" if self.batch_first else "T, B, I")
        x = x.swapaxes(0, 1) if self.batch_first else x
        if lengths is not None:
            lengths = _check.lengths(lengths, *(shape[:2] if self.batch_first else shape[1::-1]))
        return x, *self._weights, lengths

    def _letters(self, name: str) -> str:
        return {"weight": "F, I, W", "bias": "F,"}[name]

    def _describe(self) -> str:
        return f"{self.in_features}, {self.filters}, width={self.width}"


class ConvMaxPullback(OnceAdding):
    """Gradients of one ``vjp`` call of a ConvMax. One-shot."""

    __slots__ = ()

    def _backward(self, dy: Array, into: Any, want_dx: bool) -> Array | None:
        shape, at, (x, weight, _, lengths) = self._peek()
        _check.array("dy", dy, shape, weight.dtype)
        self._take()
        dweight, dbias = into
        dx = _core.convolution_backward(dy, at, x, weight, lengths, dweight, dbias, want_dx)
        return dx.swapaxes(0, 1) if dx is not None and self._layer.batch_first else dx
