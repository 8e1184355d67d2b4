"""Layers side by side: all read the same input, and what they give is joined."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check
from .._random import fold
from .base import Layer, Once
from .composite import Joined

if TYPE_CHECKING:
    from .._typing import Array, Arrays, Maybe, State


class Parallel(Joined):
    """What `Concat`, `Add` and `Residual` share; a subclass has ``_join`` and ``_split``."""

    def __call__(self, x: Arrays, state: State | None = None, lengths: Any = None) -> Any:
        """Run without dropout; nothing is kept.

        Parameters
        ----------
        x : ndarray
            As all the layers take it.
        state : tuple, optional
            One state for each recurrent child, or None.
        lengths : array of int, [B], optional
            Of the rows.

        Returns
        -------
        y : ndarray
            ``(y, state)`` with recurrent children.

        Raises
        ------
        ValueError
            What the layers give does not go together.
        """
        firsts, outputs, finals = self._states("state", state, lengths), [], []
        inputs = self._inputs(x, lengths)
        for layer, first, (own, rows) in zip(self.children.values(), firsts, inputs, strict=True):
            call: Any = layer
            if layer.recurrent:
                y, final = call(own, first, rows)
                finals.append(final)
            else:
                y = call(own, lengths=rows) if layer._ragged else call(own)
            outputs.append(y)
        y = self._join(x, outputs)
        return (y, tuple(finals)) if self.recurrent else y

    def vjp(
        self,
        x: Arrays,
        state: State | None = None,
        lengths: Any = None,
        key: int | None = None,
        step: int = 0,
    ) -> tuple[Any, Any]:
        """Run with dropout, and keep what the gradient needs; as in `Sequential`."""
        firsts, inputs = self._states("state", state, lengths), self._inputs(x, lengths)
        outputs, finals, pullbacks = [], [], []
        if self._draws and key is not None:
            key = _check.integer("key", key)
        for place, (layer, first) in enumerate(zip(self.children.values(), firsts, strict=True)):
            call: Any = layer
            own, rows = inputs[place]
            options: dict[str, Any] = {
                "key": None if key is None or not layer._draws else fold(key, place),
                "step": step,
            }
            if layer._ragged:
                options["lengths"] = rows
            if layer.recurrent:
                (y, final), pullback = call.vjp(own, first, **options)
                finals.append(final)
            else:
                y, pullback = call.vjp(own, **options)
            outputs.append(y)
            pullbacks.append(pullback)
        y = self._join(x, outputs)
        kept = (pullbacks, [output.shape for output in outputs], y.shape, y.dtype)
        if self.recurrent:
            return (y, tuple(finals)), RecurrentParallelPullback(self, *kept)
        return y, ParallelPullback(self, *kept)

    def _inputs(self, x: Any, lengths: Any) -> list[tuple[Any, Any]]:
        """Input and lengths of each child."""
        return [(x, lengths)] * len(self.children)

    def _join(self, x: Any, outputs: list[Array]) -> Array:
        raise NotImplementedError

    def _split(self, dy: Array, shapes: list[Any]) -> list[Array]:
        """The gradient by each output."""
        raise NotImplementedError

    def _gather_dx(self, dy: Array, parts: list[Array | None]) -> Any:
        """The gradient by x of those by the input of each child."""
        dx = None
        for part in parts:
            if part is not None:
                dx = part if dx is None else dx + part
        return dx

    def _states(self, name: str, state: State | None, lengths: Any = None) -> list[Any]:
        """One entry for each child: the state of a recurrent one, else None."""
        self._whole()
        if lengths is not None and not self._ragged:
            raise ValueError("lengths: expected None for a model that is not recurrent, got some")
        places = [place for place, layer in enumerate(self.children.values()) if layer.recurrent]
        found: list[Any] = [None] * len(self.children)
        if state is None:
            return found
        if not isinstance(state, (tuple, list)) or len(state) != len(places):
            got = f"{len(state)} of them" if isinstance(state, (tuple, list)) else _check.describe(state)
            raise TypeError(
                f"{name}: expected a tuple of {len(places)} states, one for each recurrent layer, got {got}"
            )
        for place, part in zip(places, state, strict=True):
            found[place] = part
        return found


class Concat(Parallel):
    """Gives the same x to all layers, and joins what they give along the last axis.

    Parameters
    ----------
    *layers : Layer
        At least two. Parameters are named ``"0.weight"``, ...; child i gets the key ``fold(key, i)``.

    Notes
    -----
    With recurrent children, calls take and return a state, as those of `Sequential`.
    """

    def __init__(self, *layers: Layer) -> None:
        if len(layers) < 2:
            raise ValueError(f"layers: expected at least two, got {len(layers)}")
        self._compose({str(place): layer for place, layer in enumerate(layers)})

    def _join(self, x: Any, outputs: list[Array]) -> Array:
        lead = outputs[0].shape[:-1]
        for place, y in enumerate(outputs):
            if y.shape[:-1] != lead:
                raise ValueError(
                    f"layers: expected outputs with leading axes {lead}, "
                    f"got {y.shape[:-1]} from layer {place}"
                )
        return np.concatenate(outputs, axis=-1)

    def _split(self, dy: Array, shapes: list[Any]) -> list[Array]:
        edges = np.cumsum([0, *(shape[-1] for shape in shapes)])
        return [dy[..., a:b] for a, b in pairwise(edges)]


class Inputs(Concat):
    """Gives each layer an input of its own, x being a tuple of them, and joins what they give as `Concat`.

    Parameters
    ----------
    *layers : Layer
        At least two, one for each input: two sequences that are pooled, a sequence and a row of numbers.

    Notes
    -----
    `lengths` is None or a tuple with those of each input, or None for it; dx is a tuple as x is. Models with
    such inputs go into `value_and_grad` and `Sequential` as others do; layers behind them see no lengths.
    """

    def _inputs(self, x: Any, lengths: Any) -> list[tuple[Any, Any]]:
        count = len(self.children)
        for name, value in (("x", x), ("lengths", lengths)):
            if value is None and name == "lengths":
                continue
            if not isinstance(value, (tuple, list)) or len(value) != count:
                got = f"{len(value)}" if isinstance(value, (tuple, list)) else _check.describe(value)
                raise TypeError(f"{name}: expected a tuple of {count}, one for each layer, got {got}")
        rows = [None] * count if lengths is None else lengths
        for place, (layer, own) in enumerate(zip(self.children.values(), rows, strict=True)):
            if own is not None and not layer._ragged:
                raise ValueError(f"lengths[{place}]: expected None for a layer that takes none, got some")
        return list(zip(x, rows, strict=True))

    def _gather_dx(self, dy: Array, parts: list[Array | None]) -> Any:
        return tuple(parts)


class Add(Parallel):
    """Gives the same x to all layers, and adds what they give, in their order.

    Parameters are those of `Concat`.
    """

    def __init__(self, *layers: Layer) -> None:
        if len(layers) < 2:
            raise ValueError(f"layers: expected at least two, got {len(layers)}")
        self._compose({str(place): layer for place, layer in enumerate(layers)})

    def _join(self, x: Any, outputs: list[Array]) -> Array:
        return _sum(outputs, "layers: expected outputs of shape", "from layer")

    def _split(self, dy: Array, shapes: list[Any]) -> list[Array]:
        return [dy] * len(shapes)


class Residual(Parallel):
    """y = x + layer(x) (He et al. 2016).

    Parameters
    ----------
    layer : Layer
        Gives what is like its x, which is no array of tokens.
    """

    def __init__(self, layer: Layer) -> None:
        self._compose({"0": layer})

    def _join(self, x: Any, outputs: list[Array]) -> Array:
        if x.dtype != outputs[0].dtype:
            raise TypeError(f"x: expected {outputs[0].dtype}, as what the layer gives, got {x.dtype}")
        return _sum([x, outputs[0]], "layer: expected an output of shape", "from it, layer")

    def _split(self, dy: Array, shapes: list[Any]) -> list[Array]:
        return [dy]

    def _gather_dx(self, dy: Array, parts: list[Array | None]) -> Any:
        return super()._gather_dx(dy, [dy, *parts])  # x passes by the layer


def _sum(parts: list[Array], rule: str, whose: str) -> Array:
    total = parts[0]
    for place, part in enumerate(parts[1:], 1):
        if part.shape != total.shape:
            raise ValueError(f"{rule} {total.shape}, got {part.shape} {whose} {place}")
        total = total + part if place == 1 else np.add(total, part, out=total)
    return total


class ParallelPullback(Once):
    """Gradients of one ``vjp`` call of side by side layers, none of them recurrent. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give dx, and add the parameters' gradients into ``grads``; see `RecurrentPullback`."""
        return self._backward(dy, None, grads, want_dx)[0]

    def _backward(
        self, dy: Array | None, dstate: State | None, grads: Any, want_dx: bool
    ) -> tuple[Array | None, State]:
        layer: Parallel = self._layer
        lasts = layer._states("dstate", dstate)
        if grads is not None:
            layer._into(grads)
        pullbacks, shapes, shape, dtype = self._peek()
        if dy is None:
            dy = np.zeros(shape, dtype)
        _check.array("dy", dy, shape, dtype)
        self._take()
        dx, firsts = list[Any](), []
        parts = layer._split(dy, shapes)
        for (name, child), pullback, part, last in zip(
            layer.children.items(), pullbacks, parts, lasts, strict=True
        ):
            into = layer._part(grads, name, child)
            if child.recurrent:
                more, first = pullback(part, last, into, want_dx=want_dx)
                firsts.append(first)
            else:
                more = pullback(part, into, want_dx=want_dx)
            dx.append(more)
        return layer._gather_dx(dy, dx) if want_dx else None, tuple(firsts)


class RecurrentParallelPullback(ParallelPullback):
    """Gradients of one ``vjp`` call of side by side layers, some of them recurrent. One-shot."""

    __slots__ = ()

    def __call__(  # type: ignore[override]
        self, dy: Array | None, dstate: State | None = None, grads: Any = None, *, want_dx: bool = True
    ) -> tuple[Maybe, State]:
        """Give dx and the gradients by the initial states, and add the parameters' into ``grads``."""
        return self._backward(dy, dstate, grads, want_dx)
