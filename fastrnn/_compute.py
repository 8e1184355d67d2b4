"""What layers multiply in: their dtype, or bfloat16 with sums of float32."""

from __future__ import annotations

import warnings
from typing import Any

from . import _check, _core

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
