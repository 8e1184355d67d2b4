"""Dense networks, their activations, and IDX files."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from errors import Case, X, check

from fastrnn import MLP
from fastrnn.batches import DenseBatches
from fastrnn.idx import read_idx
from fastrnn.layers import Activation

RNG = np.random.default_rng(0)
POINTS = RNG.normal(size=(400, 2))
RING = ["out" if r > 1.2 else "in" for r in np.hypot(*POINTS.T)]
LINE = POINTS @ [[2.0], [-3.0]] + 0.5
QUICK: dict[str, Any] = {"epochs": 40, "lr": 2e-2, "progress": False}


@pytest.mark.parametrize("kind", ["relu", "tanh", "sigmoid", "identity"])
def test_activations(kind: str, dtype: np.dtype) -> None:
    x = RNG.normal(size=(4, 3, 5)).astype(dtype)
    layer = Activation(kind)
    y, pullback = layer.vjp(x)
    want = {
        "relu": np.maximum(x, 0),
        "tanh": np.tanh(x),
        "sigmoid": 1 / (1 + np.exp(-x)),
        "identity": x,
    }[kind]
    checks.close(y, want, "update")
    dx = pullback(np.ones_like(y))
    slope = {"relu": x > 0, "tanh": 1 - want**2, "sigmoid": want * (1 - want), "identity": np.ones_like(x)}[
        kind
    ]
    checks.close(dx, slope, "update")
    assert dx.dtype == dtype
    assert layer.vjp(x)[1](y, want_dx=False) is None


@pytest.mark.parametrize(
    "options",
    [{"labels": ["in", "out"]}, {"out_features": 3}, {"labels": ["a", "b"], "hidden": (), "dropout": 0.0}],
    ids=str,
)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_gradients(options: dict[str, Any], activation: str) -> None:
    """Central differences in float64, under one key of dropout."""
    net = MLP(
        2, **{"hidden": (5, 4), "activation": activation, "dropout": 0.2, **options}, dtype="float64", seed=1
    )
    net.flat_params[:] = np.random.default_rng(1).normal(
        0, 0.5, net.flat_params.size
    )  # off the kinks of relu
    net.touch()
    x = RNG.normal(size=(6, 2))
    y = RNG.integers(0, 2, 6).astype(np.int32) if net.labels else RNG.normal(size=(6, 3))
    net.value_and_grad(x, y, key=3)
    want = net.flat_grads.copy()
    for place in range(net.flat_params.size):
        values, ends = net.flat_params, []
        before = values[place]
        for change in (1e-6, -1e-6):
            values[place] = before + change
            net.touch()
            ends.append(net.value_and_grad(x, y, key=3)[0])
        values[place] = before
        assert (ends[0] - ends[1]) / 2e-6 == pytest.approx(want[place], rel=1e-5, abs=1e-8)


def test_a_ring_needs_something_between(tmp_path: Path) -> None:
    parts = (POINTS[:300], RING[:300]), (POINTS[300:], RING[300:])
    deep, flat = (MLP(2, RING, hidden=(16, 16), activation=kind, seed=0) for kind in ("relu", "identity"))
    for model in (deep, flat):
        model.fit(*parts[0], validation_data=parts[1], **QUICK)
    assert deep.evaluate(*parts[1]).accuracy > 0.95
    assert flat.evaluate(*parts[1]).accuracy < 0.8
    deep.save(tmp_path / "model")
    again = MLP.load(tmp_path / "model")
    assert again.predict(POINTS) == deep.predict(POINTS)
    np.testing.assert_allclose(deep.predict_proba(POINTS).sum(axis=1), 1)


def test_a_line_is_found() -> None:
    model = MLP(2, out_features=1, hidden=(), seed=0)
    model.fit(POINTS, LINE, validation_data=(POINTS, LINE), **QUICK)
    np.testing.assert_allclose(model.params["head.weight"], [[2, -3]], atol=1e-3)
    np.testing.assert_allclose(model.params["head.bias"], [0.5], atol=1e-3)
    assert model.evaluate(POINTS, LINE).loss < 1e-5
    assert model.evaluate(POINTS, LINE[:, 0]).accuracy is None
    assert model.predict(POINTS).shape == (400, 1)


def test_dense_batches() -> None:
    data = DenseBatches(np.arange(10.0)[:, None], np.arange(10), 4, seed=0)
    seen = []
    for k in range(len(data)):
        x, y = data[k]
        assert np.array_equal(x[:, 0], y)
        seen += list(y)
    assert sorted(seen) == list(range(10))
    assert seen != sorted(seen)
    assert DenseBatches(np.ones((3, 1)), np.ones(3), 2).fingerprint() != data.fingerprint()
    with pytest.raises(IndexError, match="batch 3 of 3"):
        data[3]


def idx(kind: int, array: np.ndarray) -> bytes:
    """An IDX file of an array."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, kind, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize(
    ("kind", "code"), [(8, ">u1"), (9, ">i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")]
)
def test_idx(tmp_path: Path, kind: int, code: str) -> None:
    want = np.arange(24).reshape(2, 3, 4).astype(code)
    for name, data in (("plain", idx(kind, want)), ("packed.gz", gzip.compress(idx(kind, want)))):
        (tmp_path / name).write_bytes(data)
        found = read_idx(tmp_path / name)
        assert np.array_equal(found, want)
        assert found.dtype == np.dtype(code).newbyteorder("=")
        assert found.flags.writeable


GOOD = idx(8, np.zeros((2, 3), np.uint8))
BROKEN = {
    "text": (b"hello world", r"^idx: expected the header of an IDX file, got b'hell' in '.*'$"),
    "empty": (b"", r"^idx: expected the header of an IDX file, got b'' in '.*'$"),
    "type": (b"\0\0\x07\x01\0\0\0\0", r"^idx: expected the header of an IDX file, got"),
    "header": (GOOD[:7], r"^idx: expected a header of 12 bytes, got a file of 7: '.*'$"),
    "short": (GOOD[:-1], r"^idx: expected 6 bytes after the header, for shape \(2, 3\), got 5 in '.*'$"),
    "long": (GOOD + b"x", r"^idx: expected 6 bytes after the header, for shape \(2, 3\), got 7 in '.*'$"),
    "gzip": (gzip.compress(GOOD)[:-9], r"^idx: expected a whole gzip file, got '.*': "),
    "huge": (b"\0\0\x08\x03" + b"\xff" * 12, r"^idx: expected \d+ bytes after the header"),
}


@pytest.mark.parametrize(("data", "message"), BROKEN.values(), ids=BROKEN)
def test_broken_idx_files(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file")


def test_no_idx_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_idx(tmp_path / "none")


ERRORS: dict[str, Case] = {
    "too large": (
        lambda: MLP(2, ["a", "b"]).predict([[1.0, 2.0], [3.0, 1e39]]),
        ValueError,
        "x: expected finite numbers of float32, got 1e+39 at row 1, column 1",
    ),
    "both": (
        lambda: MLP(2, ["a"], out_features=1),
        ValueError,
        "labels, out_features: expected one of them, got both or none",
    ),
    "none": (lambda: MLP(2), ValueError, "labels, out_features: expected one of them, got both or none"),
    "kind": (
        lambda: Activation("gelu"),
        ValueError,
        "kind: expected one of 'relu', 'tanh', 'sigmoid', 'identity', got 'gelu'",
    ),
    "ints": (lambda: Activation()(X.astype(int)), TypeError, "x: expected float32 or float64, got int64"),
    "width": (lambda: MLP(3, RING).predict(POINTS), ValueError, "x: expected shape (N, 3), got (400, 2)"),
    "nan": (
        lambda: MLP(2, RING).predict([[0.0, np.nan]]),
        ValueError,
        "x: expected finite numbers, got nan at row 0, column 1",
    ),
    "label": (
        lambda: MLP(2, RING).fit(POINTS[:1], ["on"]),
        ValueError,
        "y[0]: expected one of 2 labels, 'in', 'out', got 'on'",
    ),
    "rows": (
        lambda: MLP(2, out_features=1).fit(POINTS, LINE[:3]),
        ValueError,
        "y: expected 400 rows, as x has, got 3",
    ),
    "empty": (
        lambda: MLP(2, RING).fit(np.zeros((0, 2)), []),
        ValueError,
        "x: expected at least one row, got none",
    ),
    "one layer": (
        lambda: MLP(2, ["a"], hidden=64),
        TypeError,
        "hidden: expected a tuple of ints, got 64",
    ),
    "activation of none": (
        lambda: MLP(2, ["a"], hidden=(), activation="gelu"),
        ValueError,
        "activation: expected one of 'relu', 'tanh', 'sigmoid', 'identity', got 'gelu'",
    ),
    "dropout of none": (
        lambda: MLP(2, ["a"], hidden=(), dropout=0.5),
        ValueError,
        "dropout: expected 0 without hidden layers, got 0.5",
    ),
    "proba": (
        lambda: MLP(2, out_features=1).predict_proba(POINTS),
        ValueError,
        "predict_proba: expected a model with labels, got one of numbers",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
