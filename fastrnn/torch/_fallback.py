"""When a call goes by torch's own path, and saying so, once for each reason."""

from __future__ import annotations

import warnings
from typing import Any

import torch

_KINDS = (torch.float32, torch.float64)
_said: set[str] = set()


class FallbackWarning(UserWarning):
    """A layer of ``fastrnn.torch`` runs torch's own code: the answer is the same, the speed is torch's."""


def say(reason: str) -> None:
    """Warn, unless it has been said."""
    if reason not in _said and not torch.compiler.is_compiling():
        _said.add(reason)
        warnings.warn(
            f"fastrnn.torch: {reason}: torch's own path is taken (said once)", FallbackWarning, stacklevel=4
        )


def why_not(x: Any, weight: Any) -> str:
    """Why x cannot go through our kernels, with a weight of the layer; empty if it can.

    While torch.compile traces, what is known of tensors decides alone.
    """
    if x.device.type != "cpu" or weight.device.type != "cpu":
        return f"tensors on {x.device.type if x.device.type != 'cpu' else weight.device.type}"
    if x.dtype not in _KINDS:
        return f"{x.dtype}"
    if torch.compiler.is_compiling():
        return ""
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    if torch.jit.is_tracing():
        return "torch.jit.trace"
    if x.layout is not torch.strided or x.is_nested:
        return "a tensor that is not strided"
    if torch._C._are_functorch_transforms_active():
        return "a transformation of torch.func"
    if torch.autograd.forward_ad._current_level >= 0:
        return "forward-mode differentiation"
    return ""
