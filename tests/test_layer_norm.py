"""Layer normalisation: its oracle, messages. The rest is in the tests of all cells."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from errors import Case, H, I, check

from fastrnn import GRU, LSTM, RNN, MinGRU


def loaded(layer: Any, **wrong: np.ndarray) -> None:
    """Load a layer's own parameters, but for those that are wrong."""
    layer.load_params({**layer.params, **wrong})


ERRORS: dict[str, Case] = {
    "layer_norm": (
        lambda: LSTM(I, H, layer_norm="batch"),
        ValueError,
        "layer_norm: expected one of 'all', 'gate', got 'batch'",
    ),
    "layer_norm bool": (
        lambda: GRU(I, H, layer_norm=True),
        ValueError,
        "layer_norm: expected one of 'all', 'gate', got True",
    ),
    "layer_norm and peephole": (
        lambda: LSTM(I, H, peephole="full", layer_norm="all"),
        ValueError,
        "layer_norm: expected None because peephole is 'full', got 'all'",
    ),
    "layer_norm and coupled": (
        lambda: LSTM(I, H, coupled=True, layer_norm="gate"),
        ValueError,
        "layer_norm: expected None because coupled is True, got 'gate'",
    ),
    "layer_norm and reset before": (
        lambda: GRU(I, H, reset="before", layer_norm="all"),
        ValueError,
        "layer_norm: expected None because reset is 'before', got 'all'",
    ),
    "layer_norm and proj_size": (
        lambda: LSTM(I, H, proj_size=3, layer_norm="all"),
        ValueError,
        "layer_norm: expected None because proj_size is 3, got 'all'",
    ),
    "proj_size of a normalised GRU": (
        lambda: GRU(I, H, proj_size=3, layer_norm="all"),
        ValueError,
        "proj_size: expected 0 for GRU, got 3",
    ),
    "layer_norm of a MinGRU": (
        lambda: MinGRU(I, H, layer_norm="all"),
        ValueError,
        "layer_norm: expected no such option for MinGRU, got 'all'",
    ),
    "layer_norm of an RNN": (
        lambda: RNN(I, H, layer_norm="all"),
        ValueError,
        "layer_norm: expected no such option for RNN, got 'all'",
    ),
    "gain of an LSTM": (
        lambda: loaded(LSTM(I, H, layer_norm="all"), gain_hh_l0=np.zeros(H, "f4")),
        ValueError,
        "gain_hh_l0: expected shape (4*H,) = (24,), got (6,)",
    ),
    "gain of a state": (
        lambda: loaded(LSTM(I, H, 2, layer_norm="gate"), gain_ch_l1=np.zeros(4 * H, "f4")),
        ValueError,
        "gain_ch_l1: expected shape (1*H,) = (6,), got (24,)",
    ),
    "names of a normalised GRU": (
        lambda: GRU(I, H).load_params(GRU(I, H, layer_norm="all").params),
        ValueError,
        "params: expected 4 names, got also 'gain_ih_l0', 'gain_hh_l0'",
    ),
}


@pytest.mark.parametrize("what", ERRORS)
def test_errors(what: str) -> None:
    check(ERRORS[what])


@pytest.mark.peer
def test_the_oracle_normalises_as_torch(torch: ModuleType, rng: np.random.Generator) -> None:
    a = torch.tensor(rng.standard_normal((5, 130)))
    got = importlib.import_module("torch_normed").normalised(a)
    checks.close(got.numpy(), torch.nn.functional.layer_norm(a, (130,)).numpy(), "peer")


def test_what_a_cell_prints() -> None:
    assert repr(LSTM(I, H, layer_norm="all")) == "LSTM(5, 6, layer_norm='all')"
    assert repr(GRU(I, H, 2, layer_norm="gate")) == "GRU(5, 6, num_layers=2, layer_norm='gate')"
