"""SGD, Adam, AdamW, RMSProp, Adagrad and clipping, as in torch. Mirror of ``csrc/kernels/optim.h``.

Parameters, gradients and buffers are lists of arrays of equal shapes and are updated in place. When
`max_norm` is given the gradients are multiplied by ``min(1, max_norm / (norm + 1e-6))`` first, as
``torch.nn.utils.clip_grad_norm_``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._types import Array


def global_norm(grads: Sequence[Array]) -> Any:
    """Root of the sum of all squares."""
    return np.sqrt(sum((g * g).sum() for g in grads))


def _clip(grads: Sequence[Array], max_norm: float | None) -> tuple[Any, Any]:
    """Norm (NaN if there is no `max_norm`) and the factor for the gradients."""
    if max_norm is None:
        return np.nan, 1.0
    norm = global_norm(grads)
    return norm, np.minimum(1.0, max_norm / (norm + 1e-6))


def sgd(
    params: Sequence[Array],
    grads: Sequence[Array],
    momentum_buffers: Sequence[Array] | None,
    lr: float,
    momentum: float = 0.0,
    dampening: float = 0.0,
    nesterov: bool = False,
    weight_decay: float = 0.0,
    max_norm: float | None = None,
    zero_grad: bool = True,
) -> Any:
    """``g += wd p;  b = momentum b + (1 - dampening) g;  p -= lr (g + momentum b  if nesterov else b)``.

    torch sets ``b = g`` in the first step: give buffers of zeros and ``dampening=0`` then.

    Returns
    -------
    scalar
        Global norm before clipping; NaN if `max_norm` is None.
    """
    norm, factor = _clip(grads, max_norm)
    for k, (p, grad) in enumerate(zip(params, grads, strict=True)):
        g = grad * factor + weight_decay * p
        if momentum_buffers is not None:
            b = momentum_buffers[k]
            b[...] = momentum * b + (1 - dampening) * g
            g = g + momentum * b if nesterov else b
        p -= lr * g
        if zero_grad:
            grad[...] = 0
    return norm


def adam(
    params: Sequence[Array],
    grads: Sequence[Array],
    m: Sequence[Array],
    v: Sequence[Array],
    step: int,
    lr: float = 1e-3,
    beta1: float = 0.9,
    beta2: float = 0.999,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    decoupled: bool = False,
    max_norm: float | None = None,
    zero_grad: bool = True,
) -> Any:
    """Adam (Kingma & Ba 2015); AdamW (Loshchilov & Hutter 2019) if `decoupled`. `step` counts from 1.

    ``m = b1 m + (1-b1) g;  v = b2 v + (1-b2) g^2;  p -= lr/(1-b1^t) m / (sqrt(v)/sqrt(1-b2^t) + eps)``, where
    the weight decay is added to g, or, decoupled, ``p *= 1 - lr wd`` comes first.

    Returns
    -------
    scalar
        Global norm before clipping; NaN if `max_norm` is None.
    """
    norm, factor = _clip(grads, max_norm)
    rate = lr / (1 - beta1**step)
    root = math.sqrt(1 - beta2**step)
    for p, grad, m_k, v_k in zip(params, grads, m, v, strict=True):
        g = grad * factor
        if decoupled:
            p *= 1 - lr * weight_decay
        else:
            g = g + weight_decay * p
        m_k[...] = beta1 * m_k + (1 - beta1) * g
        v_k[...] = beta2 * v_k + (1 - beta2) * g * g
        p -= rate * m_k / (np.sqrt(v_k) / root + eps)
        if zero_grad:
            grad[...] = 0
    return norm


def rmsprop(
    params: Sequence[Array],
    grads: Sequence[Array],
    v: Sequence[Array],
    momentum_buffers: Sequence[Array] | None,
    lr: float = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
    max_norm: float | None = None,
    zero_grad: bool = True,
) -> Any:
    """``v = alpha v + (1-alpha) g^2;  d = g / (sqrt(v) + eps);  b = momentum b + d;  p -= lr b``.

    Without buffers b is d. Tieleman & Hinton 2012 (Coursera, lecture 6.5), as torch has it.

    Returns
    -------
    scalar
        Global norm before clipping; NaN if `max_norm` is None.
    """
    norm, factor = _clip(grads, max_norm)
    for i, (p, grad, v_i) in enumerate(zip(params, grads, v, strict=True)):
        g = factor * grad + weight_decay * p
        v_i[...] = alpha * v_i + (1 - alpha) * g * g
        d = g / (np.sqrt(v_i) + eps)
        if momentum_buffers is not None:
            b = momentum_buffers[i]
            b[...] = momentum * b + d
            d = b
        p -= lr * d
        if zero_grad:
            grad[...] = 0
    return norm


def adagrad(
    params: Sequence[Array],
    grads: Sequence[Array],
    sums: Sequence[Array],
    lr: float = 1e-2,
    eps: float = 1e-10,
    weight_decay: float = 0.0,
    max_norm: float | None = None,
    zero_grad: bool = True,
) -> Any:
    """``s += g^2;  p -= lr g / (sqrt(s) + eps)``: Duchi, Hazan & Singer 2011, as torch has it.

    Returns
    -------
    scalar
        Global norm before clipping; NaN if `max_norm` is None.
    """
    norm, factor = _clip(grads, max_norm)
    for p, grad, s in zip(params, grads, sums, strict=True):
        g = factor * grad + weight_decay * p
        s += g * g
        p -= lr * g / (np.sqrt(s) + eps)
        if zero_grad:
            grad[...] = 0
    return norm


def clip_value(grads: Sequence[Array], limit: float) -> None:
    """Gradients into [-limit, limit], in place; NaN stays."""
    for grad in grads:
        np.clip(grad, -limit, limit, out=grad)
