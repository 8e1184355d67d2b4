"""The gradient on its way back through time."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn.layers.recurrent import Recurrent

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fastrnn._typing import Array, State


@dataclass(frozen=True)
class GradientFlow:
    """Norms of gradients by the states of a recurrent layer; see `gradient_flow`.

    Attributes
    ----------
    at : ndarray of int, [n]
        The steps t whose loss J(t) was followed.
    steps : mapping of str to ndarray, [L, n, T]
        For each state ("h", and "c" of an LSTM), the norm of dJ(t)/ds(k) of each level, row by row of `at`;
        zero for k > t.
    total : mapping of str to ndarray, [L, T]
        The norm of dL/ds(k), L being the sum of J(t) over all t.
    """

    at: Array
    steps: Mapping[str, Array]
    total: Mapping[str, Array]

    def plot(self, state: str | None = None, level: int = -1) -> Any:
        """Draw the matrix and dL/ds(k), both by their logarithm.

        Parameters
        ----------
        state : str, optional
            One of the states; the last of them by default, which is what an LSTM remembers by.
        level : int

        Returns
        -------
        matplotlib.figure.Figure
            For ``savefig``, or to be shown by a notebook.

        Raises
        ------
        ModuleNotFoundError
            There is no matplotlib.
        """
        from matplotlib.figure import Figure

        name = _check.choice("state", list(self.steps)[-1] if state is None else state, list(self.steps))
        figure = Figure(figsize=(11, 4.5), layout="constrained")
        left, right = figure.subplots(1, 2)
        with np.errstate(divide="ignore"):
            image = left.imshow(np.log10(self.steps[name][level]), aspect="auto", interpolation="nearest")
        ticks = np.linspace(0, len(self.at) - 1, min(len(self.at), 6)).astype(int)
        left.set_yticks(ticks, self.at[ticks])
        left.set(xlabel="k", ylabel="t", title=f"log10 |dJ(t)/d{name}(k)|")
        figure.colorbar(image, ax=left)
        right.semilogy(self.total[name][level])
        right.set(xlabel="k", title=f"|dL/d{name}(k)|")
        return figure


def gradient_flow(
    layer: Recurrent,
    x: Array,
    dy: Array | None = None,
    state: State | None = None,
    *,
    at: Iterable[int] | None = None,
) -> GradientFlow:
    """Follow the gradient of each step's loss back through time.

    The levels of a stack are one system with the state s = (h, or h and c, of all levels): dJ(t)/ds(k) is the
    gradient of J(t) by the state that step k hands on to step k + 1; for k = t by what it gives out. Bengio
    et al. 1994 and Pascanu et al. 2013 (arXiv:1211.5063), section 2: its norm falls or grows exponentially
    with t - k.

    Parameters
    ----------
    layer : Recurrent
        Any class, with any number of levels; dropout is left out.
    x : ndarray, [T, B, I], or [B, T, I] if batch_first
    dy : ndarray like y, optional
        dJ(t)/dy(t); ones by default, so that J(t) is the sum of y(t). A loss with ``reduction="sum"`` gives
        it: ``loss.value_and_grad(y, targets)[1]``.
    state : tuple of ndarray, each [L, B, H], optional
        The initial states, zero by default.
    at : ints, optional
        The t to follow; all by default.

    Returns
    -------
    GradientFlow
        Norms over the rows of the batch and the units of a level together.

    Raises
    ------
    TypeError, ValueError
        The layer is not recurrent, or bidirectional; or an array is wrong.

    Notes
    -----
    The gradients of all J(t) are rows of one batch, which a J(t) joins at step t: T calls of one step each,
    no more than n * T * B steps of a row forward and back, in memory n * B times that of a state. They are
    run with the layer's own kernels.
    """
    if not isinstance(layer, Recurrent):
        raise TypeError(f"layer: expected a recurrent layer, got {_check.describe(layer)}")
    if layer.bidirectional:
        raise ValueError("bidirectional: expected False for gradient_flow(), got True")
    y, last = layer(x, state)
    dy = np.ones_like(y) if dy is None else _check.array("dy", dy, y.shape, y.dtype)
    if layer.batch_first:
        x, dy = x.swapaxes(0, 1), dy.swapaxes(0, 1)
    followed = _followed(at, len(x))
    back = _Back(layer, x, tuple([np.zeros_like(s) for s in last]) if state is None else tuple(state))
    steps = {name: np.zeros((layer.num_layers, 1 + len(followed), len(x))) for name in layer.states}
    rows = x.shape[1]
    gradient = tuple([np.zeros((s.shape[0], rows, s.shape[2]), s.dtype) for s in last])
    joined = 0  # of the steps followed, the last ones first; row 0 is the whole loss
    for k in range(len(x) - 1, -1, -1):
        if joined < len(followed) and followed[-1 - joined] == k:
            gradient = tuple([np.concatenate([g, np.zeros_like(g[:, :rows])], axis=1) for g in gradient])
            joined += 1
            _add(gradient, dy[k], -rows)
        _add(gradient, dy[k], 0)
        for norms, g in zip(steps.values(), gradient, strict=True):
            parts = g.reshape(g.shape[0], 1 + joined, -1)
            norms[:, : 1 + joined, k] = np.linalg.norm(parts.astype(np.float64), axis=-1)
        if k:
            gradient = back(k, gradient)
    return GradientFlow(
        followed,
        {name: norms[:, :0:-1] for name, norms in steps.items()},
        {name: norms[:, 0] for name, norms in steps.items()},
    )


def _followed(at: Iterable[int] | None, steps: int) -> Array:
    """The steps to follow, in order, each once."""
    if at is None:
        return np.arange(steps)
    return np.unique(np.array([_check.integer("at", t, 0, steps - 1) for t in at], np.int64))


def _add(gradient: State, dy: Array, begin: int) -> None:
    """Add a gradient by y, [B, width], to some rows of that by the last level's states, which y shows."""
    column = 0
    for g in gradient:
        part = dy[:, column : column + g.shape[2]]
        column += part.shape[1]
        g[-1, begin : begin + len(dy) or None, : part.shape[1]] += part


class _Back:
    """Gradients by the states after a step to those before it, many rows at once.

    Parameters
    ----------
    layer : Recurrent
    x : ndarray, [T, B, I]
    state : tuple of ndarray, each [L, B, H]
    """

    def __init__(self, layer: Recurrent, x: Array, state: State) -> None:
        self.layer = copy.copy(layer)  # with buffers of its own
        self.layer.batch_first, self.layer._draws = False, False
        self.x, self.states = x, [state]
        for k in range(len(x) - 1):
            (_, state), _ = self.layer.vjp(x[k : k + 1], state, step=k)
            self.states.append(state)
        self.unused = np.zeros_like(layer.flat_grads)

    def __call__(self, k: int, gradient: State) -> State:
        """Through step k; the rows of `gradient` are those of x, over and over."""
        times = gradient[0].shape[1] // self.x.shape[1]
        before = tuple([np.tile(s, (1, times, 1)) for s in self.states[k]])
        _, pullback = self.layer.vjp(np.tile(self.x[k : k + 1], (1, times, 1)), before, step=k)
        _, found = pullback(None, gradient, self.unused, want_dx=False)
        return found
