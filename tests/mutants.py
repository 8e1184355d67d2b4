"""Copies with one thing wrong: what a check must not let through."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from functools import partial
from types import ModuleType, SimpleNamespace

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
        traits = {"NAME": cell.NAME, "GATES": cell.GATES, "STATES": cell.STATES}
        return SimpleNamespace(**{"forward": cell.forward, "backward": cell.backward, **traits, **functions})

    def negated(k: int, *arguments: tuple) -> tuple:
        dpre, dold = cell.backward(*arguments)
        return _at(dpre, k, -dpre[k]), dold

    for k, gate in enumerate(cell.GATES):
        yield f"d{gate} negated", copy(backward=partial(negated, k))
        after = (k + 1) % len(cell.GATES)
        yield (
            f"{gate} and the next gate swapped",
            copy(forward=lambda pre, s, k=k, j=after: cell.forward(_at(_at(pre, k, pre[j]), j, pre[k]), s)),
        )
    for k, state in enumerate(cell.STATES):
        yield (
            f"gradient of {state} lost",
            copy(backward=lambda g, old, new, d, k=k: cell.backward(g, old, new, _at(d, k, 0 * d[k]))),
        )


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
