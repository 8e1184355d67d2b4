"""Recurrent layers, for any cell: stacking, dropout between the levels, state in and out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from . import kinds, state_noise
from .level import CellPass
from .options import refuse
from .prepared import Prepared
from .recurrent_parameters import _RecurrentParameters
from .recurrent_pullback import RecurrentPullback
from .stack import Stack, input_shape

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._typing import Array, Shape, State
    from .level import Call, LevelPass, Way


class Recurrent(_RecurrentParameters):
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
    recurrent_dropout : float
        p of variational dropout (Gal and Ghahramani 2016, arXiv:1512.05287): in ``vjp``, products read m * h
        where they would read h, m being 0 with probability p and else 1 / (1 - p), the same at all steps.
    zoneout : float or tuple of float
        For each state, or all of them, the probability that an element stays as it was in a step (Krueger et
        al. 2016, arXiv:1606.01305): s' = z * s + (1 - z) * S where the cell makes S, with z 0 or 1 in ``vjp``
        and the probability itself otherwise. An LSTM's h is made of its own new c, before zoneout.
    proj_size : int
        P of an LSTM whose h is projected to fewer numbers, 0 for none; other cells take 0 alone.
    dtype : {"float32", "float64"}
        Of parameters, input and output.
    compute : {"bfloat16"}, optional
        What products are computed in, if not in the dtype; `strict` raises where the processor cannot. See
        `set_compute`.
    seed : int, optional
        For the initial parameters, U(-1/sqrt(H), 1/sqrt(H)) as in PyTorch; without it they differ from run
        to run. `fastrnn.init` has others. Gains of layer normalisation begin with 1, ``bias_ch`` with 0.

    Notes
    -----
    A subclass says which cell it is, by its name in the extension, and the names of its states; in `_own`,
    its own options and what they are by default; in `_widths`, that y or a state is not H wide. A cell that
    is more than one call of the extension has `_run`, `_prepare`, `_kinds` and `_pack` of its own.
    """

    recurrent = True
    _ragged = True
    _multiplies = True

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
        recurrent_dropout: float = 0.0,
        zoneout: float | tuple[float, ...] = 0.0,
        proj_size: int = 0,
        dtype: str = "float32",
        compute: str | None = None,
        strict: bool = False,
        seed: int | None = None,
        **others: object,
    ) -> None:
        refuse(self, Recurrent, others)
        self.cell, self.states = cell, states
        self.input_size = _check.integer("input_size", input_size, 1)
        self.hidden_size = _check.integer("hidden_size", hidden_size, 1)
        self.num_layers = _check.integer("num_layers", num_layers, 1)
        self.proj_size = _check.integer("proj_size", proj_size, 0, self.hidden_size - 1)
        if proj_size and not self._traits["projects"]:
            raise ValueError(f"proj_size: expected 0 for {type(self).__name__}, got {proj_size}")
        self.bias = _check.flag("bias", bias)
        self.batch_first = _check.flag("batch_first", batch_first)
        self.dropout = _check.real("dropout", dropout, 0.0, 1.0)
        self.bidirectional = _check.flag("bidirectional", bidirectional)
        self.directions = 2 if self.bidirectional else 1
        self.recurrent_dropout, self.zoneout = state_noise.check(self, recurrent_dropout, zoneout)
        self._noisy = self.recurrent_dropout > 0 or any(self.zoneout)
        self._draws = self._noisy or (self.dropout > 0 and self.num_layers > 1)
        shapes = dict[str, "Shape"]()
        for level in range(self.num_layers):
            width = self.output_size * self.directions if level else self.input_size
            for suffix in ("", "_reverse")[: self.directions]:
                of_level = self._kinds_of(level, width)
                shapes |= {f"{name}_l{level}{suffix}": shape for name, shape in of_level.items()}
        self._declare(shapes, _check.dtype("dtype", dtype))
        self._initialise(self.hidden_size**-0.5, seed)
        kinds.first_values(self.params)
        self.set_compute(compute, strict=strict)

    @property
    def _one_pass(self) -> bool:
        """Whether each level is one pass of `cell`, so that masks may fall on its states."""
        return type(self)._run is Recurrent._run

    def __call__(self, x: Array, state: State | None = None, lengths: Any = None) -> tuple[Array, State]:
        """Run over a sequence, without dropout, with zoneout's mean; nothing is kept for a backward pass.

        Parameters
        ----------
        x : ndarray, [T, B, I], or [B, T, I] if batch_first
            The last axis contiguous; other axes may have any stride.
        state : tuple of ndarray, each [L*D, B, H], optional
            The initial states, zero by default. LSTM: (h, c); with projections h is [L*D, B, P].
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
            Chooses the masks of dropout, recurrent dropout and zoneout; needed when there are any. Equal keys
            give equal masks.
        step : int
            The absolute step of x[0]; masks depend on the absolute step, so chunks of a sequence see the
            masks of the whole. Those of recurrent dropout do not.

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

    def _run(self, weights: Any, way: Way, call: Call, below: LevelPass | None) -> LevelPass:
        """Run one direction of a level, see `CellPass`; `below` is what the level below gave for it."""
        return CellPass(self._cell_of(way.level), weights, way, call)

    def _prepare(self, weights: Any) -> Callable[[Array, State | None], tuple[Array, State]]:
        """Pack one level: x, [B, I] or [T, B, I], and the states before it to y and the states after it."""
        return _core.Prepared(self.cell, weights, state_noise.of_inference(self).zone, self._bfloat16)

    def _infer(
        self, x: Array, state: State | None, table: Array | None, lengths: Any = None
    ) -> tuple[Array, State]:
        """A plain call; with `table` [V, I], x holds tokens."""
        stack = Stack(self, x, state, lengths, table, False)
        return stack.y, self._join(stack.finals)

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
        stack = Stack(self, x, state, lengths, table, True, key, step)
        return (stack.y, self._join(stack.finals)), RecurrentPullback(self, stack)

    def _split(
        self, prefix: str, state: State, x: Array, table: Array | None, rows: int | None = None
    ) -> list[State]:
        """The states of each level and direction; `prefix` is "d" when they are gradients."""
        if rows is None:
            rows = input_shape(x, table)[0 if self.batch_first else 1]
        levels = self.num_layers * self.directions
        letters = "L*D, B" if self.bidirectional else "L, B"
        _check.state(
            prefix, self.states, state, (levels, rows), self._widths[1:], self.flat_params.dtype, letters
        )
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
