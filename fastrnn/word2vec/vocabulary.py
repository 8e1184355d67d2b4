"""Which types of a corpus are words, how often they are kept, and what they are told apart from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastrnn import _core

Counts = npt.NDArray[np.int64]
TrimRule = Callable[[Any, int, int], int]

# What a trim rule returns, as in gensim.utils.
RULE_DEFAULT, RULE_DISCARD, RULE_KEEP = 0, 1, 2


class NoWords(ValueError, RuntimeError):
    """A corpus without words to train on; gensim has a RuntimeError for it."""


@dataclass(frozen=True)
class Selection:
    """The words of a vocabulary.

    Attributes
    ----------
    chosen : ndarray of int64
        Their types, in the order of the vocabulary.
    min_count : int
        The count that words had to reach, with `max_final_vocab` taken into account.
    """

    chosen: npt.NDArray[np.int64]
    min_count: int


def select(
    types: Sequence[Any],
    counts: Counts,
    *,
    min_count: int,
    max_vocab_size: int | None = None,
    max_final_vocab: int | None = None,
    trim_rule: TrimRule | None = None,
    sorted_vocab: bool = True,
) -> Selection:
    """Choose the words of a vocabulary.

    Parameters
    ----------
    types, counts
        The distinct tokens and how often each occurs.
    min_count : int
        Rarer words are dropped.
    max_vocab_size : int, optional
        At most this many types, the most frequent, are looked at. Counts are exact: gensim prunes while it
        counts, so words may be lost that become frequent later.
    max_final_vocab : int, optional
        `min_count` is raised until at most this many words reach it.
    trim_rule : callable, optional
        ``trim_rule(word, count, min_count)`` returns 0 (by count), 1 (drop) or 2 (keep), gensim's
        ``RULE_DEFAULT``, ``RULE_DISCARD`` and ``RULE_KEEP``; None is 0.
    sorted_vocab : bool
        By falling count; of equal counts, and without it, as they are first met.
    """
    found = np.flatnonzero(counts > 0)
    if max_vocab_size is not None and len(found) > max_vocab_size:
        found = np.sort(found[np.argsort(-counts[found], kind="stable")[:max_vocab_size]])
    if max_final_vocab is not None and max_final_vocab < len(found):
        min_count = max(min_count, int(np.sort(counts[found])[::-1][max_final_vocab]) + 1)
    if trim_rule is None:
        chosen = found[counts[found] >= min_count]
    else:
        chosen = found[[_keeps(trim_rule, types[int(i)], int(counts[i]), min_count) for i in found]]
    if sorted_vocab:
        chosen = chosen[np.argsort(-counts[chosen], kind="stable")]
    return Selection(chosen, min_count)


def _keeps(rule: TrimRule, word: Any, count: int, min_count: int) -> bool:
    verdict = rule(word, count, min_count)
    verdict = RULE_DEFAULT if verdict is None else verdict
    if verdict not in (RULE_DEFAULT, RULE_DISCARD, RULE_KEEP):
        raise ValueError(
            f"trim_rule: expected it to return 0 (default), 1 (discard) or 2 (keep), got {verdict!r} "
            f"for {word!r}"
        )
    return count >= min_count if verdict == RULE_DEFAULT else verdict == RULE_KEEP


def keep_probability(counts: Counts, sample: float, total: int) -> npt.NDArray[np.float64]:
    """Probability that an occurrence of a word is kept: ``min(1, (sqrt(c / t) + 1) t / c)``.

    Parameters
    ----------
    counts : ndarray
    sample : float
        ``t = sample * total``; from 1 on, words more frequent than this are thinned out:
        ``t = int(sample (3 + sqrt(5)) / 2)``, where the formula passes 1. 0: all words are kept.
    total : int
        Occurrences of all words of the vocabulary.
    """
    if not sample:
        return np.ones(len(counts))
    threshold = sample * total if sample < 1 else float(int(sample * (3 + np.sqrt(5)) / 2))
    share = np.maximum(counts, 1) / max(threshold, 1e-280)  # finite for any count
    return np.asarray(np.minimum(1, (np.sqrt(share) + 1) / share))


def keep_thresholds(probability: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """As 32-bit numbers: a word is kept when a random one is at most this."""
    return (probability * (2**32 - 1)).astype(np.uint32)


def alias_table(counts: Counts, ns_exponent: float) -> npt.NDArray[np.uint32]:
    """Walker's alias table of the negatives, whose probabilities are as ``count ** ns_exponent``."""
    weights = np.maximum(counts, 1).astype(np.float64) ** ns_exponent
    return _core.alias_table(weights / weights.max())


def type_table(
    types: Sequence[Any], key_to_index: dict[Any, int], keep: npt.NDArray[np.uint32]
) -> npt.NDArray[np.int32]:
    """For every type its word, or -1, and its threshold, as the kernels want them: int32 [types, 2]."""
    table = np.zeros((len(types), 2), np.int32)
    get = key_to_index.get
    table[:, 0] = np.fromiter((get(t, -1) for t in types), np.int32, len(types))
    known = table[:, 0] >= 0
    table[known, 1] = keep[table[known, 0]].view(np.int32)
    return table
