"""Spectra of recurrent matrices, values of gates and how many are saturated."""

from __future__ import annotations

import checks
import numpy as np
import pytest
from problems import LAYERS, make_problem

import fastrnn
from fastrnn import diagnosis

T, B, I, H = 9, 2, 3, 5


def test_spectra(rng: np.random.Generator) -> None:
    layer = fastrnn.LSTM(I, H, 2, peephole="full", bidirectional=True, seed=1)
    found = diagnosis.spectra(layer)
    assert len(found) == 8
    assert found["weight_hh_l1_reverse"].gates == ("i", "f", "g", "o")
    assert found["weight_ch_l0"].gates == ("i", "f", "o")
    block = layer.params["weight_hh_l1_reverse"][2 * H : 3 * H].astype(float)
    spectrum = found["weight_hh_l1_reverse"]
    checks.close(spectrum.radius[2], np.abs(np.linalg.eigvals(block)).max(), "identity")
    checks.close(spectrum.norm[2], np.sqrt(np.linalg.eigvalsh(block @ block.T).max()), "identity")

    rotation = diagnosis.spectra(fastrnn.init.orthogonal(fastrnn.GRU(I, H, dtype="float64"), 1.5, seed=1))
    for value in (rotation["weight_hh_l0"].radius, rotation["weight_hh_l0"].norm):
        checks.close(value, np.full(3, 1.5), "identity")
    assert diagnosis.spectra(fastrnn.MinGRU(I, H)) == {}


def test_saturation_counts(rng: np.random.Generator) -> None:
    """Of gates set by hand: forget open, output shut, and input gates that half of x opens."""
    layer = fastrnn.LSTM(1, 4, dtype="float64")
    layer.flat_params[:] = 0
    layer.params["weight_ih_l0"][:4] = 9.0
    layer.params["bias_ih_l0"][4:8], layer.params["bias_ih_l0"][12:] = 9.0, -9.0
    x = np.array([1.0, -1.0, 0.1, 1.0])[:, None, None]
    found = diagnosis.saturation(layer, x)
    assert {name: (s.shut.tolist(), s.open.tolist()) for name, s in found.items()} == {
        "i": ([0.25], [0.5]),
        "f": ([0.0], [1.0]),
        "g": ([0.0], [0.0]),
        "o": ([1.0], [0.0]),
    }
    assert diagnosis.saturation(layer, x, margin=0.3)["i"].open == [0.75]


@pytest.mark.parametrize("kind", LAYERS)
def test_saturation_of_every_class(rng: np.random.Generator, kind: str) -> None:
    p = make_problem(rng, kind, (T, B, I, H), num_layers=2, bidirectional=True)
    if not p.layer._one_pass:
        with pytest.raises(
            ValueError, match="layer: expected one of a single cell for saturation\\(\\), got"
        ):
            diagnosis.saturation(p.layer, p.x)
        return
    for name, a in p.layer.params.items():
        if name.startswith("gain_ih"):  # what is normalised does not grow with x
            a *= 30
    found = diagnosis.saturation(p.layer, 30 * p.x, p.state)
    linear = {"Relu", "Identity"}
    assert bool(found) == (kind not in linear)
    for share in found.values():
        assert share.shut.shape == share.open.shape == (4,)
        assert (share.shut + share.open <= 1).all()
        assert share.shut[0] + share.open[0] > 0.5


@pytest.mark.parametrize("batch_first", [False, True])
def test_gates_are_what_makes_the_output(rng: np.random.Generator, batch_first: bool) -> None:
    """h = o * tanh(c), c = f * c' + i * g, in both directions of the second level."""
    layer = fastrnn.LSTM(I, H, 2, bidirectional=True, batch_first=batch_first, dtype="float64", seed=1)
    x = rng.standard_normal((B, T, I) if batch_first else (T, B, I))
    y, _ = layer(x)
    y = y.swapaxes(0, 1) if batch_first else y
    gates = diagnosis.gates(layer, x)
    assert list(gates) == ["i", "f", "g", "o"]
    assert all(values.shape == (4, T, B, H) for values in gates.values())
    for direction in (0, 1):
        c, place = np.zeros((B, H)), 2 + direction
        for t in range(T) if direction == 0 else reversed(range(T)):
            i, f, g, o = (values[place, t] for values in gates.values())
            c = f * c + i * g
            checks.close(o * np.tanh(c), y[t, :, direction * H : (direction + 1) * H], "forward")


@pytest.mark.parametrize("name", ["gates", "saturation"])
def test_several_passes(name: str) -> None:
    layer, x = fastrnn.SCRN(I, H, 2), np.zeros((T, B, I), np.float32)
    with pytest.raises(ValueError, match=rf"^layer: expected one of a single cell for {name}\(\), got SCRN"):
        getattr(diagnosis, name)(layer, x)


def test_levels_that_differ(rng: np.random.Generator) -> None:
    """The depth gate is there from the second level on."""
    layer = fastrnn.DepthGatedLSTM(I, H, 3, seed=1)
    gates = diagnosis.gates(layer, rng.standard_normal((T, B, I)).astype(np.float32))
    assert {len(values) for name, values in gates.items() if name in "ifgo"} == {3}
    assert {len(values) for name, values in gates.items() if name not in "ifgo"} == {2}
