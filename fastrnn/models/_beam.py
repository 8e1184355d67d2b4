"""Beam search."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from fastrnn.batches import Rows


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


def search(model: Any, source: Rows, beam: int, penalty: float, most: int) -> list[Hypothesis]:
    """
    Return at most `beam` outputs for one source, the best first.

    A path is done with its end token, where that is among the `beam` likeliest ways to go on. The search
    stops when no other path can become better than `beam` that are done, or at `most` tokens; what is not
    done by then counts as it is.
    """
    memory, state = model.read(source)
    end, paths = model.end(), [_Path((), 0.0, ())]
    done: list[_Path] = []
    for _ in range(most + 1):
        before = paths
        last = np.array([path.ids[-1] if path.ids else end for path in paths], np.int32)
        logs, state, weights = model.step(last, state, memory)
        total = logs + np.array([path.log_probability for path in paths])[:, None]
        order = np.argsort(-total, axis=None, kind="stable")[: 2 * beam]
        rows: list[int] = []
        going: list[_Path] = []
        for rank, place in enumerate(order):
            row, token = divmod(int(place), total.shape[1])
            path = paths[row]
            more = () if weights is None else (*path.weights, weights[row])
            longer = _Path((*path.ids, token), float(total[row, token]), more)
            if token == end:
                if rank < beam:
                    done.append(longer)
            elif len(going) < beam:
                going.append(longer)
                rows.append(row)
        if not going or _settled(done, going[0], beam, penalty, most):
            break
        paths = going
        state = tuple(tuple(part[:, rows] for part in of_layer) for of_layer in state)
    else:
        ended = {path.ids[:-1] for path in done}
        done += [path for path in before if path.ids not in ended]
    found = [_finish(model, path, penalty, end) for path in done]
    return sorted(found, key=lambda h: -h.score)[:beam]


def _score(log_probability: float, length: int, penalty: float) -> float:
    return float(log_probability / ((5 + length) / 6) ** penalty)


def _settled(done: list[_Path], best: _Path, beam: int, penalty: float, most: int) -> bool:
    """Whether `beam` paths are done that are as good as the best other one could be at full length."""
    if len(done) < beam:
        return False
    scores = sorted((_score(path.log_probability, len(path.ids), penalty) for path in done), reverse=True)
    return scores[beam - 1] >= _score(best.log_probability, most + 1, penalty)


def _finish(model: Any, path: _Path, penalty: float, end: int) -> Hypothesis:
    ids = path.ids[:-1] if path.ids and path.ids[-1] == end else path.ids
    score = _score(path.log_probability, len(path.ids), penalty)
    weights = np.array(path.weights[: len(ids)]) if path.weights else None
    return Hypothesis([model.target.tokens[k] for k in ids], path.log_probability, score, weights)
