"""Recurrent problems, and how to run them: on the reference and on the kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import ModuleType

import numpy as np
from ops import Layout, Run, as_is

from fastrnn import _core, reference
from fastrnn.reference.cells import Cell
from fastrnn.reference.sequence import Weights
from fastrnn.reference.stack import Gap
from fastrnn.reference.state_noise import Noise


@dataclass(frozen=True)
class Case:
    """Inputs, gradients of the outputs, and what the buffers of the gradients hold before.

    inputs: x [T,B,I] (or table [V,I]), w_ih_l0 ..., and h_l0, c_l0 ... where there is an initial state.
    cotangents: y, and h_l0, c_l0 ... where there is an initial state.
    Both have a sequence more where the cell has a SIDE: side [T,B,H], and cells [T,B,H], c after each step.
    """

    cell: str
    layers: int
    inputs: Run
    cotangents: Run
    into: Run = field(default_factory=dict)
    tokens: np.ndarray | None = None
    gaps: tuple[Gap, ...] = ()
    noise: tuple[Noise, ...] = ()  # of each layer
    bfloat16: bool = False

    def astype(self, dtype: np.typing.DTypeLike) -> Case:
        """The same numbers in another type."""
        inputs, cotangents, into = (
            {name: a.astype(dtype) for name, a in run.items()}
            for run in (self.inputs, self.cotangents, self.into)
        )
        noise = masked(self.noise, lambda a: a.astype(dtype), lambda a: a.astype(dtype))
        return replace(self, inputs=inputs, cotangents=cotangents, into=into, noise=noise)


def masked(noise: tuple[Noise, ...], drop: Callable, zone: Callable) -> tuple[Noise, ...]:
    """Noise with functions of its masks [B, P] and [T, B, width]."""
    return tuple(
        Noise(n.drop if n.drop is None else drop(n.drop), tuple(zone(a) for a in n.zone)) for n in noise
    )


def few_units(cell: str) -> int:
    """As few as an exact comparison bears: of two that happen to be equal, 1 / deviation is 316."""
    return 6 if reference.CELLS[cell].NORMS else 2


def make_case(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int],
    dtype: np.typing.DTypeLike = "float64",
    *,
    cell: str = "lstm",
    layers: int = 1,
    bias: bool = True,
    state: bool = True,
    vocabulary: int = 0,
    dropout: float = 0.0,
    noise: bool = False,
) -> Case:
    """Random problem of shape (T, B, I, H); integer input and a table if `vocabulary` is positive."""
    steps, rows, width, hidden = shape
    traits = reference.CELLS[cell]
    high = hidden**-0.5

    def normal(*size: int) -> np.ndarray:
        return rng.standard_normal(size).astype(dtype)

    parameters: dict[str, np.ndarray] = {}
    for k in range(layers):
        for name, size in weight_shapes(traits, output_width(traits, hidden) if k else width, hidden).items():
            if bias or name[0] != "b":
                low, top = (0.2, 0.6) if name[0] == "g" else (-high, high)  # gains of 1 make chaos of an LSTM
                parameters[f"{name}_l{k}"] = rng.uniform(low, top, size).astype(dtype)
    tokens = rng.integers(0, vocabulary, (steps, rows)) if vocabulary else None
    source = {"table": normal(vocabulary, width)} if vocabulary else {"x": normal(steps, rows, width)}
    output = output_width(traits, hidden)
    states = {
        f"{s}_l{k}": hidden if j else output for k in range(layers) for j, s in enumerate(traits.STATES)
    }
    states = states if state else {}
    has_side = hasattr(traits, "SIDE")
    side = {"side": normal(steps, rows, hidden)} if has_side else {}
    cells = {"cells": normal(steps, rows, hidden)} if has_side else {}
    return Case(
        cell,
        layers,
        {**source, **side, **parameters, **{s: normal(rows, n) for s, n in states.items()}},
        {"y": normal(steps, rows, output), **cells, **{s: normal(rows, n) for s, n in states.items()}},
        {name: normal(*a.shape) for name, a in {**source, **parameters}.items() if name != "x"},
        tokens,
        tuple(Gap(dropout, 1000 + k, 7) for k in range(layers - 1)) if dropout else (),
        tuple(make_noise(rng, cell, steps, rows, hidden, dtype) for _ in range(layers)) if noise else (),
    )


def make_noise(
    rng: np.random.Generator, name: str, steps: int, rows: int, hidden: int, dtype: np.typing.DTypeLike
) -> Noise:
    """Masks for as much as the cell takes."""
    cell, traits = reference.CELLS[name], _core.cells()[name]
    widths = (output_width(cell, hidden), *[hidden] * (len(cell.STATES) - 1))
    drop = (rng.random((rows, widths[0])) < 0.7) / 0.7 if traits["recurrent_gates"] else None
    zone = () if traits["sees_made_states"] else [rng.random((steps, rows, w)) < 0.3 for w in widths]
    return Noise(None if drop is None else drop.astype(dtype), tuple(a.astype(dtype) for a in zone))


def output_width(cell: Cell, hidden: int) -> int:
    """Columns of h, which a cell that projects makes narrower."""
    return (hidden + 1) // 2 if hasattr(cell, "widths") else hidden


def weight_shapes(cell: Cell, width: int, hidden: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a layer's parameters, both biases among them."""
    first, second = (*(len(gates) * hidden for gates in cell.RECURRENT), 0, 0)[:2]
    rows = len(cell.GATES) * hidden
    output = output_width(cell, hidden)
    shapes = {"w_ih": (rows, width), "w_hh": (first, output), "b_ih": (rows,), "b_hh": (first,)}
    if second:
        shapes["w_ch"] = (output if hasattr(cell, "widths") else second, hidden)
    if cell.UNITS:
        shapes["w_ch"] = (len(cell.UNITS) * hidden,)
    if cell.NORMS:
        shapes |= {"g_ih": (rows,), "g_hh": (first,)}
    if cell.INNER:
        shapes |= {"g_ch": (hidden,), "b_ch": (hidden,)}
    return {name: shape for name, shape in shapes.items() if shape[0]}


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
