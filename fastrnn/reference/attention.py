"""Attention over the steps of a sequence. Mirror of ``csrc/kernels/attention.h``.

Sources: Bahdanau, Cho, Bengio: Neural machine translation by jointly learning to align and translate. ICLR
2015 (additive). Luong, Pham, Manning: Effective approaches to attention-based neural machine translation.
EMNLP 2015 (dot, general).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import math as m
from ._types import Array


class Gradients(NamedTuple):
    """Gradients of `attention`; `energy` is None without one."""

    q: Array
    k: Array
    v: Array
    energy: Array | None


def _scores(q: Array, k: Array, energy: Array | None, scale: float) -> Array:
    """[B, S, T]."""
    if energy is None:
        return np.asarray(np.einsum("sbd,tbd->bst", q, k) * scale)
    return np.asarray(np.einsum("stbd,d->bst", m.tanh(q[:, None] + k[None]), energy))


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    energy: Array | None = None,
    scale: float = 1.0,
) -> tuple[Array, Array]:
    """``context = sum over t of softmax(score)[t] v[t]``.

    Parameters
    ----------
    q : ndarray, [S, B, D]
    k : ndarray, [T, B, D]
    v : ndarray, [T, B, E]
    mask : ndarray of bool, [B, T], optional
        What may be looked at; a row with nothing gives zeros.
    energy : ndarray, [D], optional
        Scores are ``energy . tanh(q + k)``, instead of ``scale q . k``.

    Returns
    -------
    context : ndarray, [S, B, E]
    weights : ndarray, [B, S, T]
    """
    score = _scores(q, k, energy, scale)
    seen = np.ones(score.shape, bool) if mask is None else np.broadcast_to(mask[:, None], score.shape)
    top = np.max(
        np.where(seen, np.real(score), -np.inf), axis=2, initial=np.finfo(score.dtype).min, keepdims=True
    )
    e = np.where(seen, m.exp(np.where(seen, score - top, 0)), 0)
    total = e.sum(axis=2, keepdims=True)
    weights = e / np.where(total == 0, 1, total)
    return np.asarray(np.einsum("bst,tbe->sbe", weights, v)), weights


def backward(
    dcontext: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None = None,
    energy: Array | None = None,
    scale: float = 1.0,
) -> Gradients:
    """Gradients of ``<dcontext, context>``."""
    weights = attention(q, k, v, mask, energy, scale)[1]
    dweights = np.einsum("sbe,tbe->bst", dcontext, v)
    dv = np.asarray(np.einsum("bst,sbe->tbe", weights, dcontext))
    d = weights * (dweights - (weights * dweights).sum(axis=2, keepdims=True))
    if energy is None:
        d = d * scale
        dq, dk = np.einsum("bst,tbd->sbd", d, k), np.einsum("bst,sbd->tbd", d, q)
        return Gradients(np.asarray(dq), np.asarray(dk), dv, None)
    h = m.tanh(q[:, None] + k[None])
    inner = np.einsum("bst,stbd->stbd", d, energy * (1 - h * h))
    return Gradients(
        np.asarray(inner.sum(axis=1)),
        np.asarray(inner.sum(axis=0)),
        dv,
        np.asarray(np.einsum("bst,stbd->d", d, h)),
    )
