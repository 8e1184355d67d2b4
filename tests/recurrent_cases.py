"""Recurrent problems: inputs, gradients of the outputs, and masks, at random."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from ops import Run

from fastrnn import _core, reference
from fastrnn.reference.cells import Cell
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
