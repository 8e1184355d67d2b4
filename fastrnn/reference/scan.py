"""Blocks of a sequence passed side by side, then joined. Mirror of ``csrc/kernels/scan.h``.

For a cell with ``h' = keep*h + something``: the states of a block that begins with h are those of a block
that begins with zeros, plus h times the product of `keep` so far (Martin and Cundy 2018, arXiv:1709.04057).
"""

from __future__ import annotations

import numpy as np

from ._types import Array


def forward(keep: Array, y: Array, state: Array) -> tuple[Array, Array]:
    """Join what each block gives from zeros.

    Parameters
    ----------
    keep, y : ndarray, [K, L, B, H]
        Of K blocks of L steps.
    state : ndarray, [B, H]

    Returns
    -------
    y : ndarray, [K, L, B, H]
        The states of the sequence.
    edges : ndarray, [K, B, H]
        Those before each block.
    """
    products = np.cumprod(keep, axis=1)
    found, edges = np.empty_like(y), np.empty_like(y[:, 0])
    for k in range(len(y)):
        edges[k] = state
        found[k] = y[k] + products[k] * state
        state = found[k, -1]
    return found, edges


def backward(keep: Array, dy: Array, dstate: Array) -> Array:
    """Give the gradients by the states after each block, [K, B, H], of those by y and the final state."""
    products = np.cumprod(keep, axis=1)
    edges = np.empty_like(dy[:, 0])
    for k in reversed(range(len(dy))):
        edges[k] = dstate
        dstate = (products[k] * dy[k]).sum(axis=0) + products[k, -1] * dstate
    return edges
