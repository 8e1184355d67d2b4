"""fastrnn.torch.accelerate, and the cells as modules."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest

import fastrnn

pytestmark = pytest.mark.peer

OPTIONS: dict[str, list[dict[str, Any]]] = {
    "LSTM": [{"peephole": "diagonal"}, {"peephole": "full"}, {"coupled": True}, {"layer_norm": "all"}],
    "GRU": [{"reset": "before"}, {"layer_norm": "gate"}],
    "RNN": [{"nonlinearity": "sigmoid"}],
    "SCRN": [{"context_size": 3}],
    "ClockworkRNN": [{"periods": (1, 2)}],
    "DepthGatedLSTM": [{"num_layers": 2}],
    "MinGRU": [{}, {"num_layers": 2}],
    "MinLSTM": [{}],
}
CELLS = [(kind, options) for kind, many in OPTIONS.items() for options in many]


@pytest.fixture
def ours(torch: ModuleType) -> ModuleType:
    """The package; it says each fallback afresh."""
    import fastrnn.torch
    from fastrnn.torch import _fallback

    _fallback._said.clear()
    return fastrnn.torch


def tagger(torch: ModuleType, kind: str = "LSTM") -> Any:
    """A model with a recurrent layer inside a block, and one at its end."""

    class Block(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.GRU(8, 6, bidirectional=True, batch_first=True)

        def forward(self, x: Any) -> Any:
            return self.inner(x)[0]

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = torch.nn.Embedding(11, 8)
            self.blocks = torch.nn.ModuleList([Block()])
            self.top = getattr(torch.nn, kind)(12, 9, 2, dropout=0.3, batch_first=True)
            self.head = torch.nn.Linear(9, 3)

        def forward(self, tokens: Any) -> Any:
            return self.head(self.top(self.blocks[0](self.embed(tokens)))[0])

    torch.manual_seed(0)
    return Model().double()


def train(torch: ModuleType, model: Any, accelerate: Any = None) -> list[float]:
    """Losses of some steps; `accelerate` after the first, with the optimiser that was there before."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    tokens = torch.from_numpy(np.random.default_rng(0).integers(0, 11, (5, 7)))
    torch.manual_seed(1)
    losses = []
    for step in range(4):
        if step == 1 and accelerate is not None:
            accelerate(model)
        loss = torch.nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten() % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_training_goes_on_as_it_would_have(torch: ModuleType, ours: ModuleType, kind: str) -> None:
    want = train(torch, tagger(torch, kind))
    got = train(torch, tagger(torch, kind), ours.accelerate)
    checks.close(np.array(got), np.array(want), "peer")


def test_what_was_swapped(torch: ModuleType, ours: ModuleType) -> None:
    class Own(torch.nn.LSTM):
        pass

    model = tagger(torch)
    model.own = Own(2, 3)
    before = {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()}
    modules = {name: id(m) for name, m in model.named_modules()}
    report = ours.accelerate(model)
    assert report.swapped == {"blocks.0.inner": "GRU", "top": "LSTM"}
    assert list(report.left) == ["own"]
    assert report.left["own"].endswith("Own is a subclass and may have code of its own")
    assert str(report).splitlines()[:2] == ["blocks.0.inner: GRU", "top: LSTM"]
    assert {name: (id(p), p.data_ptr()) for name, p in model.named_parameters()} == before
    assert {name: id(m) for name, m in model.named_modules()} == modules
    assert type(model.top) is ours.LSTM
    assert ours.accelerate(model).swapped == {}
    assert ours.restore(model).swapped == {"blocks.0.inner": "GRU", "top": "LSTM"}
    assert type(model.top) is torch.nn.LSTM
    layer = torch.nn.RNN(2, 3)
    assert str(ours.accelerate(layer)) == "(the model): RNN"
    assert str(ours.accelerate(torch.nn.Linear(2, 3))) == "no recurrent layers"


def test_no_module(torch: ModuleType, ours: ModuleType) -> None:
    with pytest.raises(TypeError, match=r"^model: expected a torch.nn.Module, got int$"):
        ours.accelerate(3)


class TestCells:
    """Every cell of the list, against the layer of the same name."""

    def pair(self, torch: ModuleType, ours: ModuleType, cell: Any, **more: Any) -> tuple[Any, Any]:
        kind, options = cell
        options = options | more
        module = getattr(ours.cells, kind)(4, 6, dtype=torch.float64, **options)
        layer = getattr(fastrnn, kind)(4, 6, dtype="float64", **options)
        layer.load_params(module.state_dict())
        return module, layer

    def test_all_are_there(self, torch: ModuleType, ours: ModuleType) -> None:
        assert set(ours.cells.__all__) == {"Cell", *fastrnn.layers.cells.__all__}
        assert set(OPTIONS) == set(fastrnn.layers.cells.__all__)

    @pytest.mark.parametrize("lengths", [None, [3, 5, 1]])
    @pytest.mark.parametrize("more", [{}, {"bidirectional": True, "batch_first": True}], ids=str)
    @pytest.mark.parametrize("cell", CELLS, ids=str)
    def test_the_bits_of_the_layer(
        self, torch: ModuleType, ours: ModuleType, cell: Any, more: Any, lengths: Any
    ) -> None:
        module, layer = self.pair(torch, ours, cell, **more)
        shape = (3, 5, 4) if more else (5, 3, 4)
        x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
        y, last = module(x, None, None if lengths is None else torch.tensor(lengths))
        last = last if isinstance(last, tuple) else (last,)
        (want, states), pullback = layer.vjp(x.detach().numpy(), lengths=lengths)
        checks.same_bits(y.detach().numpy(), want)
        for got, state in zip(last, states, strict=True):
            checks.same_bits(got.detach().numpy(), state)
        y.sum().backward()
        dx, _ = pullback(np.ones_like(want))
        checks.same_bits(x.grad.numpy(), dx)
        for name, p in module.named_parameters():
            checks.same_bits(p.grad.numpy(), layer.grads[name], name)

    def test_states_and_packed_sequences(self, torch: ModuleType, ours: ModuleType) -> None:
        rnn = torch.nn.utils.rnn
        module, layer = self.pair(torch, ours, ("GRU", {"reset": "before"}), num_layers=2)
        x, h = torch.randn(5, 3, 4, dtype=torch.float64), torch.randn(2, 3, 6, dtype=torch.float64)
        packed = rnn.pack_padded_sequence(x, torch.tensor([3, 5, 1]), enforce_sorted=False)
        y, last = module(packed, h)
        want, (state,) = layer(x.numpy(), (h.numpy(),), lengths=[3, 5, 1])
        checks.same_bits(rnn.pad_packed_sequence(y)[0].detach().numpy(), want)
        checks.same_bits(last.detach().numpy(), state)

    def test_lengths_may_be_a_list(self, torch: ModuleType, ours: ModuleType) -> None:
        module, layer = self.pair(torch, ours, ("MinGRU", {}))
        x, lengths = torch.randn(5, 3, 4, dtype=torch.float64), [5, 1, 3]
        want, _ = layer(x.numpy(), lengths=lengths)
        for given in (lengths, np.array(lengths), torch.tensor(lengths)):
            checks.same_bits(module(x, lengths=given)[0].detach().numpy(), want)

    def test_equal_lengths_keep_their_order(self, torch: ModuleType, ours: ModuleType) -> None:
        rnn = torch.nn.utils.rnn
        module, layer = self.pair(torch, ours, ("GRU", {}))
        x, order = torch.randn(5, 3, 4, dtype=torch.float64), torch.tensor([1, 0, 2])
        sorted_rows = rnn.pack_padded_sequence(x[:, order], torch.tensor([5, 5, 2]))
        packed = rnn.PackedSequence(sorted_rows.data, sorted_rows.batch_sizes, order, order)
        want, _ = layer(x.numpy(), lengths=[5, 5, 2])
        y, _ = module(packed)
        checks.same_bits(rnn.pad_packed_sequence(y)[0].detach().numpy(), want)

    def test_masks_follow_the_seed_and_the_mode(self, torch: ModuleType, ours: ModuleType) -> None:
        torch.manual_seed(0)
        module = ours.cells.LSTM(4, 6, 2, recurrent_dropout=0.3, zoneout=0.2, dropout=0.1)
        torch.manual_seed(0)
        again = ours.cells.LSTM(4, 6, 2, recurrent_dropout=0.3, zoneout=0.2, dropout=0.1)
        x = torch.randn(5, 3, 4)
        found = []
        for layer in (module, again):
            torch.manual_seed(1)
            found.append([layer(x)[0].detach().numpy() for _ in range(2)])
        checks.same_bits(found[0][0], found[1][0])
        assert not np.array_equal(found[0][0], found[0][1])
        module.eval()
        checks.same_bits(module(x)[0].detach().numpy(), module(x)[0].detach().numpy())

    def test_compile(self, torch: ModuleType, ours: ModuleType) -> None:
        module = ours.cells.MinGRU(4, 6)
        x = torch.randn(5, 3, 4)
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
        checks.same_bits(compiled(x)[0].detach().numpy(), module(x)[0].detach().numpy())

    def test_copies_and_names(self, torch: ModuleType, ours: ModuleType) -> None:
        module = ours.cells.LSTM(4, 6, peephole="diagonal")
        assert repr(module) == "LSTM(input_size=4, hidden_size=6, peephole='diagonal')"
        assert list(module.state_dict()) == list(fastrnn.LSTM(4, 6, peephole="diagonal").params)
        other = copy.deepcopy(module)
        x = torch.randn(5, 3, 4)
        checks.same_bits(other(x)[0].detach().numpy(), module(x)[0].detach().numpy())

    @pytest.mark.parametrize(
        ("call", "kind", "text"),
        [
            (lambda c, t: c.GRU(4, 6, seed=1), TypeError, "seed: expected no such option"),
            (lambda c, t: c.GRU(4, 6, dtype=t.int32), TypeError, "dtype: expected torch.float32 or"),
            (
                lambda c, t: c.GRU(4, 6, peephole="full"),
                ValueError,
                "peephole: expected no such option for GRU",
            ),
            (lambda c, t: c.GRU(4, 6)(t.randn(3, 4)), ValueError, "x: expected 3 axes, got 2"),
            (lambda c, t: c.GRU(4, 6)(t.randn(3, 2, 5)), ValueError, "x: expected shape"),
            (lambda c, t: c.GRU(4, 6)(t.randn(3, 2, 4), t.randn(1, 3, 6)), ValueError, "h: expected shape"),
            (lambda c, t: c.Nothing, AttributeError, "module 'fastrnn.torch.cells' has no attribute"),
        ],
    )
    def test_errors(self, torch: ModuleType, ours: ModuleType, call: Any, kind: type, text: str) -> None:
        with pytest.raises(kind, match=f"^{text}"):
            call(ours.cells, torch)


def test_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "try:\n    import fastrnn.torch\nexcept ImportError as e:\n    print(e)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "fastrnn.torch: needs PyTorch; pip install 'fastrnn[torch]'\n"


class TestCompute:
    """bfloat16 is an option of a layer that is ours, and goes with it."""

    pytestmark = pytest.mark.usefixtures("emulated")

    def test_restored(self, torch: ModuleType, ours: ModuleType) -> None:
        """What was asked for once does not come back by itself."""
        layer, x = torch.nn.LSTM(4, 6), torch.linspace(-1, 1, 24).reshape(3, 2, 4)
        want = layer(x)[0]
        ours.accelerate(layer, compute="bfloat16")
        assert (layer(x)[0] - want).abs().max() > 1e-5
        ours.restore(layer)
        ours.accelerate(layer)
        assert layer.compute is None
        torch.testing.assert_close(layer(x)[0], want)
        kept = ours.LSTM(4, 6, compute="bfloat16")
        ours.accelerate(torch.nn.Sequential(kept))
        assert kept.compute == "bfloat16"

    def test_all_or_nothing(self, torch: ModuleType, ours: ModuleType) -> None:
        model = torch.nn.ModuleList([torch.nn.LSTM(4, 6), torch.nn.GRU(4, 6, dtype=torch.float64)])
        with pytest.raises(ValueError, match=r"^compute: expected None because dtype is float64"):
            ours.accelerate(model, compute="bfloat16")
        assert [type(part) for part in model] == [torch.nn.LSTM, torch.nn.GRU]


class TestCellsElsewhere:
    """Where torch has a path of its own for its layers, cells have none."""

    def test_autocast(self, torch: ModuleType, ours: ModuleType) -> None:
        """They go on in their dtype."""
        cell, x = ours.cells.LSTM(4, 6, peephole="diagonal"), torch.linspace(-1, 1, 24).reshape(3, 2, 4)
        with torch.autocast("cpu"):
            y, state = cell(x.bfloat16(), tuple(torch.zeros(1, 2, 6).bfloat16() for _ in range(2)))
        assert y.dtype == state[0].dtype == torch.float32
        torch.testing.assert_close(y, cell(x.bfloat16().float())[0])

    @pytest.mark.parametrize("context", ["trace", "func", "meta", "device"])
    def test_refused(self, torch: ModuleType, ours: ModuleType, context: str) -> None:
        cell, x = ours.cells.GRU(4, 6, reset="before"), torch.zeros(3, 2, 4)
        for parameter in cell.parameters():
            parameter.requires_grad_(False)
        calls = {
            "trace": (lambda: torch.jit.trace(cell, x), "GRU: torch.jit.trace would keep the numbers"),
            "func": (
                lambda: torch.func.vmap(lambda v: cell(v)[0])(x[None]),
                "GRU: expected no transformation of torch.func",
            ),
            "meta": (lambda: cell(x.to("meta")), "GRU: expected tensors of the CPU, got some of meta"),
            "device": (lambda: ours.cells.GRU(4, 6, device="meta"), "device: expected the CPU, got meta"),
        }
        call, message = calls[context]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with pytest.raises((RuntimeError, ValueError), match=message):
                call()
