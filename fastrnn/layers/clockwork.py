"""Clockwork RNN: modules that update at their own periods, each one pass of the simple network."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .clockwork_pass import ClockworkPass
from .clockwork_steps import Module
from .recurrent import Recurrent as _Recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .._typing import Array, State, Width
    from .level import Call, LevelPass, Way

__all__ = ["ClockworkRNN"]


class ClockworkRNN(_Recurrent):
    """Clockwork RNN (Koutnik et al. 2014, arXiv:1402.3511): a simple network of modules with periods::

        h'_i = tanh(W_i x + b_i + b'_i + sum of R_ij h_j, j >= i)    at steps that are multiples of period i
        h'_i = h_i                                                   at others

    Modules are sorted by their period, so each sees itself and the slower ones, and ``weight_hh`` [H, H] is
    zero below its diagonal of blocks, with gradients of zero. Modules that rest cost nothing. The state is
    (h, phase): phase [L*D, B, 1] is the number of steps so far, modulo the least common multiple of the
    periods, and the same for all rows. Other parameters and calls: see `Recurrent`.

    Parameters
    ----------
    periods : sequence of int
        Of the modules, increasing.
    module_sizes : sequence of int, optional
        Units of each module, H in all; without it they are equal.
    """

    _own = MappingProxyType({"periods": (1, 2, 4, 8), "module_sizes": None})
    _reads_tokens = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        periods: Sequence[int] = (1, 2, 4, 8),
        module_sizes: Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        self.periods = _check.increasing("periods", periods)
        number, hidden = len(self.periods), _check.integer("hidden_size", hidden_size, 1)
        self.module_sizes = None if module_sizes is None else _sizes(module_sizes, number, hidden)
        if module_sizes is None and hidden % number:
            raise ValueError(f"hidden_size: expected a multiple of the {number} modules, got {hidden}")
        stops = np.cumsum(self.module_sizes or (hidden // number,) * number).tolist()
        self._modules = [Module(*of) for of in zip(self.periods, [0, *stops[:-1]], stops, strict=True)]
        self.cycle = math.lcm(*self.periods)
        super().__init__("rnn_tanh", ("h", "phase"), input_size, hidden_size, num_layers, **options)
        if self.cycle > 1 / np.finfo(self.flat_params.dtype).eps:
            limit = f"at most {1 / np.finfo(self.flat_params.dtype).eps:.0f}"
            raise ValueError(f"periods: expected a least common multiple of {limit}, got {self.cycle}")

    @property
    def _widths(self) -> tuple[Width, ...]:
        h = ("H", self.hidden_size)
        return h, h, ("1", 1)

    def _calls(self, level: int, steps: int, width: int) -> list[tuple[str, int, int, int]]:
        return [(self.cell, -(-steps // m.period), width, m.size) for m in reversed(self._modules)]

    def _initialise(self, bound: float, seed: int | None) -> None:
        super()._initialise(bound, seed)
        for name, parameter in self.params.items():
            if name.startswith("weight_hh"):
                for module in self._modules:
                    parameter[module.own, : module.start] = 0

    def _blocks(self, kind: str, parameter: Array) -> list[Array]:
        if kind != "weight_hh":
            return super()._blocks(kind, parameter)
        return [parameter[module.own, module.start :] for module in self._modules]

    def load_params(self, params: Mapping[str, Any]) -> None:
        """As `Layer.load_params`; also a ValueError if a module would see a faster one."""
        for name, value in _check.names("params", self._shapes, params).items():
            if name.startswith("weight_hh") and np.shape(value) == self._shapes[name]:
                for module in self._modules:
                    if np.any(np.asarray(value)[module.own, : module.start]):
                        raise ValueError(
                            f"{name}: expected 0 where a module would see a faster one, got others"
                        )
        super().load_params(params)

    def _run(self, weights: Any, way: Way, call: Call, below: LevelPass | None) -> LevelPass:
        letters = "N, I" if way.lengths is not None else "B, T, I" if way.batch_first else "T, B, I"
        self._input(call.x, weights, letters)
        return ClockworkPass(self, weights, way, call)

    @staticmethod
    def _input(x: Array, weights: Any, letters: str) -> None:
        """Check what the passes will not see as it came."""
        _check.array("x", x, (*x.shape[:-1], weights[0].shape[1]), weights[0].dtype, letters)

    def _prepare(self, weights: Any) -> Callable[[Array, State | None], tuple[Array, State]]:
        parts = [self._prepared(module, weights) for module in self._modules]

        def step(x: Array, h: Array, phase: int) -> Array:
            new = h.copy()
            for module, run, zeros in parts:
                if phase % module.period == 0:
                    seen = np.concatenate(
                        [h[:, module.stop :], np.zeros((len(h), zeros), h.dtype), x], axis=1
                    )
                    new[:, module.own], _ = run(seen, (h[:, module.own],))
            return new

        def run(x: Array, state: State | None) -> tuple[Array, State]:
            one = x.ndim == 2
            self._input(x, weights, "B, I" if one else "T, B, I")
            steps = x[None] if one else x
            h, phase = self._begin(state, steps.shape[1])
            y = np.empty((*steps.shape[:2], self.hidden_size), self.flat_params.dtype)
            for t, x_t in enumerate(steps):
                h = y[t] = step(x_t, h, phase + t)
            return y[0] if one else y, (h.copy(), self._clock(phase + len(steps), h))

        return run

    def _prepared(self, module: Module, weights: Any) -> tuple[Module, Any, int]:
        """What runs a step of a module on the slower ones, zeros and x, and how many zeros there are."""
        weight_ih, own, *biases = module.cut(weights)
        slower = module.slower(weights[1])
        zeros = slower.shape[1] % 2 if self._bfloat16 else 0  # pairs do not reach from one to the other
        seen = np.concatenate([slower, np.zeros((module.size, zeros), own.dtype), weight_ih], axis=1)
        return module, _core.Prepared("rnn_tanh", (seen, own, *biases), bfloat16=self._bfloat16), zeros

    def _begin(self, state: State | None, rows: int) -> tuple[Array, int]:
        """The h and the phase that a pass begins with."""
        if state is None:
            return np.zeros((rows, self.hidden_size), self.flat_params.dtype), 0
        h, clocks = state
        known = (clocks == clocks.flat[0]) & (clocks >= 0) & (clocks < self.cycle) & (clocks % 1 == 0)
        wrong = clocks[~known]
        if wrong.size:
            raise ValueError(
                f"phase: expected one whole number in [0, {self.cycle}) for all rows, got {wrong[0]:g}"
            )
        return h, int(clocks.flat[0])

    def _clock(self, steps: int | Array, like: Array) -> Array:
        """The phase after some steps, [B, 1]."""
        clock = np.empty((len(like), 1), self.flat_params.dtype)
        clock[...] = steps % self.cycle
        return clock


def _sizes(given: Sequence[int], number: int, hidden: int) -> tuple[int, ...]:
    """Of the modules, checked."""
    sizes = _check.integers("module_sizes", given, 1)
    if len(sizes) != number:
        raise ValueError(f"module_sizes: expected {number}, as many as there are periods, got {len(sizes)}")
    if sum(sizes) != hidden:
        raise ValueError(f"module_sizes: expected a sum of hidden_size = {hidden}, got {sum(sizes)}")
    return sizes
