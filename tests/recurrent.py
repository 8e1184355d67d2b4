"""How to run recurrent problems: on the reference and on the kernels."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
from ops import Layout, Run, as_is
from recurrent_cases import Case, masked

from fastrnn import _core, reference
from fastrnn.reference.cells import Cell
from fastrnn.reference.sequence import Weights


def _weights(run: Run, layer: int) -> Weights:
    return Weights(*(run.get(f"{name}_l{layer}") for name in Weights._fields))


def kernel_weights(name: str, run: Run) -> tuple[np.ndarray | None, ...]:
    """The weights of one layer, or what lies under their names, as the extension takes them."""
    cell, weights = reference.CELLS[name], tuple(_weights(run, 0))
    if cell.NORMS:
        return weights
    return weights[:5] if len(cell.RECURRENT) > 1 or cell.UNITS else weights[:4]


def _states(run: Run, cell: Cell, layer: int) -> tuple[np.ndarray, ...] | None:
    names = [f"{s}_l{layer}" for s in cell.STATES]
    return tuple(run[name] for name in names) if names[0] in run else None


def reference_functions(
    case: Case, stack: ModuleType = reference.stack, cell: Cell | None = None
) -> tuple[Callable[[Run], Run], Callable[[Run, Run], Run]]:
    """Forward and backward of `case` on the reference, as `checks` wants them; mutants may replace parts."""
    cell = reference.CELLS[case.cell] if cell is None else cell

    def call(inputs: Run) -> tuple:
        weights = [_weights(inputs, k) for k in range(case.layers)]
        state = [_states(inputs, cell, k) for k in range(case.layers)]
        x = inputs["x"] if case.tokens is None else case.tokens
        given = None if state[0] is None else state
        return weights, stack.forward(
            cell,
            x,
            weights,
            given,
            inputs.get("table"),
            case.gaps,
            case.noise,
            inputs.get("side"),
            case.bfloat16,
        )

    def forward(inputs: Run) -> Run:
        _, (y, final, saved) = call(inputs)
        more = {"cells": stack.cells(saved.layers[-1])} if "cells" in case.cotangents else {}
        states = {f"{s}_l{k}": final[k][j] for k in range(case.layers) for j, s in enumerate(cell.STATES)}
        return {"y": y, **more, **{name: a for name, a in states.items() if name in case.cotangents}}

    def backward(inputs: Run, cotangents: Run) -> Run:
        weights, (_, _, saved) = call(inputs)
        dstate = [_states(cotangents, cell, k) for k in range(case.layers)]
        given = None if dstate[0] is None else dstate
        table, dy = inputs.get("table"), cotangents["y"]
        g = stack.backward(
            cell,
            saved,
            weights,
            dy,
            given,
            table,
            case.gaps,
            case.noise,
            cotangents.get("cells"),
            case.bfloat16,
        )
        found = {"x": g.x, "table": g.table, "side": g.side}
        for k in range(case.layers):
            found |= {f"{name}_l{k}": a for name, a in g.weights[k]._asdict().items()}
            found |= {f"{s}_l{k}": g.state[k][j] for j, s in enumerate(cell.STATES)}
        return {name: found[name] for name in inputs}

    return forward, backward


def run_reference(case: Case, stack: ModuleType = reference.stack, cell: Cell | None = None) -> Run:
    """Outputs and gradients, computed in longdouble and added to what the buffers held."""
    wide = case.astype(np.longdouble)
    forward, backward = reference_functions(wide, stack, cell)
    found = backward(wide.inputs, wide.cotangents)
    return {
        **forward(wide.inputs),
        **{f"d {name}": a + wide.into.get(name, 0) for name, a in found.items()},
    }


def run_kernel(
    case: Case,
    *,
    batch_first: bool = False,
    layout: Layout = as_is,
    token_type: np.typing.DTypeLike = np.int64,
    frozen: set[str] = frozenset(),
) -> Run:
    """The same on the kernels, one layer; `layout` gives each input array another place in memory.

    No gradient is asked for the inputs in `frozen`; a missing cotangent is passed as None.
    """
    assert case.layers == 1
    cell = reference.CELLS[case.cell]

    def turn(a: np.ndarray) -> np.ndarray:
        return a.swapaxes(0, 1) if batch_first else a

    source = case.inputs["x"] if case.tokens is None else case.tokens.astype(token_type)
    x = layout("x", np.ascontiguousarray(turn(source)))
    table = layout("table", case.inputs["table"]) if "table" in case.inputs else None
    weights = tuple(
        None if w is None else layout("weights", w) for w in kernel_weights(case.cell, case.inputs)
    )
    state = _states(case.inputs, cell, 0)
    state = None if state is None else tuple(layout("state", s) for s in state)
    into = {name: a.copy() for name, a in case.into.items() if name not in frozen}
    grads = kernel_weights(case.cell, into)

    noise = masked(case.noise, np.asarray, lambda a: np.ascontiguousarray(turn(a)))
    drop, zone = (noise[0].drop, noise[0].zone or None) if noise else (None, None)
    side, dcells = (
        None if a is None else layout("side", np.ascontiguousarray(turn(a)))
        for a in (case.inputs.get("side"), case.cotangents.get("cells"))
    )
    cells, dside = (None if side is None else np.empty_like(np.ascontiguousarray(side)) for _ in range(2))
    y, final, saved = _core.recurrent_forward(
        case.cell,
        x,
        table,
        weights,
        state,
        batch_first,
        True,
        drop=drop,
        zone=zone,
        side=side,
        cells=cells,
        bfloat16=case.bfloat16,
    )
    dstate = _states(case.cotangents, cell, 0)
    dstate = None if dstate is None else tuple(layout("dstate", s) for s in dstate)
    dy = case.cotangents.get("y")
    dy = None if dy is None else layout("dy", np.ascontiguousarray(turn(dy)))
    dx, dinitial = _core.recurrent_backward(
        saved,
        x,
        table,
        weights,
        state,
        y,
        dy,
        dstate,
        grads,
        into.get("table"),
        "x" in case.inputs and "x" not in frozen,
        drop=drop,
        zone=zone,
        side=side,
        dside=dside,
        dcells=dcells,
    )
    run = {"y": turn(y), **{f"d {name}": a for name, a in into.items()}}
    if dx is not None:
        run["d x"] = turn(dx)
    if side is not None:
        run |= {"cells": turn(cells), "d side": turn(dside)}
    if state is not None:
        run |= {f"{s}_l0": final[j] for j, s in enumerate(cell.STATES)}
        run |= {f"d {s}_l0": dinitial[j] for j, s in enumerate(cell.STATES)}
    return run
