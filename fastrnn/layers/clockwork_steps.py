"""The modules of a Clockwork RNN, and their states in a call: each is held until it is written again."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .. import _core
from .ragged import elements

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._typing import Array
    from .level import Back, Way


class Module(NamedTuple):
    """Units [start, stop) of a layer; they update when the absolute step is a multiple of `period`."""

    period: int
    start: int
    stop: int

    @property
    def own(self) -> slice:
        """Its units."""
        return slice(self.start, self.stop)

    @property
    def size(self) -> int:
        """How many they are."""
        return self.stop - self.start

    def cut(self, named: Any) -> tuple[Any, ...]:
        """Of weight_ih, weight_hh and biases what its pass takes; all but weight_hh as views."""
        weight_ih, weight_hh, *biases = named
        own = np.ascontiguousarray(weight_hh[self.own, self.own])
        return weight_ih[self.own], own, *[None if bias is None else bias[self.own] for bias in biases]

    def slower(self, weight_hh: Array) -> Array:
        """Its weights of the slower modules."""
        return weight_hh[self.own, self.stop :]


class Level(NamedTuple):
    """When a module and the slower ones update in a call.

    Their states have a table with a row for what they are at first and one for each step at which one of
    them updates; that of the fastest module has a row for each step.

    Attributes
    ----------
    updates, written : ndarray
        The steps at which the module updates, and those that the table has.
    own : ndarray, [1 + written], or None
        How often the module has updated by then; None: it does so each time.
    held : ndarray, [1 + written], or None
        The row of the next table by then; None for the slowest module.
    begin : ndarray, [updates], or None
        The row of the next table before each update of the module; None for the slowest.
    """

    updates: Array
    written: Array
    own: Array | None
    held: Array | None
    begin: Array | None


def levels(periods: tuple[int, ...], steps: int, phase: int) -> list[Level]:
    """For each module; `phase` is the absolute step of the first."""

    def by_then(of: Array, written: Array) -> Array:
        return np.append(0, np.searchsorted(of, written, "right")).astype(np.int32)

    now = (np.arange(steps) + phase)[:, None] % periods == 0
    found: list[Level] = []
    for k in reversed(range(len(periods))):
        updates = np.flatnonzero(now[:, k])
        written = np.flatnonzero(now[:, k:].any(axis=1)) if k else np.arange(steps)
        own = None if len(updates) == len(written) else by_then(updates, written)
        held = begin = None
        if found:
            held = by_then(found[-1].written, written)
            begin = np.searchsorted(found[-1].written, updates, "left").astype(np.int32)
        found.append(Level(updates, written, own, held, begin))
    return found[::-1]


def inward(a: Array, way: Way) -> Array:
    """From the layout of the caller to that of a pass: [T, B, columns] in its order, or [N, columns]."""
    if way.lengths is not None:
        return a
    a = a.swapaxes(0, 1) if way.batch_first else a
    return a[::-1] if way.reverse else a


def outward(a: Array, way: Way) -> Array:
    """And back."""
    if way.lengths is not None:
        return a
    a = a[::-1] if way.reverse else a
    return a.swapaxes(0, 1) if way.batch_first else a


class Layout:
    """How a sequence lies in memory: [steps, batch], or without padding, from the last step to the first."""

    def __init__(self, steps: int, batch: int, lengths: Array | None) -> None:
        self.steps, self.batch, self.lengths = steps, batch, lengths

    @classmethod
    def of(cls, steps: Array, batch: int, lengths: Array | None, more: int = 0) -> Layout:
        """That of a sequence of some of the steps of a call, and `more`."""
        if lengths is not None:
            lengths = np.searchsorted(steps, lengths) + more
        return cls(len(steps) + more, batch, lengths)

    def empty(self, columns: int, like: Array) -> Array:
        """A sequence."""
        shape = (self.steps, self.batch) if self.lengths is None else (int(self.lengths.sum()),)
        return _core.empty((*shape, columns), like)

    def first(self, a: Array) -> Array:
        """The rows of its first step, which all rows have."""
        return a[0] if self.lengths is None else a[len(a) - self.batch :]

    def later(self, a: Array) -> Array:
        """The others."""
        return a[1:] if self.lengths is None else a[: len(a) - self.batch]

    @functools.cached_property
    def _begins(self) -> Array:
        """Where each step begins."""
        assert self.lengths is not None
        rows = np.count_nonzero(np.arange(self.steps)[:, None] < self.lengths, axis=1)
        found: Array = rows[::-1].cumsum()[::-1] - rows
        return found

    def last(self, a: Array) -> Array:
        """The last of each row, [batch, columns]; a copy with lengths."""
        found: Array = a[self._ends()]
        return found

    def add_last(self, a: Array, d: Array) -> None:
        """Add to that."""
        a[self._ends()] += d

    def _ends(self) -> Any:
        """Where it is, as an index."""
        return -1 if self.lengths is None else self._begins[self.lengths - 1] + np.arange(self.batch)

    @functools.cached_property
    def _elements(self) -> tuple[Array, Array]:
        """The step and the row of each element."""
        assert self.lengths is not None
        return elements(self.lengths)

    def places(self, of: Array, other: Layout) -> Array:
        """Where in another layout the step `of[t]` is, for each step t; with lengths for each row of it."""
        if self.lengths is None:
            return of
        step, row = self._elements
        found: Array = other._begins[of[step]] + row
        return found


def hold(held: Array, at: Layout, versions: Array, of: Array, other: Layout, backward: bool = False) -> None:
    """See `_core.hold`."""
    both = None if at.lengths is None or other.lengths is None else (at.lengths, other.lengths)
    _core.hold(held, versions, of, backward, both)


class Plan:
    """What depends on the sizes of a call alone.

    Attributes
    ----------
    levels : list of Level
    whole : Layout
        Of x and y.
    updates, states, tables : list of Layout
        For each module: of the steps at which it updates, of its states, and of the table.
    read : list of slice or ndarray
        Where in x each module reads.
    seen : list of ndarray or None
        Which row of the next table it sees at each of its updates.
    """

    def __init__(
        self, periods: tuple[int, ...], steps: int, batch: int, phase: int, lengths: Array | None
    ) -> None:
        self.levels = levels(periods, steps, phase)
        self.whole = Layout(steps, batch, lengths)
        self.updates = [Layout.of(level.updates, batch, lengths) for level in self.levels]
        self.states = [Layout.of(level.updates, batch, lengths, 1) for level in self.levels]
        self.tables = [Layout.of(level.written, batch, lengths, 1) for level in self.levels]
        self.read: list[Any] = [
            slice(min(-phase % period, steps), None, period)
            if lengths is None
            else updates.places(level.updates, self.whole)
            for period, level, updates in zip(periods, self.levels, self.updates, strict=True)
        ]
        self.seen = [
            None if level.begin is None else updates.places(level.begin, table)
            for level, updates, table in zip(
                self.levels, self.updates, [*self.tables[1:], self.whole], strict=True
            )
        ]


@functools.lru_cache(maxsize=64)
def plan(periods: tuple[int, ...], steps: int, batch: int, phase: int) -> Plan:
    """That of a batch whose rows are as long."""
    return Plan(periods, steps, batch, phase, None)


class Steps:
    """The states of a call: for each module a table of its units and those of slower ones, see `Level`."""

    def __init__(self, modules: Sequence[Module], way: Way, x: Array, h: Array, phase: int) -> None:
        self.modules, self.way, self.x = modules, way, inward(x, way)
        periods = tuple([m.period for m in modules])
        if way.lengths is None:
            self.plan = plan(periods, len(self.x), len(h), phase)
        else:
            self.plan = Plan(periods, int(way.lengths[0]), len(h), phase, way.lengths)
        self.tables = []
        for module, layout in zip(modules, self.plan.tables, strict=True):
            table = layout.empty(h.shape[1] - module.start, h)
            layout.first(table)[...] = h[:, module.start :]
            self.tables.append(table)

    def into(self, k: int) -> tuple[Array, Array]:
        """Where a module writes, beginning with the first state, and that."""
        own, plan = self.tables[k][..., : self.modules[k].size], self.plan
        first = plan.tables[k].first(own)
        if plan.levels[k].own is None:
            return own, first
        states = plan.states[k].empty(own.shape[-1], own)
        plan.states[k].first(states)[...] = first
        return states, first

    def written(self, k: int, states: Array) -> None:
        """Fill the rest of its table."""
        plan, table, size = self.plan, self.tables[k], self.modules[k].size
        level, layout = plan.levels[k], plan.tables[k]
        if level.own is not None:
            hold(table[..., :size], layout, states, level.own, plan.states[k])
        if level.held is not None:
            hold(table[..., size:], layout, self.tables[k + 1], level.held, plan.tables[k + 1])

    def outputs(self) -> Array:
        """All states after each step, as the caller has them."""
        return outward(self.plan.tables[0].later(self.tables[0]), self.way)

    def last(self) -> Array:
        """And after the last step of each row."""
        return self.plan.tables[0].last(self.tables[0])


class StepGradients:
    """The gradients by the states of a call, from table to table, and by x."""

    first: Array | int  # by the first states of a module

    def __init__(self, steps: Steps, back: Back) -> None:
        self.steps, way = steps, steps.way
        self.dx = _core.empty(outward(steps.x, way).shape, steps.x) if back.dx is None else back.dx
        self.by_x, self.add, self.first = inward(self.dx, way), back.add, 0
        if back.dy is not None and back.dlast is None:  # by y: it has no row for the first states
            self.by, self.layout = inward(back.dy, way), steps.plan.whole
            return
        self.layout = steps.plan.tables[0]
        self.by = self.layout.empty(steps.tables[0].shape[-1], self.dx)
        self.layout.first(self.by)[...] = 0
        self.layout.later(self.by)[...] = 0 if back.dy is None else inward(back.dy, way)
        if back.dlast is not None:
            self.layout.add_last(self.by, back.dlast[0])

    def states(self, k: int) -> Array:
        """By what a module has written; then the table of the next one is at hand."""
        plan, size = self.steps.plan, self.steps.modules[k].size
        own, slower, level, layout = self.by[..., :size], self.by[..., size:], plan.levels[k], self.layout
        skip = plan.tables[k].steps - layout.steps  # 1: without the first states
        if level.held is not None:
            self.by, self.layout = _core.empty(self.steps.tables[k + 1].shape, own), plan.tables[k + 1]
            hold(slower, layout, self.by, level.held[skip:], self.layout, True)
        if level.own is not None:
            states, at = plan.states[k].empty(size, own), plan.states[k]
            hold(own, layout, states, level.own[skip:], at, True)
            own, layout, skip = states, at, 0
            if k == 0 and not self.add:  # it writes no gradients by x but at its steps; dx may have been dy
                self.by_x[...], self.add = 0, True
        self.first = 0 if skip else layout.first(own)
        return own if skip else layout.later(own)
