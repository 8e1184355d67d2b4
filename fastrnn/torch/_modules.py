"""LSTM, GRU and RNN with the constructor, the parameters and the answers of torch.nn."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence

from .._compute import rounds
from . import _op
from ._fallback import say, why_not


class _Accelerated:
    """What the three have in common: `forward`, on our operator where that is possible."""

    compute: str | None = None  # also of layers that `accelerate` has swapped

    def __init__(self, *args: Any, compute: str | None = None, strict: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.set_compute(compute, strict=strict)

    def set_compute(self: Any, compute: str | None, *, strict: bool = False) -> None:
        """As layers of the package have it: "bfloat16", or None for the dtype of the parameters."""
        rounds(compute, str(self.weight_ih_l0.dtype).removeprefix("torch."), strict)
        self.compute = compute

    def forward(self: Any, input: Any, hx: Any = None) -> Any:
        """As torch.nn has it: [T, B, I], [T, I] or PackedSequence, and the states, to the same."""
        packed = isinstance(input, PackedSequence)
        x = input.data if packed else input
        if not packed and (x.dim() not in (2, 3) or not x.numel()):
            return super().forward(input, hx)  # type: ignore[misc]  # to say what is wrong
        if not torch.compiler.is_compiling():
            self._update_flat_weights()
        reason = why_not(x, self._flat_weights[0])
        if reason:
            say(reason)
            return super().forward(input, hx)  # type: ignore[misc]
        if packed:
            _, batch_sizes, order, back = input
            state = self._initial(x, hx, batch_sizes, True)
            if state is None:
                return super().forward(input, hx)  # type: ignore[misc]
            state = tuple([part if order is None else part.index_select(1, order) for part in state])
            rows = len(order) if order is not None else int(batch_sizes[0])
            y, last = self._levels(x, state, batch_sizes, rows)
            last = tuple([part if back is None else part.index_select(1, back) for part in last])
            return PackedSequence(y, batch_sizes, order, back), last if self.mode == "LSTM" else last[0]
        batched = x.dim() == 3
        if not batched:
            x = x.unsqueeze(0 if self.batch_first else 1)
        state = self._initial(x, hx, None, batched)
        if state is None:
            return super().forward(input, hx)  # type: ignore[misc]
        if self.batch_first:
            x = x.transpose(0, 1)
        y, last = self._levels(x, state, None, x.size(1))
        if self.batch_first:
            y = y.transpose(0, 1)
        if not batched:
            y, last = y.squeeze(0 if self.batch_first else 1), tuple([part.squeeze(1) for part in last])
        return y, last if self.mode == "LSTM" else last[0]

    def _initial(self: Any, x: Any, hx: Any, batch_sizes: Any, batched: bool) -> tuple[Any, ...] | None:
        """The initial states, checked by torch's own functions; none of them if all are zero.

        None where torch's own path is to say what is wrong.
        """
        if hx is None:
            self.check_input(x, batch_sizes)
            return ()
        state = tuple(hx) if self.mode == "LSTM" else (hx,)
        for part in state:
            if part.dim() != (3 if batched else 2) or part.dtype != x.dtype or part.device != x.device:
                return None
        if not batched:
            state = tuple([part.unsqueeze(1) for part in state])
        self.check_forward_args(x, state if self.mode == "LSTM" else state[0], batch_sizes)
        return state

    def _levels(self: Any, x: Any, state: Any, batch_sizes: Any, rows: Any) -> tuple[Any, tuple[Any, ...]]:
        """Run all levels at once; or one after the other, with torch's own dropout between them.

        So its masks are those that torch.nn draws after the same torch.manual_seed.
        """
        weights = self._flat_weights  # those of this call: a parametrization may draw others when it is asked
        if torch.compiler.is_compiling():
            weights = [getattr(self, name) for name in self._flat_weights_names]
        drops = self.dropout > 0 and self.training and self.num_layers > 1
        if not drops:
            found: tuple[Any, tuple[Any, ...]] = self._call(
                x, state, weights, batch_sizes, rows, self.input_size, self.num_layers
            )
            return found
        directions = 2 if self.bidirectional else 1
        width = directions * (self.proj_size or self.hidden_size)
        each, lasts = len(weights) // self.num_layers, []
        for level in range(self.num_layers):
            part = tuple([s[level * directions : (level + 1) * directions] for s in state])
            own = weights[level * each : (level + 1) * each]
            x, last = self._call(x, part, own, batch_sizes, rows, width if level else self.input_size, 1)
            lasts.append(last)
            if level < self.num_layers - 1:
                x = torch.nn.functional.dropout(x, self.dropout, True)
        return x, tuple([torch.cat(parts) for parts in zip(*lasts, strict=True)])

    def _call(
        self: Any, x: Any, state: Any, weights: Any, batch_sizes: Any, rows: Any, inputs: int, levels: int
    ) -> tuple[Any, tuple[Any, ...]]:
        own = f", proj_size={self.proj_size}" if self.mode == "LSTM" else ""
        if self.mode.startswith("RNN"):
            own = f", nonlinearity={self.nonlinearity!r}"
        kind = self.mode.partition("_")[0]
        spec = (
            f"{kind}(input_size={inputs}, hidden_size={self.hidden_size}, num_layers={levels}, "
            f"bias={self.bias}, bidirectional={self.bidirectional}{own}"
            f"{'' if self.compute is None else f', compute={self.compute!r}'})"
        )
        y, last = _op.run(_op.Call(spec, x, state, weights, batch_sizes, None, None, rows))
        return y, tuple(last)


class LSTM(_Accelerated, torch.nn.LSTM):  # type: ignore[misc]
    """``torch.nn.LSTM`` on our kernels: its arguments, its ``state_dict``, its answers.

    CPU tensors of float32 and float64, batches and single sequences, ``PackedSequence``, projections. Other
    devices and dtypes, autocast, ``torch.func`` and ``torch.jit.trace`` take torch's own path, as does a
    double backward pass; a `FallbackWarning` says so once for each reason.

    Parameters
    ----------
    *args, **options
        As torch.nn.LSTM has them.
    compute : {"bfloat16"}, optional
        Operands of products are rounded to bfloat16, all else is float32; see docs/bfloat16.md, also for
        `strict`.

    Raises
    ------
    ValueError, RuntimeError
        As torch.nn does.

    Notes
    -----
    Dropout between the levels draws torch's own masks: equal seeds give those of torch.nn. Changing y
    of an LSTM in place before the backward pass is an error, as in torch.nn. ``torch.compile`` refuses all
    subclasses of torch.nn's recurrent layers unless ``torch._dynamo.config.allow_rnn`` is True, see
    `fastrnn.torch.compile`.
    """


class GRU(_Accelerated, torch.nn.GRU):  # type: ignore[misc]
    """``torch.nn.GRU`` on our kernels; see `LSTM`."""


class RNN(_Accelerated, torch.nn.RNN):  # type: ignore[misc]
    """``torch.nn.RNN`` on our kernels; see `LSTM`."""
