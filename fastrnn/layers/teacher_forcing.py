"""An encoder and a decoder that reads what it should have given."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check
from .._random import fold
from .base import Layer, Once
from .composite import Joined

if TYPE_CHECKING:
    from .._typing import Array, Maybe


class TeacherForcing(Joined):
    """Feeds a decoder, step by step, with the target of the step before (Williams and Zipser 1989).

    The decoder begins with the final state of the encoder (Sutskever et al. 2014). x is a tuple
    ``(source, targets)``: what the encoder reads, and what the decoder is to give. At its first step the
    decoder reads `begin`.

    Parameters
    ----------
    encoder, decoder : Layer
        Recurrent layers, or models with such layers whose states are alike: as many recurrent layers in the
        same order, each with the same cell, size and number of levels.
    begin : int
        The token before the first target; of targets that are numbers, zeros stand before the first. Tokens
        below zero, as targets that do not count are, are read as `begin` too.

    Raises
    ------
    TypeError, ValueError
        One of them is not recurrent, or `begin` is no int >= 0.

    Notes
    -----
    A call gives y of the decoder, and no state. ``lengths`` is None or a tuple with those of the source and
    of the targets, or None for either. dx is a tuple as x is; tokens have no gradient. To go on without
    targets, run ``children["encoder"]`` for its state and ``children["decoder"]`` one step at a time;
    `Seq2Seq` is a whole model with attention and beam search.

    Examples
    --------
    >>> encoder = fastrnn.Sequential(fastrnn.Embedding(40, 16), fastrnn.GRU(16, 32))
    >>> decoder = fastrnn.Sequential(fastrnn.Embedding(50, 16), fastrnn.GRU(16, 32))
    >>> model = fastrnn.TeacherForcing(encoder, decoder, begin=1)
    >>> f = fastrnn.value_and_grad(model, fastrnn.losses.LinearCrossEntropy(32, 50))
    >>> loss, _ = f((source, targets), targets)
    """

    def __init__(self, encoder: Layer, decoder: Layer, begin: int = 0) -> None:
        self.begin = _check.integer("begin", begin, 0)
        for name, layer in (("encoder", encoder), ("decoder", decoder)):
            if not isinstance(layer, Layer) or not layer.recurrent:
                raise TypeError(f"{name}: expected a recurrent layer, got {_check.describe(layer)}")
        self._compose({"encoder": encoder, "decoder": decoder})

    def _gather(self) -> None:
        super()._gather()
        self.recurrent = False  # its state begins and ends with a call

    def __call__(self, x: Any, lengths: Any = None) -> Array:
        """Run without dropout.

        Parameters
        ----------
        x : tuple of ndarray
            ``(source, targets)``, as the encoder takes it, and as the decoder takes its input.
        lengths : tuple, optional
            Of the rows of both.

        Returns
        -------
        y : ndarray
            As the decoder gives it, with a step for each of the targets.
        """
        source, previous, rows = self._parts(x, lengths)
        encoder, decoder = self._both()
        _, state = encoder(source, None, rows[0])
        y, _ = decoder(previous, self._handed(state), rows[1])
        return y  # type: ignore[no-any-return]

    def vjp(self, x: Any, lengths: Any = None, key: int | None = None, step: int = 0) -> tuple[Array, Any]:
        """Run with dropout, and keep what the gradient needs; as in `Sequential`."""
        source, previous, rows = self._parts(x, lengths)
        encoder, decoder = self._both()
        keys: list[int | None] = [None, None]
        if self._draws and key is not None:
            key = _check.integer("key", key)
            keys = [fold(key, k) if layer._draws else None for k, layer in enumerate((encoder, decoder))]
        (_, state), first = encoder.vjp(source, None, rows[0], keys[0], step)
        (y, _), second = decoder.vjp(previous, self._handed(state), rows[1], keys[1], step)
        return y, TeacherForcingPullback(self, first, second)

    def _both(self) -> tuple[Any, Any]:
        return self.children["encoder"], self.children["decoder"]

    def _parts(self, x: Any, lengths: Any) -> tuple[Any, Any, Any]:
        """The source, what the decoder reads, and the lengths of both."""
        self._whole()
        for name, value in (("x", x), ("lengths", lengths)):
            if name == "lengths" and value is None:
                continue
            if not isinstance(value, (tuple, list)) or len(value) != 2:
                got = f"{len(value)} of them" if isinstance(value, (tuple, list)) else _check.describe(value)
                raise TypeError(f"{name}: expected a tuple of 2, of the source and the targets, got {got}")
        source, targets = x
        if not isinstance(targets, np.ndarray):
            raise TypeError(f"x[1]: expected a NumPy array, got {_check.describe(targets)}")
        if targets.ndim < 2:
            raise ValueError(f"x[1]: expected shape (T, B, ...), got {targets.shape}")
        tokens = targets.dtype.kind in "iu"
        previous = np.full_like(targets, self.begin if tokens else 0, order="C")
        self._later(previous)[...] = self._earlier(targets)
        if tokens:
            previous[previous < 0] = self.begin
        return source, previous, (None, None) if lengths is None else lengths

    def _later(self, a: Array) -> Array:
        """All steps but the first."""
        return a[:, 1:] if self.batch_first else a[1:]

    def _earlier(self, a: Array) -> Array:
        """All steps but the last."""
        return a[:, :-1] if self.batch_first else a[:-1]

    def _handed(self, state: Any, *, back: bool = False) -> Any:
        """The state of the encoder as the decoder takes it; or its gradient, `back`."""
        giver, taker = self._both()[::-1] if back else self._both()
        parts = state if isinstance(giver, Joined) else (state,)
        return parts if isinstance(taker, Joined) else parts[0] if len(parts) == 1 else parts


class TeacherForcingPullback(Once):
    """Gradients of one ``vjp`` call of a `TeacherForcing`. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give dx, a tuple, and add the parameters' gradients into ``grads``; see `RecurrentPullback`."""
        layer: TeacherForcing = self._layer
        if grads is not None:
            layer._into(grads)
        first, second = self._peek()
        encoder, decoder = layer._both()
        dprevious, dstate = second(dy, None, layer._part(grads, "decoder", decoder), want_dx=want_dx)
        self._take()
        dstate = layer._handed(dstate, back=True)
        dsource, _ = first(None, dstate, layer._part(grads, "encoder", encoder), want_dx=want_dx)
        if not want_dx:
            return None
        dtargets = None
        if dprevious is not None:
            dtargets = np.zeros_like(dprevious)
            layer._earlier(dtargets)[...] = layer._later(dprevious)
        return dsource, dtargets
