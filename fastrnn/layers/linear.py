"""A dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _check, _core
from .base import Layer, OnceAdding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array


class Linear(Layer):
    """y = x weight' + bias.

    Parameters
    ----------
    in_features, out_features : int
        I and O; ``weight`` is [O, I], ``bias`` [O].
    bias : bool
        Have a bias.
    dtype : {"float32", "float64"}
    compute : {"bfloat16"}, optional
        What products are computed in, if not in the dtype; see `set_compute`, also for `strict`.
    seed : int, optional
        For the initial parameters, U(-1/sqrt(I), 1/sqrt(I)) as in PyTorch.
    """

    _multiplies = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        dtype: str = "float32",
        compute: str | None = None,
        strict: bool = False,
        seed: int | None = None,
    ) -> None:
        self.in_features = _check.integer("in_features", in_features, 1)
        self.out_features = _check.integer("out_features", out_features, 1)
        self.bias = _check.flag("bias", bias)
        shapes: dict[str, tuple[int, ...]] = {"weight": (self.out_features, self.in_features)}
        if self.bias:
            shapes["bias"] = (self.out_features,)
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.in_features**-0.5, seed)
        self.set_compute(compute, strict=strict)

    def __call__(self, x: Array) -> Array:
        """Map x, [N, I] or [T, B, I] with a contiguous last axis, to [N, O] or [T, B, O].

        Raises
        ------
        ValueError, TypeError
            A shape or a dtype is wrong.
        """
        weight, bias = self._weights
        return _core.linear(x, weight, bias, self._bfloat16)

    def vjp(self, x: Array, key: int | None = None, step: int = 0) -> tuple[Array, LinearPullback]:
        """As a plain call, and a pullback. `key` and `step` are not used; all layers take them."""
        weight, bias = self._weights
        rounds = self._bfloat16
        return _core.linear(x, weight, bias, rounds), LinearPullback(self, x, weight, rounds)

    def _pack(self, named: Mapping[str, Array]) -> Any:
        return (named["weight"], named.get("bias"))

    def _letters(self, name: str) -> str:
        return {"weight": "O, I", "bias": "O,"}[name]

    def _describe(self) -> str:
        return f"{self.in_features}, {self.out_features}{'' if self.bias else ', bias=False'}"


class LinearPullback(OnceAdding):
    """Gradients of one ``vjp`` call of a Linear layer: dx = dy weight, dy' x and the sums of dy. One-shot."""

    __slots__ = ()

    def _backward(self, dy: Array, into: Any, want_dx: bool) -> Array | None:
        dweight, dbias = into
        return self._run_once(  # type: ignore[no-any-return]
            lambda x, weight, rounds: _core.linear_backward(dy, x, weight, dweight, dbias, want_dx, rounds)
        )
