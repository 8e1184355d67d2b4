"""What recurrent matrices do to a gradient, and what gates let through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fastrnn import _check
from fastrnn.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fastrnn._typing import Array, State
    from fastrnn.reference.cells import Cell

_SIGMOID = frozenset("ifords") | {"z"}
_TANH = frozenset({"lstm g", "gru n", "rnn_tanh a"})


class Spectrum(NamedTuple):
    """Of each H rows of a recurrent matrix, those of a gate: its name, spectral radius and largest singular
    value.

    The radius is NaN where the matrix is not square.
    """

    gates: tuple[str, ...]
    radius: Array
    norm: Array


class Saturation(NamedTuple):
    """Of one gate, the share of its values that are as good as shut or open, [L*D] each."""

    shut: Array
    open: Array


def _cell(layer: Any) -> Cell:
    from fastrnn import reference

    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer: expected a recurrent layer, got {_check.describe(layer)}")
    return reference.CELLS[layer.cell]


def spectra(layer: Recurrent) -> dict[str, Spectrum]:
    """Give spectral radius and norm of every recurrent matrix, gate by gate.

    The gradient of a simple recurrent network vanishes if the norm is less than 1 / max F', and can explode
    only if it is more (Pascanu et al. 2013, section 2.1; max F' is 1 for tanh, 1/4 for sigmoid).

    Parameters
    ----------
    layer : Recurrent

    Returns
    -------
    dict of str to Spectrum
        By the name of the parameter; empty for cells that have none, as MinGRU.

    Raises
    ------
    TypeError
        The layer is not recurrent.
    """
    cell, found = _cell(layer), {}
    kinds = dict(zip(("weight_hh", "weight_ch"), cell.RECURRENT, strict=False))
    for name, matrix in layer.params.items():
        gates = kinds.get(name.rsplit("_l", 1)[0])
        if gates is None or matrix.ndim != 2:
            continue
        blocks = matrix.astype(np.float64).reshape(len(gates), -1, matrix.shape[1])
        square = blocks.shape[1] == blocks.shape[2]
        radius = np.abs(np.linalg.eigvals(blocks)).max(axis=-1) if square else np.full(len(gates), np.nan)
        found[name] = Spectrum(gates, radius, np.linalg.norm(blocks, 2, axis=(1, 2)))
    return found


def saturation(
    layer: Recurrent, x: Array, state: State | None = None, *, margin: float = 0.1
) -> dict[str, Saturation]:
    """Give the share of gate values near the ends of their range, over all steps, rows and units.

    A saturated gate passes next to no gradient to what feeds it; a forget gate that is open keeps the cell
    state (Karpathy et al. 2015, arXiv:1506.02078, section 4.2).

    Parameters
    ----------
    layer : Recurrent
        Dropout is left out, zoneout is its mean.
    x : ndarray, [T, B, I], or [B, T, I] if batch_first
    state : tuple of ndarray, each [L*D, B, H], optional
        The initial states, zero by default.
    margin : float
        Of the range of a gate, at each end: with 0.1 a sigmoid below 0.1 is shut and one above 0.9 open, a
        tanh below -0.8 and above 0.8.

    Returns
    -------
    dict of str to Saturation
        By the name of the gate, for those that end in a sigmoid or in tanh.

    Raises
    ------
    TypeError, ValueError
        The layer is not recurrent, or made of more than one cell; or an array is wrong.

    Notes
    -----
    Runs `fastrnn.reference`, in float64, at NumPy's speed.
    """
    margin = _check.real("margin", margin, 0.0, 0.5)
    shares: dict[str, list[tuple[float, float]]] = {}
    for name, tanh, values in _gates(layer, x, state, "saturation"):
        low, high = (-1 + 2 * margin, 1 - 2 * margin) if tanh else (margin, 1 - margin)
        share = (float(np.mean(values < low)), float(np.mean(values > high)))
        shares.setdefault(name, []).append(share)
    return {name: Saturation(*np.array(found).T) for name, found in shares.items()}


def gates(layer: Recurrent, x: Array, state: State | None = None) -> dict[str, Array]:
    """Give the values of all gates.

    Parameters
    ----------
    layer, x, state
        As in `saturation`.

    Returns
    -------
    dict of str to ndarray, [L*D, T, B, H], float64
        By the name of the gate, for those that end in a sigmoid or in tanh; of the levels that have it. Steps
        of the reverse direction are those of x.

    Raises
    ------
    TypeError, ValueError
        As `saturation`.

    Notes
    -----
    Runs `fastrnn.reference`, in float64, at NumPy's speed. `fastrnn.plot.activations` draws them.
    """
    found: dict[str, list[Array]] = {}
    for name, _, values in _gates(layer, x, state, "gates"):
        found.setdefault(name, []).append(values)
    return {name: np.stack(values) for name, values in found.items()}


def _gates(layer: Any, x: Array, state: State | None, what: str) -> Iterator[tuple[str, bool, Array]]:
    """Of each level and direction: the name of each gate, whether it ends in tanh, its values [T, B, H]."""
    from fastrnn.reference import CELLS, sequence, stack
    from fastrnn.reference.state_noise import Noise

    _cell(layer)
    if not layer._one_pass and not layer._traits["side"]:
        raise ValueError(f"layer: expected one of a single cell for {what}(), got {layer!r}")
    layer(x, state)  # checks them
    a = (x.swapaxes(0, 1) if layer.batch_first else x).astype(np.float64)
    noise, sides = Noise(None, layer.zoneout), [None] * layer.directions
    for level in range(layer.num_layers):
        cell, outputs = CELLS[layer._cell_of(level)], []
        for direction in range(layer.directions):
            place = level * layer.directions + direction
            arrays: Any = [None if w is None else w.astype(np.float64) for w in layer._weights[place]]
            weights = sequence.Weights(*arrays)
            first = None if state is None else tuple([s[place].astype(np.float64) for s in state])
            order = slice(None, None, -1 if direction else None)
            y, _, saved = sequence.forward(cell, a[order], weights, first, None, noise, sides[direction])
            outputs.append(y[order])
            if layer._traits["side"]:
                sides[direction] = stack.cells(saved)  # type: ignore[call-overload]
            for number, name in enumerate(cell.GATES):
                tanh = f"{cell.NAME.split('_')[0]} {name}" in _TANH or f"{cell.NAME} {name}" in _TANH
                if tanh or name in _SIGMOID or cell.NAME == "rnn_sigmoid":
                    values = np.array([step[number] for step in saved.gates])[order]
                    if cell.NAME == "min_lstm":  # keeps what goes into the sigmoid
                        values = 1 / (1 + np.exp(-values))
                    yield name, tanh, values
        a = np.concatenate(outputs, axis=-1)
