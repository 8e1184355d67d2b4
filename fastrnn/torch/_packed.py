"""Batches as torch's PackedSequence has them: all rows of step 0, then all of step 1, and so on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..layers.ragged import Ragged

if TYPE_CHECKING:
    from .._typing import Array


class Packed(Ragged):
    """Where the steps of rows lie in packed data, [N, 1, columns], and in the order that the kernels want.

    Parameters
    ----------
    batch_sizes : ndarray of int64, [T]
        How many rows have a step t: from the most to the least, at least one.
    size : int
        N, their sum.

    Raises
    ------
    ValueError
        They are not that.
    """

    def __init__(self, batch_sizes: Array, size: int) -> None:
        steps = len(batch_sizes)
        if batch_sizes.ndim != 1 or not steps or batch_sizes[-1] < 1 or (np.diff(batch_sizes) > 0).any():
            raise ValueError(
                f"batch_sizes: expected positive numbers that do not grow, got {batch_sizes.tolist()}"
            )
        if batch_sizes.sum() != size:
            raise ValueError(f"batch_sizes: expected a sum of N = {size}, got {batch_sizes.sum()}")
        self.batch_first = False
        rows = int(batch_sizes[0])
        self.order = np.arange(rows)
        self.lengths = np.searchsorted(-batch_sizes, -self.order, side="left").astype(np.int64)
        offsets = np.concatenate([[0], np.cumsum(batch_sizes)[:-1]])
        from_end, row = np.nonzero(np.arange(steps - 1, -1, -1)[:, None] < self.lengths)
        t = steps - 1 - from_end
        self.places = (offsets[t] + row, offsets[self.lengths[row] - 1 - t] + row)
