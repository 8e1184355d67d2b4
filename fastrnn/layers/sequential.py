"""Layers one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check
from .._random import fold
from .base import Layer, Once
from .composite import Joined
from .embedding import Embedding
from .linear import Linear
from .recurrent import Recurrent

if TYPE_CHECKING:
    from .._typing import Array, Arrays, Maybe, State


class Sequential(Joined):
    """Feeds each layer with the output of the one before.

    Parameters
    ----------
    *layers : Layer
        At least one. Parameters are named ``"0.weight"``, ``"1.weight_ih_l0"``, ... as in
        ``torch.nn.Sequential``.

    Notes
    -----
    With recurrent children, calls take and return a state, the tuple of their states, and are those of a
    recurrent layer; without, those of a plain layer. An Embedding directly before a recurrent layer is
    joined with it: the input product is formed once for each row of the table, when the table has no more
    rows than the input has tokens. Child i gets the key ``fold(key, i)``.
    """

    def __init__(self, *layers: Layer) -> None:
        if not layers:
            raise ValueError("layers: expected at least one, got none")
        self._compose({str(place): layer for place, layer in enumerate(layers)})

    def _gather(self) -> None:
        super()._gather()
        layers = list(self.children.values())
        self._stages = [
            _Stage(
                place, layer, layers[place + 1 : place + 2], any(before._shapes for before in layers[:place])
            )
            for place, layer in enumerate(layers)
        ]

    def __call__(self, x: Arrays, state: State | None = None, lengths: Any = None) -> Any:
        """Run without dropout; nothing is kept.

        Parameters
        ----------
        x : ndarray
            As the first layer takes it.
        state : tuple, optional
            One state for each recurrent child, each as that child takes it, or None.
        lengths : array of int, [B], optional
            Of the rows, for recurrent children and pools; other layers see zeros past the end.

        Returns
        -------
        y : ndarray
            As the last layer gives it; ``(y, state)`` with recurrent children.

        Raises
        ------
        RuntimeError
            A child has since become part of another model.
        """
        initial, table = self._states("state", state), None
        if lengths is not None and not self._ragged:
            raise ValueError("lengths: expected None for a model that is not recurrent, got some")
        finals: list[Any] = []
        for stage in self._stages:
            layer: Any = stage.layer
            if stage.recurrent:
                first = None if initial is None else initial[len(finals)]
                x, final = (
                    layer(x, first, lengths) if table is None else layer._infer(x, first, table, lengths)
                )
                finals.append(final)
                table = None
            elif stage.joins(x):
                table = layer._weights[0]
            else:
                x = layer(x, lengths=lengths) if stage.ragged else layer(x)
        return (x, tuple(finals)) if self.recurrent else x

    def vjp(
        self,
        x: Arrays,
        state: State | None = None,
        lengths: Any = None,
        key: int | None = None,
        step: int = 0,
    ) -> tuple[Any, Any]:
        """Run with dropout, and keep what the gradient needs.

        Parameters
        ----------
        x, state, lengths
            As in a plain call.
        key : int, optional
            Chooses the dropout masks; needed when there is dropout anywhere.
        step : int
            The absolute step of x[0], for the masks.

        Returns
        -------
        y, pullback
            ``dx = pullback(dy, grads=None)``; with recurrent children ``(y, state), pullback``, and
            ``dx, dstate = pullback(dy, dstate=None, grads=None)``.

        Raises
        ------
        ValueError
            The key is missing.
        RuntimeError
            A child has since become part of another model.
        """
        initial, table = self._states("state", state), None
        if lengths is not None and not self._ragged:
            raise ValueError("lengths: expected None for a model that is not recurrent, got some")
        finals: list[Any] = []
        if self._draws and key is not None:
            key = _check.integer("key", key)
        pullbacks = []
        for stage in self._stages:
            layer: Any = stage.layer
            child_key = None if key is None or not stage.draws else fold(key, stage.place)
            if stage.recurrent:
                first = None if initial is None else initial[len(finals)]
                if table is None:
                    (x, final), pullback = layer.vjp(x, first, lengths, child_key, step)
                else:
                    (x, final), pullback = layer._trace(x, first, lengths, child_key, step, table)
                finals.append(final)
                table = None
            elif stage.joins(x):
                table, pullback = layer._weights[0], None
            elif stage.ragged:
                x, pullback = layer.vjp(x, lengths=lengths, key=child_key, step=step)
            else:
                x, pullback = layer.vjp(x, key=child_key, step=step)
            pullbacks.append(pullback)
        if self.recurrent:
            return (x, tuple(finals)), RecurrentSequentialPullback(self, pullbacks)
        return x, SequentialPullback(self, pullbacks)

    def _states(self, name: str, state: State | None) -> State | None:
        """One state, or None, for each recurrent child."""
        self._whole()
        if state is None:
            return None
        number = sum(stage.recurrent for stage in self._stages)
        if not isinstance(state, (tuple, list)) or len(state) != number:
            got = f"{len(state)} of them" if isinstance(state, (tuple, list)) else _check.describe(state)
            raise TypeError(
                f"{name}: expected a tuple of {number} states, one for each recurrent layer, got {got}"
            )
        return tuple(state)


class _Stage:
    """What a call wants to know about a child, found out once."""

    __slots__ = ("draws", "feeds", "fresh", "joined", "layer", "place", "ragged", "recurrent")

    def __init__(self, place: int, layer: Layer, following: list[Layer], feeds: bool) -> None:
        self.place, self.layer, self.recurrent, self.draws = place, layer, layer.recurrent, layer._draws
        self.ragged = layer._ragged
        self.feeds = feeds  # a layer before this one has parameters, so the gradient by the input is needed
        self.fresh = isinstance(layer, (Linear, Recurrent))  # its dx is an array that nobody else has
        reads = following and isinstance(following[0], Recurrent) and following[0]._reads_tokens
        joins = isinstance(layer, Embedding) and bool(reads)
        self.joined = layer.num_embeddings if joins and isinstance(layer, Embedding) else 0

    def joins(self, x: Any) -> bool:
        """Whether the layer after the Embedding does its work: with fewer tokens than V, that is more."""
        return 0 < self.joined <= getattr(x, "size", 0)


class SequentialPullback(Once):
    """Gradients of one ``vjp`` call of a Sequential without recurrent children. One-shot."""

    __slots__ = ()

    def __call__(self, dy: Array | None, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give dx, and add the parameters' gradients into ``grads``; see `RecurrentPullback`."""
        return self._backward(dy, None, grads, want_dx)[0]

    def consume(self, dy: Array, grads: Any = None) -> None:
        """Add the parameters' gradients, as a call does without dx; dy may be written over."""
        self._backward(dy, None, grads, False, True)

    def _backward(
        self, dy: Array | None, dstate: State | None, grads: Any, want_dx: bool, own: bool = False
    ) -> tuple[Array | None, State]:
        layer: Sequential = self._layer
        dlasts = layer._states("dstate", dstate)
        if grads is not None:
            layer._into(grads)
        (pullbacks,) = self._peek()
        dfirsts: list[Any] = []
        number = sum(stage.recurrent for stage in layer._stages)
        for place in range(len(pullbacks) - 1, -1, -1):
            stage, pullback = layer._stages[place], pullbacks[place]
            part = layer._part(grads, str(place), stage.layer)
            want = want_dx or stage.feeds
            if pullback is None:
                dy = None  # its gradient was formed with that of the recurrent layer behind it
            elif not stage.recurrent:
                dy = pullback(dy, part, want_dx=want)
            else:
                dlast = None if dlasts is None else dlasts[number - 1 - len(dfirsts)]
                if place and pullbacks[place - 1] is None:
                    before = layer._stages[place - 1].layer
                    into = (
                        before._gradients
                        if grads is None
                        else before._into(layer._part(grads, str(place - 1), before))
                    )
                    dy, dfirst = pullback._run(dy, dlast, part, into[0], want, own)
                elif isinstance(stage.layer, Recurrent):
                    dy, dfirst = pullback._run(dy, dlast, part, None, want, own)
                else:
                    dy, dfirst = pullback(dy, dlast, part, want_dx=want)
                dfirsts.append(dfirst)
            if place == len(pullbacks) - 1:
                self._take()  # what the last layer refuses may come again
            own = stage.fresh
        return dy, tuple(dfirsts[::-1])


class RecurrentSequentialPullback(SequentialPullback):
    """Gradients of one ``vjp`` call of a Sequential with recurrent children. One-shot."""

    __slots__ = ()

    def __call__(  # type: ignore[override]
        self, dy: Array | None, dstate: State | None = None, grads: Any = None, *, want_dx: bool = True
    ) -> tuple[Maybe, State]:
        """Give dx and the gradients by the initial states, and add the parameters' into ``grads``.

        See `RecurrentPullback`; `dstate` has one entry, or None, for each recurrent child.
        """
        return self._backward(dy, dstate, grads, want_dx)
