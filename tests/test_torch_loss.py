"""fastrnn.torch.linear_cross_entropy against torch's two functions."""

from __future__ import annotations

import math
from types import ModuleType
from typing import Any

import checks
import pytest

pytestmark = pytest.mark.peer


@pytest.fixture
def ours(torch: ModuleType) -> ModuleType:
    """The package; it says each fallback afresh."""
    import fastrnn.torch
    from fastrnn.torch import _fallback

    _fallback._said.clear()
    return fastrnn.torch


class TestLoss:
    """linear_cross_entropy against torch's two functions."""

    def arguments(self, torch: ModuleType, dtype: str, shape: tuple[int, ...], bias: bool) -> Any:
        torch.manual_seed(0)
        kind = {"dtype": getattr(torch, dtype), "requires_grad": True}
        target = torch.randint(0, 33, shape)
        target[0] = -100
        return (
            torch.randn(*shape, 17, **kind),
            torch.randn(33, 17, **kind),
            torch.randn(33, **kind) if bias else None,
            target,
        )

    def plain(self, torch: ModuleType, args: Any, **options: Any) -> Any:
        x, weight, bias, target = args
        logits = torch.nn.functional.linear(x, weight, bias).flatten(0, -2)
        return torch.nn.functional.cross_entropy(logits, target.flatten(), **options)

    @pytest.mark.parametrize("bias", [True, False])
    @pytest.mark.parametrize("shape", [(12,), (6, 5)])
    @pytest.mark.parametrize("options", [{}, {"reduction": "sum"}, {"ignore_index": 3}], ids=str)
    def test_loss_and_gradients(
        self, torch: ModuleType, ours: ModuleType, dtype: Any, options: Any, shape: Any, bias: bool
    ) -> None:
        args = self.arguments(torch, dtype.name, shape, bias)
        if "ignore_index" in options:
            args[3].clamp_(min=3)
        leaves = [a for a in args[:3] if a is not None]
        want, got = self.plain(torch, args, **options), ours.linear_cross_entropy(*args, **options)
        checks.close(got.detach().numpy(), want.detach().numpy(), "peer", "loss")
        for a, b in zip(
            torch.autograd.grad(3 * got, leaves), torch.autograd.grad(3 * want, leaves), strict=True
        ):
            checks.close(a.numpy(), b.numpy(), "peer")
        checks.same_bits(
            ours.linear_cross_entropy(*[a.detach() if a is not None else a for a in args], **options).numpy(),
            got.detach().numpy(),
        )

    def test_operator(self, torch: ModuleType, ours: ModuleType) -> None:
        from fastrnn.torch import _loss

        args = self.arguments(torch, "float64", (6, 5), True)
        found = torch.library.opcheck(_loss._operator, (*args, -100, True, False, [True] * 3))
        assert set(found.values()) == {"SUCCESS"}
        function = lambda *leaves: ours.linear_cross_entropy(*leaves, args[3])  # noqa: E731
        assert torch.autograd.gradcheck(function, args[:3])
        with pytest.warns(ours.FallbackWarning, match="double backward"):
            assert torch.autograd.gradgradcheck(function, args[:3])

    def test_compile(self, torch: ModuleType, ours: ModuleType) -> None:
        args = self.arguments(torch, "float32", (6, 5), True)
        compiled = torch.compile(ours.linear_cross_entropy, fullgraph=True, backend="aot_eager")
        want, got = ours.linear_cross_entropy(*args), compiled(*args)
        checks.same_bits(got.detach().numpy(), want.detach().numpy())
        for a, b in zip(torch.autograd.grad(got, args[:3]), torch.autograd.grad(want, args[:3]), strict=True):
            checks.close(a.numpy(), b.numpy(), "identity")

    def test_frozen_weights_and_all_ignored(self, torch: ModuleType, ours: ModuleType) -> None:
        x, weight, bias, target = self.arguments(torch, "float64", (6, 5), True)
        args = (x, weight.detach(), bias, target)
        want, got = (f.sum() for f in (self.plain(torch, args), ours.linear_cross_entropy(*args)))
        for a, b in zip(
            torch.autograd.grad(got, [x, bias]), torch.autograd.grad(want, [x, bias]), strict=True
        ):
            checks.close(a.numpy(), b.numpy(), "peer")
        assert math.isnan(ours.linear_cross_entropy(x, weight, bias, torch.full_like(target, -100)).item())

    def test_no_reduction(self, torch: ModuleType, ours: ModuleType) -> None:
        args = self.arguments(torch, "float64", (6, 5), True)
        with pytest.warns(ours.FallbackWarning, match=r"reduction='none'"):
            got = ours.linear_cross_entropy(*args, reduction="none")
        assert got.shape == (6, 5)
        checks.close(got.sum().item(), ours.linear_cross_entropy(*args, reduction="sum").item(), "peer")

    def test_errors(self, torch: ModuleType, ours: ModuleType) -> None:
        x, weight, bias, target = self.arguments(torch, "float32", (6, 5), True)
        with pytest.raises(ValueError, match=r"^reduction: expected 'mean', 'sum' or 'none', got 'max'$"):
            ours.linear_cross_entropy(x, weight, bias, target, reduction="max")
        text = r"^target: expected x \[N, H\] or \[T, B, H\] and .*, got \[6, 5, 17\] and \[5, 6\]$"
        with pytest.raises(ValueError, match=text):
            ours.linear_cross_entropy(x, weight, bias, target.T)
        with pytest.raises(ValueError, match=r"^targets"):
            ours.linear_cross_entropy(x, weight, bias, target + 40)
