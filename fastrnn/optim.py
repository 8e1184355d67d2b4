"""Optimisers: clipping, the update and the reset of the gradients in one pass over flat spans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import _check, _core
from ._optimizer import Optimizer as Optimizer
from ._squares import Adagrad as Adagrad
from ._squares import RMSProp as RMSProp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .layers.base import Layer


class SGD(Optimizer):
    """Stochastic gradient descent, with PyTorch's formulas.

    Parameters
    ----------
    model : Layer
        Whose parameters to update.
    lr : float
        Learning rate.
    momentum, dampening : float
        buffer = momentum * buffer + (1 - dampening) * gradient, the first buffer being the gradient itself.
    nesterov : bool
        Step along gradient + momentum * buffer.
    weight_decay : float
        Add weight_decay * parameter to the gradient.
    groups : list of dict, optional
        ``{"params": [names], "lr": ..., ...}``: parameters with options of their own. Names may be
        patterns, as ``"*bias*"``; parameters that no group names have the options above. A Trainer's schedule
        scales a group's own lr as it does the other.
    frozen : list of str
        Names or patterns of parameters that stay as they are.

    References
    ----------
    Sutskever et al.: On the importance of initialization and momentum in deep learning. ICML 2013.
    """

    _buffers: tuple[str, ...] = ("momentum",)

    def __init__(
        self,
        model: Layer,
        lr: float,
        momentum: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        *,
        groups: Iterable[Mapping[str, Any]] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        options = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "nesterov": nesterov,
            "weight_decay": weight_decay,
        }
        groups = list(groups)
        if not any([momentum, *(group.get("momentum", 0) for group in groups if hasattr(group, "keys"))]):
            self._buffers = ()
        super().__init__(model, options, groups, frozen)

    def _validate(self, options: dict[str, Any]) -> None:
        if options["nesterov"] and not (options["momentum"] > 0 and options["dampening"] == 0):
            raise ValueError(
                "nesterov: expected momentum > 0 and dampening = 0 with it, "
                f"got {options['momentum']:g} and {options['dampening']:g}"
            )
        if options["momentum"] and hasattr(self, "state") and not self.state:
            raise ValueError("momentum: expected 0, as when the optimiser was made, got a buffer to keep")

    def _update(
        self, options: dict[str, Any], spans: Any, max_norm: float | None, zero_grad: bool, guard: bool
    ) -> float:
        params, grads, state = spans
        # The first buffer is the gradient itself: from a buffer of zeros, that is one step without dampening.
        dampening = 0.0 if self.steps == 1 else options["dampening"]
        return _core.sgd(
            params,
            grads,
            state[0] if options["momentum"] else None,
            options["lr"],
            options["momentum"],
            dampening,
            options["nesterov"],
            options["weight_decay"],
            max_norm,
            zero_grad,
            guard,
        )


class Adam(Optimizer):
    """Adam, with PyTorch's formulas.

    Parameters
    ----------
    model : Layer
        Whose parameters to update.
    lr : float
        Learning rate.
    betas : (float, float)
        Decay of the means of gradient and squared gradient.
    eps : float
        Added to the root of the latter, after its correction.
    weight_decay : float
        Add weight_decay * parameter to the gradient.
    groups, frozen
        As in `SGD`; a group may have lr, beta1, beta2, eps and weight_decay.

    References
    ----------
    Kingma, Ba: Adam, a method for stochastic optimization. ICLR 2015.
    """

    _buffers = ("m", "v")
    _decoupled = False

    def __init__(
        self,
        model: Layer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        groups: Iterable[Mapping[str, Any]] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        if not isinstance(betas, (tuple, list)) or len(betas) != 2:
            raise TypeError(f"betas: expected two numbers, got {_check.describe(betas)}")
        options = {"lr": lr, "beta1": betas[0], "beta2": betas[1], "eps": eps, "weight_decay": weight_decay}
        super().__init__(model, options, groups, frozen)

    def _update(
        self, options: dict[str, Any], spans: Any, max_norm: float | None, zero_grad: bool, guard: bool
    ) -> float:
        params, grads, (m, v) = spans
        return _core.adam(
            params,
            grads,
            m,
            v,
            self.steps,
            options["lr"],
            options["beta1"],
            options["beta2"],
            options["eps"],
            options["weight_decay"],
            self._decoupled,
            max_norm,
            zero_grad,
            guard,
        )


class AdamW(Adam):
    """Adam with decoupled weight decay: ``parameter *= 1 - lr * weight_decay`` before the step.

    Parameters are those of `Adam`.

    References
    ----------
    Loshchilov, Hutter: Decoupled weight decay regularization. ICLR 2019.
    """

    _decoupled = True

    def __init__(
        self,
        model: Layer,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        groups: Iterable[Mapping[str, Any]] = (),
        frozen: Sequence[str] = (),
    ) -> None:
        super().__init__(model, lr, betas, eps, weight_decay, groups=groups, frozen=frozen)
