"""What training does to states besides the cell. Mirror of ``csrc/kernels/state_noise.h``. This docstring
defines it.

*Recurrent dropout* (Gal & Ghahramani 2016, arXiv:1512.05287): all products with weight_hh read ``m * h``
where they would read h, and ``r * m * h`` where r * h. m [B, P] is the same at all steps of a sequence:
dropout (`fastrnn.reference.dropout`) of ones with probability p, so 0 or 1 / (1 - p). h itself, as output
and where it is mixed with what is new, is not touched; inference has no m.

*Zoneout* (Krueger et al. 2016, arXiv:1606.01305): where the cell makes S of a state s, the new state is
``z * s + (1 - z) * S``. In training z is 1 where dropout of probability p, with the step's mask, would give
0, and 0 elsewhere; in inference z = p. h is made of the cell's own new c, before zoneout, as in the paper.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ._types import Array


class Noise(NamedTuple):
    """Masks of one sequence: `drop` [B, P], `zone` for each state [T, B, width], a number, or None."""

    drop: Array | None = None
    zone: tuple[Any, ...] = ()

    def _shares(self, t: int, states: tuple[Array, ...]) -> list[Any]:
        given = self.zone or (None,) * len(states)
        return [0 if z is None else z if isinstance(z, float) else z[t] for z in given]

    def forward(self, t: int, old: tuple[Array, ...], made: tuple[Array, ...]) -> tuple[Array, ...]:
        """Give the states after step t."""
        shares = self._shares(t, old)
        return tuple(z * a + (1 - z) * b for z, a, b in zip(shares, old, made, strict=True))

    def backward(self, t: int, d: tuple[Array, ...]) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
        """Give the gradients by the old states, past the cell, and by what the cell made."""
        shares = self._shares(t, d)
        past = tuple(z * a for z, a in zip(shares, d, strict=True))
        return past, tuple((1 - z) * a for z, a in zip(shares, d, strict=True))


NONE = Noise()
