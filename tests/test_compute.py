"""compute="bfloat16" of layers, models, training, files and the modules for PyTorch.

The kernels themselves: test_bfloat16.py.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from ops import draw

import fastrnn
from fastrnn import _compute, _core, losses

pytestmark = pytest.mark.usefixtures("emulated")


class TestLayers:
    """The option, in layers, models, training and files."""

    @pytest.mark.parametrize(
        "layer",
        [
            lambda: fastrnn.LSTM(9, 20, 2, bidirectional=True, compute="bfloat16", seed=0),
            lambda: fastrnn.GRU(9, 20, reset="before", compute="bfloat16", seed=0),
            lambda: fastrnn.SCRN(9, 20, context_size=5, compute="bfloat16", seed=0),
            lambda: fastrnn.ClockworkRNN(9, 20, periods=(1, 2), compute="bfloat16", seed=0),
            lambda: fastrnn.DepthGatedLSTM(9, 20, 2, compute="bfloat16", seed=0),
            lambda: fastrnn.MinGRU(9, 20, scan=True, compute="bfloat16", seed=0),
        ],
    )
    def test_all_of_a_layer_rounds(self, rng: np.random.Generator, layer: Any) -> None:
        """A layer and its copy of float32 differ, little, in outputs and in every gradient of a matrix."""
        rounded, x = layer(), draw(rng, 6, 3, 9)
        exact = layer()
        exact.set_compute(None)
        assert (rounded.compute, exact.compute) == ("bfloat16", "float32")
        found = []
        for each in (rounded, exact):
            (y, _), pullback = each.vjp(x)
            dx, _ = pullback(np.ones_like(y))
            found.append({"y": y, "x": dx, **{n: g.copy() for n, g in each.grads.items()}})
        for name, want in found[1].items():
            error = np.abs(found[0][name] - want).max() / max(np.abs(want).max(), 1e-3)
            assert error < 0.05, name
            assert error > 0 or want.ndim < 2, name

    def test_lengths_and_prepared(self, rng: np.random.Generator) -> None:
        """Rows of unlike lengths, and steps one by one, have the bits of the plain call."""
        layer = fastrnn.LSTM(9, 20, compute="bfloat16", seed=0)
        x, lengths = draw(rng, 6, 3, 9), np.array([2, 6, 3])
        y, _ = layer(x, lengths=lengths)
        for row, n in enumerate(lengths):
            alone, _ = layer(x[:n, row : row + 1])
            checks.same_bits(y[:n, row], alone[:, 0])
        prepared, state = layer.prepare(), None
        whole, last = layer(x)
        for t in range(6):
            step, state = prepared.step(x[t], state)
            checks.same_bits(step, whole[t])
        for got, want in zip(state, last, strict=True):
            checks.same_bits(got, want.reshape(got.shape))

    def test_of_a_model(self) -> None:
        model = fastrnn.Sequential(
            fastrnn.Embedding(9, 8, seed=0), fastrnn.GRU(8, 8, seed=0), fastrnn.Linear(8, 4, seed=0)
        )
        assert model.compute == "float32"
        model.children[next(iter(model.children))].set_compute("bfloat16")  # nothing to multiply there
        assert model.compute == "float32"
        list(model.children.values())[1].set_compute("bfloat16")
        assert model.compute == "mixed"
        model.set_compute("bfloat16")
        assert model.compute == "bfloat16"
        assert fastrnn.losses.LinearCrossEntropy(4, 3, compute="bfloat16").compute == "bfloat16"
        assert fastrnn.Attention("general", 4, 4, compute="bfloat16").compute == "bfloat16"
        assert fastrnn.explain(model, 5, 3)[0]["predicted_share"] > 0

    def test_errors(self) -> None:
        layer = fastrnn.LSTM(3, 4, seed=0)
        with pytest.raises(
            ValueError, match=r"^compute: expected one of 'float32', 'float64', 'bfloat16', got 'half'$"
        ):
            layer.set_compute("half")
        with pytest.raises(
            ValueError, match=r"^compute: expected None or bfloat16 because dtype is float32, got 'float64'$"
        ):
            layer.set_compute("float64")
        with pytest.raises(
            ValueError, match=r"^compute: expected None because dtype is float64, got 'bfloat16'$"
        ):
            fastrnn.Linear(3, 4, dtype="float64", compute="bfloat16")
        with pytest.raises(TypeError, match=r"^strict: expected True or False, got 1$"):
            layer.set_compute("bfloat16", strict=1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match=r"^compute: expected a model of layers, got object$"):
            fastrnn.Trainer(object(), None, compute="bfloat16")  # type: ignore[arg-type]

    def test_functions(self, rng: np.random.Generator) -> None:
        """Those of `fastrnn.functional` give the bits of the layers, for arrays of others too."""
        layer, head = (
            fastrnn.LSTM(9, 20, compute="bfloat16", seed=0),
            losses.LinearCrossEntropy(20, 7, seed=1),
        )
        head.set_compute("bfloat16")
        x, targets = draw(rng, 6, 3, 9), rng.integers(0, 7, (6, 3))
        weights = tuple(
            layer.params[f"{name}_l0"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        y, _ = fastrnn.functional.lstm(x, weights, compute="bfloat16")
        checks.same_bits(y, layer(x)[0])
        assert (y != fastrnn.functional.lstm(x, weights)[0]).any()
        table, bias = head.params["weight"], head.params["bias"]
        loss = fastrnn.functional.linear_cross_entropy(y, table, bias, targets, compute="bfloat16")
        assert loss == head(y, targets)
        other: Any = type("Other", (), {"__array_interface__": y.__array_interface__})()
        z = fastrnn.functional.linear(other, table, bias, compute="bfloat16")
        checks.same_bits(z, _core.linear(y, table, bias, True))
        with pytest.raises(
            ValueError, match=r"^compute: expected None because dtype is float64, got 'bfloat16'$"
        ):
            fastrnn.functional.linear(y.astype(np.float64), table, bias, compute="bfloat16")
        with pytest.raises(TypeError, match=r"^x: expected a NumPy array, got list$"):
            fastrnn.functional.linear([[1.0]], table, bias, compute="bfloat16")  # type: ignore[arg-type]

    def test_without_the_instruction(self, rng: np.random.Generator) -> None:
        """Said once; products are float32; an error if that is not wanted."""
        _core.emulate_bfloat16(False)
        before, known = _core.isa(), set(_compute._said)
        _core.use_isa(next(name for name in _core.available_isas() if not name.endswith("_bf16")))
        _compute._said.clear()
        try:
            with pytest.warns(_compute.ComputeWarning, match="has no bfloat16, products are float32"):
                layer = fastrnn.LSTM(5, 6, compute="bfloat16", seed=0)
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fastrnn.GRU(5, 6, compute="bfloat16", seed=0)
            with pytest.raises(
                RuntimeError, match="expected a processor with AVX512_BF16 because strict is True"
            ):
                fastrnn.LSTM(5, 6, compute="bfloat16", strict=True)
            x = draw(rng, 3, 2, 5)
            checks.same_bits(layer(x)[0], fastrnn.LSTM(5, 6, seed=0)(x)[0])
            assert fastrnn.fma_peak("bfloat16", 1) == 0
        finally:
            _core.use_isa(before)
            _compute._said.update(known)

    def test_pullback_outlives_a_change(self, rng: np.random.Generator) -> None:
        """What was begun with rounding is finished with it, whatever has changed since."""
        layer, x = fastrnn.LSTM(5, 6, compute="bfloat16", seed=0), draw(rng, 3, 2, 5)
        results = []
        changes = [lambda: None, lambda: layer.set_compute(None), lambda: _core.emulate_bfloat16(False)]
        if _core.isa().endswith("_amx"):  # its own sums are others
            changes.pop()
        for change in changes:
            layer.set_compute("bfloat16")
            (y, _), pullback = layer.vjp(x)
            change()
            layer.zero_grad()
            dx, _ = pullback(y.copy())
            results.append({"dx": dx, "w": layer.grads["weight_hh_l0"].copy()})
            _core.emulate_bfloat16(True)
        for other in results[1:]:
            checks.runs_same_bits(other, results[0])

    def test_training_learns_and_files_do_not_know(self, tmp_path: Path) -> None:
        """A model trains; its file and its checkpoint are those of float32, and go on with either."""
        text = "the cat sat on the mat. " * 40
        words = fastrnn.data.Vocabulary.from_text(text)
        options = {
            "batch": 4,
            "steps": 8,
            "lr": 1e-2,
            "progress": False,
            "epochs": 3,
            "checkpoint": tmp_path / "run.ckpt",
        }
        model = fastrnn.LanguageModel(words, 16, 1, compute="bfloat16", seed=0)
        plain = fastrnn.LanguageModel(words, 16, 1, seed=0)
        checks.same_bits(model.flat_params, plain.flat_params)
        assert model.describe() == plain.describe()

        class Pause(fastrnn.callbacks.Callback):
            def on_epoch_end(self, trainer: Any, logs: Any) -> None:
                trainer.stop(finished=False)

        model.fit(text, callbacks=[Pause()], **options)
        again = fastrnn.LanguageModel(words, 16, 1, seed=0)
        again.fit(text, callbacks=[Pause()], resume=True, compute="bfloat16", **options)
        assert (model.compute, again.compute) == ("bfloat16", "bfloat16")
        last = fastrnn.LanguageModel(words, 16, 1, seed=0)
        history = last.fit(text, resume=True, **options)
        assert last.compute == "float32"
        losses = [epoch["loss"] for epoch in history.epochs]
        assert len(losses) == 3
        assert losses == sorted(losses, reverse=True)
        model.save(tmp_path / "model")
        loaded = fastrnn.LanguageModel.load(tmp_path / "model")
        assert loaded.compute == "float32"
        checks.same_bits(loaded.flat_params, model.flat_params)

    def test_losses(self, rng: np.random.Generator) -> None:
        x, targets = draw(rng, 4, 3, 8), rng.integers(0, 5, (4, 3))
        head = losses.LinearCrossEntropy(8, 5, compute="bfloat16", seed=0)
        loss, _ = head.value_and_grad(x, targets)
        assert loss == head(x, targets)
        rounded = head.logits(x)
        head.set_compute(None)
        assert 0 < np.abs(rounded - head.logits(x)).max() < 0.1
        assert 0 < abs(loss - head(x, targets)) < 0.05


@pytest.mark.peer
class TestTorch:
    """The modules for PyTorch."""

    def test_modules(self, torch: Any) -> None:
        import fastrnn.torch as ours

        torch.manual_seed(0)
        plain = torch.nn.LSTM(9, 20, 2)
        module = ours.LSTM(9, 20, 2, compute="bfloat16")
        module.load_state_dict(plain.state_dict())
        x = torch.randn(6, 3, 9)
        y, _ = module(x)
        want, _ = plain(x)
        assert 0 < float((y - want).abs().max().detach()) < 0.05
        y.sum().backward()
        want.sum().backward()
        for (name, got), (_, exact) in zip(module.named_parameters(), plain.named_parameters(), strict=True):
            error = float((got.grad - exact.grad).abs().max() / exact.grad.abs().max())
            assert error < 0.05, name
        report = ours.accelerate(plain, compute="bfloat16")
        assert list(report.swapped) == [""]
        checks.same_bits(plain(x)[0].detach().numpy(), y.detach().numpy())
        cell = ours.cells.GRU(9, 20, reset="before", compute="bfloat16", strict=True)
        assert "compute='bfloat16'" in cell.spec
        assert cell(x)[0].shape == (6, 3, 20)
        with pytest.raises(ValueError, match="compute: expected None because dtype is float64"):
            ours.LSTM(3, 4, dtype=torch.float64, compute="bfloat16")

    def test_loss(self, torch: Any) -> None:
        import fastrnn.torch as ours

        torch.manual_seed(0)
        x, weight, target = torch.randn(6, 9), torch.randn(5, 9, requires_grad=True), torch.randint(5, (6,))
        found = []
        for compute in ("bfloat16", None):
            loss = ours.linear_cross_entropy(x, weight, None, target, compute=compute)
            found.append((float(loss.detach()), *torch.autograd.grad(loss, weight)))
        assert 0 < abs(found[0][0] - found[1][0]) < 0.05
        assert 0 < float((found[0][1] - found[1][1]).abs().max()) < 0.05
