"""One direction of one level over a whole sequence: the place where cells may differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from .. import _core
from .state_noise import NONE, Noise

if TYPE_CHECKING:
    from .._typing import Array, State


class Way(NamedTuple):
    """How a pass goes through a sequence.

    Attributes
    ----------
    level, direction : int
    batch_first : bool
        Sequences are [B, T, columns] instead of [T, B, columns].
    lengths : ndarray of int64, [B], or None
        Descending; sequences are then [N, columns] without padding, as `Ragged` has them, and begin where
        the direction begins.
    keep : bool
        A backward pass may follow.
    step : int
        The absolute step of x[0].
    noise : Noise
        What is done to the states besides the cell.
    bfloat16 : bool
        Operands of products are rounded.
    """

    level: int
    direction: int
    batch_first: bool
    lengths: Array | None
    keep: bool
    step: int
    noise: Noise = NONE
    bfloat16: bool = False

    @property
    def reverse(self) -> bool:
        """Whether the sequence is to be read from its last step to its first."""
        return self.direction == 1 and self.lengths is None


class LevelPass(Protocol):
    """What `Recurrent._run` gives.

    Attributes
    ----------
    y : ndarray
        The output, a sequence of ``layer.output_size`` columns, read-only.
    last : tuple of ndarray, each [B, width]
        The states after the last step of each row.
    """

    y: Array
    last: State

    def backward(
        self,
        dy: Array | None,
        dlast: State | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        dx: Array | None,
        add: bool,
    ) -> tuple[Array | None, State]:
        """Give the gradients by x and by the initial states, once.

        Parameters
        ----------
        dy : ndarray like y, or None
        dlast : tuple of ndarray like `last`, or None
        grads : like the weights of the pass
            Their gradients are added into these.
        dtable : ndarray like the table, or None
            And that of the table into this.
        want_dx : bool
        dx : ndarray like x, or None
            Where to write the gradient by x; may be dy.
        add : bool
            Add into it instead.
        """


class CellPass:
    """The pass of a cell of the extension.

    Parameters
    ----------
    cell : str
    weights : tuple of ndarray or None
    way : Way
    x : ndarray
        A sequence, or tokens if there is a table.
    table : ndarray, [V, I], or None
    first : tuple of ndarray, each [B, width], or None
        The initial states; zeros if None.
    y : ndarray or None
        Where to write the output, if that is a part of a larger array.
    side : ndarray or None
        What the cell reads besides x, a sequence of H columns.
    cells : ndarray or None
        Where to write c after each step, likewise.
    """

    __slots__ = ("cells", "first", "last", "noise", "saved", "side", "table", "weights", "x", "y")

    def __init__(
        self,
        cell: str,
        weights: Any,
        way: Way,
        x: Array,
        table: Array | None,
        first: State | None,
        y: Array | None,
        side: Array | None = None,
        cells: Array | None = None,
    ) -> None:
        self.weights, self.x, self.table, self.first, self.noise = weights, x, table, first, way.noise
        self.side, self.cells = side, cells
        self.y, self.last, self.saved = _core.recurrent_forward(
            cell, x, table, weights, first, way.batch_first, way.keep, way.reverse, y, way.lengths,
            *way.noise, side, cells, way.bfloat16,
        )  # fmt: skip

    def backward(
        self,
        dy: Array | None,
        dlast: State | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        dx: Array | None,
        add: bool,
        dside: Array | None = None,
        dcells: Array | None = None,
    ) -> tuple[Array | None, State]:
        """As `LevelPass` has it; the gradient by `side` goes into `dside`, that by `cells` is `dcells`."""
        assert self.saved is not None, "a pass that kept nothing"
        return _core.recurrent_backward(
            self.saved, self.x, self.table, self.weights, self.first, self.y,
            dy, dlast, grads, dtable, want_dx, dx, add, *self.noise,
            self.side, dside, dcells,
        )  # fmt: skip


class DepthPass:
    """A pass that reads the c of the level below in each step, and gives its own to the level above."""

    __slots__ = ("below", "call", "dcells", "last", "y")
    call: CellPass
    dcells: Array | None

    def __init__(
        self,
        cell: str,
        weights: Any,
        way: Way,
        x: Array,
        table: Array | None,
        first: State | None,
        y: Array | None,
        below: DepthPass | None,
        gives: bool,
    ) -> None:
        self.below, self.dcells = below, None
        steps, hidden = x.shape[: x.ndim - (table is None)], weights[1].shape[1]
        cells = _core.empty((*steps, hidden), weights[1]) if gives else None
        side = None if below is None else below.call.cells
        self.call = CellPass(cell, weights, way, x, table, first, y, side, cells)
        self.y, self.last = self.call.y, self.call.last

    def backward(
        self,
        dy: Array | None,
        dlast: State | None,
        grads: Any,
        dtable: Array | None,
        want_dx: bool,
        dx: Array | None,
        add: bool,
    ) -> tuple[Array | None, State]:
        """As `LevelPass` has it; the level below learns of the gradient by its c."""
        side = self.call.side
        dside = None if side is None else _core.empty(side.shape, side)
        found = self.call.backward(dy, dlast, grads, dtable, want_dx, dx, add, dside, self.dcells)
        if self.below is not None:
            self.below.dcells = dside
        return found
