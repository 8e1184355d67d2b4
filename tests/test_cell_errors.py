"""Bad arguments of the recurrent layers beyond LSTM's, and of `fastrnn.init`: the exact message."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from errors import STATE, Case, H, I, X, Y, cast, check, pull

from fastrnn import GRU, LSTM, RNN, Dropout, Linear, MinGRU, MinLSTM, Sequential, init

NONLINEARITIES = "nonlinearity: expected one of 'tanh', 'relu', 'sigmoid', 'identity', got "
BOTH = GRU(I, H, bidirectional=True)

CELLS: dict[str, Case] = {
    "nonlinearity": (lambda: RNN(I, H, nonlinearity="gelu"), ValueError, NONLINEARITIES + "'gelu'"),
    "nonlinearity none": (lambda: RNN(I, H, nonlinearity=None), ValueError, NONLINEARITIES + "None"),
    "nonlinearity list": (lambda: RNN(I, H, nonlinearity=["tanh"]), ValueError, NONLINEARITIES + "list"),
    "nonlinearity array": (
        lambda: RNN(I, H, nonlinearity=np.array(["tanh", "relu"])),
        ValueError,
        NONLINEARITIES + "<U4 array of shape (2,)",
    ),
    "nonlinearity by position": (
        lambda: RNN(I, H, 1, "relu"),
        TypeError,
        "takes from 3 to 4 positional arguments but 5 were given",
    ),
    "reset": (
        lambda: GRU(I, H, reset="middle"),
        ValueError,
        "reset: expected one of 'after', 'before', got 'middle'",
    ),
    "reset bool": (
        lambda: GRU(I, H, reset=True),
        ValueError,
        "reset: expected one of 'after', 'before', got True",
    ),
    "peephole": (
        lambda: LSTM(I, H, peephole="dense"),
        ValueError,
        "peephole: expected one of 'diagonal', 'full', got 'dense'",
    ),
    "peephole bool": (
        lambda: LSTM(I, H, peephole=True),
        ValueError,
        "peephole: expected one of 'diagonal', 'full', got True",
    ),
    "peephole and coupled": (
        lambda: LSTM(I, H, peephole="full", coupled=True),
        ValueError,
        "peephole: expected None because coupled is True, got 'full'",
    ),
    "coupled": (lambda: LSTM(I, H, coupled=1), TypeError, "coupled: expected True or False, got 1"),
    "coupled none": (
        lambda: LSTM(I, H, coupled=None),
        TypeError,
        "coupled: expected True or False, got None",
    ),
    "no option": (lambda: MinLSTM(I, H, couple=True), TypeError, "unexpected keyword argument 'couple'"),
    "size": (lambda: MinGRU(0, H), ValueError, "input_size: expected an int >= 1, got 0"),
    "state of two": (
        lambda: RNN(I, H)(X, (STATE, STATE)),
        TypeError,
        "state: expected a tuple (h), got 2 of them",
    ),
    "state is an array": (
        lambda: GRU(I, H)(X, STATE),
        TypeError,
        "state: expected a tuple (h), got float32 array of shape (1, 3, 6)",
    ),
    "state of rank 2": (
        lambda: GRU(I, H)(X, (STATE[0],)),
        ValueError,
        "h: expected shape (L, B, H) = (1, 3, 6), got (3, 6)",
    ),
    "state of float64": (lambda: MinGRU(I, H)(X, (STATE.astype("f8"),)), TypeError, cast("h")),
    "gradients of two states": (
        lambda: pull(GRU(I, H), dstate=(STATE, STATE)),
        TypeError,
        "dstate: expected a tuple (dh), got 2 of them",
    ),
}

BIDIRECTIONAL: dict[str, Case] = {
    **{
        f"{kind.__name__} {value!r}": (
            lambda kind=kind, value=value: kind(I, H, bidirectional=value),
            TypeError,
            f"bidirectional: expected True or False, got {value!r}",
        )
        for kind in (RNN, LSTM, GRU, MinGRU, MinLSTM)
        for value in (1, None, "yes")
    },
    "state of one direction": (
        lambda: BOTH(X, (STATE,)),
        ValueError,
        "h: expected shape (L*D, B, H) = (2, 3, 6), got (1, 3, 6)",
    ),
    "gradient of one state": (
        lambda: pull(BOTH, dy=None, dstate=(STATE,)),
        ValueError,
        "dh: expected shape (L*D, B, H) = (2, 3, 6), got (1, 3, 6)",
    ),
    "dy of one direction": (
        lambda: pull(BOTH, dy=Y),
        ValueError,
        "dy: expected shape (4, 3, 12), got (4, 3, 6)",
    ),
    "a head for one direction": (
        lambda: Sequential(BOTH, Linear(H, 2))(X),
        ValueError,
        "x: expected shape (N, I) or (T, B, I) with a last axis of 6, got (4, 3, 12)",
    ),
}


def loaded(layer: Any, **changes: np.ndarray) -> Any:
    """Load a layer's own parameters but for `changes`."""
    return layer.load_params({**layer.params, **changes})


LOADS: dict[str, Case] = {
    "diagonal peephole": (
        lambda: loaded(LSTM(I, H, peephole="diagonal"), weight_ch_l0=np.zeros(H, "f4")),
        ValueError,
        "weight_ch_l0: expected shape (3*H,) = (18,), got (6,)",
    ),
    "full peephole": (
        lambda: loaded(
            LSTM(I, H, peephole="full", bidirectional=True), weight_ch_l0_reverse=np.zeros((H, H), "f4")
        ),
        ValueError,
        "weight_ch_l0_reverse: expected shape (3*H, H) = (18, 6), got (6, 6)",
    ),
    "second level of two directions": (
        lambda: loaded(LSTM(I, H, 2, bidirectional=True), weight_ih_l1_reverse=np.zeros((4 * H, H), "f4")),
        ValueError,
        "weight_ih_l1_reverse: expected shape (4*H, D*H) = (24, 12), got (24, 6)",
    ),
    "gates of an LSTM": (
        lambda: LSTM(I, H, coupled=True).load_params(LSTM(I, H).params),
        ValueError,
        "weight_ih_l0: expected shape (3*H, I) = (18, 5), got (24, 5)",
    ),
    "names of a peephole": (
        lambda: LSTM(I, H).load_params(LSTM(I, H, peephole="full").params),
        ValueError,
        "params: expected 4 names, got also 'weight_ch_l0'",
    ),
    "names of one direction": (
        lambda: BOTH.load_params(GRU(I, H).params),
        ValueError,
        "params: expected 'weight_ih_l0_reverse', got no such name (4 missing)",
    ),
    "names of a GRU": (
        lambda: MinGRU(I, H).load_params(GRU(I, H).params),
        ValueError,
        "params: expected 2 names, got also 'weight_hh_l0', 'bias_hh_l0'",
    ),
}

INIT: dict[str, Case] = {
    **{
        f"{function.__name__} of {what}": (
            lambda function=function, layer=layer: function(layer),
            TypeError,
            f"layer: expected a recurrent layer, got {what}",
        )
        for function in (init.orthogonal, init.identity, init.xavier, init.forget_bias)
        for what, layer in {
            "None": None,
            "Linear": Linear(I, H),
            "Dropout": Dropout(),
            "Sequential": Sequential(LSTM(I, H)),
            "float32 array of shape (4, 3, 5)": X,
        }.items()
    },
    "orthogonal without R": (
        lambda: init.orthogonal(MinGRU(I, H)),
        ValueError,
        "layer: expected one with weight_hh, got MinGRU without it",
    ),
    "identity without R": (
        lambda: init.identity(MinLSTM(I, H)),
        ValueError,
        "layer: expected one with weight_hh, got MinLSTM without it",
    ),
    "forget_bias of a GRU": (
        lambda: init.forget_bias(GRU(I, H)),
        ValueError,
        "layer: expected an LSTM, got GRU",
    ),
    "forget_bias of a MinLSTM": (
        lambda: init.forget_bias(MinLSTM(I, H)),
        ValueError,
        "layer: expected an LSTM, got MinLSTM",
    ),
    "forget_bias without bias": (
        lambda: init.forget_bias(LSTM(I, H, bias=False)),
        ValueError,
        "layer: expected one with bias_ih, got LSTM without it",
    ),
    "gain": (
        lambda: init.orthogonal(LSTM(I, H), -1),
        ValueError,
        "gain: expected a finite number >= 0, got -1",
    ),
    "gain text": (lambda: init.xavier(LSTM(I, H), "a"), TypeError, "gain: expected a number, got 'a'"),
    "scale": (
        lambda: init.identity(LSTM(I, H), np.nan),
        ValueError,
        "scale: expected a finite number, got nan",
    ),
    "value": (
        lambda: init.forget_bias(LSTM(I, H), np.inf),
        ValueError,
        "value: expected a finite number, got inf",
    ),
    "seed": (lambda: init.orthogonal(LSTM(I, H), seed=-1), ValueError, "seed: expected an int >= 0, got -1"),
    "seed float": (lambda: init.xavier(LSTM(I, H), seed=1.5), TypeError, "seed: expected an int, got 1.5"),
}


@pytest.mark.parametrize("case", CELLS.values(), ids=CELLS)
def test_cells(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", BIDIRECTIONAL.values(), ids=BIDIRECTIONAL)
def test_bidirectional(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", LOADS.values(), ids=LOADS)
def test_loads(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("case", INIT.values(), ids=INIT)
def test_init(case: Case) -> None:
    check(case)


def test_what_a_cell_prints() -> None:
    assert repr(RNN(I, H)) == "RNN(5, 6)"
    assert repr(RNN(I, H, nonlinearity="relu")) == "RNN(5, 6, nonlinearity='relu')"
    assert (
        repr(GRU(I, H, 2, reset="before", bias=False))
        == "GRU(5, 6, num_layers=2, reset='before', bias=False)"
    )
    assert repr(LSTM(I, H, peephole="full")) == "LSTM(5, 6, peephole='full')"
    assert repr(LSTM(I, H, coupled=True)) == "LSTM(5, 6, coupled=True)"
    assert repr(BOTH) == "GRU(5, 6, bidirectional=True)"
