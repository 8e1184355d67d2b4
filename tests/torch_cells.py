"""Recurrent cells in PyTorch, with plain autograd, written from their definitions gate by gate: an oracle.

A cell takes x and the states before the step, and returns the states after it, h first. ``w``, ``r`` and
``p`` are what one gate sees of x, h and c. Nothing here knows how fastrnn computes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


class Cell(torch.nn.Module):
    """Parameters of one direction of one level, by PyTorch's names without ``_l0``; absent ones are zero."""

    w_gates = r_gates = p_gates = ""  # in the order of the rows of weight_ih, weight_hh, weight_ch
    states: tuple[str, ...] = ("h",)
    drop: Tensor | float = 1.0  # mask of recurrent dropout

    def __init__(self, parameters: Mapping[str, np.ndarray]) -> None:
        super().__init__()
        for name, value in parameters.items():
            self.register_parameter(name, torch.nn.Parameter(torch.tensor(value)))

    def _seen(self, kind: str, gates: str, gate: str, a: Tensor) -> Tensor:
        block = gates.index(gate)
        weight = getattr(self, f"weight_{kind}").chunk(len(gates))[block]
        product = weight * a if weight.ndim == 1 else a @ weight.T
        bias = getattr(self, f"bias_{kind}", None)
        return product if bias is None else product + bias.chunk(len(gates))[block]

    def output(self, *states: Tensor) -> Tensor:
        """What the level above sees."""
        return states[0]

    def w(self, gate: str, x: Tensor) -> Tensor:
        return self._seen("ih", self.w_gates, gate, x)

    def r(self, gate: str, h: Tensor) -> Tensor:
        return self._seen("hh", self.r_gates, gate, h * self.drop)

    def p(self, gate: str, c: Tensor) -> Tensor:
        return self._seen("ch", self.p_gates, gate, c)


class Elman(Cell):
    """Elman 1990: h = F(W x + R h)."""

    w_gates = r_gates = "h"

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        return (self.activation(self.w("h", x) + self.r("h", h)),)


class Tanh(Elman):
    activation = staticmethod(torch.tanh)


class Relu(Elman):
    activation = staticmethod(torch.relu)


class Sigmoid(Elman):
    activation = staticmethod(torch.sigmoid)


class Identity(Elman):
    activation = staticmethod(torch.positive)


class Lstm(Cell):
    """Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000."""

    w_gates = r_gates = "ifgo"
    states = ("h", "c")

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i = torch.sigmoid(self.w("i", x) + self.r("i", h))
        f = torch.sigmoid(self.w("f", x) + self.r("f", h))
        g = torch.tanh(self.w("g", x) + self.r("g", h))
        o = torch.sigmoid(self.w("o", x) + self.r("o", h))
        new = f * c + i * g
        return o * torch.tanh(new), new


class Projected(Lstm):
    """Sak, Senior and Beaufays 2014: h is a linear function of the LSTM's."""

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        h, c = super().forward(x, h, c)
        return (h @ self.weight_hr.T if hasattr(self, "weight_hr") else h), c


class DepthGated(Lstm):
    """Yao et al. 2015, without peepholes: a gate lets in the c of the level below; the first is an Lstm."""

    w_gates = "ifgod"
    first = Lstm

    def forward(self, x: Tensor, h: Tensor, c: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        by_c, by_below = self.weight_ch.chunk(2)
        d = torch.sigmoid(self.w("d", x) + by_c * c + by_below * below)
        i = torch.sigmoid(self.w("i", x) + self.r("i", h))
        f = torch.sigmoid(self.w("f", x) + self.r("f", h))
        g = torch.tanh(self.w("g", x) + self.r("g", h))
        o = torch.sigmoid(self.w("o", x) + self.r("o", h))
        new = d * below + f * c + i * g
        return o * torch.tanh(new), new


class Peephole(Cell):
    """Gers and Schmidhuber 2000: i and f see the old c, o sees the new one; each its own unit, or all."""

    w_gates = r_gates = "ifgo"
    p_gates = "ifo"
    states = ("h", "c")

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i = torch.sigmoid(self.w("i", x) + self.r("i", h) + self.p("i", c))
        f = torch.sigmoid(self.w("f", x) + self.r("f", h) + self.p("f", c))
        g = torch.tanh(self.w("g", x) + self.r("g", h))
        new = f * c + i * g
        o = torch.sigmoid(self.w("o", x) + self.r("o", h) + self.p("o", new))
        return o * torch.tanh(new), new


class Coupled(Cell):
    """CIFG, Greff et al. 2017: what is not forgotten leaves no room for what is new, i = 1 - f."""

    w_gates = r_gates = "fgo"
    states = ("h", "c")

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        f = torch.sigmoid(self.w("f", x) + self.r("f", h))
        g = torch.tanh(self.w("g", x) + self.r("g", h))
        o = torch.sigmoid(self.w("o", x) + self.r("o", h))
        new = f * c + (1 - f) * g
        return o * torch.tanh(new), new


class Gru(Cell):
    """cuDNN's GRU: the reset gate falls on R h + b."""

    w_gates = r_gates = "rzn"

    def candidate(self, x: Tensor, r: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.w("n", x) + r * self.r("n", h))

    def mixed(self, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        return (1 - z) * n + z * h

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        r = torch.sigmoid(self.w("r", x) + self.r("r", h))
        z = torch.sigmoid(self.w("z", x) + self.r("z", h))
        return (self.mixed(z, self.candidate(x, r, h), h),)


class GruBefore(Gru):
    """Cho et al. 2014: the reset gate falls on h."""

    def candidate(self, x: Tensor, r: Tensor, h: Tensor) -> Tensor:
        return torch.tanh(self.w("n", x) + self.r("n", r * h))


class GruOther(Gru):
    """The convention of Chung et al. 2014: z is the share of what is new."""

    def mixed(self, z: Tensor, n: Tensor, h: Tensor) -> Tensor:
        return (1 - z) * h + z * n


class GruBeforeOther(GruBefore, GruOther):
    """Both."""


class MinGru(Cell):
    """Feng et al. 2024: a GRU whose gates see x alone."""

    w_gates = "zn"

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        z = torch.sigmoid(self.w("z", x))
        return ((1 - z) * h + z * self.w("n", x),)


class MinLstm(Cell):
    """Feng et al. 2024: an LSTM whose gates see x alone, their sum being one."""

    w_gates = "fin"

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        f, i = torch.sigmoid(self.w("f", x)), torch.sigmoid(self.w("i", x))
        kept = f / (f + i)
        return (kept * h + i / (f + i) * self.w("n", x),)


class Scrn(Cell):
    """Mikolov et al. 2015: a context of slow units, seen by the hidden ones and by the output."""

    states = ("h", "s")

    def forward(self, x: Tensor, h: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        alpha = torch.sigmoid(self.alpha_logit) if hasattr(self, "alpha_logit") else 0.95
        by_input, by_context = self.weight_ih[:, : x.shape[-1]], self.weight_ih[:, x.shape[-1] :]
        s = (1 - alpha) * (x @ self.weight_ic.T) + alpha * s
        a = x @ by_input.T + s @ by_context.T + h @ self.weight_hh.T
        if hasattr(self, "bias_ih"):
            a = a + self.bias_ih + self.bias_hh
        return torch.sigmoid(a), s

    def output(self, *states: Tensor) -> Tensor:
        return torch.cat(states, dim=-1)


class Clockwork(Cell):
    """Koutnik et al. 2014: three modules, or as many as there are units, with the periods 1, 2 and 3."""

    states = ("h", "phase")

    def forward(self, x: Tensor, h: Tensor, phase: Tensor) -> tuple[Tensor, Tensor]:
        hidden = h.shape[-1]
        modules = min(3, hidden)
        period = torch.tensor([1 + min(unit // (hidden // modules), modules - 1) for unit in range(hidden)])
        a = x @ self.weight_ih.T + h @ (self.weight_hh * (period[:, None] <= period)).T
        if hasattr(self, "bias_ih"):
            a = a + self.bias_ih + self.bias_hh
        cycle = (1, 2, 6)[modules - 1]
        return torch.where(phase % period == 0, torch.tanh(a), h), (phase + 1) % cycle


class Network(torch.nn.Module):
    """Levels of a cell, each in one or two directions, the outputs of both side by side.

    noise: for each of them a mask of recurrent dropout, or None, and masks of zoneout for each state, if any.
    """

    def __init__(
        self, kind: type[Cell], parameters: Mapping[str, np.ndarray], noise: Sequence[Any] | None = None
    ) -> None:
        super().__init__()
        self.noise = [] if noise is None else noise
        suffixes = dict.fromkeys("_l" + name.rsplit("_l", 1)[1] for name in parameters)
        self.cells = torch.nn.ModuleDict(
            {
                suffix: (getattr(kind, "first", kind) if suffix.startswith("_l0") else kind)(
                    {n.removesuffix(suffix): a for n, a in parameters.items() if n.endswith(suffix)}
                )
                for suffix in suffixes
            }
        )
        self.directions = 2 if any(suffix.endswith("_reverse") for suffix in suffixes) else 1

    def forward(self, x: Tensor, states: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """x [T,B,I] and states [L*D,B,H]; y [T,B,D*H] and the states after the last step."""
        finals: list[tuple[Tensor, ...]] = []
        outputs: list[Tensor] = []
        cells: list[dict[int, Tensor]] = []  # of each place and step
        for place, cell in enumerate(self.cells.values()):
            state = tuple(s[place] for s in states)
            drop, zone = self.noise[place] if self.noise else (None, ())
            if drop is not None:
                cell.drop = torch.tensor(drop)
            steps = range(len(x))
            found: list[Tensor] = []
            cells.append({})
            for t in steps if place % self.directions == 0 else reversed(steps):
                below = (cells[place - self.directions][t],) if isinstance(cell, DepthGated) else ()
                old, state = state, cell(x[t], *state, *below)
                cells[place][t] = state[-1]
                if zone:
                    state = tuple(
                        z * a + (1 - z) * b
                        for z, a, b in zip([torch.tensor(z[t]) for z in zone], old, state, strict=True)
                    )
                found.append(cell.output(*state))
            if place % self.directions:
                found.reverse()
            outputs.append(torch.stack(found))
            finals.append(state)
            if len(outputs) == self.directions:
                x, outputs = torch.cat(outputs, dim=-1), []
        return x, tuple(torch.stack(parts) for parts in zip(*finals, strict=True))

    def gradients(self) -> dict[str, Tensor]:
        """By the names of the whole network."""
        return {
            f"{name}{suffix}": torch.zeros_like(p) if p.grad is None else p.grad
            for suffix, cell in self.cells.items()
            for name, p in cell.named_parameters()
        }
