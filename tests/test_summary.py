"""The table of a model's parameters."""

from __future__ import annotations

import pytest

import fastrnn
from fastrnn import losses

WANT = """\
layer                           parameter     shape  number
model.0: Embedding(50, 8)       weight        50x8      400
model.1: GRU(8, 4)              weight_ih_l0  12x8       96
                                weight_hh_l0  12x4       48
                                bias_ih_l0    12         12
                                bias_hh_l0    12         12
model.2: Dropout(0.5)
loss: LinearCrossEntropy(4, 3)  weight        3x4        12
                                bias          3           3
583 parameters, 2,332 bytes; 1,166 samples, 2 for each parameter"""


def model() -> fastrnn._objective.ValueAndGrad:
    """A tagger."""
    body = fastrnn.Sequential(fastrnn.Embedding(50, 8), fastrnn.GRU(8, 4), fastrnn.Dropout(0.5))
    return fastrnn.value_and_grad(body, losses.LinearCrossEntropy(4, 3))


def test_a_table() -> None:
    assert str(model().summary(samples=1166)) == WANT


def test_numbers() -> None:
    f = model()
    summary = f.summary()
    assert summary.samples_per_parameter is None
    assert str(summary).endswith("583 parameters, 2,332 bytes")
    named = {f"{row.path}.{row.parameter}": row.shape for row in summary.rows if row.parameter}
    assert named == {name: p.shape for name, p in f.params.items()}
    assert sum(row.size for row in summary.rows) == summary.parameters == f.flat_params.size
    assert f.summary(583).samples_per_parameter == 1


def test_a_layer_alone() -> None:
    wide = fastrnn.LSTM(3, 2, 2, bidirectional=True, dtype="float64").summary()
    assert (wide.parameters, wide.bytes) == (240, 1920)
    assert str(wide).splitlines()[1].split()[-3:] == ["weight_ih_l0", "8x3", "24"]
    assert str(fastrnn.Dropout(0.5).summary(10)).endswith(
        "0 parameters, 0 bytes; 10 samples, 10 for each parameter"
    )


@pytest.mark.parametrize(
    ("samples", "kind", "message"),
    [
        (-1, ValueError, "samples: expected an int >= 0, got -1"),
        (1.5, TypeError, "samples: expected an int, got 1.5"),
    ],
)
def test_bad_samples(samples: float, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as raised:
        fastrnn.Linear(2, 3).summary(samples)  # type: ignore[arg-type]
    assert str(raised.value) == message
