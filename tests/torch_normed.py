"""Cells with layer normalisation in PyTorch; see `torch_cells`."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_cells import Cell


def normalised(a: Tensor) -> Tensor:
    """PyTorch's LayerNorm by its definition: its kernel leaves 316 eps of one number less its own mean."""
    a = a.clone()  # so do gradients that meet there, if others by the same numbers are added between them
    centred = a - a.mean(dim=-1, keepdim=True)
    return centred / torch.sqrt((centred * centred).mean(dim=-1, keepdim=True) + 1e-5)


class Normed(Cell):
    """Ba, Kiros and Hinton 2016: W x and R h are normalised before their gates are parted.

    `groups` are the gates that have one mean and deviation; the biases are those of the norms.
    """

    groups: tuple[str, ...]

    def normed(self, kind: str, a: Tensor) -> dict[str, Tensor]:
        gates, products = self.w_gates, a @ getattr(self, f"weight_{kind}").T
        gain, bias = getattr(self, f"gain_{kind}"), getattr(self, f"bias_{kind}", None)
        parts = dict(zip(gates, products.chunk(len(gates), dim=-1), strict=True))
        found = {}
        for group in self.groups:
            joined = torch.cat([parts[gate] for gate in group], dim=-1)
            joined = normalised(joined)
            found |= dict(zip(group, joined.chunk(len(group), dim=-1), strict=True))
        whole = torch.cat([found[gate] for gate in gates], dim=-1) * gain
        whole = whole if bias is None else whole + bias
        return dict(zip(gates, whole.chunk(len(gates), dim=-1), strict=True))


class LstmNormed(Normed):
    """Equations 20 to 22 of the paper's supplement."""

    w_gates = "ifgo"
    groups = ("ifgo",)
    states = ("h", "c")

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        by_x, by_h = self.normed("ih", x), self.normed("hh", h * self.drop)
        i, f, o = (torch.sigmoid(by_h[gate] + by_x[gate]) for gate in "ifo")
        new = f * c + i * torch.tanh(by_h["g"] + by_x["g"])
        seen = self.gain_ch * normalised(new) + getattr(self, "bias_ch", 0.0)
        return o * torch.tanh(seen), new


class LstmNormedByGate(LstmNormed):
    groups = ("i", "f", "g", "o")


class GruNormed(Normed):
    """The GRU of the paper's supplement, with z for what is kept: PyTorch's."""

    w_gates = "rzn"
    groups = ("rz", "n")

    def forward(self, x: Tensor, h: Tensor) -> tuple[Tensor]:
        by_x, by_h = self.normed("ih", x), self.normed("hh", h * self.drop)
        r, z = (torch.sigmoid(by_h[gate] + by_x[gate]) for gate in "rz")
        return ((1 - z) * torch.tanh(by_x["n"] + r * by_h["n"]) + z * h,)


class GruNormedByGate(GruNormed):
    groups = ("r", "z", "n")
