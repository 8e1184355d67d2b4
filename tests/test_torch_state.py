"""What surrounds fastrnn.torch's layers: copies, graphs, memory, torch's own path, errors."""

from __future__ import annotations

import copy
import io
import warnings
import weakref
from types import ModuleType
from typing import Any

import checks
import pytest
from torch_modules import KINDS, pair

pytestmark = pytest.mark.peer


@pytest.fixture(autouse=True)
def afresh(torch: ModuleType) -> None:
    """Every reason is said again."""
    from fastrnn.torch import _fallback

    _fallback._said.clear()


class TestState:
    """state_dict, copies, functional calls, what is kept alive."""

    @pytest.mark.parametrize("kind", KINDS, ids=str)
    def test_both_ways(self, torch: ModuleType, kind: Any) -> None:
        theirs, ours = pair(torch, kind[0], (7, 17), "float32", num_layers=2, bidirectional=True, **kind[1])
        theirs.load_state_dict(ours.state_dict(), strict=True)
        assert {n: p.shape for n, p in ours.named_parameters()} == {
            n: p.shape for n, p in theirs.named_parameters()
        }
        assert repr(ours) == repr(theirs)

    def test_missing_and_foreign_keys_are_errors_of_torch(self, torch: ModuleType) -> None:
        _, ours = pair(torch, "LSTM", (7, 17), "float32")
        keys = ours.state_dict()
        keys["weight_xx_l0"] = keys.pop("weight_hh_l0")
        with pytest.raises(RuntimeError, match=r"Missing key\(s\) in state_dict: \"weight_hh_l0\""):
            ours.load_state_dict(keys)

    def test_copy_and_pickle(self, torch: ModuleType) -> None:
        _, ours = pair(torch, "LSTM", (7, 17), "float32")
        x = torch.randn(5, 3, 7)
        want = ours(x)[0].detach().numpy()
        file = io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        for layer in (copy.deepcopy(ours), torch.load(file, weights_only=False)):
            assert type(layer) is type(ours)
            checks.same_bits(layer(x)[0].detach().numpy(), want)

    @pytest.mark.filterwarnings("ignore:fastrnn.torch. double backward")
    def test_a_tensor_in_two_places_has_one_gradient(self, torch: ModuleType) -> None:
        found = []
        for layer in pair(torch, "LSTM", (6, 6), "float64", num_layers=2):
            layer.weight_hh_l1 = layer.weight_hh_l0
            x, h = torch.ones(4, 2, 6, dtype=torch.float64), torch.ones(2, 2, 6, dtype=torch.float64)
            h.requires_grad_()
            y, _ = layer(x, (h, h))
            first = torch.autograd.grad(y.square().sum(), [h, layer.weight_hh_l0], create_graph=True)
            (second,) = torch.autograd.grad(first[0].sum(), [h])
            found.append([*first, second])
        for got, want in zip(found[1], found[0], strict=True):
            checks.close(got.detach().numpy(), want.detach().numpy(), "peer")

    def test_functional_call(self, torch: ModuleType) -> None:
        theirs, ours = pair(torch, "GRU", (7, 17), "float32")
        x = torch.randn(5, 3, 7)
        other = {name: 2 * p.detach() for name, p in ours.named_parameters()}
        want, got = (torch.func.functional_call(layer, other, (x,))[0].numpy() for layer in (theirs, ours))
        checks.close(got, want, "peer")

    @pytest.mark.parametrize("eager", [True, False])
    def test_what_forward_kept_is_freed(
        self, torch: ModuleType, monkeypatch: pytest.MonkeyPatch, eager: bool
    ) -> None:
        from fastrnn.torch import _op, _run

        _, ours = pair(torch, "LSTM", (7, 17), "float32")
        made: list[Any] = []
        real = _run.forward

        class Held:  # a Stack that can be referred to weakly
            pass

        def forward(call: Any, keep: bool) -> Any:
            stack, y, last = real(call, keep)
            stack.finals.append(Held())
            made.append(weakref.ref(stack.finals[-1]))
            return stack, y, last

        monkeypatch.setattr(_run, "forward", forward)
        if not eager:
            monkeypatch.setattr(_op, "_traced", lambda: True)
        y, _ = ours(torch.randn(5, 3, 7))
        assert made[-1]() is not None
        y.sum().backward()
        assert made[-1]() is None, "after a backward pass"
        y, _ = ours(torch.randn(5, 3, 7))
        assert made[-1]() is not None
        del y, _
        assert made[-1]() is None, "after a graph that nobody used"
        with torch.no_grad():
            ours(torch.randn(5, 3, 7))
        assert made[-1]() is None, "without gradients"
        assert not _op._tokens

    def test_saved_tensors_that_are_copied(self, torch: ModuleType) -> None:
        _, ours = pair(torch, "LSTM", (7, 17), "float32", num_layers=2)
        x = torch.randn(5, 3, 7, requires_grad=True)
        want = torch.autograd.grad(ours(x)[0].square().sum(), x)[0].numpy()
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
            y, _ = ours(x)
        with torch.no_grad():
            for p in ours.parameters():
                p.mul_(1)  # a new version; the hooks' copies have the old one
        checks.same_bits(torch.autograd.grad(y.square().sum(), x)[0].numpy(), want)

    def test_activation_checkpoints(self, torch: ModuleType) -> None:
        from torch.utils.checkpoint import checkpoint

        _, ours = pair(torch, "LSTM", (7, 17), "float32")
        x = torch.randn(5, 3, 7, requires_grad=True)
        want = torch.autograd.grad(ours(x)[0].square().sum(), x)[0].numpy()
        for reentrant in (False, True):
            y = checkpoint(lambda a: ours(a)[0], x, use_reentrant=reentrant)
            ours.zero_grad()
            x.grad = None
            y.square().sum().backward()
            checks.same_bits(x.grad.numpy(), want)

    @pytest.mark.parametrize("kind", ["GRU", "RNN"])
    def test_an_output_may_be_changed(self, torch: ModuleType, kind: str) -> None:
        theirs, ours = pair(torch, kind, (7, 17), "float64", num_layers=2)
        x = torch.randn(5, 3, 7, dtype=torch.float64)
        for layer in (theirs, ours):
            y, _ = layer(x)
            y.relu_()
            y.square().sum().backward()
        for (name, want), (_, got) in zip(theirs.named_parameters(), ours.named_parameters(), strict=True):
            checks.close(got.grad.numpy(), want.grad.numpy(), "peer", name)

    def test_a_changed_output_of_an_lstm_is_an_error_as_in_torch(self, torch: ModuleType) -> None:
        _, ours = pair(torch, "LSTM", (7, 17), "float32")
        y, _ = ours(torch.randn(5, 3, 7))
        y.mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            y.sum().backward()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("enforce_sorted", [True, False])
def test_packed_sequences_compile(torch: ModuleType, enforce_sorted: bool) -> None:
    import torch._dynamo

    _, ours = pair(torch, "GRU", (3, 5), "float64", bidirectional=True)
    lengths = [6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4]
    packed = torch.nn.utils.rnn.pack_padded_sequence(
        torch.randn(6, 4, 3, dtype=torch.float64), torch.tensor(lengths), enforce_sorted=enforce_sorted
    )
    torch._dynamo.reset()
    with torch._dynamo.config.patch(allow_rnn=True):
        compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
        (y, h), (want, last) = compiled(packed), ours(packed)
        checks.same_bits(y.data.detach().numpy(), want.data.detach().numpy())
        checks.same_bits(h.detach().numpy(), last.detach().numpy())
        for a, b in zip(
            torch.autograd.grad(y.data.sum(), list(ours.parameters())),
            torch.autograd.grad(want.data.sum(), list(ours.parameters())),
            strict=True,
        ):
            checks.close(a.numpy(), b.numpy(), "identity")


class TestFallback:
    """torch's own path, said once for each reason."""

    def warns(self, torch: ModuleType, reason: str, call: Any) -> Any:
        import fastrnn.torch

        text = f"^fastrnn.torch: {reason}: torch's own path is taken \\(said once\\)$"
        with pytest.warns(fastrnn.torch.FallbackWarning, match=text):
            found = call()
        with warnings.catch_warnings():
            warnings.simplefilter("error", fastrnn.torch.FallbackWarning)
            call()
        return found

    def test_dtype(self, torch: ModuleType) -> None:
        theirs, ours = pair(torch, "GRU", (7, 17), "bfloat16")
        x = torch.randn(5, 3, 7, dtype=torch.bfloat16)
        y, _ = self.warns(torch, "torch.bfloat16", lambda: ours(x))
        assert torch.equal(y, theirs(x)[0])

    def test_device(self, torch: ModuleType) -> None:
        import fastrnn.torch

        layer = fastrnn.torch.GRU(7, 17, device="meta")
        y, _ = self.warns(torch, "tensors on meta", lambda: layer(torch.randn(5, 3, 7, device="meta")))
        assert y.shape == (5, 3, 17)

    def test_autocast(self, torch: ModuleType) -> None:
        _, ours = pair(torch, "GRU", (7, 17), "float32")  # PyTorch's LSTM in bfloat16 wants AVX-512
        x = torch.randn(5, 3, 7)
        with torch.autocast("cpu", torch.bfloat16):
            y, _ = self.warns(torch, "autocast", lambda: ours(x))
        assert y.shape == (5, 3, 17)

    def test_transformations(self, torch: ModuleType) -> None:
        theirs, ours = pair(torch, "GRU", (7, 17), "float64")
        x = torch.randn(5, 3, 7, dtype=torch.float64)
        got, want = (
            torch.func.grad(lambda a, layer=layer: layer(a)[0].square().sum()) for layer in (ours, theirs)
        )
        found = self.warns(torch, "a transformation of torch.func", lambda: got(x))
        checks.close(found.detach().numpy(), want(x).detach().numpy(), "peer")

    @pytest.mark.parametrize("kind", ["LSTM", "GRU"])
    def test_batched_gradients(self, torch: ModuleType, kind: str) -> None:
        theirs, ours = pair(torch, kind, (3, 5), "float64")
        x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)

        def jacobian(layer: Any, vectorize: bool) -> Any:
            return torch.autograd.functional.jacobian(lambda a: layer(a)[0], x, vectorize=vectorize)

        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="There is a performance drop")
            found = self.warns(torch, "batched gradients", lambda: jacobian(ours, True))
        checks.close(found.numpy(), jacobian(theirs, False).numpy(), "peer")

    def test_double_backward(self, torch: ModuleType) -> None:
        theirs, ours = pair(torch, "GRU", (7, 17), "float64")
        x = torch.randn(5, 3, 7, dtype=torch.float64, requires_grad=True)

        def penalty(layer: Any) -> Any:
            (dx,) = torch.autograd.grad(layer(x)[0].square().sum(), x, create_graph=True)
            return torch.autograd.grad(dx.square().sum(), [x, layer.weight_hh_l0])

        found = self.warns(torch, "double backward", lambda: penalty(ours))
        for got, want in zip(found, penalty(theirs), strict=True):
            checks.close(got.numpy(), want.numpy(), "peer")


CALLS: dict[str, Any] = {
    "axes": lambda torch, layer: layer(torch.randn(2, 5, 3, 7)),
    "no steps": lambda torch, layer: layer(torch.randn(0, 3, 7)),
    "inputs": lambda torch, layer: layer(torch.randn(5, 3, 8)),
    "dtype": lambda torch, layer: layer(torch.randn(5, 3, 7, dtype=torch.float64)),
    "state": lambda torch, layer: layer(torch.randn(5, 3, 7), torch.randn(1, 4, 17)),
    "levels": lambda torch, layer: layer(torch.randn(5, 3, 7), torch.randn(2, 3, 17)),
    "units": lambda torch, layer: layer(torch.randn(5, 3, 7), torch.randn(1, 3, 18)),
    "2-D state": lambda torch, layer: layer(torch.randn(5, 3, 7), torch.randn(3, 17)),
    "dtype of a state": lambda torch, layer: layer(
        torch.randn(5, 3, 7), torch.randn(1, 3, 17, dtype=torch.float64)
    ),
    "3-D state": lambda torch, layer: layer(torch.randn(5, 7), torch.randn(1, 1, 17)),
}


class TestErrors:
    """Bad input raises what torch raises."""

    @pytest.mark.parametrize("what", CALLS)
    @pytest.mark.parametrize("kind", ["GRU", "RNN"])
    def test_text_of_torch(self, torch: ModuleType, kind: str, what: str) -> None:
        theirs, ours = pair(torch, kind, (7, 17), "float32")
        with pytest.raises((RuntimeError, ValueError), match=r".") as want:
            CALLS[what](torch, theirs)
        with pytest.raises(type(want.value)) as got:
            CALLS[what](torch, ours)
        assert str(got.value) == str(want.value)
