"""Sizes, options and parameters of recurrent layers."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from . import kinds
from .base import Layer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape, Width


class _RecurrentParameters(Layer):
    """What follows from the options of a recurrent layer; see `Recurrent`."""

    _reads_tokens = True  # or an Embedding before it does its own work
    _own: Mapping[str, object] = MappingProxyType({})
    cell: str
    states: tuple[str, ...]
    input_size: int
    hidden_size: int
    num_layers: int
    bias: bool
    batch_first: bool
    dropout: float
    bidirectional: bool
    directions: int
    recurrent_dropout: float
    zoneout: tuple[float, ...]
    proj_size: int

    @property
    def _traits(self) -> dict[str, int]:
        """What the extension says of the cell."""
        return kinds.CELLS[self.cell]

    @property
    def _random(self) -> tuple[float, str]:
        """An option that needs a key, and its name."""
        if self.dropout and self.num_layers > 1:
            return self.dropout, "dropout"
        if self.recurrent_dropout:
            return self.recurrent_dropout, "recurrent_dropout"
        return max(self.zoneout), "zoneout"

    @property
    def _widths(self) -> tuple[Width, ...]:
        """Letter and size: of y in one direction, then of each state."""
        hidden = ("H", self.hidden_size)
        h = ("P", self.proj_size) if self.proj_size else hidden
        return (h, h) + (hidden,) * (len(self.states) - 1)

    @property
    def output_size(self) -> int:
        """Columns of y in each direction."""
        return self._widths[0][1]

    @property
    def state_sizes(self) -> tuple[int, ...]:
        """Columns of each state."""
        return tuple([size for _, size in self._widths[1:]])

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of the cells of the extension that it is made of."""
        levels = range(self.num_layers)
        return tuple(dict.fromkeys(cell for n in levels for cell, *_ in self._calls(n, 1, self.input_size)))

    @property
    def gates(self) -> int:
        """Blocks of H rows in weight_ih."""
        return self._traits["gates"]

    def _block(self, kind: str) -> int:
        """Rows of one gate in the parameters of one kind."""
        return self.proj_size if kind == "weight_hr" else self.hidden_size

    def _blocks(self, kind: str, parameter: Array) -> list[Array]:
        """The part of each gate."""
        return np.split(parameter, len(parameter) // self._block(kind))

    def _calls(self, level: int, steps: int, width: int) -> list[tuple[str, int, int, int]]:
        """Cell, T, I and H of the passes of one level that reads `width` numbers."""
        return [(self._cell_of(level), steps, width, self.hidden_size)]

    def _cell_of(self, level: int) -> str:
        """The cell of one level, where levels differ."""
        return self.cell

    def _kinds_of(self, level: int, width: int) -> dict[str, Shape]:
        """`_kinds` of one level, where levels differ."""
        return self._kinds(width)

    def _kinds(self, width: int) -> dict[str, Shape]:
        """Names and shapes of the parameters of one direction of one level that reads `width` numbers."""
        return kinds.shapes(self.cell, width, self.hidden_size, self.output_size, self.bias)

    def _pack(self, named: Mapping[str, Array]) -> Any:
        return [
            kinds.in_order(self.cell, named, f"_l{level}{suffix}")
            for level in range(self.num_layers)
            for suffix in ("", "_reverse")[: self.directions]
        ]

    def _letters(self, name: str) -> str:
        kind, level = name.removesuffix("_reverse").rsplit("_l", 1)
        rows = "P" if kind == "weight_hr" else f"{self._shapes[name][0] // self.hidden_size}*H"
        h = self._widths[0][0]
        wide = ("D*" if self.bidirectional else "") + h
        columns = {
            "weight_ih": "I" if level == "0" else wide,
            "weight_hh": h,
            "weight_ch": "H",
            "weight_hr": "H",
        }
        return f"{rows}, {columns[kind]}" if len(self._shapes[name]) == 2 else f"{rows},"

    def _describe(self) -> str:
        own = {name: getattr(self, name) for name in self._own}
        options = [
            *([f"num_layers={self.num_layers}"] if self.num_layers > 1 else []),
            *[f"{name}={value!r}" for name, value in own.items() if value != self._own[name]],
            *(["bias=False"] if not self.bias else []),
            *(["batch_first=True"] if self.batch_first else []),
            *([f"dropout={self.dropout:g}"] if self.dropout else []),
            *([f"recurrent_dropout={self.recurrent_dropout:g}"] if self.recurrent_dropout else []),
            *([f"zoneout={self.zoneout}"] if any(self.zoneout) else []),
            *(["bidirectional=True"] if self.bidirectional else []),
            *([f"dtype={str(self.dtype)!r}"] if self.dtype != np.float32 else []),
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])
