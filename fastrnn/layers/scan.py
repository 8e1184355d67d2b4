"""A long sequence in blocks that run side by side, as rows of a batch: for cells that are linear in h."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _core
from .level import Back, Call, CellPass

if TYPE_CHECKING:
    from .._typing import Array, State
    from .level import Way

ROWS = 32  # of the batch of blocks
LEAST = 64  # steps of a block


def blocks_of(steps: int, rows: int) -> int:
    """Into how many blocks a sequence is cut, by its shape alone; 1: not at all."""
    return max(1, min(ROWS // max(rows, 1), steps // LEAST))


class Blocks:
    """The blocks of an array [B, T, ...] as rows of a batch, [B * K, L, ...]: a view where strides allow."""

    __slots__ = ("part", "rows")

    def __init__(self, whole: Array, part: slice, blocks: int) -> None:
        self.part = whole[:, part]
        rows, steps, *columns = self.part.shape
        self.rows = self.part.reshape(rows * blocks, steps // blocks, *columns)

    def store(self) -> None:
        """Write what has become of the rows, if they are a copy."""
        if not np.may_share_memory(self.rows, self.part):
            self.part[...] = self.rows.reshape(self.part.shape)


class ScanPass:
    """The pass of a cell over blocks of one length, then what joins them; the steps left over follow.

    Blocks begin with states of zeros, and `_core.scan_forward` adds to their states what the true ones
    before them give. Backward it is the other way round: the gradients by the states after the blocks, then
    the pass.
    """

    __slots__ = ("blocks", "first", "last", "main", "parts", "rest", "turned", "y")

    def __init__(
        self,
        cell: str,
        weights: Any,
        way: Way,
        call: Call,
        blocks: int,
        hidden: int,
    ) -> None:
        self.blocks, self.turned = blocks, not way.batch_first
        x, way = self._turn(call.x), way._replace(batch_first=True, keep=True)
        rows, steps = x.shape[:2]
        out = _core.empty((rows, steps, hidden), weights[0]) if call.y is None else self._turn(call.y)
        whole = steps - steps % blocks
        main, rest = slice(0, whole), slice(whole, steps)
        if way.reverse:
            main, rest = slice(steps - whole, steps), slice(0, steps - whole)
        self.parts = main, rest
        ends = (
            slice(0, None, blocks),
            slice(blocks - 1, None, blocks),
        )  # rows of the first blocks and the last
        self.first, final = ends[::-1] if way.reverse else ends
        made = Blocks(out, main, blocks)
        self.main = CellPass(
            cell, weights, way, Call(Blocks(x, main, blocks).rows, call.table, None, made.rows)
        )
        assert self.main.saved is not None, "a pass that kept nothing"
        first = None if call.first is None else call.first[0]
        edges = _core.scan_forward(self.main.saved, blocks, self.main.y, first)
        self.main.first = (edges,)
        made.store()
        self.last: State = (made.rows[final, 0 if way.reverse else -1].copy(),)
        self.rest = None
        if whole < steps:
            self.rest = CellPass(cell, weights, way, Call(x[:, rest], call.table, self.last, out[:, rest]))
            self.last = self.rest.last
        self.y = self._turn(out)
        self.y.flags.writeable = False

    def _turn(self, a: Array) -> Array:
        """From the layout of the caller to [B, T, ...], or back."""
        return a.swapaxes(0, 1) if self.turned else a

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """As `LevelPass` has it."""
        main, rest = self.parts
        dy, dlast = None if back.dy is None else self._turn(back.dy), back.dlast
        found = None
        if back.want_dx and self.main.table is None:
            shape = (*self._turn(self.y).shape[:2], self.main.x.shape[2])
            found = _core.empty(shape, self.main.x) if back.dx is None else self._turn(back.dx)
        if self.rest is not None:
            by_y, by_x = None if dy is None else dy[:, rest], None if found is None else found[:, rest]
            _, dlast = self.rest.backward(back._replace(dy=by_y, dx=by_x))
        by_y = None if dy is None else Blocks(dy, main, self.blocks).rows
        assert self.main.saved is not None, "a pass that kept nothing"
        edges = _core.scan_backward(self.main.saved, self.blocks, by_y, None if dlast is None else dlast[0])
        into = None if found is None else Blocks(found, main, self.blocks)
        by_x = None if into is None else into.rows
        _, (first,) = self.main.backward(back._replace(dy=by_y, dlast=(edges,), dx=by_x))
        if into is not None:
            into.store()
        return None if found is None else self._turn(found), (first[self.first].copy(),)
