"""Optimisers that divide by the root of squared gradients alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _core
from ._optimizer import Optimizer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .layers.base import Layer


class RMSProp(Optimizer):
    """RMSProp, with PyTorch's formulas.

    Parameters
    ----------
    model : Layer
        Whose parameters to update.
    lr : float
        Learning rate.
    alpha : float
        Decay of the mean of squared gradients.
    eps : float
        Added to its root.
    momentum : float
        buffer = momentum * buffer + gradient / (root + eps), and the step goes along the buffer.
    weight_decay : float
        Add weight_decay * parameter to the gradient.
    groups, frozen
        As in `SGD`.

    References
    ----------
    Tieleman, Hinton: Lecture 6.5, RMSProp. Coursera: Neural networks for machine learning, 2012.
    """

    _buffers: tuple[str, ...] = ("v", "momentum")

    def __init__(
        self,
        model: Layer,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        *,
        groups: Iterable[Mapping[str, Any]] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        options = {"lr": lr, "alpha": alpha, "eps": eps, "momentum": momentum, "weight_decay": weight_decay}
        groups = list(groups)
        if not any([momentum, *(group.get("momentum", 0) for group in groups if hasattr(group, "keys"))]):
            self._buffers = ("v",)
        super().__init__(model, options, groups, frozen)

    def _validate(self, options: dict[str, Any]) -> None:
        if options["momentum"] and hasattr(self, "state") and "momentum" not in self.state:
            raise ValueError("momentum: expected 0, as when the optimiser was made, got a buffer to keep")

    def _update(
        self, options: dict[str, Any], spans: Any, max_norm: float | None, zero_grad: bool, guard: bool
    ) -> float:
        params, grads, (v, *buffers) = spans
        return _core.rmsprop(
            params,
            grads,
            v,
            buffers[0] if options["momentum"] else None,
            options["lr"],
            options["alpha"],
            options["eps"],
            options["momentum"],
            options["weight_decay"],
            max_norm,
            zero_grad,
            guard,
        )


class Adagrad(Optimizer):
    """Adagrad, with PyTorch's formulas: the root of the sum of all squared gradients divides the step.

    Parameters
    ----------
    model : Layer
        Whose parameters to update.
    lr : float
        Learning rate.
    eps : float
        Added to the root.
    weight_decay : float
        Add weight_decay * parameter to the gradient.
    groups, frozen
        As in `SGD`.

    References
    ----------
    Duchi, Hazan, Singer: Adaptive subgradient methods for online learning and stochastic optimization.
    JMLR 12, 2011.
    """

    _buffers = ("sums",)

    def __init__(
        self,
        model: Layer,
        lr: float = 1e-2,
        eps: float = 1e-10,
        weight_decay: float = 0.0,
        *,
        groups: Iterable[Mapping[str, Any]] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        super().__init__(model, {"lr": lr, "eps": eps, "weight_decay": weight_decay}, groups, frozen)

    def _update(
        self, options: dict[str, Any], spans: Any, max_norm: float | None, zero_grad: bool, guard: bool
    ) -> float:
        params, grads, (sums,) = spans
        return _core.adagrad(
            params,
            grads,
            sums,
            options["lr"],
            options["eps"],
            options["weight_decay"],
            max_norm,
            zero_grad,
            guard,
        )
