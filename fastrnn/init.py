"""Initial parameters other than the default, written into a layer in place.

>>> layer = fastrnn.RNN(10, 64, nonlinearity="relu")
>>> fastrnn.init.identity(layer)                     # the IRNN of Le et al. 2015 (arXiv:1504.00941)

Each works on every direction of every level of a recurrent layer, gate by gate, and returns the layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from . import _check
from .layers.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._typing import Array

_GATES = {"lstm": ("i", "f", "g", "o"), "lstm_coupled": ("f", "g", "o")}


def _recurrent(layer: Recurrent) -> None:
    """Refuse what is no recurrent layer."""
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer: expected a recurrent layer, got {_check.describe(layer)}")


def _gates(layer: Recurrent, kind: str) -> Iterator[list[Array]]:
    """The part of each gate, [rows, columns] or [rows], of every parameter of one kind."""
    found = [p for name, p in layer.params.items() if name.rsplit("_l", 1)[0] == kind]
    if not found:
        raise ValueError(f"layer: expected one with {kind}, got {type(layer).__name__} without it")
    for parameter in found:
        yield layer._blocks(kind, parameter)


def _blocks(layer: Recurrent, kind: str) -> Iterator[Array]:
    """All of them."""
    for gates in _gates(layer, kind):
        yield from gates


def orthogonal(layer: Recurrent, gain: float = 1.0, seed: int | None = None) -> Recurrent:
    """Make each gate's recurrent matrix orthogonal times `gain` (Saxe et al. 2014): Q of a normal matrix.

    Parameters
    ----------
    layer : Recurrent
    gain : float
    seed : int, optional

    Raises
    ------
    TypeError
        The layer is not recurrent.
    ValueError
        The cell has no recurrent matrix.
    """
    _recurrent(layer)
    gain = _check.real("gain", gain)
    draw = np.random.Generator(np.random.PCG64(_check.seed(seed)))
    for block in _blocks(layer, "weight_hh"):
        own = block[:, : len(block)]  # a Clockwork module has the weights of the slower ones beside it
        q, r = np.linalg.qr(draw.standard_normal(own.shape))
        own[:] = gain * q * np.sign(np.diag(r))  # uniform over the orthogonal group
    layer.touch()
    return layer


def identity(layer: Recurrent, scale: float = 1.0) -> Recurrent:
    """Make each gate's recurrent matrix the identity times `scale`, and all biases zero (Le et al. 2015).

    Raises
    ------
    TypeError
        The layer is not recurrent.
    ValueError
        The cell has no recurrent matrix.
    """
    _recurrent(layer)
    scale = _check.real("scale", scale, -np.inf)
    for block in _blocks(layer, "weight_hh"):
        block[:] = scale * np.eye(*block.shape)
    for name, parameter in layer.params.items():
        if name.startswith("bias"):
            parameter[:] = 0
    layer.touch()
    return layer


def xavier(layer: Recurrent, gain: float = 1.0, seed: int | None = None) -> Recurrent:
    """Draw the matrices, gate by gate, from U(-a, a), a = gain * sqrt(6 / (rows + columns)).

    Glorot and Bengio 2010; Keras's default for input matrices. Biases stay as they are.

    Raises
    ------
    TypeError
        The layer is not recurrent.
    """
    _recurrent(layer)
    gain = _check.real("gain", gain)
    draw = np.random.Generator(np.random.PCG64(_check.seed(seed)))
    kinds = dict.fromkeys(name.rsplit("_l", 1)[0] for name, p in layer.params.items() if p.ndim == 2)
    for kind in kinds:
        for block in _blocks(layer, kind):
            bound = gain * (6 / sum(block.shape)) ** 0.5
            block[:] = draw.uniform(-bound, bound, block.shape)
    layer.touch()
    return layer


def forget_bias(layer: Recurrent, value: float = 1.0) -> Recurrent:
    """Set the bias of an LSTM's forget gates: `value` in bias_ih, zero in bias_hh.

    With 1 the cell remembers from the start (Gers et al. 2000; Jozefowicz et al. 2015).

    Raises
    ------
    TypeError
        The layer is not recurrent.
    ValueError
        The layer is no LSTM, or has no bias.
    """
    _recurrent(layer)
    value = _check.real("value", value, -np.inf)
    if not layer.cell.startswith("lstm"):
        raise ValueError(f"layer: expected an LSTM, got {_check.describe(layer)}")
    gates = _GATES.get(layer.cell, _GATES["lstm"])
    for kind, to in (("bias_ih", value), ("bias_hh", 0.0)):
        for blocks in _gates(layer, kind):
            blocks[gates.index("f")][:] = to
    layer.touch()
    return layer
