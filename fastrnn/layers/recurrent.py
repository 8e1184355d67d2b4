"""Recurrent layers, for any cell: stacking, dropout between the levels, state in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .._random import fold
from .base import Layer, Once

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .._typing import Array, Shape, State


class Recurrent(Layer):
    """Stacked recurrent layer over one cell; the base of ``LSTM`` and of every other cell.

    Parameters
    ----------
    input_size, hidden_size : int
        I and H.
    num_layers : int
        L, the levels of the stack; level l > 0 reads the output of level l - 1.
    bias : bool
        Have both bias vectors, as PyTorch has.
    batch_first : bool
        x is [B, T, I] and y [B, T, H], instead of [T, B, I] and [T, B, H]. States are [L, B, H] either way.
    dropout : float
        Share of the outputs of each level but the last that ``vjp`` sets to zero; the others grow by 1 / (1
        - dropout).
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    seed : int, optional
        For the initial parameters, U(-1/sqrt(H), 1/sqrt(H)) as in PyTorch; without it they differ from run
        to run.

    Notes
    -----
    A subclass is one cell and says so in its class statement: its name in the extension, the number of
    gates, the states.
    """

    recurrent = True
    cell: str
    gates: int
    states: tuple[str, ...]

    def __init_subclass__(
        cls, cell: str = "", gates: int = 0, states: tuple[str, ...] = ("h",), **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if cell:
            cls.cell, cls.gates, cls.states = cell, gates, states

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        dtype: str = "float32",
        seed: int | None = None,
    ) -> None:
        self.input_size = _check.integer("input_size", input_size, 1)
        self.hidden_size = _check.integer("hidden_size", hidden_size, 1)
        self.num_layers = _check.integer("num_layers", num_layers, 1)
        self.bias = _check.flag("bias", bias)
        self.batch_first = _check.flag("batch_first", batch_first)
        self.dropout = _check.real("dropout", dropout, 0.0, 1.0)
        self._draws = self.dropout > 0 and self.num_layers > 1
        rows, shapes = self.gates * self.hidden_size, dict[str, "Shape"]()
        for level in range(self.num_layers):
            shapes[f"weight_ih_l{level}"] = (rows, self.hidden_size if level else self.input_size)
            shapes[f"weight_hh_l{level}"] = (rows, self.hidden_size)
            if self.bias:
                shapes[f"bias_ih_l{level}"] = shapes[f"bias_hh_l{level}"] = (rows,)
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.hidden_size**-0.5, seed)

    def __call__(self, x: Array, state: State | None = None) -> tuple[Array, State]:
        """Run over a sequence, without dropout; nothing is kept for a backward pass.

        Parameters
        ----------
        x : ndarray, [T, B, I], or [B, T, I] if batch_first
            The last axis contiguous; other axes may have any stride.
        state : tuple of ndarray, each [L, B, H], optional
            The initial states, zero by default. LSTM: (h, c).

        Returns
        -------
        y : ndarray, [T, B, H], or [B, T, H] if batch_first
            Read-only.
        state : tuple of ndarray, each [L, B, H]
            The states after the last step.

        Raises
        ------
        ValueError, TypeError
            A shape or a dtype is wrong; nothing is converted silently.
        """
        return self._infer(x, state, None)

    def vjp(
        self, x: Array, state: State | None = None, key: int | None = None, step: int = 0
    ) -> tuple[tuple[Array, State], RecurrentPullback]:
        """Run over a sequence and keep what the gradient needs (vector-Jacobian product).

        Parameters
        ----------
        x, state
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
        return self._trace(x, state, key, step, None)

    def _infer(self, x: Array, state: State | None, table: Array | None) -> tuple[Array, State]:
        """A plain call; with `table` [V, I], x holds tokens."""
        initial = None if state is None else self._split("", state, x, table)
        finals = []
        for level, weights in enumerate(self._weights):
            first = None if initial is None else initial[level]
            x, last, _ = _core.recurrent_forward(self.cell, x, table, weights, first, self.batch_first, False)
            finals.append(last)
            table = None
        return x, self._join(finals)

    def _trace(
        self, x: Array, state: State | None, key: int | None, step: int, table: Array | None
    ) -> tuple[tuple[Array, State], RecurrentPullback]:
        """`vjp`; with `table` [V, I], x holds tokens."""
        initial = None if state is None else self._split("", state, x, table)
        p = self.dropout if self._draws else 0.0
        if p:
            key = _check.key(key, p)
        last_level = self.num_layers - 1
        finals, levels = [], []
        for level, weights in enumerate(self._weights):
            first = None if initial is None else initial[level]
            y, last, saved = _core.recurrent_forward(
                self.cell, x, table, weights, first, self.batch_first, True
            )
            finals.append(last)
            levels.append((saved, x, table, weights, first, y))
            x, table = y, None
            if p and level != last_level:
                x = _core.dropout(y, p, fold(key, level), step, self.batch_first)  # type: ignore[arg-type]
        return (y, self._join(finals)), RecurrentPullback(self, levels, p, key, step)

    def _split(self, prefix: str, state: State, x: Array, table: Array | None) -> list[tuple[Array, ...]]:
        """The states of each level; `prefix` is "d" when they are gradients."""
        shape = _check.rank("x", x, 2, "T, B") if table is not None else _check.rank("x", x, 3, "T, B, I")
        extents = (self.num_layers, shape[0 if self.batch_first else 1], self.hidden_size)
        _check.state(prefix, self.states, state, extents, self.flat_params.dtype)
        if self.num_layers == 1:
            return [tuple([part[0] for part in state])]
        return list(zip(*state, strict=True))

    @staticmethod
    def _join(finals: list[tuple[Array, ...]]) -> State:
        """The states of all levels, each [L, B, H], from one tuple of [B, H] for each level."""
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
        arrays, each = list(named.values()), 4 if self.bias else 2
        absent = () if self.bias else (None, None)
        return [(*arrays[start : start + each], *absent) for start in range(0, len(arrays), each)]

    def _letters(self, name: str) -> str:
        kind, level = name.rsplit("_l", 1)
        columns = {"weight_ih": ", I" if level == "0" else ", H", "weight_hh": ", H"}
        return f"{self.gates}*H{columns.get(kind, ',')}"

    def _describe(self) -> str:
        options = [
            *([f"num_layers={self.num_layers}"] if self.num_layers > 1 else []),
            *(["bias=False"] if not self.bias else []),
            *(["batch_first=True"] if self.batch_first else []),
            *([f"dropout={self.dropout:g}"] if self.dropout else []),
            *([f"dtype={str(self.dtype)!r}"] if self.dtype != np.float32 else []),
        ]
        return ", ".join([str(self.input_size), str(self.hidden_size), *options])


class RecurrentPullback(Once):
    """Gradients of one ``vjp`` call of a recurrent layer. One-shot."""

    __slots__ = ()

    def __call__(
        self, dy: Array | None, dstate: State | None = None, grads: Any = None, *, want_dx: bool = True
    ) -> tuple[Array | None, State]:
        """Backpropagate through time, and add the parameters' gradients into ``layer.grads`` under its lock.

        Parameters
        ----------
        dy : ndarray like y, or None
            The gradient of the loss by y; None is zero.
        dstate : tuple of ndarray, each [L, B, H], optional
            By the final states; zero by default.
        grads : ndarray like ``layer.flat_grads``, or mapping like ``layer.grads``, optional
            Add into this instead; no lock is taken.
        want_dx : bool
            Form the gradient by x; a first layer need not.

        Returns
        -------
        dx : ndarray like x, or None if not wanted or if x holds tokens
        dstate : tuple of ndarray, each [L, B, H]
            By the initial states.

        Raises
        ------
        RuntimeError
            Called before, or the parameters have changed since ``vjp``.
        ValueError, TypeError
            A shape or a dtype is wrong.
        """
        return self._run(dy, dstate, grads, None, want_dx)

    def _run(
        self, dy: Array | None, dstate: State | None, grads: Any, dtable: Array | None, want_dx: bool
    ) -> tuple[Array | None, State]:
        layer = self._layer
        if grads is not None:
            return self._backward(dy, dstate, layer._into(grads), dtable, want_dx)
        with self._home.lock:
            return self._backward(dy, dstate, layer._gradients, dtable, want_dx)

    def _backward(
        self, dy: Array | None, dstate: State | None, grads: Any, dtable: Array | None, want_dx: bool
    ) -> tuple[Array | None, State]:
        layer = self._layer
        levels, p, key, step = self._peek()
        y = levels[-1][-1]
        last = None if dstate is None else layer._split("d", dstate, y, None)
        if dy is not None:
            _check.array("dy", dy, y.shape, y.dtype)
        self._take()
        firsts = []
        for level in range(len(levels) - 1, -1, -1):
            saved, x, table, weights, first, y = levels[level]
            if p and level != len(levels) - 1:
                dy = _core.dropout(dy, p, fold(key, level), step, layer.batch_first)  # type: ignore[arg-type]
            dlast = None if last is None else last[level]
            dy, dfirst = _core.recurrent_backward(
                saved, x, table, weights, first, y, dy, dlast, grads[level],
                None if table is None else dtable, want_dx or level > 0,
            )  # fmt: skip
            firsts.append(dfirst)
        return dy, layer._join(firsts[::-1])
