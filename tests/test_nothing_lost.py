"""What is refused, interrupted or diverges loses nothing: parameters, gradients, checkpoints, a pullback."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from processes import fork

import fastrnn
from fastrnn import GRU, LSTM, Dropout, Embedding, Linear, Sequential, checkpoint, losses, optim
from fastrnn.batches import DenseBatches, PaddedBatches, Sequences
from fastrnn.layers import Layer
from fastrnn.schedules import Cosine, Plateau, Schedule
from fastrnn.training import Trainer

TOKENS = np.arange(6).reshape(2, 3)
X = np.linspace(-1, 1, 30, dtype=np.float32).reshape(2, 3, 5)


class TestParameters:
    """The buffers of a layer."""

    def test_views_of_its_own(self) -> None:
        """Two biases change places."""
        layer = LSTM(5, 7, seed=0)
        layer.params["bias_hh_l0"][:] = 2
        first, second = layer.params["bias_ih_l0"].copy(), layer.params["bias_hh_l0"].copy()
        mine = layer.params
        layer.load_params({**mine, "bias_ih_l0": mine["bias_hh_l0"], "bias_hh_l0": mine["bias_ih_l0"]})
        checks.same_bits(layer.params["bias_ih_l0"], second)
        checks.same_bits(layer.params["bias_hh_l0"], first)

    @pytest.mark.parametrize("name", ["flat_params", "flat_grads"])
    def test_another_buffer(self, name: str) -> None:
        layer = LSTM(5, 7, seed=0)
        with pytest.raises(AttributeError, match=f"^{name}: expected its own array, got another; use layer"):
            setattr(layer, name, np.zeros_like(layer.flat_params))
        layer.flat_grads += 1
        assert (layer.grads["weight_hh_l0"] == 1).all()

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
    def test_locks_of_a_child(self) -> None:
        """A child that is forked while another thread holds the lock of a layer does not wait for it."""
        layer = LSTM(5, 7, seed=0)
        held, done = threading.Event(), threading.Event()

        def hold() -> None:
            with layer._home.lock:
                held.set()
                done.wait(60)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(60)

        def child() -> bool:
            (y, _), pullback = layer.vjp(X)
            pullback(np.ones_like(y))
            layer.touch()
            return bool(layer.flat_grads.any())

        try:
            assert fork(child) == 0
        finally:
            done.set()
            holder.join()


LAYERS: dict[str, tuple[Any, Any]] = {
    "LSTM": (lambda: LSTM(5, 7, num_layers=2, seed=0), X),
    "Linear": (lambda: Linear(5, 7, seed=0), X),
    "Embedding": (lambda: Embedding(9, 7, seed=0), TOKENS),
    "Dropout": (lambda: Dropout(0.5), X),
    "no Dropout": (lambda: Dropout(0.0), X),
    "Sequential": (lambda: Sequential(Linear(5, 7, seed=0), GRU(7, 4, seed=0)), X),
    "last Linear": (lambda: Sequential(LSTM(5, 7, seed=0), Linear(7, 4, seed=0)), X),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("wrong", ["shape", "dtype", "list", "columns"])
def test_a_refused_dy_may_be_mended(name: str, wrong: str) -> None:
    """The pullback is still there, and nothing was added."""
    make, x = LAYERS[name]
    layer: Layer = make()
    out, pullback = layer.vjp(x, key=3)
    y = out[0] if layer.recurrent else out
    dy = np.ones_like(y)
    bad: Any = {
        "shape": dy[:1],
        "dtype": dy.astype(np.float64),
        "list": dy.tolist(),
        "columns": np.asfortranarray(dy),
    }[wrong]
    with pytest.raises((TypeError, ValueError)):
        pullback(bad)
    assert not layer.flat_grads.any()
    pullback(dy)
    assert layer.flat_grads.any() or not layer.flat_params.size


def test_refused_gradients_are_not_begun() -> None:
    """An unaligned array for one parameter of the first level: the second one has not been added."""
    layer = LSTM(5, 7, num_layers=2, seed=0)
    grads = {name: np.zeros_like(value) for name, value in layer.params.items()}
    raw = bytearray(grads["bias_hh_l0"].nbytes + 1)
    grads["bias_hh_l0"] = np.frombuffer(raw, np.float32, grads["bias_hh_l0"].size, 1)
    (y, _), pullback = layer.vjp(X)
    with pytest.raises(ValueError, match=r"^grads\['bias_hh_l0'\]: expected an aligned array"):
        pullback(np.ones_like(y), grads=grads)
    assert not any(value.any() for value in grads.values())
    pullback(np.ones_like(y))


class Late(Schedule):
    """A rate that is far too high from step 3 on."""

    def lr(self, step: int, epoch: int) -> float:
        return 1e-3 if step < 3 else 1e30


def regression(**options: Any) -> fastrnn.MLP:
    return fastrnn.MLP(4, out_features=1, hidden=(8,), seed=0, **options)


class TestRuns:
    """Checkpoints of a run, and what a resumed one may be."""

    x = np.random.default_rng(0).standard_normal((64, 4)).astype(np.float32)
    y = x.sum(axis=1, keepdims=True)

    @pytest.mark.parametrize("max_norm", [1.0, None])
    def test_diverged(self, tmp_path: Path, max_norm: float | None) -> None:
        """The file holds the last state that was written before, and the parameters are finite."""
        model, path = regression(), tmp_path / "run"
        with pytest.raises(FloatingPointError):
            model.fit(
                self.x,
                self.y,
                epochs=5,
                batch=16,
                schedule=Late(1e-3),
                checkpoint=path,
                checkpoint_every=1e9,
                max_norm=max_norm,
                progress=False,
            )
        saved = checkpoint.load(path)
        assert saved["training"]["steps_done"] == 0
        assert np.abs(saved["model"]["parameters"]).max() < 10
        assert np.isfinite(model.flat_params).all()

    def trainer(self, model: Any, path: Path, optimizer: Any = optim.Adam, **options: Any) -> Trainer:
        return Trainer(model, optimizer(model, lr=1e-3, **options), checkpoint=path)

    def test_options_of_the_optimiser(self, tmp_path: Path) -> None:
        data = DenseBatches(self.x, self.y, 16, seed=0)
        self.trainer(regression(), tmp_path / "run").fit(data, 1)
        with pytest.raises(
            ValueError, match=r"^optimizer: expected beta1 = 0.9, as in the checkpoint, got 0.5"
        ):
            self.trainer(regression(), tmp_path / "run", betas=(0.5, 0.6)).fit(data, 1, resume=True)

    @pytest.mark.parametrize("reset", ["after", "before"])
    def test_layers(self, tmp_path: Path, reset: str) -> None:
        """Another cell with as many parameters is another model."""
        data = [(X, np.zeros((2, 3), np.int64))]

        def model(reset: str) -> Any:
            layer = GRU(5, 4, reset=reset, bias=False, seed=0)
            return fastrnn.value_and_grad(layer, losses.LinearCrossEntropy(4, 3, seed=1))

        self.trainer(model("after"), tmp_path / "run").fit(data, 1)
        if reset == "after":
            self.trainer(model(reset), tmp_path / "run").fit(data, 1, resume=True)
            return
        with pytest.raises(
            ValueError, match=r"^model layers model: expected cell = 'gru', as in the checkpoint"
        ):
            self.trainer(model(reset), tmp_path / "run").fit(data, 1, resume=True)

    def test_lists_of_other_numbers(self, tmp_path: Path) -> None:
        model = fastrnn.value_and_grad(GRU(5, 4, seed=0), losses.LinearCrossEntropy(4, 3, seed=1))
        self.trainer(model, tmp_path / "run").fit([(X, np.zeros((2, 3), np.int64))], 1)
        with pytest.raises(ValueError, match=r"^training data: expected sha256 = "):
            self.trainer(model, tmp_path / "run").fit([(X, np.ones((2, 3), np.int64))], 1, resume=True)

    def test_another_kind_of_schedule(self) -> None:
        with pytest.raises(
            ValueError, match=r"^schedule: expected name = 'Cosine', as in the checkpoint, got 'Plateau'$"
        ):
            Plateau(1e-3).load_state_dict(Cosine(1e-3, 10).state_dict())

    @pytest.mark.parametrize("missing", ["epoch", "state", "loss_sum", "optimizer"])
    def test_a_file_that_lacks_something(self, tmp_path: Path, missing: str) -> None:
        data = DenseBatches(self.x, self.y, 16, seed=0)
        self.trainer(regression(), tmp_path / "run").fit(data, 1)
        tree = checkpoint.load(tmp_path / "run")
        del tree["training"][missing]
        checkpoint.save(tmp_path / "run", tree)
        model = regression()
        before = model.flat_params.copy()
        with pytest.raises(
            ValueError, match=rf"^checkpoint: training: expected '{missing}', got no such name"
        ):
            self.trainer(model, tmp_path / "run").fit(data, 1, resume=True)
        checks.same_bits(model.flat_params, before)

    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (lambda t, d: t.fit(d, 1.5), "epochs: expected an int, got 1.5"),
            (lambda t, d: t.fit({1}, 1), "data: expected items by number, such as a list, got set"),
            (lambda t, d: Trainer(t.model, t.optimizer, info=3), "info: expected a dict or None, got 3"),
            (
                lambda t, d: Trainer(t.model, t.optimizer, checkpoint=5),
                "checkpoint: expected a path or None, got 5",
            ),
            (
                lambda t, d: Trainer(t.model, t.optimizer, checkpoint="x", checkpoint_every="a"),
                "checkpoint_every: expected a number, got 'a'",
            ),
            (
                lambda t, d: Trainer(t.model, optim.Adam),
                "optimizer: expected an optimiser, such as Adam(model), got the class Adam",
            ),
        ],
    )
    def test_arguments(self, tmp_path: Path, call: Any, message: str) -> None:
        data = DenseBatches(self.x, self.y, 16, seed=0)
        with pytest.raises(TypeError) as raised:
            call(self.trainer(regression(), tmp_path / "run"), data)
        assert str(raised.value) == message


def ids(*lengths: int) -> Sequences:
    return Sequences("ids", [np.ones(n, np.int32) for n in lengths])


UNLIKE: dict[str, Any] = {
    "targets[1]: expected 3, one for each token, got 7": lambda: PaddedBatches(ids(9, 3), ids(9, 7), 2),
    "targets: expected 2, one for each sequence, got 1": lambda: PaddedBatches(ids(9, 3), ids(9), 2),
    "targets: expected 10, one for each row, got 9": lambda: DenseBatches(np.ones((10, 2)), np.ones(9), 2),
}


@pytest.mark.parametrize(("message", "call"), UNLIKE.items(), ids=list(UNLIKE))
def test_batches_of_unlike_numbers(message: str, call: Any) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        call()
    assert str(raised.value) == message


class TestFiles:
    """Two processes, other things than files, permissions."""

    def test_names_aside_differ(self, tmp_path: Path) -> None:
        """A file of the user's own beside it stays, and so does that of a process that runs."""
        (tmp_path / "a.tmp").write_text("mine")
        (tmp_path / f"a.{os.getppid()}.tmp").write_text("another's")
        checkpoint.save(tmp_path / "a", {"x": 1})
        assert (tmp_path / "a.tmp").read_text() == "mine"
        assert (tmp_path / f"a.{os.getppid()}.tmp").read_text() == "another's"

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
    def test_a_pipe_stays_one(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(ValueError, match=r"^checkpoint: expected a regular file, got "):
            checkpoint.save(tmp_path / "pipe", {"x": 1})
        assert (tmp_path / "pipe").is_fifo()

    def test_permissions_stay(self, tmp_path: Path) -> None:
        checkpoint.save(tmp_path / "a", {"x": 1})
        (tmp_path / "a").chmod(0o600)
        checkpoint.save(tmp_path / "a", {"x": 2})
        assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
