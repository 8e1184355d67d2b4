"""The pass of a Clockwork RNN: one of the simple network for each module, on the steps of its updates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .clockwork_steps import StepGradients, Steps
from .level import Back, Call, CellPass, Held

if TYPE_CHECKING:
    from .._typing import Array, State
    from .clockwork import ClockworkRNN
    from .clockwork_steps import Module
    from .level import Way


class ClockworkPass:
    """The passes of all modules, the slowest first: each sees the slower ones as they were a step before.

    What comes of them begins its pre-activations. It is formed once for all steps between two updates of
    theirs, and for the whole sequence at once, as the input's share is.
    """

    __slots__ = ("last", "layer", "passes", "steps", "weights", "y")

    def __init__(self, layer: ClockworkRNN, weights: Any, way: Way, call: Call) -> None:
        self.layer, self.weights = layer, weights
        batch = call.x.shape[0 if way.batch_first else 1] if way.lengths is None else len(way.lengths)
        h, phase = layer._begin(call.first, batch)
        self.steps = Steps(layer._modules, way, call.x, h, phase)
        plain = way._replace(direction=0, batch_first=False)
        passes = [self._run(k, m, plain) for k, m in reversed([*enumerate(layer._modules)])]
        self.passes = passes[::-1]
        out = self.steps.outputs()
        if call.y is not None:
            call.y[...] = out
        self.y = out if call.y is None else call.y
        self.y.flags.writeable = False
        lengths = self.steps.plan.whole.steps if way.lengths is None else way.lengths[:, None]
        self.last = (self.steps.last(), layer._clock(phase + lengths, h))

    def _run(self, k: int, module: Module, way: Way) -> CellPass:
        steps, plan, held = self.steps, self.steps.plan, None
        seen = plan.seen[k]
        if seen is not None:
            held = Held(steps.tables[k + 1], module.slower(self.weights[1]), seen)
        states, first = steps.into(k)
        if way.lengths is not None:
            way = way._replace(lengths=plan.updates[k].lengths)
        call = Call(steps.x[plan.read[k]], None, (first,), plan.states[k].later(states))
        done = CellPass("rnn_tanh", module.cut(self.weights), way, call, held=held)
        steps.written(k, states)
        return done

    def backward(self, back: Back) -> tuple[Array | None, State]:
        """As `LevelPass` has it."""
        by = StepGradients(self.steps, back)
        modules = enumerate(zip(self.layer._modules, self.passes, strict=True))
        first = np.concatenate([self._back(k, *module, back.grads, by) for k, module in modules], axis=1)
        phase = np.zeros((len(first), 1), first.dtype) if back.dlast is None else back.dlast[1]
        return by.dx, (first, phase)

    def _back(self, k: int, module: Module, done: CellPass, grads: Any, by: StepGradients) -> Array:
        """The pass of a module backward; the gradient by its initial state."""
        into, read = module.cut(grads), self.steps.plan.read[k]
        dy, dx = by.states(k), by.by_x[read]
        dheld = None if done.held is None else (by.by, module.slower(grads[1]))
        _, (first,) = done.backward(Back(dy, None, into, dx=dx, add=by.add or k > 0), dheld=dheld)
        if self.steps.way.lengths is not None:  # a copy
            by.by_x[read] = dx
        grads[1][module.own, module.own] = into[1]
        found: Array = by.first + first
        return found
