"""The loss over a plane through the parameters, and gradient descent on it with and without clipping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fastrnn import _check
from fastrnn._objective import ValueAndGrad

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fastrnn._typing import Array, State


@dataclass(frozen=True)
class LossPlane:
    """The loss at ``point + a * u + b * v``; see `loss_plane`.

    Attributes
    ----------
    a, b : ndarray, [n]
        The coordinates of the grid.
    loss : ndarray, [n, n]
        ``loss[i, j]`` is the loss at a[i], b[j].
    free, clipped : ndarray, [steps + 1, 2]
        Coordinates of gradient descent on the plane from (0, 0), without and with clipping; NaN after the
        loss or its gradient has become infinite.
    """

    a: Array
    b: Array
    loss: Array
    free: Array
    clipped: Array

    def plot(self) -> Any:
        """Draw the loss with both paths, as Figure 6 of Pascanu et al. 2013.

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

        figure = Figure(figsize=(7, 6), layout="constrained")
        axes = figure.subplots()
        image = axes.pcolormesh(self.a, self.b, np.log10(self.loss).T, shading="nearest")
        figure.colorbar(image, ax=axes)
        for path, label in ((self.free, "gradient descent"), (self.clipped, "clipped")):
            axes.plot(*path.T, "." if len(path) == 1 else ".-", label=label)
        axes.set(xlabel="a", ylabel="b", title="log10 loss")
        axes.set_xlim(self.a[0], self.a[-1])
        axes.set_ylim(self.b[0], self.b[-1])
        axes.legend()
        return figure


def loss_plane(
    model: ValueAndGrad,
    x: Array,
    targets: Array,
    directions: Sequence[Array] | None = None,
    *,
    state: State | None = None,
    mask: Array | None = None,
    extent: float = 1.0,
    points: int = 25,
    steps: int = 0,
    lr: float = 0.1,
    max_norm: float = 1.0,
    seed: int | None = None,
) -> LossPlane:
    """Give the loss along two directions around the parameters, and the paths of gradient descent there.

    Pascanu et al. 2013 (arXiv:1211.5063), section 2.3: where gradients explode the loss has a steep wall; a
    step from there lands far away, unless the gradient is clipped.

    Parameters
    ----------
    model : ValueAndGrad
        Made by `fastrnn.value_and_grad`; it has its parameters back at the end.
    x, targets, state, mask
        As the model takes them; without dropout.
    directions : two ndarrays like ``model.flat_params``, optional
        u and v; by default two random ones at right angles, of length 1.
    extent, points : float, int
        a and b take `points` values in [-extent, extent].
    steps, lr, max_norm : int, float, float
        Of gradient descent by (a, b), whose gradient is (g.u, g.v); clipped at this norm, and not.
    seed : int, optional
        For random directions.

    Raises
    ------
    TypeError, ValueError
        The model is none of `value_and_grad`, has dropout, or a number or an array is wrong.

    Notes
    -----
    `points` ** 2 losses, and 2 * `steps` gradients.
    """
    if not isinstance(model, ValueAndGrad):
        raise TypeError(f"model: expected one of value_and_grad, got {_check.describe(model)}")
    if model._draws:
        raise ValueError("model: expected one without dropout, got some")
    points, steps = _check.integer("points", points, 2), _check.integer("steps", steps, 0)
    extent, lr = _check.real("extent", extent), _check.real("lr", lr)
    max_norm = _check.real("max_norm", max_norm)
    plane = _Plane(model, _directions(model, directions, seed))
    call = {"x": x, "targets": targets, "state": state, "mask": mask}
    grid = np.linspace(-extent, extent, points)
    try:
        loss = np.array([[plane.loss(np.array([a, b]), call) for b in grid] for a in grid])
        free, clipped = (plane.descend(call, steps, lr, limit) for limit in (np.inf, max_norm))
    finally:
        plane.move(np.zeros(2))
    return LossPlane(grid, grid.copy(), loss, free, clipped)


def _directions(model: ValueAndGrad, given: Any, seed: int | None) -> Array:
    """Two rows, each like the parameters."""
    size, dtype = model.flat_params.shape, model.flat_params.dtype
    if given is None:
        draw = np.random.Generator(np.random.PCG64(_check.seed(seed)))
        return np.linalg.qr(draw.standard_normal((*size, 2)))[0].T.astype(np.float64)
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise TypeError(f"directions: expected two arrays, got {_check.describe(given)}")
    return np.stack([_check.array(f"directions[{i}]", d, size, dtype) for i, d in enumerate(given)]).astype(
        np.float64
    )


class _Plane:
    """A model that moves in a plane."""

    def __init__(self, model: ValueAndGrad, directions: Array) -> None:
        self.model, self.directions = model, directions
        self.point = model.flat_params.copy()

    def move(self, at: Array) -> None:
        """To the point with these coordinates; at (0, 0) that is where it began, bit for bit."""
        self.model.flat_params[:] = self.point + (at @ self.directions if at.any() else 0)
        self.model.touch()

    def loss(self, at: Array, call: dict[str, Any]) -> float:
        """The loss there."""
        self.move(at)
        return self.model.loss(**call)[0]

    def descend(self, call: dict[str, Any], steps: int, lr: float, limit: float) -> Array:
        """The path from (0, 0)."""
        path = np.full((steps + 1, 2), np.nan)
        at = path[0] = np.zeros(2)
        for step in range(steps):
            self.move(at)
            whole = np.zeros_like(self.model.flat_grads)
            loss, _ = self.model(**call, grads=whole)
            gradient = self.directions @ whole
            if not (np.isfinite(loss) and np.isfinite(gradient).all()):
                break
            norm = float(np.linalg.norm(gradient))
            at = path[step + 1] = at - lr * gradient * min(1.0, limit / (norm + 1e-6))
        return path
