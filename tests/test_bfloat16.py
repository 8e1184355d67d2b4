"""Products of bfloat16: what is rounded, in which order it is summed, and that nothing else has changed.

The kernels without the instruction (emulated) run on every processor, and give the bits of those with it.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
import recurrent
from conftest import SEED
from recurrent import make_case

import fastrnn
from fastrnn import _compute, _core, losses, reference
from fastrnn.reference import bfloat16, cross_entropy, linear

CELLS = list(reference.CELLS)
NATIVE = any(name.endswith("_bf16") for name in _core.available_isas())


@pytest.fixture
def emulated() -> Iterator[None]:
    """Pairs without an instruction for them, on any processor."""
    _core.emulate_bfloat16(True)
    yield
    _core.emulate_bfloat16(False)


pytestmark = pytest.mark.usefixtures("emulated")


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers."""
    return rng.standard_normal(shape).astype(np.float32)


class TestRounding:
    """To the nearest, of two the even one."""

    def test_all_patterns(self, isa: str) -> None:
        """Every bfloat16, and its neighbours half a unit away, through a product with one."""
        high = np.arange(2**16, dtype=np.uint32) << 16
        low = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
        x = (high[:, None] | low).view(np.float32)
        normal = (np.abs(x) >= np.finfo(np.float32).tiny) | (x == 0) | np.isnan(x)
        x = np.where(normal, x, 0).reshape(-1, 1)
        found = _core.linear(x, np.ones((1, 1), np.float32), None, True)
        checks.same_bits(found, bfloat16.rounded(x) + 0)

    def test_against_decimals(self) -> None:
        """The reference: 1 + k / 1024 has 2 bits too many."""
        for k in range(1024):
            quotient, rest = divmod(k, 8)
            up = rest > 4 or (rest == 4 and quotient % 2 == 1)
            assert bfloat16.rounded(np.float32(1 + k / 1024)) == 1 + (quotient + up) / 128

    def test_order(self) -> None:
        """Odd before even: 2**24 swallows a one that comes alone, and not two."""
        a = np.array([[1, 2**24, 1, 0]], np.float32)
        one = np.ones((4, 1), np.float32)
        assert bfloat16.multiply(a, one)[0, 0] == 2**24
        assert bfloat16.multiply(a, one, order=(0, 1))[0, 0] == 2**24
        b = np.array([[2**24, 1]], np.float32)
        assert bfloat16.multiply(b, one[:2])[0, 0] == bfloat16.multiply(b, one[:2], order=(0, 1))[0, 0]
        c = np.array([[-(2**24), 2**24 + 2**17, 1, 1]], np.float32)
        assert _core.linear(c, one.T, None, True)[0, 0] == bfloat16.multiply(c, one)[0, 0]


SIZES = [
    (1, 1, 1, 1),
    (2, 3, 5, 7),
    (3, 7, 17, 33),
    (1, 40, 64, 65),
    (2, 300, 33, 70),
    (9, 31, 129, 20),
    (70, 1, 8, 9),
]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_linear_has_the_bits_of_the_reference(
    isa: str, rng: np.random.Generator, size: tuple[int, ...]
) -> None:
    """Result, dx and the weight gradient; the bias gradient is of dy as it is."""
    steps, rows, inputs, outputs = size
    x, dy = draw(rng, steps, rows, inputs), draw(rng, steps, rows, outputs)
    weight, bias = draw(rng, outputs, inputs), draw(rng, outputs)
    dweight, dbias = np.zeros_like(weight), np.zeros_like(bias)
    dx = _core.linear_backward(dy, x, weight, dweight, dbias, True, True)
    want = linear.linear_backward(dy, x, weight, True)
    checks.same_bits(_core.linear(x, weight, bias, True), linear.linear(x, weight, bias, True))
    checks.same_bits(dx, want.x)
    checks.same_bits(dweight, want.weight)
    wide = linear.linear_backward(dy.astype(np.longdouble), x, weight)
    checks.close(dbias, wide.bias, "gradient", "dbias")
    if inputs > 2:
        wrong = bfloat16.multiply(x, weight.T, bias, order=(0, 1))
        with pytest.raises(AssertionError, match="differ"):
            checks.same_bits(_core.linear(x, weight, bias, True), wrong)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize(
    "size", [(1, 1, 1, 2), (2, 3, 5, 7), (3, 7, 17, 33), (5, 9, 33, 300), (2, 201, 9, 130)], ids=str
)
def test_cross_entropy_matches_the_reference(
    isa: str, rng: np.random.Generator, size: tuple[int, ...], mean: bool
) -> None:
    """Loss and gradients, with rows that do not count."""
    steps, rows, inputs, classes = size
    x, weight, bias = draw(rng, steps, rows, inputs), draw(rng, classes, inputs), draw(rng, classes)
    targets = rng.integers(0, classes, (steps, rows))
    targets[0, :1] = -100 if steps * rows > 1 else 0
    wide = [a.astype(np.longdouble) for a in (x, weight, bias)]
    dweight, dbias = np.zeros_like(weight), np.zeros_like(bias)
    loss, _, dx = _core.cross_entropy_grad(
        x, weight, bias, targets, -100, mean, 1.0, dweight, dbias, True, None, True
    )
    want, _ = cross_entropy.cross_entropy(*wide, targets, -100, mean, None, True)
    by = cross_entropy.cross_entropy_backward(*wide, targets, -100, mean, 1.0, None, True)
    checks.close(np.float32(loss), np.asarray(want), "loss", "loss")
    for name, got, wanted in (("x", dx, by.x), ("weight", dweight, by.weight), ("bias", dbias, by.bias)):
        checks.close(got, wanted, "bfloat16", name)
    exact = cross_entropy.cross_entropy_backward(*wide, targets, -100, mean)
    if steps * rows * inputs > 1:
        with pytest.raises(AssertionError, match="eps"):
            checks.close(dweight, exact.weight, "bfloat16", "sabotage: nothing is rounded")


SHAPES = [(2, 3, 5, 7), (3, 2, 17, 33), (4, 5, 3, 16)]
OPTIONS: list[dict[str, Any]] = [{}, {"state": False, "bias": False}, {"vocabulary": 3}, {"noise": True}]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("cell", CELLS)
def test_cells_match_the_reference(
    isa: str, cell: str, shape: tuple[int, int, int, int], options: dict[str, Any]
) -> None:
    """Outputs, states and all gradients of every cell, tightly.

    Where the last bit of a float32, which differs, decides how a number is rounded, both sides part by half a
    unit of bfloat16. That is rare: of three draws one at least has no such place.
    """
    tight = 0
    for seed in range(SEED, SEED + 3):
        case = make_case(np.random.default_rng(seed), shape, "float32", cell=cell, **options)
        got = recurrent.run_kernel(replace(case, bfloat16=True))
        want = recurrent.run_reference(replace(case, bfloat16=True))
        checks.runs_close(got, want, "one bfloat16", "one bfloat16")
        try:
            checks.runs_close(got, want, "bfloat16", "bfloat16")
        except AssertionError:
            continue
        tight += 1
        with pytest.raises(AssertionError, match="eps"):
            checks.runs_close(got, recurrent.run_reference(case), "bfloat16", "bfloat16")
    assert tight >= 1


@pytest.mark.skipif(not NATIVE, reason="no instruction for bfloat16")
class TestInstruction:
    """The instruction gives the bits of the emulation, which is compared with the reference."""

    @pytest.fixture(autouse=True)
    def _native(self) -> Iterator[None]:
        before = _core.isa()
        _core.use_isa(next(name for name in _core.available_isas() if name.endswith("_bf16")))
        yield
        _core.use_isa(before)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("shape", [(3, 7, 17, 33), (5, 33, 64, 65), (90, 4, 8, 24)], ids=str)
    def test_cells(self, rng: np.random.Generator, cell: str, shape: tuple[int, int, int, int]) -> None:
        case = replace(make_case(rng, shape, "float32", cell=cell), bfloat16=True)
        self._same(lambda: recurrent.run_kernel(case))

    def test_operations(self, rng: np.random.Generator) -> None:
        for steps, rows, inputs, outputs in (*SIZES, (2, 200, 70, 260)):
            x, dy = draw(rng, steps, rows, inputs), draw(rng, steps, rows, outputs)
            weight, targets = draw(rng, outputs, inputs), rng.integers(0, outputs, (steps, rows))

            def run(x: Any = x, dy: Any = dy, weight: Any = weight, targets: Any = targets) -> dict[str, Any]:
                first, second = np.zeros_like(weight), np.zeros_like(weight)
                dx = _core.linear_backward(dy, x, weight, first, None, True, True)
                loss, _, by = _core.cross_entropy_grad(
                    x, weight, None, targets, -1, True, 1.0, second, None, True, None, True
                )
                y = _core.linear(x, weight, None, True)
                return {"y": y, "dx": dx, "dw": first, "loss": np.asarray(loss), "by": by, "second": second}

            self._same(run)

    @staticmethod
    def _same(run: Any) -> None:
        want = run()
        _core.emulate_bfloat16(False)
        assert _core.has_bfloat16()
        got = run()
        _core.emulate_bfloat16(True)
        checks.runs_same_bits(got, want)


@pytest.mark.usefixtures("threads")
class TestInvariance:
    """The bit rule: threads, rows, chunks, tokens, instruction sets."""

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("shape", [(4, 33, 9, 17), (5, 8, 30, 121), (90, 3, 8, 24)], ids=str)
    def test_threads(self, rng: np.random.Generator, cell: str, shape: tuple[int, int, int, int]) -> None:
        case = replace(make_case(rng, shape, "float32", cell=cell), bfloat16=True)
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    @pytest.mark.parametrize("cell", CELLS)
    def test_tokens(self, rng: np.random.Generator, cell: str) -> None:
        case = replace(make_case(rng, (11, 13, 18, 33), "float32", cell=cell, vocabulary=41), bfloat16=True)
        checks.threads_change_nothing(lambda: recurrent.run_kernel(case))

    def test_operations(self, rng: np.random.Generator) -> None:
        x, dy, weight, bias = draw(rng, 7, 29, 70), draw(rng, 7, 29, 130), draw(rng, 130, 70), draw(rng, 130)
        targets = rng.integers(0, 130, (7, 29))

        def run() -> dict[str, Any]:
            sums = [np.zeros_like(a) for a in (weight, bias, weight, bias)]
            dx = _core.linear_backward(dy, x, weight, *sums[:2], True, True)
            loss, _, by = _core.cross_entropy_grad(
                x, weight, bias, targets, -1, True, 1.0, *sums[2:], True, None, True
            )
            y = _core.linear(x, weight, bias, True)
            return {"y": y, "dx": dx, "loss": np.asarray(loss), "by": by} | dict(
                zip("abcd", sums, strict=True)
            )

        checks.threads_change_nothing(run)

    @pytest.mark.parametrize("cell", CELLS)
    def test_rows(self, rng: np.random.Generator, cell: str) -> None:
        case = replace(make_case(rng, (5, 9, 18, 33), "float32", cell=cell), bfloat16=True)
        for rows in (np.array([4]), rng.permutation(9)):
            checks.rows_are_independent(case, rows, recurrent.run_kernel, checks.runs_same_bits)

    @pytest.mark.parametrize("cell", CELLS)
    @pytest.mark.parametrize("rows", [1, 5, 8])
    def test_chunks(self, rng: np.random.Generator, cell: str, rows: int) -> None:
        """Also with an odd number of rows, where a step ends with half a pair."""
        case = replace(make_case(rng, (7, rows, 9, 20), "float32", cell=cell), bfloat16=True)
        for cuts in ([1], [3], [2, 5]):
            checks.chunks_equal_the_whole(case, cuts, recurrent.run_kernel, checks.runs_same_bits)

    @pytest.mark.parametrize("rows", [1, 5, 8])
    def test_loss_in_chunks(self, rng: np.random.Generator, rows: int) -> None:
        x, weight = draw(rng, 9, rows, 33), draw(rng, 70, 33)
        targets = rng.integers(0, 70, (9, rows))

        def add(first: int, last: int, to: np.ndarray) -> np.ndarray:
            part = slice(first, last)
            return _core.cross_entropy_grad(
                x[part], weight, None, targets[part], -1, False, 1.0, to, None, True, None, True
            )[2]

        whole, parts = np.zeros_like(weight), np.zeros_like(weight)
        dx = add(0, 9, whole)
        for first, last in ((4, 9), (3, 4), (0, 3)):
            checks.same_bits(add(first, last, parts), dx[first:last])
        checks.same_bits(parts, whole)

    def test_instruction_sets(self, rng: np.random.Generator) -> None:
        """All of them, for products of bfloat16 are exact; those of the pointwise need fma."""
        fused = tuple(name for name in _core.available_isas() if name != "sse4")
        before = _core.isa()
        case = replace(make_case(rng, (5, 7, 30, 33), "float32"), bfloat16=True)
        checks.isas_agree(lambda: recurrent.run_kernel(case), fused)
        x, weight = draw(rng, 30, 33), draw(rng, 70, 33)
        checks.isas_agree(lambda: {"y": _core.linear(x, weight, None, True)}, tuple(_core.available_isas()))
        _core.use_isa(before)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("cell", CELLS)
    def test_nan_stays_in_its_row(self, rng: np.random.Generator, cell: str, value: float) -> None:
        case = replace(make_case(rng, (4, 5, 9, 17), "float32", cell=cell), bfloat16=True)
        checks.nan_stays_in_its_row(case, 2, recurrent.run_kernel, value)


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
        for change in (lambda: None, lambda: layer.set_compute(None), lambda: _core.emulate_bfloat16(False)):
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
