"""Checkpoints and weights as safetensors and npz: the same bits, what others read, and damaged files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from conftest import peer

import fastrnn
from fastrnn import checkpoint, optim
from fastrnn.data import Streams, Vocabulary
from fastrnn.interop import weights
from fastrnn.models import LanguageModel
from fastrnn.training import Trainer

SUFFIXES = [".npz", pytest.param(".safetensors", marks=pytest.mark.peer)]
TREE = {
    "a": np.arange(6.0).reshape(2, 3),
    "b": [np.zeros(0, np.int64), True, None, 1.5],
    "a.b": {"c": np.ones(2, bool)},
}


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    if request.param == ".safetensors":
        peer("safetensors")
    return str(request.param)


def same(found: Any, want: Any) -> None:
    if isinstance(want, dict):
        assert found.keys() == want.keys()
        for key in want:
            same(found[key], want[key])
    elif isinstance(want, list):
        for a, b in zip(found, want, strict=True):
            same(a, b)
    elif isinstance(want, np.ndarray):
        checks.same_bits(found, want)
    else:
        assert found == want


def test_trees(tmp_path: Path, suffix: str) -> None:
    dotted = {"x": {"y": np.ones(1)}, "x.y": np.zeros(1)}
    for tree in (TREE, dotted, np.ones(3), {"fastrnn": np.ones(1)}):
        checkpoint.save(tmp_path / f"t{suffix}", tree)
        same(checkpoint.load(tmp_path / f"t{suffix}"), tree)


def test_a_run_goes_on(tmp_path: Path, suffix: str) -> None:
    text = "five quacking zephyrs jolt my wax bed " * 4
    vocabulary = Vocabulary.from_text(text)
    data = Streams(vocabulary.encode(text), 4, 10)

    def trainer(path: Any) -> Trainer:
        model = LanguageModel(vocabulary, 8, seed=0)
        return Trainer(model, optim.Adam(model), checkpoint=path, seed=1)

    whole = trainer(None)
    whole.fit(data, 2)
    first = trainer(tmp_path / f"run{suffix}")
    first.callbacks[0].on_epoch_end = lambda t, logs: t.stop(finished=False)  # type: ignore[method-assign]
    first.fit(data, 2)
    again = trainer(tmp_path / f"run{suffix}")
    again.fit(data, 2, resume=True)
    assert again.steps_done == whole.steps_done
    checks.same_bits(again.model.flat_params, whole.model.flat_params)
    again.model.save(tmp_path / f"model{suffix}")
    checks.same_bits(LanguageModel.load(tmp_path / f"model{suffix}").flat_params, whole.model.flat_params)


def test_names_and_numbers(tmp_path: Path, suffix: str) -> None:
    """Keys that numpy.savez has for itself; arrays without axes."""
    tree = {"file": np.arange(3.0), "allow_pickle": np.array(2.5), "args": {"file": np.ones(2)}}
    checkpoint.save(tmp_path / f"tree{suffix}", tree)
    found = checkpoint.load(tmp_path / f"tree{suffix}")
    assert found["allow_pickle"].shape == ()
    checks.same_bits(found["file"], tree["file"])
    checks.same_bits(found["args"]["file"], np.ones(2))


def test_damaged(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"t{suffix}"
    checkpoint.save(path, TREE)
    raw = path.read_bytes()
    for wrong in (raw[:40], b"", b"x" * 100, raw[:-30]):
        path.write_bytes(wrong)
        with pytest.raises(
            ValueError, match=r"^checkpoint: '.*' is no checkpoint of this format, or damaged: "
        ):
            checkpoint.load(path)
        with pytest.raises(ValueError, match=rf"^weights: '.*' is no {suffix} file, or damaged: "):
            weights.load(fastrnn.Linear(2, 3), path)
    with pytest.raises(ValueError, match=r"^mapped: expected False for another format, got True for '"):
        checkpoint.load(path, mapped=True)


def test_weights(tmp_path: Path, suffix: str) -> None:
    layer, other = fastrnn.LSTM(3, 4, 2, seed=0), fastrnn.LSTM(3, 4, 2, seed=1)
    weights.save(layer, tmp_path / f"w{suffix}")
    weights.load(other, tmp_path / f"w{suffix}")
    checks.same_bits(other.flat_params, layer.flat_params)
    with pytest.raises(ValueError, match=r"^params: expected 'weight_ih_l0', got no such name"):
        weights.load(fastrnn.GRU(3, 4), _other(tmp_path, suffix))
    with pytest.raises(ValueError, match=r"^path: expected one of '\.npz', '\.safetensors', got '\.bin'$"):
        weights.save(layer, tmp_path / "w.bin")


def _other(folder: Path, suffix: str) -> Path:
    weights.save(fastrnn.Linear(2, 3), folder / f"o{suffix}")
    return folder / f"o{suffix}"


@pytest.mark.peer
def test_torch_reads_and_writes(tmp_path: Path, torch: Any) -> None:
    peer("safetensors")
    from safetensors.torch import load_file, save_file

    layer, theirs = fastrnn.GRU(3, 4, seed=0), torch.nn.GRU(3, 4)
    weights.save(layer, tmp_path / "w.safetensors")
    theirs.load_state_dict(load_file(tmp_path / "w.safetensors"))
    x = np.ones((2, 1, 3), np.float32)
    checks.close(layer(x)[0], theirs(torch.from_numpy(x))[0].detach().numpy(), "peer")
    other = torch.nn.GRU(3, 4)
    save_file(other.state_dict(), tmp_path / "t.safetensors")
    weights.load(layer, tmp_path / "t.safetensors")
    checks.close(layer(x)[0], other(torch.from_numpy(x))[0].detach().numpy(), "peer")
