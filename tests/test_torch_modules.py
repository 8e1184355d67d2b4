"""fastrnn.torch's LSTM, GRU and RNN against torch.nn: outputs, states and all gradients."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
import torch_modules
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch_modules import KINDS, pair, run, states

pytestmark = [
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning"),
]

OPTIONS: list[dict[str, Any]] = [
    {},
    {"bias": False},
    {"batch_first": True},
    {"bidirectional": True},
    {"num_layers": 3, "bidirectional": True, "batch_first": True},
    {"num_layers": 2, "dropout": 0.4},
    {"num_layers": 3, "dropout": 0.4, "bidirectional": True, "batch_first": True},
]


@pytest.fixture(autouse=True)
def no_fallback(torch: ModuleType) -> None:
    """A warning that torch's path was taken is an error here: every reason is said again."""
    from fastrnn.torch import _fallback

    _fallback._said.clear()


def batch(torch: ModuleType, layer: Any, steps: int, rows: int | None) -> Any:
    """x of a layer; without `rows`, one sequence."""
    torch.manual_seed(1)
    shape: tuple[int, ...] = (steps,) if rows is None else (steps, rows)
    if layer.batch_first and rows is not None:
        shape = (rows, steps)
    return torch.randn(*shape, layer.input_size, dtype=layer.weight_ih_l0.dtype, requires_grad=True)


def both(
    torch: ModuleType, kind: str, options: dict[str, Any], dtype: str, rows: int | None, given: bool
) -> None:
    theirs, ours = pair(torch, kind, (7, 17), dtype, **options)
    assert isinstance(ours, getattr(torch.nn, kind))
    x = batch(torch, ours, 5, rows)
    want, got = (
        run(torch, layer, x, states(torch, layer, rows) if given else None) for layer in (theirs, ours)
    )
    checks.runs_close(got, want, "peer", "peer")


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_batches(torch: ModuleType, dtype: Any, kind: Any, options: dict[str, Any], given: bool) -> None:
    both(torch, kind[0], kind[1] | options, dtype.name, 3, given)


@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_single_sequences(torch: ModuleType, kind: Any, options: dict[str, Any], given: bool) -> None:
    both(torch, kind[0], kind[1] | options, "float32", None, given)


@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("given", [True, False])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_packed(
    torch: ModuleType, kind: Any, options: dict[str, Any], given: bool, enforce_sorted: bool
) -> None:
    theirs, ours = pair(torch, kind[0], (7, 17), "float64", **kind[1], **options)
    lengths = [6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4]
    padded = batch(torch, ours, 6, 4).detach()
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        padded, torch.tensor(lengths), ours.batch_first, enforce_sorted=enforce_sorted
    )
    packed = packed._replace(data=packed.data.requires_grad_())
    want, got = (
        run(torch, layer, packed, states(torch, layer, 4) if given else None) for layer in (theirs, ours)
    )
    checks.runs_close(got, want, "peer", "peer")


@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_shape(torch: ModuleType, data: st.DataObject) -> None:
    draw = data.draw
    kind, more = draw(st.sampled_from(KINDS))
    options = {"num_layers": draw(st.integers(1, 2)), "bidirectional": draw(st.booleans()), **more}
    options |= {"bias": draw(st.booleans()), "batch_first": draw(st.booleans())}
    width, hidden = draw(st.integers(1, 9)), draw(st.integers(4, 33))
    theirs, ours = pair(torch, kind, (width, hidden), "float64", **options)
    x = batch(torch, ours, draw(st.integers(1, 6)), rows := draw(st.none() | st.integers(1, 5)))
    want, got = (run(torch, layer, x, states(torch, layer, rows)) for layer in (theirs, ours))
    checks.runs_close(got, want, "peer", "peer")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_layouts(torch: ModuleType, kind: str) -> None:
    theirs, ours = pair(torch, kind, (7, 17), "float64", bidirectional=True)
    base = torch.randn(7, 9, 12, dtype=torch.float64)
    xs = {
        "permuted": base.permute(2, 1, 0),
        "strided rows": torch.randn(10, 9, 7, dtype=torch.float64)[::2],
        "one input for all rows": torch.randn(5, 1, 7, dtype=torch.float64).expand(5, 4, 7),
        "one number for all": torch.randn(5, 4, 1, dtype=torch.float64).expand(5, 4, 7),
    }
    for name, x in xs.items():
        want, got = (layer(x)[0].detach().numpy() for layer in (theirs, ours))
        checks.close(got, want, "peer", name)


def test_x_is_read_where_it_is(torch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastrnn.torch import _run

    seen = []
    monkeypatch.setattr(_run, "Stack", lambda layer, x, *rest: seen.append(x) or made(layer, x, *rest))
    from fastrnn.layers.stack import Stack as made

    _, ours = pair(torch, "LSTM", (7, 17), "float32", batch_first=True)
    x = torch.randn(4, 5, 7)
    ours(x)
    assert seen[0].ctypes.data == x.data_ptr()
    assert seen[0].shape == (5, 4, 7)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_a_frozen_parameter_has_no_gradient_and_changes_no_other(torch: ModuleType, kind: str) -> None:
    theirs, ours = pair(torch, kind, (7, 17), "float64", num_layers=2)
    x = torch.randn(5, 3, 7, dtype=torch.float64)
    for layer in (theirs, ours):
        layer.weight_hh_l0.requires_grad_(False)
        layer.bias_ih_l1.requires_grad_(False)
        layer(x)[0].square().sum().backward()
    for (name, want), (_, got) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
        assert (want.grad is None) == (got.grad is None), name
        if want.grad is not None:
            checks.close(got.grad.numpy(), want.grad.numpy(), "peer", name)


def test_only_one_output_is_used(torch: ModuleType) -> None:
    theirs, ours = pair(torch, "LSTM", (7, 17), "float64", num_layers=2)
    x = torch.randn(5, 3, 7, dtype=torch.float64, requires_grad=True)
    for pick in (lambda y, h, c: y, lambda y, h, c: h, lambda y, h, c: c):
        want, got = (
            torch.autograd.grad(pick(*_flat(layer(x))).square().sum(), x)[0].numpy()
            for layer in (theirs, ours)
        )
        checks.close(got, want, "peer")


def _flat(found: Any) -> tuple[Any, ...]:
    y, (h, c) = found
    return y, h, c


def test_a_second_backward_pass_gives_the_same_bits(torch: ModuleType) -> None:
    _, ours = pair(torch, "GRU", (7, 17), "float32", bidirectional=True)
    x = torch.randn(5, 3, 7, requires_grad=True)
    y, _ = ours(x)
    first = torch.autograd.grad(y.square().sum(), x, retain_graph=True)[0].numpy()
    checks.same_bits(torch.autograd.grad(y.square().sum(), x)[0].numpy(), first)


def test_equal_seeds_draw_the_masks_of_torch(torch: ModuleType) -> None:
    theirs, ours = pair(torch, "GRU", (7, 17), "float64", num_layers=2, dropout=0.5)
    x = torch.randn(5, 3, 7, dtype=torch.float64)
    torch.manual_seed(3)
    want, other = theirs(x)[0].detach().numpy(), theirs(x)[0].detach().numpy()
    torch.manual_seed(3)
    checks.close(ours(x)[0].detach().numpy(), want, "peer")
    assert not np.allclose(want, other)
    ours.eval()
    checks.same_bits(ours(x)[0].detach().numpy(), ours(x)[0].detach().numpy())


def test_sabotage_of_the_comparison(torch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    from fastrnn.torch import _run

    real = _run.array
    monkeypatch.setattr(_run, "array", lambda t: -real(t) if t.dim() == 3 else real(t))
    with pytest.raises(AssertionError, match="eps, allowed"):
        both(torch, "GRU", {}, "float64", 3, True)
    assert torch_modules.run is run
