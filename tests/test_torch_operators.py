"""The operators of fastrnn.torch: opcheck, gradcheck, compile, export."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
from torch_modules import pair, run, states

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]

CASES = {  # text of a layer, widths of its states, parameters' shapes are asked from the layer
    "LSTM": "LSTM(input_size=3, hidden_size=5, num_layers=2, bias=True, bidirectional=True, proj_size=0)",
    "small LSTM": "LSTM(input_size=3, hidden_size=2, num_layers=2, bidirectional=True)",
    "GRU": "GRU(input_size=3, hidden_size=5)",
    "RNN": "RNN(input_size=3, hidden_size=5, nonlinearity='relu', bias=False)",
    "tanh": "RNN(input_size=3, hidden_size=5)",
    "projected": "LSTM(input_size=3, hidden_size=5, proj_size=2)",
    "peephole": "LSTM(input_size=3, hidden_size=5, peephole='diagonal')",
    "MinGRU": "MinGRU(input_size=3, hidden_size=5, num_layers=2)",
    "SCRN": "SCRN(input_size=3, hidden_size=5, context_size=2)",
    "ClockworkRNN": "ClockworkRNN(input_size=3, hidden_size=6, periods=(1, 2))",
    "zoneout": "GRU(input_size=3, hidden_size=5, zoneout=0.2)",
    "dropout": "GRU(input_size=3, hidden_size=5, num_layers=2, dropout=0.3, recurrent_dropout=0.2)",
}


@pytest.fixture
def op(torch: ModuleType) -> ModuleType:
    """The operators; importing them needs PyTorch."""
    return importlib.import_module("fastrnn.torch._op")


@pytest.fixture
def fresh(torch: ModuleType) -> Iterator[None]:
    """Nothing that torch.compile remembers, and leave to trace recurrent layers."""
    import torch._dynamo

    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        yield
    torch._dynamo.reset()


def arguments(torch: ModuleType, case: str, form: str, dtype: str = "float64") -> tuple[Any, ...]:
    """Arguments of the forward operator: a batch, packed data, or padded rows of unlike lengths."""
    from fastrnn.torch import _spec

    torch.manual_seed(3)
    layer, kind = _spec.read(CASES[case], dtype), getattr(torch, dtype)
    levels, rows = layer.num_layers * layer.directions, 3
    options = {"dtype": kind, "requires_grad": True}
    batch_sizes, lengths, shape = None, None, (4, rows, 3)
    if form == "packed":
        batch_sizes, shape = torch.tensor([3, 2, 2, 1]), (8, 3)
    if form == "lengths":
        lengths = torch.tensor([2, 4, 1])
    x = torch.randn(*shape, **options)
    state = [torch.randn(levels, rows, width, **options) for width in layer.state_sizes]
    params = [torch.randn(*shape, **options) for shape in layer._shapes.values()]
    if case == "ClockworkRNN":
        state[1] = torch.zeros(levels, rows, 1, dtype=kind)  # the phase is a whole number
    key = torch.tensor(9) if layer._draws else None
    return CASES[case], x, state, params, batch_sizes, lengths, key, rows


@pytest.mark.parametrize("form", ["batch", "packed", "lengths"])
@pytest.mark.parametrize("case", ["LSTM", "GRU", "RNN", "projected"])
@pytest.mark.parametrize("keep", [True, False])
def test_opcheck(torch: ModuleType, op: ModuleType, case: str, form: str, keep: bool) -> None:
    found = torch.library.opcheck(op.recurrent, (*arguments(torch, case, form), keep))
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("case", ["peephole", "MinGRU", "SCRN", "ClockworkRNN", "zoneout", "dropout"])
def test_opcheck_of_other_cells(torch: ModuleType, op: ModuleType, case: str) -> None:
    found = torch.library.opcheck(op.recurrent, (*arguments(torch, case, "batch"), True))
    assert set(found.values()) == {"SUCCESS"}


@pytest.mark.parametrize("case", ["LSTM", "GRU"])
@pytest.mark.parametrize("form", ["batch", "packed"])
def test_opcheck_of_backward(torch: ModuleType, op: ModuleType, case: str, form: str) -> None:
    with torch.no_grad():
        args = arguments(torch, case, form)
        y, last, token = op.recurrent(*args, True)
        wanted = [True] * len(args[3])
        backward = (*args, y, token, torch.ones_like(y), [None] * len(last), True, wanted)
        tests = ("test_schema", "test_faketensor")
        found = torch.library.opcheck(op.recurrent_backward, backward, test_utils=tests)
    assert set(found.values()) == {"SUCCESS"}


def way(op: ModuleType, eager: bool) -> Any:
    """How a call goes: under plain autograd, or through the operator."""
    if eager:
        return lambda *call: op.run(op.Call(*call))
    return lambda spec, x, state, params, *rest: op.recurrent(spec, x, [*state], [*params], *rest, True)[:2]


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("form", ["batch", "packed", "lengths"])
@pytest.mark.parametrize("case", [case for case in CASES if case != "small LSTM"])
def test_gradcheck(torch: ModuleType, op: ModuleType, case: str, form: str, eager: bool) -> None:
    if form == "packed" and case in ("dropout", "zoneout"):
        form = "lengths"  # packed data has no masks, see TestErrors
    spec, x, state, params, *rest = arguments(torch, case, form)
    number, through = len(state), way(op, eager)

    def function(x: Any, *others: Any) -> Any:
        y, last = through(spec, x, others[:number], others[number:], *rest)
        return (y, *last)

    assert torch.autograd.gradcheck(function, (x, *state, *params))


@pytest.mark.parametrize("eager", [True, False])
@pytest.mark.parametrize("form", ["batch", "packed"])
@pytest.mark.parametrize("case", ["small LSTM", "GRU", "RNN", "tanh", "projected"])  # the larger one: 16 s
def test_gradgradcheck(torch: ModuleType, op: ModuleType, case: str, form: str, eager: bool) -> None:
    spec, x, state, params, *rest = arguments(torch, case, form)
    number, through = len(state), way(op, eager)

    def function(x: Any, *others: Any) -> Any:
        y, last = through(spec, x, others[:number], others[number:], *rest)
        return (y, *last)

    assert torch.autograd.gradgradcheck(function, (x, *state, *params))


def test_a_double_backward_pass_that_torch_lacks(torch: ModuleType, op: ModuleType) -> None:
    spec, x, *others = arguments(torch, "MinGRU", "batch")
    y, _ = op.run(op.Call(spec, x, *others))
    text = r"^MinGRU: expected one backward pass, got create_graph=True; "
    with pytest.raises(RuntimeError, match=text):
        torch.autograd.grad(y.sum(), x, create_graph=True)


class TestErrors:
    """The operators refuse what does not fit, whoever calls them."""

    @pytest.mark.parametrize("spec", ["LSTM", "int(3)", "GRU(3, 5)", "GRU(input_size=open('x'))", "1 +"])
    def test_text_of_a_layer(self, torch: ModuleType, spec: str) -> None:
        from fastrnn.torch import _spec

        text = "spec: expected a layer such as 'GRU(input_size=3, hidden_size=5)', got " + repr(spec)
        with pytest.raises(ValueError, match=r"^spec: ") as found:
            _spec.read(spec, "float32")
        assert str(found.value) == text

    @pytest.mark.parametrize(
        ("sizes", "text"),
        [
            ([3, 2, 2, 2], "batch_sizes: expected a sum of N = 8, got 9"),
            ([2, 3, 2, 1], "batch_sizes: expected positive numbers that do not grow, got [2, 3, 2, 1]"),
            ([4, 4, 0], "batch_sizes: expected positive numbers that do not grow, got [4, 4, 0]"),
        ],
    )
    def test_batch_sizes(self, torch: ModuleType, op: ModuleType, sizes: list[int], text: str) -> None:
        args = list(arguments(torch, "GRU", "packed"))
        args[4] = torch.tensor(sizes)
        with pytest.raises(ValueError, match=r"^batch_sizes: ") as found:
            op.recurrent(*args, False)
        assert str(found.value) == text

    @pytest.mark.parametrize("case", ["dropout", "zoneout"])
    def test_masks_of_packed_data(self, torch: ModuleType, op: ModuleType, case: str) -> None:
        with pytest.raises(ValueError, match=r"^key: expected None because x is packed, got one$"):
            op.recurrent(*arguments(torch, case, "packed"), False)

    def test_number_of_parameters(self, torch: ModuleType, op: ModuleType) -> None:
        spec, x, state, params, *rest = arguments(torch, "GRU", "batch")
        with pytest.raises(ValueError, match=r"^params: expected 4 tensors, got 3$"):
            op.recurrent(spec, x, state, params[:3], *rest, False)

    def test_mixed_dtypes(self, torch: ModuleType, op: ModuleType) -> None:
        spec, x, state, params, *rest = arguments(torch, "GRU", "batch")
        text = r"^fastrnn::recurrent: expected tensors of torch.float32, the dtype of x, got torch.float64$"
        with pytest.raises(TypeError, match=text):
            op.recurrent(spec, x.float(), state, params, *rest, False)


class TestCompile:
    """torch.compile without a graph break, and torch.export."""

    OPTIONS = (
        ("LSTM", {"num_layers": 2, "bidirectional": True}),
        ("GRU", {"batch_first": True}),
        ("RNN", {}),
        ("LSTM", {"proj_size": 3, "num_layers": 2, "dropout": 0.3}),
    )

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("backend", ["aot_eager", "inductor"])
    def test_fullgraph(self, torch: ModuleType, fresh: None, options: Any, backend: str) -> None:
        kind, more = options
        _, ours = pair(torch, kind, (7, 17), "float32", **more)
        if more.get("dropout"):
            ours.eval()  # the compiler draws other masks
        compiled = torch.compile(ours, fullgraph=True, backend=backend)
        x = torch.randn(5, 3, 7, requires_grad=True)
        rows = 5 if ours.batch_first else 3
        want = run(torch, ours, x, states(torch, ours, rows))
        wrapped = _Named(compiled, ours)
        checks.runs_close(run(torch, wrapped, x, states(torch, ours, rows)), want, "identity", "identity")

    def test_dynamic_sizes(self, torch: ModuleType, fresh: None) -> None:
        _, ours = pair(torch, "GRU", (7, 17), "float32")
        compiled = torch.compile(ours, fullgraph=True, backend="aot_eager", dynamic=True)
        for steps, rows in [(5, 3), (6, 4), (9, 2)]:
            x = torch.randn(steps, rows, 7)
            checks.close(compiled(x)[0].detach().numpy(), ours(x)[0].detach().numpy(), "identity")

    def test_dropout_in_training(self, torch: ModuleType, fresh: None) -> None:
        _, ours = pair(torch, "LSTM", (7, 17), "float32", num_layers=2, dropout=0.5)
        compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
        x = torch.randn(5, 3, 7)
        torch.manual_seed(0)
        first, other = compiled(x)[0].detach().numpy(), compiled(x)[0].detach().numpy()
        torch.manual_seed(0)
        checks.same_bits(compiled(x)[0].detach().numpy(), first)
        assert not np.allclose(first, other)

    def test_helper(self, torch: ModuleType, fresh: None) -> None:
        import torch._dynamo

        import fastrnn.torch

        _, ours = pair(torch, "GRU", (7, 17), "float32")
        with torch._dynamo.config.patch(allow_rnn=False):
            compiled = fastrnn.torch.compile(ours, fullgraph=True, backend="aot_eager")
            x = torch.randn(5, 3, 7)
            checks.close(compiled(x)[0].detach().numpy(), ours(x)[0].detach().numpy(), "identity")

    @pytest.mark.parametrize("options", OPTIONS, ids=str)
    @pytest.mark.parametrize("strict", [True, False])
    def test_export(self, torch: ModuleType, fresh: None, options: Any, strict: bool) -> None:
        kind, more = options
        _, ours = pair(torch, kind, (7, 17), "float32", **more)
        x = torch.randn(5, 3, 7)
        program = torch.export.export(ours.eval(), (x,), strict=strict)
        assert "fastrnn.recurrent" in str(program.graph)
        other = torch.randn(5, 3, 7)
        got = program.module()(other)[0].detach().numpy()
        checks.same_bits(got, ours(other)[0].detach().numpy())


class _Named:
    """A compiled layer with the attributes of the layer."""

    def __init__(self, compiled: Any, layer: Any) -> None:
        self.compiled, self.layer = compiled, layer

    def __call__(self, *args: Any) -> Any:
        return self.compiled(*args)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)
