"""Every bad argument of a constructor or an optimiser is named, with the rule and what came."""

from __future__ import annotations

import numpy as np
import pytest
from errors import Case, H, I, V, X, Y, check, model

import fastrnn
from fastrnn import LSTM, Dropout, Embedding, Linear, Sequential, losses, optim

CONSTRUCTORS: dict[str, Case] = {
    "zero size": (lambda: LSTM(0, H), ValueError, "input_size: expected an int >= 1, got 0"),
    "negative size": (lambda: LSTM(I, -H), ValueError, "hidden_size: expected an int >= 1, got -6"),
    "float size": (lambda: LSTM(I, 6.0), TypeError, "hidden_size: expected an int, got 6.0"),
    "bool size": (lambda: LSTM(I, True), TypeError, "hidden_size: expected an int, got True"),
    "array size": (
        lambda: LSTM(I, np.ones(1, int)),
        TypeError,
        "hidden_size: expected an int, got int64 array of shape (1,)",
    ),
    "none size": (lambda: LSTM(None, H), TypeError, "input_size: expected an int, got None"),
    "no layers": (lambda: LSTM(I, H, 0), ValueError, "num_layers: expected an int >= 1, got 0"),
    "bias": (lambda: LSTM(I, H, bias=1), TypeError, "bias: expected True or False, got 1"),
    "batch_first": (
        lambda: LSTM(I, H, batch_first="no"),
        TypeError,
        "batch_first: expected True or False, got 'no'",
    ),
    "dropout 1": (lambda: LSTM(I, H, dropout=1), ValueError, "dropout: expected 0 <= dropout < 1, got 1"),
    "dropout < 0": (
        lambda: LSTM(I, H, dropout=-0.1),
        ValueError,
        "dropout: expected 0 <= dropout < 1, got -0.1",
    ),
    "dropout nan": (
        lambda: LSTM(I, H, dropout=np.nan),
        ValueError,
        "dropout: expected 0 <= dropout < 1, got nan",
    ),
    "dropout text": (lambda: LSTM(I, H, dropout="a"), TypeError, "dropout: expected a number, got 'a'"),
    "dtype": (lambda: LSTM(I, H, dtype="int8"), ValueError, "dtype: expected float32 or float64, got 'int8'"),
    "dtype foreign": (
        lambda: LSTM(I, H, dtype="x"),
        ValueError,
        "dtype: expected float32 or float64, got 'x'",
    ),
    "dtype none": (
        lambda: LSTM(I, H, dtype=None),
        ValueError,
        "dtype: expected float32 or float64, got None",
    ),
    "dtype swapped": (
        lambda: LSTM(I, H, dtype=">f4"),
        ValueError,
        "dtype: expected float32 or float64, got '>f4'",
    ),
    "seed": (lambda: LSTM(I, H, seed=-1), ValueError, "seed: expected an int >= 0, got -1"),
    "seed text": (lambda: LSTM(I, H, seed="a"), TypeError, "seed: expected an int, got 'a'"),
    "unknown": (lambda: LSTM(I, H, peepholes=1), TypeError, "unexpected keyword argument 'peepholes'"),
    "positional": (
        lambda: LSTM(I, H, 1, True),
        TypeError,
        "takes from 3 to 4 positional arguments but 5 were given",
    ),
    "no rows": (lambda: Embedding(0, I), ValueError, "num_embeddings: expected an int >= 1, got 0"),
    "no columns": (lambda: Embedding(V, 0), ValueError, "embedding_dim: expected an int >= 1, got 0"),
    "linear": (lambda: Linear(I, 0), ValueError, "out_features: expected an int >= 1, got 0"),
    "p": (lambda: Dropout(1.0), ValueError, "p: expected 0 <= p < 1, got 1"),
    "no children": (lambda: Sequential(), ValueError, "layers: expected at least one, got none"),
    "child": (lambda: Sequential(Linear(I, H), np.tanh), TypeError, "1: expected a layer, got ufunc"),
    "list": (lambda: Sequential([Linear(I, H)]), TypeError, "0: expected a layer, got list"),
    "twice": (
        lambda: Sequential(*[Linear(I, I)] * 2),
        ValueError,
        "1: expected a layer of its own, got the same object as 0",
    ),
    "dtypes": (
        lambda: Sequential(Embedding(V, I), Dropout(), LSTM(I, H, dtype="float64")),
        ValueError,
        "2: expected dtype float32 as 0, got float64",
    ),
    "orders": (
        lambda: Sequential(LSTM(I, H, batch_first=True), LSTM(H, H)),
        ValueError,
        "layers: expected the same batch_first in all of them, got both",
    ),
    "reduction": (
        lambda: losses.MSE("none"),
        ValueError,
        "reduction: expected one of 'mean', 'sum', got 'none'",
    ),
    "classes": (
        lambda: losses.LinearCrossEntropy(I, 0),
        ValueError,
        "num_classes: expected an int >= 1, got 0",
    ),
    "ignore_index": (
        lambda: losses.CrossEntropy(2**63),
        ValueError,
        f"ignore_index: expected an int <= {2**63 - 1}, got {2**63}",
    ),
    "no loss": (
        lambda: fastrnn.value_and_grad(model(), Linear(H, V)),
        TypeError,
        "loss: expected one of fastrnn.losses, got Linear",
    ),
    "no model": (
        lambda: fastrnn.value_and_grad(None, losses.MSE()),
        TypeError,
        "model: expected a layer, got NoneType",
    ),
}

LOADS: dict[str, Case] = {
    "missing": (
        lambda: Linear(I, H).load_params({"bias": Y[0, 0]}),
        ValueError,
        "params: expected 'weight', got no such name (1 missing)",
    ),
    "unexpected": (
        lambda: Linear(I, H, False).load_params({"weight": np.ones((H, I), "f4"), "bias": 1}),
        ValueError,
        "params: expected 1 names, got also 'bias'",
    ),
    "shape": (
        lambda: LSTM(I, H).load_params({**LSTM(I, H).params, "weight_hh_l0": np.ones((H, 4 * H), "f4")}),
        ValueError,
        "weight_hh_l0: expected shape (4*H, H) = (24, 6), got (6, 24)",
    ),
    "shape of a part": (
        lambda: model().load_params({**model().params, "1.bias_ih_l0": np.ones(H, "f4")}),
        ValueError,
        "1.bias_ih_l0: expected shape (4*H,) = (24,), got (6,)",
    ),
    "float64": (
        lambda: Linear(I, H).load_params(Linear(I, H, dtype="float64").params),
        TypeError,
        "weight: expected float32, got float64; use weight.astype(np.float32)",
    ),
    "list": (
        lambda: Linear(I, H, False).load_params({"weight": [[1.0]]}),
        TypeError,
        "weight: expected a NumPy array, got list",
    ),
    "no mapping": (
        lambda: Linear(I, H).load_params([1]),
        TypeError,
        "params: expected a mapping of names to arrays, got list",
    ),
    "owner": (lambda: optim.SGD([X], 0.1), TypeError, "model: expected a layer, got list"),
    "empty": (
        lambda: optim.Adam(Dropout()),
        ValueError,
        "model: expected a layer with parameters, got one without",
    ),
    "lr": (lambda: optim.SGD(model(), -0.1), ValueError, "lr: expected a finite number >= 0, got -0.1"),
    "lr nan": (lambda: optim.Adam(model(), np.nan), ValueError, "lr: expected a finite number >= 0, got nan"),
    "betas": (lambda: optim.Adam(model(), betas=0.9), TypeError, "betas: expected two numbers, got 0.9"),
    "beta": (
        lambda: optim.Adam(model(), betas=(0.9, 1)),
        ValueError,
        "beta2: expected 0 <= beta2 < 1, got 1",
    ),
    "eps": (lambda: optim.AdamW(model(), eps=-1), ValueError, "eps: expected a finite number >= 0, got -1"),
    "nesterov": (
        lambda: optim.SGD(model(), 0.1, nesterov=True),
        ValueError,
        "nesterov: expected momentum > 0 and dampening = 0 with it, got 0 and 0",
    ),
    "nesterov text": (
        lambda: optim.SGD(model(), 0.1, 0.9, nesterov="a"),
        TypeError,
        "nesterov: expected True or False, got 'a'",
    ),
    "group": (
        lambda: optim.SGD(model(), 0.1, groups=[{"params": ["2.*"]}]),
        ValueError,
        "groups[0]: params: expected names of parameters that no other group has, got '2.*'",
    ),
    "group twice": (
        lambda: optim.SGD(model(), 0.1, groups=[{"params": ["0.weight"]}], frozen=["*weight"]),
        ValueError,
        "groups[0]: params: expected names of parameters that no other group has, got '0.weight'",
    ),
    "group text": (
        lambda: optim.SGD(model(), 0.1, groups=[{"params": "0.weight"}]),
        TypeError,
        "groups[0]: params: expected a list of names, got '0.weight'",
    ),
    "group option": (
        lambda: optim.Adam(model(), groups=[{"params": ["0.*"], "momentum": 1}]),
        ValueError,
        "groups[0]: expected options out of lr, beta1, beta2, eps, weight_decay, got 'momentum'",
    ),
    "group names": (
        lambda: optim.Adam(model(), groups=["0.*"]),
        TypeError,
        "groups[0]: expected a dict with 'params', got '0.*'",
    ),
    "max_norm": (
        lambda: optim.Adam(model()).step(-1),
        ValueError,
        "max_norm: expected a finite number >= 0, got -1",
    ),
    "max_norm nan": (
        lambda: optim.Adam(model()).step(np.nan),
        ValueError,
        "max_norm: expected a finite number >= 0, got nan",
    ),
}


@pytest.mark.parametrize("case", CONSTRUCTORS.values(), ids=CONSTRUCTORS)
def test_constructors(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", LOADS.values(), ids=LOADS)
def test_parameters_and_optimisers(case: Case) -> None:
    check(case)


def test_the_check_sees_another_message() -> None:
    with pytest.raises(AssertionError):
        check((lambda: LSTM(0, H), ValueError, "input_size: expected an int >= 1, got 1"))
