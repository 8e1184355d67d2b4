"""The levels of one call of a recurrent layer: directions side by side, dropout between levels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .._random import fold
from .level import Back, Call, Way
from .ragged import Ragged
from .state_noise import NONE, of_inference, of_training

if TYPE_CHECKING:
    from .._typing import Array, State
    from .level import LevelPass
    from .recurrent import Recurrent


class Stack:
    """Runs all levels when it is made; what `backward` needs stays if `keep`.

    Parameters
    ----------
    layer, x, state, table, key, step
        As in ``Recurrent._trace``.
    lengths : array of int, [B], or Ragged, or None
        A Ragged says where x has its rows.
    keep : bool
    draws : bool, optional
        Draw masks; as `keep` by default.
    y : ndarray, optional
        Where to write the output of the last level: contiguous.

    Attributes
    ----------
    y : ndarray
        The output of the last level.
    finals : list of states
        Of each direction of each level, after the last step.
    """

    __slots__ = ("draws", "finals", "key", "layer", "levels", "p", "ragged", "step", "y")

    def __init__(
        self,
        layer: Recurrent,
        x: Array,
        state: State | None,
        lengths: Any,
        table: Array | None,
        keep: bool,
        key: int | None = None,
        step: int = 0,
        draws: bool | None = None,
        y: Array | None = None,
    ) -> None:
        self.layer, self.step = layer, step
        if lengths is not None and not isinstance(lengths, Ragged):
            lengths = Ragged.of(lengths, input_shape(x, table), layer.batch_first)
        self.ragged: Ragged | None = lengths
        rows = len(self.ragged.order) if self.ragged is not None else None
        initial = None if state is None else layer._split("", state, x, table, rows)
        self.draws = (keep if draws is None else draws) and layer._draws
        self.p = layer.dropout if self.draws and layer.num_layers > 1 else 0.0
        self.key = _check.key(key, *layer._random) if self.draws else 0
        self.levels: list[_Level] = []
        self.finals: list[State] = []
        below = None
        for number in range(layer.num_layers):
            if self.p and number:
                x = self._drop(number - 1, x)
            last = number == layer.num_layers - 1
            below = _Level(self, number, x, table, initial, below, keep, y if last else None)
            if keep:
                self.levels.append(below)
            x, table = below.y, None
        self.y = x

    def _drop(self, gap: int, a: Array) -> Array:
        """Dropout above a level, of its output or of the gradient."""
        return _core.dropout(a, self.p, fold(self.key, gap), self.step, self.layer.batch_first)

    def backward(
        self,
        dy: Array | None,
        last: list[State] | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        own: bool,
    ) -> tuple[Array | None, list[State]]:
        """Give the gradients by x and by the initial states; own: dy may be written over."""
        firsts: list[Any] = [None] * len(self.finals)
        for number in range(len(self.levels) - 1, -1, -1):
            if self.p and number < len(self.levels) - 1:
                dy, own = self._drop(number, dy), True  # type: ignore[arg-type]
            level = self.levels[number]
            dy = level.backward(dy, last, grads, dtable, firsts, want_dx or number > 0, own)
            own = True
        return dy, firsts


class _Level:
    """One level of a call: a pass in each direction."""

    __slots__ = ("layer", "number", "passes", "ragged", "shape", "table", "y")

    def __init__(
        self,
        stack: Stack,
        number: int,
        x: Array,
        table: Array | None,
        initial: list[State] | None,
        below: _Level | None,
        keep: bool,
        whole: Array | None,
    ) -> None:
        layer = self.layer = stack.layer
        ragged = self.ragged = stack.ragged
        self.number = number
        self.passes: list[LevelPass] = []
        if whole is None and (layer.bidirectional or ragged is not None):
            whole = _core.empty((*x.shape[:2], layer.directions * layer.output_size), layer.flat_params)
        lengths = None if ragged is None else ragged.lengths
        for direction in range(layer.directions):
            place = number * layer.directions + direction
            first, weights = None if initial is None else initial[place], layer._weights[place]
            noise = NONE
            if layer._noisy and stack.draws:
                noise = of_training(layer, place, x.shape, stack.key, stack.step, ragged)
            elif layer._noisy:
                noise = of_inference(layer)
            way = Way(number, direction, layer.batch_first, lengths, keep, stack.step, noise, layer._bfloat16)
            under = None if below is None else below.passes[direction]
            if ragged is None:
                part = None if whole is None else whole[..., self._columns(direction)]
                done = layer._run(weights, way, Call(x, table, first, part), under)
                last = done.last
            else:
                packed = ragged.gather(x, direction)
                done = layer._run(weights, way, Call(packed, table, ragged.sort(first)), under)
                ragged.scatter(done.y, whole, direction, self._columns(direction))  # type: ignore[arg-type]
                last = ragged.unsort(done.last)
            self.passes.append(done)
            stack.finals.append(last)
        self.table, self.shape = table, x.shape
        self.y = done.y if whole is None else whole
        if whole is not None:
            whole.flags.writeable = False

    def _columns(self, direction: int) -> slice:
        """Where a direction's part of y is."""
        width = self.layer.output_size
        return slice(direction * width, (direction + 1) * width)

    def backward(
        self,
        dy: Array | None,
        last: list[State] | None,
        grads: Any,
        dtable: Array | None,
        firsts: list[Any],
        want_dx: bool,
        own: bool,
    ) -> Array | None:
        """Give dx, and put the gradients by the initial states into `firsts`."""
        layer, ragged = self.layer, self.ragged
        want, whole, dx = want_dx and self.table is None, None, None
        dtable = None if self.table is None else dtable
        if ragged is not None and want:
            whole = _core.empty(self.shape, layer.flat_params)
        elif own and not layer.bidirectional and dy is not None and dy.shape == self.shape:
            dx = dy
        for direction, done in enumerate(self.passes):
            place = self.number * layer.directions + direction
            dlast = None if last is None else last[place]
            part, columns = dy, self._columns(direction)
            if ragged is not None:
                part = None if dy is None else ragged.gather(dy, direction, columns)
                dlast = ragged.sort(dlast)
                dx = ragged.gather(whole, 1) if whole is not None and direction else None
            elif dy is not None and layer.bidirectional:
                part = dy[..., columns]
            dx, dfirst = done.backward(Back(part, dlast, grads[place], dtable, want, dx, direction == 1))
            if ragged is not None:
                dfirst = ragged.unsort(dfirst)
                if whole is not None:
                    ragged.scatter(dx, whole, direction, slice(None))  # type: ignore[arg-type]
            firsts[place] = dfirst
        return dx if ragged is None else whole


def input_shape(x: Any, table: Array | None) -> tuple[int, ...]:
    """The shape of an input of the right rank: tokens with a table, numbers without."""
    return _check.rank("x", x, 2, "T, B") if table is not None else _check.rank("x", x, 3, "T, B, I")
