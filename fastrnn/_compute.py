"""What layers multiply in: their dtype, or bfloat16 with sums of float32."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from . import _check, _core

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np

NAMES = ("float32", "float64", "bfloat16")
_said: set[str] = set()


class ComputeWarning(UserWarning):
    """This processor has no instruction for bfloat16: products are float32."""


def rounds(compute: Any, dtype: str, strict: Any = False) -> bool:
    """Whether operands of products are rounded to bfloat16, for a `compute` of a layer of that dtype.

    Raises
    ------
    ValueError
        An unknown name, or one that does not go with the dtype.
    RuntimeError
        `strict`, and this processor, or the instruction set that is forced, has no such products.
    """
    strict = _check.flag("strict", strict)
    if compute is None:
        return False
    _check.choice("compute", compute, NAMES)
    if compute != "bfloat16":
        if compute != dtype:
            raise ValueError(f"compute: expected None or bfloat16 because dtype is {dtype}, got {compute!r}")
        return False
    if dtype != "float32":
        raise ValueError(f"compute: expected None because dtype is {dtype}, got {compute!r}")
    if not _core.has_bfloat16():
        if strict:
            raise RuntimeError(
                f"compute: expected a processor with AVX512_BF16 because strict is True, got {_core.isa()}"
            )
        if _core.isa() not in _said:
            _said.add(_core.isa())
            warnings.warn(
                f"compute: {_core.isa()} has no bfloat16, products are float32 (said once)",
                ComputeWarning,
                stacklevel=4,
            )
    return True


class Computing:
    """Has leaves whose products may be of bfloat16; a part of every layer."""

    dtype: np.dtype[Any] | None
    _multiplies: bool = False  # has products
    _bfloat16: bool = False  # and their operands are rounded

    @property
    def compute(self) -> str:
        """What products are computed in, see `set_compute`; "mixed" where the parts of a model differ."""
        kinds = {"bfloat16" if leaf._bfloat16 else str(leaf.dtype) for leaf in self._multiplying()}
        return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else str(self.dtype or "float32")

    def set_compute(self, compute: str | None, *, strict: bool = False) -> None:
        """Say what products are computed in; what was begun is finished as it was.

        Parameters
        ----------
        compute : {"bfloat16", None}
            With "bfloat16" the operands of products (input, h, weights, gradients of gates) are rounded to
            bfloat16 on the way into them. Parameters, states, pointwise functions, sums and gradients of
            parameters stay float32. None, or the name of the dtype: products are of the dtype.
        strict : bool
            Raise where the processor has no instruction for it (AVX512_BF16), instead of a warning, once,
            and products of float32.

        Raises
        ------
        ValueError
            An unknown name, or the dtype is float64.
        RuntimeError
            See `strict`.

        Notes
        -----
        ``docs/bfloat16.md`` says what exactly is rounded, what it costs in accuracy, and when it pays.
        """
        leaves = list(self._multiplying())
        found = [rounds(compute, str(leaf.dtype or "float32"), strict) for leaf in leaves]
        if not leaves:
            rounds(compute, str(self.dtype or "float32"), strict)
        for leaf, value in zip(leaves, found, strict=True):
            leaf._bfloat16 = value

    def _multiplying(self) -> Iterator[Computing]:
        """The leaves that have products."""
        return (leaf for _, leaf in self._leaves() if leaf._multiplies)

    if TYPE_CHECKING:  # of a layer

        def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Computing]]: ...
