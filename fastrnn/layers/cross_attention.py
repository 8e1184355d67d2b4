"""Attention of one sequence to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .._random import fold
from .attention import KINDS, Energy, seen
from .base import Layer, Once
from .composite import Composite
from .linear import Linear

if TYPE_CHECKING:
    from .._typing import Array


class Attention(Composite):
    """context [S, B, E] of queries [S, B, D] and a memory [T, B, E]: sums of the memory by weights.

    The weights are the softmax over the memory of a score of query q and step m: ``q . m`` ("dot",
    where D = E), ``q . (W m)`` ("general") or ``v . tanh(U q + W m + b)`` ("additive").

    Parameters
    ----------
    kind : {"dot", "general", "additive"}
    query_size, memory_size : int
        D and E.
    dtype : {"float32", "float64"}
    compute : {"bfloat16"}, optional
        What the products with W and U are computed in, if not in the dtype; see `set_compute`, also for
        `strict`. Scores and sums over the memory are of the dtype.
    seed : int, optional

    References
    ----------
    Luong, Pham, Manning 2015 (dot, general); Bahdanau, Cho, Bengio 2015 (additive).
    """

    def __init__(
        self,
        kind: str,
        query_size: int,
        memory_size: int,
        *,
        dtype: str = "float32",
        compute: str | None = None,
        strict: bool = False,
        seed: int | None = None,
    ) -> None:
        self.kind = _check.choice("kind", kind, KINDS)
        self.query_size = _check.integer("query_size", query_size, 1)
        self.memory_size = _check.integer("memory_size", memory_size, 1)
        if kind == "dot" and query_size != memory_size:
            raise ValueError(
                f"memory_size: expected {query_size} as query_size because kind is 'dot', got {memory_size}"
            )
        seeds = [None if seed is None else fold(_check.integer("seed", seed, 0), i) for i in range(3)]
        children: dict[str, Layer] = {}
        if kind != "dot":
            children["keys"] = Linear(memory_size, query_size, bias=False, dtype=dtype, seed=seeds[0])
        if kind == "additive":
            children["queries"] = Linear(query_size, query_size, dtype=dtype, seed=seeds[1])
            children["energy"] = Energy(query_size, dtype=dtype, seed=seeds[2])
        self._compose(children)
        self.set_compute(compute, strict=strict)

    def __call__(self, query: Array, memory: Array, lengths: Any = None) -> tuple[Array, Array]:
        """Attend to the memory.

        Parameters
        ----------
        query, memory : ndarray, [S, B, D] and [T, B, E]
        lengths : array of int, [B], optional
            Of the rows of the memory.

        Returns
        -------
        context : ndarray, [S, B, E]
        weights : ndarray, [B, S, T]
            They sum to one, or are zero for a row without steps.
        """
        context, weights = self._run(query, memory, lengths)[0]
        return context, weights

    def vjp(
        self, query: Array, memory: Array, lengths: Any = None, key: int | None = None
    ) -> tuple[tuple[Array, Array], AttentionPullback]:
        """As a plain call, and ``dquery, dmemory = pullback(dcontext, grads=None)``."""
        outputs, arguments, pullbacks = self._run(query, memory, lengths, True)
        return outputs, AttentionPullback(self, outputs, arguments, pullbacks)

    def keys(self, memory: Array) -> Array:
        """What queries are compared with: W m of every step m, or the memory itself for "dot"."""
        layer: Any = self.children.get("keys")
        return memory if layer is None else layer(memory)

    def _run(
        self, query: Any, memory: Any, lengths: Any, trace: bool = False, keys: Any = None
    ) -> tuple[Any, Any, Any]:
        """A call; `keys` are those of the memory, if they are at hand."""
        self._whole()
        queries = _check.rank("query", query, 3, "S, B, D")[0]
        steps, rows = _check.rank("memory", memory, 3, "T, B, E")[:2]
        dtype = memory.dtype if self.kind == "dot" else self.flat_params.dtype
        _check.array("memory", memory, (steps, rows, self.memory_size), dtype, "T, B, E")
        _check.array("query", query, (queries, rows, self.query_size), dtype, "S, B, D")
        parts, pullbacks = {"queries": query, "keys": memory if keys is None else keys}, {}
        for name in parts:
            layer: Any = None if name == "keys" and keys is not None else self.children.get(name)
            if layer is not None and trace:
                parts[name], pullbacks[name] = layer.vjp(parts[name])
            elif layer is not None:
                parts[name] = layer(parts[name])
        energy = self.children["energy"].params["weight"] if self.kind == "additive" else None
        arguments = (parts["queries"], parts["keys"], memory, seen(lengths, rows, steps), energy, 1.0)
        return _core.attention(*arguments), arguments, pullbacks

    def _describe(self) -> str:
        return f"{self.kind!r}, {self.query_size}, {self.memory_size}"

    def __repr__(self) -> str:
        return f"Attention({self._describe()})"


class AttentionPullback(Once):
    """Gradients of one ``vjp`` call of an Attention. One-shot."""

    __slots__ = ()

    def __call__(self, dcontext: Array, grads: Any = None) -> tuple[Array, Array]:
        """Give the gradients by query and memory, and add the parameters' into ``grads``."""
        layer: Attention = self._layer
        if grads is not None:
            layer._into(grads)
        (context, weights), arguments, pullbacks = self._peek()
        _check.array("dcontext", dcontext, context.shape, context.dtype)
        self._take()
        q, k, v, mask, energy, scale = arguments
        denergy = None if energy is None else np.zeros_like(energy)
        dq, dk, dv = _core.attention_backward(dcontext, weights, q, k, v, mask, energy, scale, denergy)
        if denergy is not None:
            child = layer.children["energy"]
            part = layer._part(grads, "energy", child)
            into = child.flat_grads if part is None else child._into(part)[0]
            with self._home.lock:
                into += denergy
        parts = {"queries": dq, "keys": dk}
        for name, pullback in pullbacks.items():
            parts[name] = pullback(parts[name], layer._part(grads, name, layer.children[name]))
        return parts["queries"], dv + parts["keys"]
