"""Beam search, for many sources at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class Hypothesis(NamedTuple):
    """An output, its log-probability, what it was ranked by; attention [tokens, T], or None without."""

    tokens: list[str]
    log_probability: float
    score: float
    attention: Any


class _Path(NamedTuple):
    ids: tuple[int, ...]
    log_probability: float
    weights: tuple[Any, ...]


class _Search:
    """The search for the outputs of one source."""

    def __init__(self, place: int, most: int) -> None:
        self.place, self.most = place, most
        self.paths: list[_Path] = [_Path((), 0.0, ())]
        self.done: list[_Path] = []

    def go_on(self, ways: Any, totals: Any, weights: Any, end: int, beam: int, penalty: float) -> list[int]:
        """
        Take the likeliest ways to go on, the best first, each ``path * V + token``.

        Gives the numbers of the paths that the new ones come from: none when the search is over.
        """
        before, going, rows = self.paths, list[_Path](), list[int]()
        for rank, (way, total) in enumerate(zip(ways, totals, strict=True)):
            row, token = way
            if total == -np.inf:
                break
            path = before[row]
            more = () if weights is None else (*path.weights, weights[row])
            longer = _Path((*path.ids, token), float(total), more)
            if token == end:
                if rank < beam:
                    self.done.append(longer)
            elif len(going) < beam:
                going.append(longer)
                rows.append(row)
        if not going or _settled(self.done, going[0], beam, penalty, self.most):
            return []
        if len(before[0].ids) == self.most:
            ended = {path.ids[:-1] for path in self.done}
            self.done += [path for path in before if path.ids not in ended]
            return []
        self.paths = going
        return rows


def search(
    model: Any, memory: Any, state: Any, beam: int, penalty: float, most: Sequence[int]
) -> list[list[Hypothesis]]:
    """
    Return at most `beam` outputs for each source, the best first.

    A path is done with its end token, where that is among the `beam` likeliest ways to go on. The search for
    a source stops when no other path can become better than `beam` that are done, or at `most` tokens of it;
    what is not done by then counts as it is. `memory` and `state` are what ``model.read`` gives.
    """
    end, found = model.end(), dict[int, list[Hypothesis]]()
    active = [_Search(place, limit) for place, limit in enumerate(most)]
    last = np.full(len(active), end, np.int32)
    scores = np.zeros((len(active), 1))
    while active:
        count, width = scores.shape
        logs, state, weights = model.step(last, state, memory)
        size = logs.shape[1]
        total = (logs.reshape(width, count, size).swapaxes(0, 1) + scores[:, :, None]).reshape(count, -1)
        best = _best(total, 2 * beam)
        by_source = None if weights is None else weights.reshape(width, count, -1).swapaxes(0, 1)
        kept, going, origins = list[int](), list[_Search](), list[list[int]]()
        for s, one in enumerate(active):
            ways = [divmod(int(way), size) for way in best[s]]
            of_source = None if by_source is None else by_source[s]
            rows = one.go_on(ways, total[s, best[s]], of_source, end, beam, penalty)
            if rows:
                kept.append(s)
                going.append(one)
                origins.append(rows)
            else:
                hypotheses = [_finish(model, path, penalty, end, memory, s) for path in one.done]
                found[one.place] = sorted(hypotheses, key=lambda h: -h.score)[:beam]
        if len(kept) < count and memory is not None and kept:
            memory = memory.of(kept)
        active = going
        # Sources with fewer paths than the beam have rows of probability zero.
        scores = np.full((len(active), beam), -np.inf)
        tokens, rows_of = np.zeros((beam, len(active)), np.int32), np.zeros((beam, len(active)), np.int64)
        for s, (one, rows) in enumerate(zip(active, origins, strict=True)):
            rows_of[:, s] = kept[s]
            for k, (path, row) in enumerate(zip(one.paths, rows, strict=True)):
                scores[s, k], tokens[k, s] = path.log_probability, path.ids[-1]
                rows_of[k, s] = row * count + kept[s]
        last, order = tokens.reshape(-1), rows_of.reshape(-1)
        state = tuple(tuple(part[:, order] for part in of_layer) for of_layer in state)
    return [found[place] for place in range(len(most))]


def _best(total: Any, count: int) -> Any:
    """The places of the largest of each row, the largest first, the first of equals."""
    count = min(count, total.shape[1])
    some = np.sort(np.argpartition(-total, count - 1, axis=1)[:, :count], axis=1)
    order = np.argsort(-np.take_along_axis(total, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def _score(log_probability: float, length: int, penalty: float) -> float:
    return float(log_probability / ((5 + length) / 6) ** penalty)


def _settled(done: list[_Path], best: _Path, beam: int, penalty: float, most: int) -> bool:
    """Whether `beam` paths are done that are as good as the best other one could be at full length."""
    if len(done) < beam:
        return False
    scores = sorted((_score(path.log_probability, len(path.ids), penalty) for path in done), reverse=True)
    return scores[beam - 1] >= _score(best.log_probability, most + 1, penalty)


def _finish(model: Any, path: _Path, penalty: float, end: int, memory: Any, source: int) -> Hypothesis:
    ids = path.ids[:-1] if path.ids and path.ids[-1] == end else path.ids
    score = _score(path.log_probability, len(path.ids), penalty)
    weights = None
    if path.weights:
        steps = int(memory.lengths[source])
        weights = np.array([of_step[:steps] for of_step in path.weights[: len(ids)]]).reshape(-1, steps)
    return Hypothesis([model.target.tokens[k] for k in ids], path.log_probability, score, weights)
