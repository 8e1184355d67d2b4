"""Parts of a recurrent case: some of its rows, some of its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from ops import Run
from recurrent_cases import Case, masked

from fastrnn import reference

Runner = Callable[[Case], Run]


def per_row(name: str) -> bool:
    """Whether the array of this name has an axis for the rows of the batch."""
    states = {s for cell in reference.CELLS.values() for s in cell.STATES}
    return name.removeprefix("d ").split("_")[0] in {"x", "y", "side", "cells", *states}


def take_rows(run: Run, rows: np.ndarray | slice) -> Run:
    """Some rows of the batch of every array that has them; the axis before the last."""
    return {name: a[..., rows, :] if per_row(name) else a for name, a in run.items()}


def take_batch(case: Case, rows: np.ndarray | slice) -> Case:
    """The case of some rows of the batch."""
    tokens = None if case.tokens is None else case.tokens[:, rows]
    noise = masked(case.noise, lambda a: a[rows], lambda a: a[:, rows])
    inputs, cotangents = take_rows(case.inputs, rows), take_rows(case.cotangents, rows)
    return replace(case, inputs=inputs, cotangents=cotangents, tokens=tokens, noise=noise)


SEQUENCES = ("y", "d x", "cells", "d side")


def run_in_chunks(case: Case, cuts: list[int], run: Runner) -> Run:
    """One layer, cut in time: states are carried forward, their gradients back, weight gradients added up.

    Each chunk is run twice, since a gradient of its final state is known only when the later chunks are done.
    """
    cell = reference.CELLS[case.cell]
    names = [f"{s}_l0" for s in cell.STATES]
    bounds = list(zip([0, *cuts], [*cuts, len(case.cotangents["y"])], strict=True))
    state = {name: case.inputs[name] for name in names}
    starts = []
    for begin, end in bounds:
        starts.append(state)
        state = {name: a for name, a in run(_cut(case, begin, end, state)).items() if name in names}
    dstate, into, found = {name: case.cotangents[name] for name in names}, case.into, []
    for (begin, end), start in reversed(list(zip(bounds, starts, strict=True))):
        part = _cut(case, begin, end, start)
        part = replace(part, cotangents={**part.cotangents, **dstate}, into=into)
        found.insert(0, run(part))
        dstate = {name: found[0][f"d {name}"] for name in names}
        into = {name: found[0][f"d {name}"] for name in case.into}
    first, last = found[0], found[-1]
    joined = {name: np.concatenate([f[name] for f in found]) for name in SEQUENCES if name in first}
    return {name: joined.get(name, last[name] if name in names else first[name]) for name in first}


def _cut(case: Case, begin: int, end: int, state: Run) -> Case:
    inputs = {**case.inputs, **state}
    inputs |= {name: inputs[name][begin:end] for name in ("x", "side") if name in inputs}
    tokens = None if case.tokens is None else case.tokens[begin:end]
    cotangents = dict(case.cotangents)
    cotangents |= {name: cotangents[name][begin:end] for name in ("y", "cells") if name in cotangents}
    noise = masked(case.noise, np.asarray, lambda a: a[begin:end])
    return replace(case, inputs=inputs, cotangents=cotangents, tokens=tokens, noise=noise)
