"""Inference with weights that are packed once: step by step, or over sequences."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check

if TYPE_CHECKING:
    from .._typing import Array, State
    from .recurrent import Recurrent


class Prepared:
    """The weights of a recurrent layer as they were when ``layer.prepare()`` was called; immutable.

    Threads may share it. Its answers are those of the layer, bit for bit.

    Attributes
    ----------
    num_layers, hidden_size : int
    states : tuple of str
        Names of the states.
    """

    def __init__(self, layer: Recurrent) -> None:
        if layer.bidirectional:
            raise ValueError(
                "bidirectional: expected False for prepare(), got True: its reverse needs the end"
            )
        self.num_layers, self.hidden_size = layer.num_layers, layer.hidden_size
        self.states, self.dtype = layer.states, layer.flat_params.dtype
        self._widths = layer._widths[1:]
        self._levels = [layer._prepare(weights) for weights in layer._weights]

    def step(self, x: Array, state: State | None = None) -> tuple[Array, State]:
        """Run one step.

        Parameters
        ----------
        x : ndarray, [B, I]
        state : tuple of ndarray, each [L, B, H], optional
            What the step before returned; zero by default.

        Returns
        -------
        y : ndarray, [B, H]
        state : tuple of ndarray, each [L, B, H]

        Raises
        ------
        ValueError, TypeError
            A shape or a dtype is wrong.
        """
        return self._run(x, state, 2)

    def __call__(self, x: Array, state: State | None = None) -> tuple[Array, State]:
        """Run over a sequence: x [T, B, I], y [T, B, H]; otherwise as `step`."""
        return self._run(x, state, 3)

    @_check.arrays_of_others
    def _run(self, x: Any, state: State | None, ndim: int) -> tuple[Array, State]:
        shape = _check.rank("x", x, ndim, "B, I" if ndim == 2 else "T, B, I")
        rows = shape[ndim - 2]
        if state is not None:
            _check.state("", self.states, state, (self.num_layers, rows), self._widths, self.dtype, "L, B")
        if self.num_layers == 1:
            x, last = self._levels[0](x, None if state is None else tuple([part[0] for part in state]))
            return x, tuple([part[None] for part in last])
        finals = tuple([np.empty((self.num_layers, rows, width), self.dtype) for _, width in self._widths])
        for level, run in enumerate(self._levels):
            x, last = run(x, None if state is None else tuple([part[level] for part in state]))
            for whole, part in zip(finals, last, strict=True):
                whole[level] = part
        return x, finals
