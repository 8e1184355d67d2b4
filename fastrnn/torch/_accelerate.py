"""Swapping the recurrent layers of an existing model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from .._compute import rounds
from ._modules import GRU, LSTM, RNN

_SWAPS: dict[type, type] = {torch.nn.LSTM: LSTM, torch.nn.GRU: GRU, torch.nn.RNN: RNN}


@dataclass(frozen=True)
class Report:
    """What `accelerate` or `restore` did.

    Attributes
    ----------
    swapped : dict of str to str
        The name of a layer in the model, and the name of its class.
    left : dict of str to str
        The name of a recurrent layer that stays as it was, and why.
    """

    swapped: dict[str, str]
    left: dict[str, str]

    def __str__(self) -> str:
        lines = [f"{name or '(the model)'}: {kind}" for name, kind in self.swapped.items()]
        lines += [f"{name or '(the model)'}: left, {why}" for name, why in self.left.items()]
        return "\n".join(lines) or "no recurrent layers"


def accelerate(model: Any, *, compute: str | None = None, strict: bool = False) -> Report:
    """Let every ``torch.nn.LSTM``, ``GRU`` and ``RNN`` in a model run on our kernels, in place.

    Modules, parameters, hooks and buffers stay the same objects, so that optimisers, and what else refers to
    them, stay valid: a layer only changes its class.

    Parameters
    ----------
    model : torch.nn.Module
        May be such a layer itself.
    compute : {"bfloat16"}, optional
        What products of the layers that are ours afterwards are computed in, if not in their dtype; see
        docs/bfloat16.md, also for `strict`.

    Returns
    -------
    Report
        What was swapped, and what was left: subclasses, which may have code of their own.

    Raises
    ------
    TypeError
        It is no module.
    ValueError, RuntimeError
        `compute` does not go with a layer, or `strict` with this processor; nothing is swapped.
    """
    if compute is not None and isinstance(model, torch.nn.Module):
        for module in model.modules():  # before anything has changed
            if type(module) in (*_SWAPS, *_SWAPS.values()):
                rounds(compute, str(module.weight_ih_l0.dtype).removeprefix("torch."), strict)
    report = _swap(model, _SWAPS)
    for module in model.modules():
        if compute is not None and type(module) in _SWAPS.values():
            module.compute = compute
    return report


def restore(model: Any) -> Report:
    """Undo `accelerate`: for tools that know torch's own classes alone, as exporters to ONNX.

    Raises
    ------
    TypeError
        It is no module.
    """
    return _swap(model, {ours: theirs for theirs, ours in _SWAPS.items()})


def _swap(model: Any, kinds: dict[type, type]) -> Report:
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"model: expected a torch.nn.Module, got {type(model).__name__}")
    swapped, left = {}, {}
    for name, module in model.named_modules():
        kind = type(module)
        if kind in kinds:
            module.__class__ = kinds[kind]
            vars(module).pop("compute", None)
            swapped[name] = kinds[kind].__qualname__
        elif isinstance(module, tuple(_SWAPS)) and kind not in (*_SWAPS, *_SWAPS.values()):
            left[name] = f"{kind.__module__}.{kind.__qualname__} is a subclass and may have code of its own"
    return Report(swapped, left)


def compile(model: Any, **options: Any) -> Any:
    """``torch.compile`` for a model with our layers.

    torch refuses to trace its own recurrent layers, and so all their subclasses, until
    ``torch._dynamo.config.allow_rnn`` is True. This sets it, for the whole process, and compiles.

    Parameters
    ----------
    model : torch.nn.Module or callable
    **options
        As ``torch.compile`` has them: ``fullgraph=True``, ...
    """
    import torch._dynamo

    torch._dynamo.config.allow_rnn = True
    return torch.compile(model, **options)
