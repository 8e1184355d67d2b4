"""The one table of tolerances: multiples of eps of the dtype under test, each with its reason.

An error is measured as ``max |got - want| / (eps * max(1, max |want|))``. `want` is computed in a wider type than the
one under test (longdouble), or is exact, so that the multiples hold what the code under test loses and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple


class Tolerance(NamedTuple):
    """A multiple of eps, and why it is that large."""

    eps: float
    reason: str


TABLE = {
    "complex step": Tolerance(64, "both sides round: sums of some 50 terms, through up to three layers of four steps"),
    "identity": Tolerance(64, "the same sums in another order; inner products of some 100 terms"),
    "forward": Tolerance(16, "activations of 2 ulp on sums of up to 130 products, carried through up to seven steps"),
    "gradient": Tolerance(64, "sums over T*B*4H products of quantities that carry the forward error"),
    "product": Tolerance(32, "one chain of up to 100 fma: at most K/2 ulp of the largest partial sum, usually sqrt(K)"),
    "loss": Tolerance(8, "accumulated in double: what is left is exp, log and the rounding of each logit"),
    "update": Tolerance(4, "some eight operations on an element; one square root and one division in Adam"),
    "norm": Tolerance(4, "accumulated in 16 lanes of double, or with sqrt(n/16) rounding steps in the type itself"),
    "peer": Tolerance(256, "the peer rounds too, with vendor exponentials and sums in its own order"),
}
