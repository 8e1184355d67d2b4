"""A layer made of layers: their parameters become one buffer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .attention import AttentionPool
from .base import Layer
from .dropout import Dropout
from .parameters import Home
from .pool import ConvMax, Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .._typing import Array


class Composite(Layer):
    """Owns child layers and has all their parameters, named ``child.parameter``, in one flat buffer.

    Notes
    -----
    Children move into the buffer of what was composed last; what owned them before raises when called.
    Children that lie side by side already stay where they are, so composing the same ones again breaks
    nothing.
    """

    children: dict[str, Layer]

    def _compose(self, children: dict[str, Layer]) -> None:
        """Take the children and join their buffers."""
        seen: dict[int, str] = {}
        dtype: tuple[str, Any] = ("", None)
        for name, child in children.items():
            if not isinstance(child, Layer):
                raise TypeError(f"{name}: expected a layer, got {type(child).__name__}")
            if id(child) in seen:
                raise ValueError(
                    f"{name}: expected a layer of its own, got the same object as {seen[id(child)]}"
                )
            seen[id(child)] = name
            if child.dtype is not None:
                if dtype[1] is not None and child.dtype != dtype[1]:
                    raise ValueError(f"{name}: expected dtype {dtype[1]} as {dtype[0]}, got {child.dtype}")
                dtype = (name, child.dtype)
        self.children = children
        self.dtype = dtype[1]
        self._gather()

    def _gather(self) -> None:
        """Make the children's buffers one, unless they are."""
        self._shapes = {
            f"{prefix}.{name}": shape
            for prefix, child in self.children.items()
            for name, shape in child._shapes.items()
        }
        owners = [child for child in self.children.values() if child._shapes]
        home = owners[0]._home if owners else Home(0, np.dtype(np.float32))
        start = owners[0]._start if owners else 0
        stop, together = start, not home.moved
        for child in owners:
            together = together and child._home is home and child._start == stop
            stop += child.flat_params.size
        if not together:
            for child in owners:
                if isinstance(child, Composite):
                    child._whole()
            size = sum(child.flat_params.size for child in owners)
            home, start = Home(size, owners[0].flat_params.dtype), 0
            self._move_children(home, start)
        self._attach(home, start)

    def _move_children(self, home: Home, start: int) -> None:
        for child in self.children.values():
            if child._shapes:
                child._move(home, start)
                start += child.flat_params.size

    def _move(self, home: Home, start: int) -> None:
        self._move_children(home, start)
        self._attach(home, start)

    def _whole(self) -> None:
        """Raise if a child has since moved to another owner."""
        if self._home.moved:
            raise RuntimeError(
                f"{type(self).__name__}: expected to own its layers, got some that another model now owns; "
                "build it anew, or give copy.deepcopy(layer) to the other"
            )

    def _part(self, grads: Any, prefix: str, child: Layer) -> Any:
        """A child's share of what came as ``grads=``, which has been checked."""
        if grads is None or not child._shapes:
            return None
        if isinstance(grads, np.ndarray):
            start = child._start - self._start
            return grads[start : start + child.flat_params.size]
        return {name: grads[f"{prefix}.{name}"] for name in child._shapes}

    def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        for name, child in self.children.items():
            yield from child._leaves(f"{prefix}.{name}" if prefix else name)

    def _pack(self, named: Any) -> tuple[Array, ...]:
        return ()

    def _letters(self, name: str) -> str:
        prefix, rest = name.split(".", 1)
        return self.children[prefix]._letters(rest)

    def __getstate__(self) -> dict[str, Any]:
        self._whole()
        state = super().__getstate__()
        del state["_values"]  # the children carry them
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._gather()

    def __repr__(self) -> str:
        lines = [f"  {name}: {child!r}".replace("\n", "\n  ") for name, child in self.children.items()]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class Joined(Composite):
    """Children that may be recurrent: they have one order of axes, and it is what they are together."""

    def _gather(self) -> None:
        layers: list[Any] = list(self.children.values())
        order = {layer.batch_first for layer in layers if getattr(layer, "batch_first", None) is not None}
        if len(order) > 1:
            raise ValueError("layers: expected the same batch_first in all of them, got both")
        if order:
            self._order(next(iter(order)))
        super()._gather()
        self.recurrent = any(layer.recurrent for layer in layers)
        self._draws = any(layer._draws for layer in layers)
        self._ragged = any(layer._ragged for layer in layers)

    def _order(self, batch_first: bool) -> None:
        """Tell the children that have no order of their own."""
        self.batch_first = batch_first
        for child in self.children.values():
            if isinstance(child, Joined) and getattr(child, "batch_first", None) is None:
                child._order(batch_first)
            elif isinstance(child, (AttentionPool, ConvMax, Dropout, Pool)):
                child.batch_first = batch_first
