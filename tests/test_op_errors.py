"""Every bad argument of the kernels around the cells is named, with the rule and what came."""

from __future__ import annotations

import platform
from typing import Any

import numpy as np
import pytest
from errors import LAST_AXIS, READ_ONLY, STRIDED, TOKENS, B, Case, I, T, V, X, cast, check

from fastrnn import _core

W = TABLE = np.zeros((V, I), np.float32)
BIAS = np.zeros(V, np.float32)
FILTERS = np.zeros((V, I, 2), np.float32)
DY = np.zeros((T, B, V), np.float32)
FROZEN = np.broadcast_to(np.float32(0), W.shape)
ARM = platform.machine() in ("aarch64", "arm64")
BUILT = "neon" if ARM else "sse4, avx2, avx512, avx512_bf16, avx512_amx"


def entropy(x: Any = X, w: Any = W, bias: Any = BIAS, targets: Any = TOKENS, mask: Any = None) -> Any:
    return _core.cross_entropy(x, w, bias, targets, -100, True, mask)


def sgd(params: Any, grads: Any, buffers: Any = None, max_norm: Any = None, momentum: float = 0.0) -> Any:
    return _core.sgd(params, grads, buffers, 0.1, momentum, 0.0, False, 0.0, max_norm, True)


def adam(step: int = 1, m: Any = None, v: Any = None) -> Any:
    p, g, a, b = (BIAS.copy() for _ in range(4))
    m, v = [a] if m is None else m, [b] if v is None else v
    return _core.adam([p], [g], m, v, step, 0.1, 0.9, 0.99, 1e-8, 0.0, False, None, True)


OPERATIONS: dict[str, Case] = {
    "p": (
        lambda: _core.dropout(X, 1.0, 1, 0, False),
        ValueError,
        "p: expected a probability in [0, 1), got 1.000000",
    ),
    "key": (
        lambda: _core.dropout(X, 0.5, -1, 0, False),
        ValueError,
        "key: expected an integer in [0, 2**64), got -1",
    ),
    "step": (
        lambda: _core.dropout(X, 0.5, 1, -1, False),
        ValueError,
        "step: expected an integer in [0, 2**64), got -1",
    ),
    "rank": (
        lambda: _core.dropout(BIAS, 0.5, 1, 0, False),
        ValueError,
        "x: expected shape (N, H) or (T, B, H), got (7,)",
    ),
    "int": (
        lambda: _core.dropout(TOKENS, 0.5, 1, 0, False),
        TypeError,
        "x: expected float32 or float64, got int64",
    ),
    "linear float64": (lambda: _core.linear(X.astype("f8"), W, BIAS), TypeError, cast("x")),
    "linear width": (
        lambda: _core.linear(X[..., :2], W, BIAS),
        ValueError,
        "x: expected shape (N, I) or (T, B, I) with a last axis of 5, got (4, 3, 2)",
    ),
    "linear strided": (lambda: _core.linear(STRIDED, W, BIAS), ValueError, f"x: {LAST_AXIS}"),
    "linear weight": (
        lambda: _core.linear(X, BIAS, BIAS),
        ValueError,
        "weight: expected shape (O, I), got (7,)",
    ),
    "linear bias": (
        lambda: _core.linear(X, W, BIAS[:2]),
        ValueError,
        "bias: expected shape (O,) = (7,), got (2,)",
    ),
    "dweight": (
        lambda: _core.linear_backward(DY, X, W, W[:2], None, True),
        ValueError,
        "dweight: expected shape (O, I) = (7, 5), got (2, 5)",
    ),
    "dweight read-only": (
        lambda: _core.linear_backward(DY, X, W, FROZEN, None, True),
        ValueError,
        f"dweight: {READ_ONLY}",
    ),
    "embedding": (
        lambda: _core.embedding(TOKENS + V, TABLE),
        ValueError,
        "tokens: expected integers in [0, 7), got 7 at index (0, 0)",
    ),
    "embedding bool": (
        lambda: _core.embedding(TOKENS > 0, TABLE),
        TypeError,
        "tokens: expected int32 or int64, got bool",
    ),
    "embedding rank": (
        lambda: _core.embedding(TOKENS[None], TABLE),
        ValueError,
        "tokens: expected rank 1 or 2, got (1, 4, 3)",
    ),
    "embedding backward": (
        lambda: _core.embedding_backward(TOKENS - 1, X, TABLE.copy()),
        ValueError,
        "tokens: expected integers in [0, 7), got -1 at index (0, 0)",
    ),
    "dtable": (
        lambda: _core.embedding_backward(TOKENS, X, FROZEN),
        ValueError,
        f"dtable: {READ_ONLY}",
    ),
    "targets": (
        lambda: entropy(targets=TOKENS[:2]),
        ValueError,
        "targets: expected shape (T, B) = (4, 3), got (2, 3)",
    ),
    "target": (
        lambda: entropy(targets=TOKENS - 1),
        ValueError,
        "targets: expected integers in [0, 7), got -1 at index (0, 0)",
    ),
    "targets list": (lambda: entropy(targets=[0]), TypeError, "targets: expected a NumPy array, got list"),
    "targets float": (
        lambda: entropy(targets=X[..., 0]),
        TypeError,
        "targets: expected int32 or int64, got float32",
    ),
    "mask": (
        lambda: entropy(mask=TOKENS[:2] > 0),
        ValueError,
        "mask: expected shape (T, B) = (4, 3), got (2, 3)",
    ),
    "mask of ints": (lambda: entropy(mask=TOKENS), TypeError, "mask: expected bool, got int64"),
    "mask list": (lambda: entropy(mask=[True]), TypeError, "mask: expected a NumPy array, got list"),
    "entropy float64": (lambda: entropy(X.astype("f8")), TypeError, cast("x")),
    "grads": (lambda: sgd([BIAS], []), ValueError, "grads: expected 1 arrays, got 0"),
    "grads size": (
        lambda: sgd([BIAS], [BIAS[:2].copy()]),
        ValueError,
        "grads[0]: expected 7 elements, got 2",
    ),
    "grads float64": (lambda: sgd([BIAS], [BIAS.astype("f8")]), TypeError, cast("grads[0]")),
    "shared": (
        lambda: sgd([BIAS], [BIAS]),
        ValueError,
        "grads[0]: expected memory of its own, got memory shared with params[0]",
    ),
    "params": (lambda: sgd(BIAS, BIAS), TypeError, "params: expected a list of arrays, got ndarray"),
    "max_norm": (
        lambda: sgd([BIAS], [BIAS.copy()], max_norm=-1.0),
        ValueError,
        "max_norm: expected a number >= 0, or None, got -1.000000",
    ),
    "momentum": (
        lambda: sgd([BIAS], [BIAS.copy()], momentum=0.9),
        TypeError,
        "momentum_buffers: expected a list of arrays when momentum is not 0, got None",
    ),
    "step 0": (lambda: adam(0), ValueError, "step: expected an integer >= 1, got 0"),
    "m": (lambda: adam(m=[BIAS[:2].copy()]), ValueError, "m[0]: expected 7 elements, got 2"),
    "norm": (
        lambda: _core.global_norm([TOKENS]),
        TypeError,
        "grads[0]: expected float32 or float64, got int64",
    ),
    "pool kind": (
        lambda: _core.pool(X, None, "sum", 0, False),
        ValueError,
        "kind: expected 'last', 'mean' or 'max', got 'sum'",
    ),
    "pool rank": (
        lambda: _core.pool(X[0], None, "max", 0, False),
        ValueError,
        "x: expected shape (T, B, H), got (3, 5)",
    ),
    "pool lengths": (
        lambda: _core.pool(X, np.array([1, 5, 2]), "max", 0, False),
        ValueError,
        "lengths: expected integers in [0, 5), got 5 at index (1,)",
    ),
    "pool turned": (
        lambda: _core.pool(X, None, "last", 6, False),
        ValueError,
        "turned: expected an integer in [0, 5], got 6",
    ),
    "pool dy": (
        lambda: _core.pool_backward(X[0][:2], X, X[0], None, "max", 0, False),
        ValueError,
        "dy: expected shape (B, H) = (3, 5), got (2, 5)",
    ),
    "convolution weight": (
        lambda: _core.convolution(X, W, BIAS, None),
        ValueError,
        "weight: expected shape (F, I, W), got (7, 5)",
    ),
    "convolution x": (
        lambda: _core.convolution(X[..., :3], FILTERS, BIAS, None),
        ValueError,
        "x: expected shape (T, B, I) with axis 2 = 5, got (4, 3, 3)",
    ),
    "convolution bias": (
        lambda: _core.convolution(X, FILTERS, BIAS[:2], None),
        ValueError,
        "bias: expected shape (F,) = (7,), got (2,)",
    ),
    "convolution at": (
        lambda: _core.convolution_backward(
            DY[0], np.full((B, V), 4), X, FILTERS, None, FILTERS.copy(), BIAS.copy(), True
        ),
        ValueError,
        "at: expected integers in [0, 4), got 4 at index (0, 0)",
    ),
    "attention k": (
        lambda: _core.attention(X, X[:, :2], X, None, None, 1.0),
        ValueError,
        "k: expected shape (T, B, D) with axis 1 = 3, got (4, 2, 5)",
    ),
    "attention v": (
        lambda: _core.attention(X, X, X[:2], None, None, 1.0),
        ValueError,
        "v: expected shape (T, B, E) with axis 0 = 4, got (2, 3, 5)",
    ),
    "attention mask": (
        lambda: _core.attention(X, X, X, TOKENS.T, None, 1.0),
        TypeError,
        "mask: expected bool, got int64",
    ),
    "attention mask shape": (
        lambda: _core.attention(X, X, X, TOKENS == 0, None, 1.0),
        ValueError,
        "mask: expected shape (B, T) = (3, 4), got (4, 3)",
    ),
    "attention energy": (
        lambda: _core.attention(X, X, X, None, BIAS, 1.0),
        ValueError,
        "energy: expected shape (D,) = (5,), got (7,)",
    ),
    "attention denergy": (
        lambda: _core.attention_backward(X, np.zeros((B, T, T), "f4"), X, X, X, None, None, 1.0, BIAS),
        TypeError,
        "denergy: expected None without energy, got ndarray",
    ),
    "clip_value": (
        lambda: _core.clip_value([BIAS.copy()], -1.0),
        ValueError,
        "limit: expected a number >= 0, got -1.000000",
    ),
    "rmsprop momentum": (
        lambda: _core.rmsprop(
            [BIAS.copy()], [BIAS.copy()], [BIAS.copy()], None, 0.1, 0.9, 1e-8, 0.9, 0.0, None, True
        ),
        TypeError,
        "momentum_buffers: expected a list of arrays when momentum is not 0, got None",
    ),
    "exp": (lambda: _core.exp(1.0), TypeError, "x: expected a NumPy array, got float"),
    "isa": (lambda: _core.use_isa("avx9"), ValueError, f"isa: expected one of {BUILT}, got 'avx9'"),
    "isa: bytes": (
        lambda: _core.use_isa(b"a\xff"),  # type: ignore[arg-type]
        ValueError,
        f"isa: expected one of {BUILT}, got 'a\\xff'",
    ),
    "threads": (
        lambda: _core.set_num_threads(0),
        ValueError,
        "n: expected a positive number of threads, got 0",
    ),
    "peak": (
        lambda: _core.fma_peak("f", 1),
        ValueError,
        "dtype: expected float32, float64 or bfloat16, got 'f'",
    ),
}


@pytest.mark.parametrize("case", OPERATIONS.values(), ids=OPERATIONS)
def test_operations(case: Case) -> None:
    check(case)
