"""Bad arguments: a call, the exception it raises, and the exact message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fastrnn import LSTM, Embedding, Sequential

T, B, I, H, V = 4, 3, 5, 6, 7
X = np.zeros((T, B, I), np.float32)
Y = np.zeros((T, B, H), np.float32)
STATE = np.zeros((1, B, H), np.float32)
TOKENS = np.zeros((T, B), np.int64)
WEIGHTS = tuple(LSTM(I, H).params.values())

STRIDED = np.zeros((T, B, 2 * I), np.float32)[..., ::2]
LAST_AXIS = (
    "expected a contiguous last axis (use np.ascontiguousarray), got a last axis with a stride of 8 bytes"
)
READ_ONLY = "expected a writable array, got a read-only one"

Case = tuple[Callable[[], Any], type[Exception], str]


def model() -> Sequential:
    """Parameters 0.weight and 1.*."""
    return Sequential(Embedding(V, I), LSTM(I, H))


def pull(layer: Any, x: np.ndarray = X, **options: Any) -> Any:
    """Run a pullback on good arguments but for `options`."""
    out, pullback = layer.vjp(x)
    y = out[0] if layer.recurrent else out
    return pullback(**{"dy": y, **options})


def check(case: Case) -> None:
    """The call raises this and says this."""
    call, kind, message = case
    with pytest.raises(kind) as raised:
        call()
    assert type(raised.value) is kind
    got = str(raised.value)
    if "argument" in message:  # Python's own words come after the name of the class
        assert got.endswith(message)
    else:
        assert got == message


def cast(name: str, to: str = "float32", came: str = "float64") -> str:
    """What is said of an array of another dtype."""
    return f"{name}: expected {to}, got {came}; use {name}.astype(np.{to})"
