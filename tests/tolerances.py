"""The one table of tolerances: multiples of eps of the dtype under test, each with its reason.

An error is measured as ``max |got - want| / (eps * max(1, max |want|))``. Of a kernel, `want` is computed in
longdouble, so that the multiple holds what the kernel loses and nothing else.
"""

from __future__ import annotations

from typing import NamedTuple


class Tolerance(NamedTuple):
    """A multiple of eps, and why it is that large."""

    eps: float
    reason: str


TABLE = {
    "complex step": Tolerance(64, "both sides round: sums of 50 terms, through three layers of four steps"),
    "identity": Tolerance(64, "the same sums in another order; inner products of some 100 terms"),
    "forward": Tolerance(12, "activations of 2 ulp on sums of 150 products, through 100 steps: 3.4 at most"),
    "gradient": Tolerance(32, "sums over 600 rows of quantities that carry the forward error: 9 at most"),
    "product": Tolerance(20, "one chain of 100 to 300 fma, each rounding once: 6.4 at most"),
    "loss": Tolerance(6, "summed in double: exp, log and the rounding of each logit are left: 1.6 at most"),
    "bfloat16": Tolerance(
        32, "as forward and gradient: the same numbers are rounded to 8 bits on both sides"
    ),
    "one bfloat16": Tolerance(
        2**14, "a number whose last bit decides has come out otherwise: 2**15 eps of itself"
    ),
    "word2vec": Tolerance(64, "updates of a row on each other, some 500 of them, each by scores that round"),
    "update": Tolerance(6, "some eight operations on an element; a root and a division in Adam"),
    "norm": Tolerance(6, "a sum of squares in 16 lanes and blocks"),
    "peer": Tolerance(128, "the peer rounds too, with its own exponentials and sums in its own order"),
}
