"""The cells of the package as modules of torch: made from the list of cells."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from ..layers import cells
from . import _op, _spec

_DTYPES = {torch.float32: "float32", torch.float64: "float64"}


class Cell(torch.nn.Module):  # type: ignore[misc]
    """A recurrent layer of the package as a module; every class of ``fastrnn.torch.cells`` is one.

    Parameters
    ----------
    input_size, hidden_size, num_layers, ...
        As the layer of the same name in ``fastrnn`` has them, options included, but for `seed`:
        torch.manual_seed decides on initial parameters and masks.
    dtype : torch.dtype, optional
        float32 or float64.
    device : torch.device, optional
        The CPU.

    Raises
    ------
    ValueError, TypeError
        As that layer does.
    """

    _kind: type

    def __init__(self, *sizes: Any, dtype: Any = None, device: Any = None, **options: Any) -> None:
        super().__init__()
        if device is not None and torch.device(device).type != "cpu":
            raise ValueError(f"device: expected the CPU, got {device}")
        dtype = torch.get_default_dtype() if dtype is None else dtype
        if dtype not in _DTYPES:
            raise TypeError(f"dtype: expected torch.float32 or torch.float64, got {dtype}")
        if "seed" in options:
            raise TypeError("seed: expected no such option, torch.manual_seed decides")
        seed = int(torch.randint(2**31, ()))
        layer = self._kind(*sizes, dtype=_DTYPES[dtype], seed=seed, **options)
        bound = inspect.signature(self._kind).bind(*sizes, **options).arguments
        rest = bound.pop("options", {})
        rest.pop("strict", None)  # checked here, and of no concern to another machine
        self.spec = _spec.write(self._kind.__name__, bound | rest)
        self.batch_first, self.states, self.draws = layer.batch_first, layer.states, layer._draws
        for name, value in layer.params.items():
            self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(value.copy())))
        self.names = tuple(layer.params)

    def forward(self, x: Any, state: Any = None, lengths: Any = None) -> Any:
        """Run over a sequence.

        Parameters
        ----------
        x : Tensor, [T, B, I], or [B, T, I] if batch_first; or PackedSequence
        state : Tensor, or tuple of Tensor for a cell with more than one, each [L*D, B, width], optional
        lengths : Tensor of int64, [B], or list of int, optional
            Of the rows, in any order; y is zero past the end of a row.

        Returns
        -------
        y : Tensor or PackedSequence
        state : as the argument
        """
        packed = isinstance(x, PackedSequence)
        whole = x
        self._refuse(x.data if packed else x)
        if torch.is_autocast_enabled("cpu"):
            return self._in_its_dtype(x, state, lengths)
        if packed:
            if lengths is not None:
                raise TypeError("lengths: expected None because x is a PackedSequence, got some")
            x, lengths = pad_packed_sequence(x, self.batch_first)
        if lengths is not None:
            lengths = torch.as_tensor(lengths)
        if x.dim() != 3:
            raise ValueError(f"x: expected 3 axes, got {x.dim()}")
        first = () if state is None else (state,) if len(self.states) == 1 else tuple(state)
        key = None
        if self.training and self.draws:
            key = torch.randint(2**63 - 1, ())
        params = [getattr(self, name) for name in self.names]
        rows = x.size(0 if self.batch_first else 1)
        y, last = _op.run(_op.Call(self.spec, x, first, params, None, lengths, key, rows))
        if packed:
            if (
                whole.sorted_indices is not None
            ):  # their order among equal lengths, which a new sort may change
                y = y.index_select(0 if self.batch_first else 1, whole.sorted_indices)
                lengths = lengths[whole.sorted_indices]
            y = pack_padded_sequence(y, lengths, self.batch_first)
            y = PackedSequence(y.data, y.batch_sizes, whole.sorted_indices, whole.unsorted_indices)
        return y, last[0] if len(last) == 1 else tuple(last)

    def _refuse(self, x: Any) -> None:
        """Raise where there is no path but our own, and that cannot go."""
        if torch.compiler.is_compiling():
            return
        name = type(self).__name__
        if torch.jit.is_tracing():
            raise RuntimeError(
                f"{name}: torch.jit.trace would keep the numbers of one call; "
                "use torch.export or torch.compile"
            )
        if torch._C._are_functorch_transforms_active():
            raise RuntimeError(f"{name}: expected no transformation of torch.func, got one; use autograd")
        if x.device.type != "cpu":
            raise RuntimeError(f"{name}: expected tensors of the CPU, got some of {x.device.type}")

    def _in_its_dtype(self, x: Any, state: Any, lengths: Any) -> Any:
        """Autocast has no say in a cell: what comes in another dtype is made that of the parameters."""
        dtype = getattr(self, self.names[0]).dtype
        with torch.autocast("cpu", enabled=False):
            if state is not None:
                one = torch.is_tensor(state)
                state = state.to(dtype) if one else tuple([part.to(dtype) for part in state])
            return self(x.to(dtype), state, lengths)

    def extra_repr(self) -> str:
        """What it was made with."""
        return self.spec.partition("(")[2][:-1]


def _module(name: str) -> type:
    layer = getattr(cells, name)
    text = f"{layer.__doc__}\n\n    As a module of torch: see `Cell`."
    return type(name, (Cell,), {"_kind": layer, "__doc__": text, "__module__": "fastrnn.torch.cells"})


MODULES = {name: _module(name) for name in cells.__all__}
