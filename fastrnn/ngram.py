"""
n-gram models: the baselines that a neural language model has to beat.

Modified Kneser-Ney smoothing, Chen and Goodman 1998 (TR-10-98, Harvard), section 3: of the n-grams of the
highest order the counts are used, of lower orders the number of distinct left neighbours; each count gives
up a discount D1, D2 or D3+, which the next lower order shares out. Below order 1 stands the uniform
distribution. Or plain counts: (c(context, token) + k) / (c(context) + k V), and 1/V after a context that
never came.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastrnn import _check

_Int = npt.NDArray[np.integer[Any]]
_Codes = npt.NDArray[np.int64]
_Float = npt.NDArray[np.float64]


class _Order(NamedTuple):
    """The n-grams of one length n; the index of a key is the number of the n-gram."""

    keys: _Codes  # number of the (n-1)-gram before * vocabulary + last token, ascending
    kept: _Float  # per n-gram: its count less its discount
    total: _Float  # per (n-1)-gram before: the sum of the counts
    mass: _Float  # per (n-1)-gram before: the sum of the discounts


class NgramModel:
    """
    Count the n-grams of `ids` up to length `order`.

    Parameters
    ----------
    ids
        Integers in 0 .. vocabulary - 1, shape [N]: the training text.
    vocabulary
        Number of token types V.
    order
        Longest n-gram: a token is predicted from the `order` - 1 before it.
    k
        None for Kneser-Ney smoothing; else a number that is added to the counts of the longest n-grams: 0 for
        shares as they were counted, 1 for Laplace's rule.

    Raises
    ------
    ValueError
        `ids` are fewer than `order` or out of range, or `k` is negative.
    """

    def __init__(self, ids: _Int, vocabulary: int, order: int = 6, k: float | None = None) -> None:
        if order < 1 or ids.ndim != 1 or len(ids) < order:
            raise ValueError(f"ids: expected at least order = {order} >= 1 ids, got shape {ids.shape}")
        if ids.min() < 0 or ids.max() >= vocabulary:
            raise ValueError(f"ids: expected 0 .. {vocabulary - 1}, got {ids.min()} .. {ids.max()}")
        self.vocabulary, self.order = vocabulary, order
        self.k = None if k is None else _check.real("k", k)
        tokens = ids.astype(np.int64)
        number = np.zeros(
            len(tokens) + 1, np.int64
        )  # of the n-gram that ends at each place; n = 0: the empty one
        counted = [
            np.unique(self._keys(number, tokens), return_index=True, return_inverse=True, return_counts=True)
        ]
        for _ in range(1, order):
            number = counted[-1][2].ravel()
            tokens = tokens[1:]
            keys = self._keys(number, tokens)
            counted.append(np.unique(keys, return_index=True, return_inverse=True, return_counts=True))
        self._orders: list[_Order] = []
        before = 1
        for n, (keys, _, inverse, counts) in enumerate(counted, 1):
            # Each distinct (n+1)-gram, at its first place, is a left neighbour of the n-gram it ends in.
            if n < order and k is None:
                ends = inverse.ravel()[1:][counted[n][1]]
                counts = np.bincount(ends, minlength=len(keys))
            self._orders.append(_order(keys, counts, keys // vocabulary, before, k is None))
            before = len(keys)

    def state(self) -> dict[str, Any]:
        """Return all of the model, as arrays and numbers."""
        orders = [table._asdict() for table in self._orders]
        return {"vocabulary": self.vocabulary, "order": self.order, "k": self.k, "orders": orders}

    @classmethod
    def restored(cls, state: dict[str, Any]) -> NgramModel:
        """Return the model that `state` is of."""
        model = cls.__new__(cls)
        model.vocabulary, model.order, model.k = state["vocabulary"], state["order"], state["k"]
        model._orders = [_Order(**table) for table in state["orders"]]
        return model

    def _keys(self, number: _Codes, tokens: _Codes) -> _Codes:
        return number[:-1] * self.vocabulary + tokens

    def probabilities(self, ids: _Int) -> _Float:
        """
        Return P(ids[i] | the tokens before it), shape [N], float64.

        The first tokens have fewer than ``order - 1`` before them and are predicted from these.
        """
        tokens = ids.astype(np.int64)
        result = np.full(len(tokens), 1 / self.vocabulary)
        number = np.zeros(len(tokens) + 1, np.int64)
        for n, table in enumerate(self._orders, 1):
            if n > len(tokens):
                break
            context = number[:-1]
            keys = context * self.vocabulary + tokens[n - 1 :]
            at = np.minimum(np.searchsorted(table.keys, keys), len(table.keys) - 1)
            known = (context >= 0) & (table.keys[at] == keys)
            kept, mass = np.where(known, table.kept[at], 0.0), table.mass[context]
            total = np.where(context >= 0, table.total[context], 0.0)
            result[n - 1 :] = self._mix(kept, total, mass, result[n - 1 :])
            number = np.where(known, at, -1)
        return result

    def after(self, context: _Int) -> _Float:
        """Return P(token | context) for all tokens, [V], float64; what is too long ago does not count."""
        result, size = np.full(self.vocabulary, 1 / self.vocabulary), self.vocabulary
        for n, table in enumerate(self._orders, 1):
            if n - 1 > len(context):
                break
            number = self._number(context[len(context) - (n - 1) :].tolist())
            kept, total, mass = np.zeros(size), 0.0, 0.0
            if number >= 0:
                begin, end = np.searchsorted(table.keys, [number * size, (number + 1) * size])
                kept[table.keys[begin:end] - number * size] = table.kept[begin:end]
                if number < len(table.total):
                    total, mass = float(table.total[number]), float(table.mass[number])
            result = self._mix(kept, total, mass, result)
        return result

    def _number(self, gram: list[int]) -> int:
        """The number of an n-gram among those of its length, -1 for one that never came."""
        number = 0
        for table, token in zip(self._orders, gram, strict=False):
            key = number * self.vocabulary + token
            at = int(np.searchsorted(table.keys, key))
            if at == len(table.keys) or table.keys[at] != key:
                return -1
            number = at
        return number

    def _mix(self, kept: _Float, total: Any, mass: Any, lower: _Float) -> _Float:
        """From counts less discounts, sums of counts and of discounts, and the order below."""
        if self.k is None:
            by, more = total, kept + mass * lower
        else:
            by, more = total + self.k * self.vocabulary, kept + self.k
            lower = np.asarray(1 / self.vocabulary)
        some = np.greater(by, 0)
        return np.asarray(np.where(some, more / np.where(some, by, 1.0), lower))

    def loss(self, ids: _Int, context: int = 0) -> float:
        """Return the mean of -log P(ids[i] | those before) over i >= `context`, in nats."""
        with np.errstate(divide="ignore"):  # a count of zero is a probability of zero, and a loss without end
            return float(-np.log(self.probabilities(ids)[context:]).mean())


def _order(keys: _Codes, counts: _Int, owner: _Codes, owners: int, smooth: bool) -> _Order:
    discounts = _discounts(counts) if smooth else np.zeros(4)
    discount = np.minimum(discounts[np.minimum(counts, 3)], counts)
    kept: _Float = counts.astype(np.float64) - discount
    total: _Float = np.bincount(owner, counts, owners).astype(np.float64)
    mass: _Float = np.bincount(owner, discount, owners).astype(np.float64)
    return _Order(keys, kept, total, mass)


def _discounts(counts: _Int) -> _Float:
    # Characters have few types and next to none that are seen once: the estimate is then void, and 1/2 is
    # neutral.
    n1, n2, n3, n4 = (float((counts == r).sum()) for r in (1, 2, 3, 4))
    plain = np.array([0.0, 0.5, 0.5, 0.5])
    if min(n1, n2, n3) == 0:
        return plain
    y = n1 / (n1 + 2 * n2)
    d = np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    return d if (d[1:] > 0).all() and (d[1:] < [1, 2, 3]).all() else plain
