"""Copies with one thing wrong: what a check must not let through."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from ops import Run

from fastrnn.reference.cells import Cell


def mutant(module: ModuleType, right: str = "", wrong: str = "", **names: object) -> ModuleType:
    """A copy of `module` whose one place that reads `right` reads `wrong`; `names` replace its globals."""
    source = inspect.getsource(module)
    assert not right or source.count(right) == 1, f"{module.__name__}: {source.count(right)} times {right!r}"
    copy = ModuleType(module.__name__)
    copy.__package__ = module.__package__
    exec(compile(source.replace(right, wrong), str(module.__file__), "exec"), copy.__dict__)
    copy.__dict__.update(names)
    return copy


def wrong_cells(cell: Cell) -> Iterator[tuple[str, SimpleNamespace]]:
    """Copies of a cell: a gradient negated, neighbouring gates swapped, or a state's gradient lost."""

    def copy(**functions: Callable) -> SimpleNamespace:
        names = ("NAME", "GATES", "RECURRENT", "UNITS", "NORMS", "INNER", "STATES", "forward", "backward")
        own = {"widths": cell.widths} if hasattr(cell, "widths") else {}
        return SimpleNamespace(**{**{name: getattr(cell, name) for name in names}, **own, **functions})

    def negated(k: int, *arguments: Any) -> tuple:
        dx, dold = cell.backward(*arguments)
        return _at(dx, k, -dx[k]), dold

    def swapped(k: int, j: int, x: tuple, *rest: Any) -> tuple:
        return cell.forward(_at(_at(x, k, x[j]), j, x[k]), *rest)

    def lost(k: int, *arguments: Any) -> tuple:
        *rest, dnew = arguments
        return cell.backward(*rest, _at(dnew, k, 0 * dnew[k]))

    def without(name: str, *arguments: Any) -> tuple:
        kept, products, units, *rest = arguments
        silent = SimpleNamespace(back=lambda *a, **_: 0 * a[1]) if name == "R" else products
        return cell.backward(kept, silent, units, *rest)

    for k, gate in enumerate(cell.GATES):
        yield f"d{gate} negated", copy(backward=partial(negated, k))
        if len(cell.GATES) > 1:
            after = (k + 1) % len(cell.GATES)
            yield f"{gate} and the next gate swapped", copy(forward=partial(swapped, k, after))
    for k, state in enumerate(cell.STATES):
        yield f"gradient of {state} lost", copy(backward=partial(lost, k))
    if cell.RECURRENT:
        yield "no gradient through R", copy(backward=partial(without, "R"))


def _at(items: tuple, k: int, value: np.ndarray) -> tuple:
    return (*items[:k], value, *items[k + 1 :])


def disturbed(run: Run, name: str, eps: float) -> Run:
    """A copy of a run in which the last element of one array is off by `eps` of its eps and scale."""
    a = run[name].copy()
    a.flat[-1] += eps * np.finfo(a.dtype).eps * max(1, float(np.abs(a).max()))
    return {**run, name: a}


def one_bit_off(run: Run, name: str) -> Run:
    """A copy of a run in which the last element of one array is the next number."""
    a = run[name].copy()
    a.flat[-1] = np.nextafter(a.flat[-1], np.inf)
    return {**run, name: a}
