"""The pass of a Clockwork RNN: one of the simple network for each module, on the steps of its updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .level import Back, Call, CellPass

if TYPE_CHECKING:
    from .._typing import Array, State
    from .clockwork import ClockworkRNN
    from .level import Way


class Module(NamedTuple):
    """Units [start, stop) of a layer; they update when the absolute step is a multiple of `period`."""

    period: int
    start: int
    stop: int

    @property
    def own(self) -> slice:
        """Its units."""
        return slice(self.start, self.stop)

    def cut(self, named: Any) -> tuple[Any, ...]:
        """Of weight_ih, weight_hh and biases what its pass takes; it reads the slower modules, then x."""
        weight_ih, weight_hh, *biases = named
        seen = np.concatenate([weight_hh[self.own, self.stop :], weight_ih[self.own]], axis=1)
        own = np.ascontiguousarray(weight_hh[self.own, self.own])
        return seen, own, *[None if bias is None else bias[self.own] for bias in biases]

    def paste(self, part: tuple[Any, ...], named: Any) -> None:
        """And back; biases are cut as views."""
        weight_ih, weight_hh, *_ = named
        slower = weight_hh.shape[1] - self.stop
        weight_hh[self.own, self.stop :] = part[0][:, :slower]
        weight_ih[self.own] = part[0][:, slower:]
        weight_hh[self.own, self.own] = part[1]


class ClockworkPass:
    """The passes of all modules, the slowest first: each reads the slower ones as they were a step before.

    They share one table with a row for each step of each batch row, and one for after the last: the states
    before the step, and x. What a module reads lies together there, and it writes into the row after.
    """

    __slots__ = ("last", "layer", "passes", "rows", "way", "y")

    def __init__(self, layer: ClockworkRNN, weights: Any, way: Way, call: Call) -> None:
        self.layer, self.way = layer, way
        hidden, x = layer.hidden_size, self._inward(call.x)
        h, phase = layer._begin(call.first, x.shape[1] if way.lengths is None else len(way.lengths))
        rows = self.rows = Steps(len(x), len(h), phase) if way.lengths is None else Rows(way.lengths, phase)
        table = _core.empty((*rows.shape, hidden + x.shape[-1]), weights[0])
        table[rows.first, ..., :hidden] = h
        table[rows.before, ..., hidden:] = x
        self.passes = [self._run(module, weights, table) for module in reversed(layer._modules)][::-1]
        out = self._outward(table[rows.after, ..., :hidden])
        if call.y is not None:
            call.y[...] = out
        self.y = out if call.y is None else call.y
        self.y.flags.writeable = False
        self.last = (table[rows.last, ..., :hidden], layer._clock(phase + rows.lengths, h))

    def _run(self, module: Module, weights: Any, table: Array) -> CellPass:
        read, written, lengths = self.rows.of(module.period)
        way = self.way._replace(direction=0, batch_first=False, lengths=lengths)
        into = table[written, ..., module.own]  # a view, or a copy where rows have unlike lengths
        first = (table[self.rows.first, ..., module.own],)
        call = Call(table[read, ..., module.stop :], None, first, into)
        done = CellPass("rnn_tanh", module.cut(weights), way, call)
        if lengths is not None:
            table[written, ..., module.own] = into
        self.rows.spread(table[..., module.own], module.period)
        return done

    def _inward(self, a: Array) -> Array:
        """From the layout of the caller to that of the table, in the order of the pass."""
        if self.way.lengths is None and self.way.batch_first:
            a = a.swapaxes(0, 1)
        return a[::-1] if self.way.reverse else a

    def _outward(self, a: Array) -> Array:
        """And back."""
        a = a[::-1] if self.way.reverse else a
        return a.swapaxes(0, 1) if self.way.lengths is None and self.way.batch_first else a

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """As `LevelPass` has it."""
        rows, hidden, like = self.rows, self.layer.hidden_size, self.passes[0].x
        d = _core.empty((*rows.shape, hidden + self.passes[-1].x.shape[-1]), like)
        d[..., hidden:] = 0
        d[rows.first, ..., :hidden] = 0
        d[rows.after, ..., :hidden] = 0 if back.dy is None else self._inward(back.dy)
        if back.dlast is not None:
            d[rows.last, ..., :hidden] += back.dlast[0]
        for module, done in zip(self.layer._modules, self.passes, strict=True):
            self._back(module, done, back.grads, d)
        found = self._outward(d[rows.before, ..., hidden:])
        if back.add and back.dx is not None:
            found = np.add(back.dx, found, out=back.dx)
        first = d[rows.first, ..., :hidden]
        return found, (first, np.zeros((len(first), 1), d.dtype) if back.dlast is None else back.dlast[1])

    def _back(self, module: Module, done: CellPass, grads: Any, d: Array) -> None:
        rows, own = self.rows, module.own
        read, written, lengths = rows.of(module.period)
        rows.collect(d[..., own], module.period)
        into, by_read = module.cut(grads), d[read, ..., module.stop :]
        _, (first,) = done.backward(Back(d[written, ..., own], None, into, dx=by_read, add=True))
        if lengths is not None:
            d[read, ..., module.stop :] = by_read
        module.paste(into, grads)
        d[rows.first, ..., own] += first


class Steps:
    """The rows of a table [T + 1, B, columns] by step, as indices.

    Attributes
    ----------
    first, last, before, after
        The states that are given and returned; those before each step and after it.
    """

    def __init__(self, steps: int, rows: int, phase: int) -> None:
        self.shape, self.lengths, self.phase = (steps + 1, rows), steps, phase
        self.first, self.last, self.before, self.after = 0, steps, slice(0, steps), slice(1, None)

    def of(self, period: int) -> tuple[slice, slice, None]:
        """What a module reads and writes, and the lengths of its rows."""
        start = min(-self.phase % period, self.lengths)
        return slice(start, self.lengths, period), slice(start + 1, None, period), None

    def spread(self, a: Array, period: int) -> None:
        """Hold what a module wrote until it writes again."""
        _core.hold(a, self.of(period)[1].start, period, False)

    def collect(self, d: Array, period: int) -> None:
        """Add the gradients by held states, from the last one on, to that of the written one."""
        _core.hold(d, self.of(period)[1].start, period, True)


class Rows:
    """The same of a table [N + B, columns] without padding, for rows of unlike lengths: arrays of places."""

    def __init__(self, lengths: Array, phase: int) -> None:
        self.lengths, self.phase = lengths[:, None], phase
        from_end, self.row = np.nonzero(np.arange(lengths[0], -1, -1)[:, None] <= lengths)
        self.step = lengths[0] - from_end
        self.begins = np.searchsorted(from_end, np.arange(lengths[0], -1, -1))  # of each step
        self.shape = (len(self.row),)
        everyone = np.arange(len(lengths))
        self.first, self.last = self.place(0, everyone), self.place(lengths, everyone)
        self.before = np.flatnonzero(self.step < lengths[self.row])
        self.after = self.place(self.step[self.before] + 1, self.row[self.before])

    def place(self, step: Array | int, row: Array) -> Array:
        """Where steps of rows are."""
        found: Array = self.begins[step] + row
        return found

    def of(self, period: int) -> tuple[Array, Array, Array]:
        """As `Steps` has it."""
        now = (self.phase + self.step[self.before]) % period == 0
        late = np.maximum(self.lengths[:, 0] - -self.phase % period, 0)
        return self.before[now], self.after[now], (late + period - 1) // period

    def _since(self, period: int) -> Array:
        """Steps since the state of a place was written, or given."""
        found: Array = np.minimum((self.phase + self.step - 1) % period, self.step)
        return found

    def spread(self, a: Array, period: int) -> None:
        """As `Steps` has it."""
        a[...] = a[self.place(self.step - self._since(period), self.row)]

    def collect(self, d: Array, period: int) -> None:
        """As `Steps` has it."""
        since = self._since(period)
        for k in range(since.max(), 0, -1):
            held = np.flatnonzero(since == k)
            d[self.place(self.step[held] - 1, self.row[held])] += d[held]
