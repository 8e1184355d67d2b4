"""Structurally constrained recurrent network: a slow context beside a sigmoid layer that reads it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check, _core
from .level import Back, Call, CellPass
from .recurrent import Recurrent as _Recurrent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .._typing import Array, Shape, State, Width
    from .level import LevelPass, Way

__all__ = ["SCRN"]

_CONTEXT, _HIDDEN = "leaky", "rnn_sigmoid"  # the cells that it is made of


class SCRN(_Recurrent):
    """Structurally constrained recurrent network (Mikolov et al. 2015, arXiv:1412.7753)::

        s' = (1 - a) * (B x) + a * s        h' = sigmoid(A x + P s' + R h + b + b')

    y is [h, s] side by side, [T, B, D*(H+C)]; the state is (h, s), s being C wide. Other parameters and
    calls: see `Recurrent`.

    Parameters
    ----------
    context_size : int, optional
        C, the slow units; a quarter of H without it.
    alpha : float
        a, in [0, 1); with `learn_alpha` in (0, 1).
    learn_alpha : bool
        Each context unit learns its own a = sigmoid(``alpha_logit``), which begins at `alpha`.

    Notes
    -----
    ``weight_ic`` [C, I] is B; ``weight_ih`` [H, I+C] is A beside P, as the sigmoid layer reads [x, s'].
    """

    _own = MappingProxyType({"context_size": None, "alpha": 0.95, "learn_alpha": False})
    _reads_tokens = False

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        context_size: int | None = None,
        num_layers: int = 1,
        *,
        alpha: float = 0.95,
        learn_alpha: bool = False,
        **options: Any,
    ) -> None:
        if context_size is None:
            context_size = max(1, _check.integer("hidden_size", hidden_size, 1) // 4)
        self.context_size = _check.integer("context_size", context_size, 1)
        self.alpha = _check.real("alpha", alpha, 0.0, 1.0)
        self.learn_alpha = _check.flag("learn_alpha", learn_alpha)
        if learn_alpha and not self.alpha:
            raise ValueError("alpha: expected 0 < alpha < 1 because learn_alpha is True, got 0")
        super().__init__(_HIDDEN, ("h", "s"), input_size, hidden_size, num_layers, **options)

    @property
    def _widths(self) -> tuple[Width, ...]:
        h, s = ("H", self.hidden_size), ("C", self.context_size)
        return ("(H+C)", h[1] + s[1]), h, s

    def _kinds(self, width: int) -> dict[str, Shape]:
        hidden, context = self.hidden_size, self.context_size
        kinds: dict[str, Shape] = {
            "weight_ic": (context, width),
            "weight_ih": (hidden, width + context),
            "weight_hh": (hidden, hidden),
        }
        if self.bias:
            kinds |= {"bias_ih": (hidden,), "bias_hh": (hidden,)}
        if self.learn_alpha:
            kinds["alpha_logit"] = (context,)
        return kinds

    def _block(self, kind: str) -> int:
        return self.context_size if kind in ("weight_ic", "alpha_logit") else self.hidden_size

    def _letters(self, name: str) -> str:
        kind, level = name.removesuffix("_reverse").rsplit("_l", 1)
        below = "I" if level == "0" else ("D*" if self.bidirectional else "") + self._widths[0][0]
        return {
            "weight_ic": f"C, {below}",
            "weight_ih": f"H, {below}+C",
            "weight_hh": "H, H",
            "alpha_logit": "C,",
        }.get(kind, "H,")

    def _initialise(self, bound: float, seed: int | None) -> None:
        super()._initialise(bound, seed)
        logit = np.float64(self.alpha)
        with np.errstate(divide="ignore"):
            logit = np.log(logit) - np.log1p(-logit)
        self._logit = np.full(self.context_size, logit, self.flat_params.dtype)
        for name, parameter in self.params.items():
            if name.startswith("alpha_logit"):
                parameter[:] = logit

    def _pack(self, named: Mapping[str, Array]) -> Any:
        """For each place, what the cells of context and hidden layer take."""
        packed = []
        for level in range(self.num_layers):
            for suffix in ("", "_reverse")[: self.directions]:
                of = {kind: named.get(f"{kind}_l{level}{suffix}") for kind in _KINDS}
                context = (of["weight_ic"], None, None, None, of["alpha_logit"])
                packed.append((context, (of["weight_ih"], of["weight_hh"], of["bias_ih"], of["bias_hh"])))
        return packed

    def _calls(self, level: int, steps: int, width: int) -> list[tuple[str, int, int, int]]:
        context, hidden = self.context_size, self.hidden_size
        return [(_CONTEXT, steps, width, context), (_HIDDEN, steps, width + context, hidden)]

    def _cells(self, weights: Any) -> tuple[tuple[str, Any], tuple[str, Any]]:
        """Name and weights of both."""
        context, hidden = weights
        return (_CONTEXT, context if self.learn_alpha else (*context[:4], self._logit)), (_HIDDEN, hidden)

    def _run(self, weights: Any, way: Way, call: Call, below: LevelPass | None) -> LevelPass:
        return ScrnPass(*self._cells(weights), way, call)

    def _prepare(self, weights: Any) -> Callable[[Array, State | None], tuple[Array, State]]:
        context, hidden = (_core.Prepared(*cell, bfloat16=self._bfloat16) for cell in self._cells(weights))

        def run(x: Array, state: State | None) -> tuple[Array, State]:
            s, (last_s,) = context(x, state and state[1:])
            h, (last_h,) = hidden(np.concatenate([x, s], axis=-1), state and state[:1])
            return np.concatenate([h, s], axis=-1), (last_h, last_s)

        return run


_KINDS = ("weight_ic", "alpha_logit", "weight_ih", "weight_hh", "bias_ih", "bias_hh")


class ScrnPass:
    """The context first: it does not depend on h, so P s is formed for all steps at once, beside A x."""

    __slots__ = ("both", "context", "hidden", "last", "y")

    def __init__(
        self,
        context: tuple[str, Any],
        hidden: tuple[str, Any],
        way: Way,
        call: Call,
    ) -> None:
        x, _, first, y = call
        (width, slow), fast = (x.shape[-1], len(context[1][0])), len(hidden[1][0])
        both = _core.empty((*x.shape[:-1], width + slow), context[1][0])
        if y is None:
            y = _core.empty((*x.shape[:-1], fast + slow), both)
        s, h = both[..., width:], y[..., :fast]
        self.context = CellPass(*context, way, Call(x, None, first and first[1:], s))
        both[..., :width] = x
        self.hidden = CellPass(*hidden, way, Call(both, None, first and first[:1], h))
        y[..., fast:] = s
        y.flags.writeable = False
        self.y, self.last = y, (*self.hidden.last, *self.context.last)

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """As `LevelPass` has it."""
        dy, dlast, (by_context, by_hidden) = back[:3]
        fast, width = self.hidden.y.shape[-1], self.context.x.shape[-1]
        dh = None if dy is None else dy[..., :fast]
        dboth, by_h = self.hidden.backward(Back(dh, dlast and dlast[:1], by_hidden))
        assert dboth is not None
        by_x, by_s = dboth[..., :width], dboth[..., width:]
        if dy is not None:
            by_s += dy[..., fast:]
        _, first = self.context.backward(
            Back(by_s, dlast and dlast[1:], by_context, None, back.want_dx, by_x, add=True)
        )
        if back.add and back.dx is not None:
            by_x = np.add(back.dx, by_x, out=back.dx)
        return by_x if back.want_dx else None, (*by_h, *first)
