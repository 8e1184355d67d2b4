"""Recurrent layers, for any cell: stacking, dropout between the levels, state in and out."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .._random import fold
from .base import Layer
from .prepared import Prepared
from .ragged import Ragged
from .recurrent_pullback import RecurrentPullback

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape, State


CELLS: dict[str, dict[str, int]] = _core.cells()


class Recurrent(Layer):
    """Stacked recurrent layer over one cell; the base of ``LSTM`` and of every other cell.

    Parameters
    ----------
    input_size, hidden_size : int
        I and H.
    num_layers : int
        L, the levels of the stack; level l > 0 reads the output of level l - 1.
    bias : bool
        Have bias vectors, as PyTorch has.
    batch_first : bool
        x is [B, T, I] and y [B, T, D*H], instead of [T, B, I] and [T, B, D*H]. States are [L*D, B, H] either
        way.
    dropout : float
        Share of the outputs of each level but the last that ``vjp`` sets to zero; the others grow by 1 / (1
        - dropout).
    bidirectional : bool
        D = 2: each level has a second set of parameters, ``..._reverse``, that runs from the last step to the
        first; the outputs of both lie side by side.
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    seed : int, optional
        For the initial parameters, U(-1/sqrt(H), 1/sqrt(H)) as in PyTorch; without it they differ from run
        to run. `fastrnn.init` has others.

    Notes
    -----
    A subclass says which cell it is, by its name in the extension, and the names of its states; in `_own`,
    its own options and what they are by default.
    """

    recurrent = True
    _own: Mapping[str, object] = MappingProxyType({})
    cell: str
    states: tuple[str, ...]

    def __init__(
        self,
        cell: str,
        states: tuple[str, ...],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.cell, self.states = cell, states
        self.input_size = _check.integer("input_size", input_size, 1)
        self.hidden_size = _check.integer("hidden_size", hidden_size, 1)
        self.num_layers = _check.integer("num_layers", num_layers, 1)
        self.bias = _check.flag("bias", bias)
        self.batch_first = _check.flag("batch_first", batch_first)
        self.dropout = _check.real("dropout", dropout, 0.0, 1.0)
        self.bidirectional = _check.flag("bidirectional", bidirectional)
        self.directions = 2 if self.bidirectional else 1
        self._draws = self.dropout > 0 and self.num_layers > 1
        shapes = dict[str, "Shape"]()
        for level in range(self.num_layers):
            width = self.hidden_size * self.directions if level else self.input_size
            for suffix in ("", "_reverse")[: self.directions]:
                shapes |= {f"{name}_l{level}{suffix}": shape for name, shape in self._kinds(width).items()}
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.hidden_size**-0.5, seed)

    @property
    def gates(self) -> int:
        """Blocks of H rows in weight_ih."""
        return CELLS[self.cell]["gates"]

    def _kinds(self, width: int) -> dict[str, Shape]:
        """Names and shapes of the parameters of one direction of one level that reads `width` numbers."""
        cell, hidden = CELLS[self.cell], self.hidden_size
        rows, recurrent, second = (cell[k] * hidden for k in ("gates", "recurrent_gates", "second_gates"))
        kinds: dict[str, Shape] = {"weight_ih": (rows, width)}
        if recurrent:
            kinds["weight_hh"] = (recurrent, hidden)
        if self.bias:
            kinds["bias_ih"] = (rows,)
            if recurrent:
                kinds["bias_hh"] = (recurrent,)
        if second:
            kinds["weight_ch"] = (second, hidden)
        if cell["units"]:
            kinds["weight_ch"] = (cell["units"] * hidden,)
        return kinds

    def __call__(self, x: Array, state: State | None = None, lengths: Any = None) -> tuple[Array, State]:
        """Run over a sequence, without dropout; nothing is kept for a backward pass.

        Parameters
        ----------
        x : ndarray, [T, B, I], or [B, T, I] if batch_first
            The last axis contiguous; other axes may have any stride.
        state : tuple of ndarray, each [L*D, B, H], optional
            The initial states, zero by default. LSTM: (h, c).
        lengths : array of int, [B], optional
            Of the rows, in any order, each in [0, T]; T by default. Work and memory follow their sum. y is
            zero past the end of a row, and the state is that after its last step.

        Returns
        -------
        y : ndarray, [T, B, D*H], or [B, T, D*H] if batch_first
            Read-only.
        state : tuple of ndarray, each [L*D, B, H]
            The states after the last step.

        Raises
        ------
        ValueError, TypeError
            A shape or a dtype is wrong; nothing is converted silently.
        """
        return self._infer(x, state, None, lengths)

    def vjp(
        self,
        x: Array,
        state: State | None = None,
        lengths: Any = None,
        key: int | None = None,
        step: int = 0,
    ) -> tuple[tuple[Array, State], RecurrentPullback]:
        """Run over a sequence and keep what the gradient needs (vector-Jacobian product).

        Parameters
        ----------
        x, state, lengths
            As in a plain call. x must not change before the pullback has run.
        key : int, optional
            Chooses the dropout masks; needed when ``dropout > 0``. Equal keys give equal masks.
        step : int
            The absolute step of x[0]; masks depend on the absolute step, so chunks of a sequence see the
            masks of the whole.

        Returns
        -------
        (y, state) : as a plain call
        pullback : callable
            ``dx, dstate = pullback(dy, dstate=None, grads=None)``, see `RecurrentPullback`.

        Raises
        ------
        ValueError, TypeError
            As a plain call; or the key is missing.
        """
        return self._trace(x, state, lengths, key, step, None)

    def prepare(self) -> Prepared:
        """Pack the weights for inference: ``prepared.step(x, state)`` runs one step.

        Raises
        ------
        ValueError
            The layer is bidirectional.
        """
        return Prepared(self)

    def _infer(
        self, x: Array, state: State | None, table: Array | None, lengths: Any = None
    ) -> tuple[Array, State]:
        """A plain call; with `table` [V, I], x holds tokens."""
        initial = None if state is None else self._split("", state, x, table)
        ragged = self._ragged(lengths, x, table)
        finals: list[State] = []
        for level in range(self.num_layers):
            x, _ = self._level(level, x, table, initial, ragged, finals, False)
            table = None
        return x, self._join(finals)

    def _ragged(self, lengths: Any, x: Array, table: Array | None) -> Ragged | None:
        if lengths is None:
            return None
        shape = _check.rank("x", x, 2, "T, B") if table is not None else _check.rank("x", x, 3, "T, B, I")
        return Ragged(lengths, shape, self.batch_first)

    def _columns(self, direction: int) -> slice:
        """Where a direction's part of y is."""
        return slice(direction * self.hidden_size, (direction + 1) * self.hidden_size)

    def _level(
        self,
        level: int,
        x: Array,
        table: Array | None,
        initial: list[State] | None,
        ragged: Ragged | None,
        finals: list[State],
        keep: bool,
    ) -> tuple[Array, list[Any]]:
        """The output of one level, and for each direction what its backward call takes."""
        whole, kept = None, []
        if self.bidirectional or ragged is not None:
            whole = _core.empty((*x.shape[:2], self.directions * self.hidden_size), self.flat_params)
            if ragged is not None:
                whole.fill(0)
        for direction in range(self.directions):
            place = level * self.directions + direction
            weights = self._weights[place]
            first = None if initial is None else initial[place]
            if ragged is not None:
                packed = ragged.gather(x, direction)
                first = ragged.sort(first)
                y, last, saved = _core.recurrent_forward(
                    self.cell, packed, table, weights, first, False, keep, False, None, ragged.lengths
                )
                ragged.scatter(y, whole, direction, self._columns(direction))  # type: ignore[arg-type]
                last = ragged.unsort(last)
                kept.append((saved, packed, weights, first, y))
            else:
                part = None if whole is None else whole[..., self._columns(direction)]
                y, last, saved = _core.recurrent_forward(
                    self.cell, x, table, weights, first, self.batch_first, keep, direction == 1, part
                )
                kept.append((saved, x, weights, first, y))
            finals.append(last)
        if whole is None:
            return y, kept
        whole.flags.writeable = False
        return whole, kept

    def _trace(
        self,
        x: Array,
        state: State | None,
        lengths: Any,
        key: int | None,
        step: int,
        table: Array | None,
    ) -> tuple[tuple[Array, State], RecurrentPullback]:
        """`vjp`; with `table` [V, I], x holds tokens."""
        initial = None if state is None else self._split("", state, x, table)
        ragged = self._ragged(lengths, x, table)
        p = self.dropout if self._draws else 0.0
        if p:
            key = _check.key(key, p)
        last_level = self.num_layers - 1
        finals: list[State] = []
        levels = []
        for level in range(self.num_layers):
            y, kept = self._level(level, x, table, initial, ragged, finals, True)
            levels.append((x.shape, table, kept))
            x, table = y, None
            if p and level != last_level:
                x = _core.dropout(y, p, fold(key, level), step, self.batch_first)  # type: ignore[arg-type]
        return (y, self._join(finals)), RecurrentPullback(self, y, levels, ragged, p, key, step)

    def _split(self, prefix: str, state: State, x: Array, table: Array | None) -> list[State]:
        """The states of each level and direction; `prefix` is "d" when they are gradients."""
        shape = _check.rank("x", x, 2, "T, B") if table is not None else _check.rank("x", x, 3, "T, B, I")
        levels = self.num_layers * self.directions
        extents = (levels, shape[0 if self.batch_first else 1], self.hidden_size)
        letters = "L*D, B, H" if self.bidirectional else "L, B, H"
        _check.state(prefix, self.states, state, extents, self.flat_params.dtype, letters)
        if levels == 1:
            return [tuple([part[0] for part in state])]
        return list(zip(*state, strict=True))

    @staticmethod
    def _join(finals: list[State]) -> State:
        """The states of all levels, each [L*D, B, H], from one tuple of [B, H] for each of them."""
        if len(finals) == 1:
            return tuple([part[None] for part in finals[0]])
        joined = []
        for parts in zip(*finals, strict=True):  # np.stack takes 5 us more for each
            whole = np.empty((len(parts), *parts[0].shape), parts[0].dtype)
            for level, part in enumerate(parts):
                whole[level] = part
            joined.append(whole)
        return tuple(joined)

    def _pack(self, named: Mapping[str, Array]) -> Any:
        order = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_ch")
        more = CELLS[self.cell]["units"] + CELLS[self.cell]["second_gates"] > 0
        return [
            tuple([named.get(f"{kind}_l{level}{suffix}") for kind in order[: 5 if more else 4]])
            for level in range(self.num_layers)
            for suffix in ("", "_reverse")[: self.directions]
        ]

    def _letters(self, name: str) -> str:
        kind, level = name.removesuffix("_reverse").rsplit("_l", 1)
        rows = self._shapes[name][0] // self.hidden_size
        wide = "D*H" if self.bidirectional else "H"
        columns = {"weight_ih": "I" if level == "0" else wide, "weight_hh": "H", "weight_ch": "H"}
        return f"{rows}*H, {columns[kind]}" if len(self._shapes[name]) == 2 else f"{rows}*H,"

    def _describe(self) -> str:
        own = {name: getattr(self, name) for name in self._own}
        options = [
            *([f"num_layers={self.num_layers}"] if self.num_layers > 1 else []),
            *[f"{name}={value!r}" for name, value in own.items() if value != self._own[name]],
            *(["bias=False"] if not self.bias else []),
            *(["batch_first=True"] if self.batch_first else []),
            *([f"dropout={self.dropout:g}"] if self.dropout else []),
            *(["bidirectional=True"] if self.bidirectional else []),
            *([f"dtype={str(self.dtype)!r}"] if self.dtype != np.float32 else []),
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])
