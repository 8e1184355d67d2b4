"""The passes over a corpus."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fastrnn import _core

from .vocabulary import type_table

if TYPE_CHECKING:
    from .corpus import Corpus
    from .model import Word2Vec

_TURN = 0.2  # seconds between looks at Ctrl-C and at the progress
_logger = logging.getLogger(__name__)


class Progress(Protocol):
    """Is told how far the training is."""

    def update(self, words: int, rate: float, loss: float | None) -> None:
        """`words` more of the corpus are done; mean loss of a centre in this epoch so far."""


@dataclass
class Schedule:
    """The learning rate falls in a straight line with the words that are done.

    Attributes
    ----------
    start, end : float
        Rates at the first word and after the last.
    total : float
        Words of all epochs.
    done : float
        Words before the first of this call.
    """

    start: float
    end: float
    total: float
    done: float = 0.0

    def at(self, words: float) -> float:
        """The rate when `words` of this call are done."""
        return self.start + (self.end - self.start) * min(1.0, (self.done + words) / self.total)


@dataclass
class Trained:
    """What has been done.

    Attributes
    ----------
    words, centres : int
        Words of the corpus, and those that were neither unknown nor left out by subsampling.
    losses : list of float
        Of each epoch, complete or not: the summed negative log-likelihood.
    centres_by_epoch : list of int
    """

    words: int = 0
    centres: int = 0
    losses: list[float] = field(default_factory=list)
    centres_by_epoch: list[int] = field(default_factory=list)


class Whole:
    """All of a corpus, in one process; `fastrnn.distributed` has a part of one among many."""

    processes = 1

    def begin(self, tokens: int) -> tuple[int, int]:
        """Begin an epoch: the positions to train on."""
        return 0, tokens

    def turn(self, end: int) -> int:
        """Where a turn of the kernels that could go up to `end` stops."""
        return end

    def reached(self, position: int) -> None:
        """All up to there is done."""

    def finish(self, loss: float, centres: int, words: int) -> tuple[float, int, int]:
        """End an epoch, of which that was done here: what all have done."""
        return loss, centres, words


def run_of(model: Word2Vec, corpus: Corpus, loss: bool) -> _core.Word2VecRun:
    """The kernels' view of a model and a corpus."""
    keep = model.keep_thresholds
    types = type_table(corpus.types, model.wv.key_to_index, keep)
    if not (types[:, 0] >= 0).any():
        raise ValueError("sentences: expected words of the vocabulary, got none of them")
    return _core.Word2VecRun(
        ids=corpus.ids,
        offsets=np.ascontiguousarray(corpus.offsets, np.int64),
        types=types,
        window=model.window,
        negative=model.negative,
        cbow=not model.sg,
        mean=bool(model.cbow_mean),
        shrink=bool(model.shrink_windows),
        shared=model.shared_negatives,
        deterministic=model.deterministic,
        loss=loss,
        **model.kernel_outputs(),
        **model.kernel_inputs(corpus),
    )


def train(
    model: Word2Vec,
    corpus: Corpus,
    epochs: int,
    schedule: Schedule,
    *,
    loss: bool,
    callbacks: Iterable[Any] = (),
    progress: Progress | None = None,
    report_delay: float = 1.0,
) -> Trained:
    """Pass over the corpus `epochs` times.

    Raises FloatingPointError after an epoch in which the vectors have diverged.

    After KeyboardInterrupt the model is as trained so far: it comes between two turns of the kernels.
    """
    try:
        return _epochs(model, corpus, epochs, schedule, loss, callbacks, progress, report_delay)
    except BaseException:
        model.settle()
        raise


def _epochs(
    model: Word2Vec,
    corpus: Corpus,
    epochs: int,
    schedule: Schedule,
    loss: bool,
    callbacks: Iterable[Any],
    progress: Progress | None,
    report_delay: float,
) -> Trained:
    run = run_of(model, corpus, loss)
    if schedule.at(0) > model.min_alpha_yet_reached:
        _logger.warning("Effective 'alpha' higher than previous training cycles")
    done = model.trained = Trained()
    threads = max(1, min(model.workers, _core.get_num_threads()))
    turns = _Turns()
    reported = begun = time.monotonic()
    part, rates = model.part, (model.alpha, model.min_alpha)
    for epoch in range(epochs):
        for callback in callbacks:
            callback.on_epoch_begin(model)
        if (model.alpha, model.min_alpha) != rates:  # a callback has set them: from now on they hold
            rates = model.alpha, model.min_alpha
            schedule = replace(schedule, start=float(rates[0]), end=float(rates[1]))
        key = model.next_key()
        first = epoch * corpus.tokens
        done.losses.append(0.0)
        done.centres_by_epoch.append(0)
        position, last = part.begin(corpus.tokens)
        begin, words = position, done.words
        rate = schedule.at(first)
        while position < last:
            end = part.turn(min(position + turns.words, last))
            # The others are as far in theirs.
            rate = schedule.at(first + (position - begin) * part.processes)
            slope = (schedule.at(first + (end - begin) * part.processes) - rate) / (end - position)
            before = time.monotonic()
            value, centres = run.train(position, end, key, rate - slope * position, slope, threads)
            turns.took(end - position, time.monotonic() - before)
            done.losses[-1] += value
            done.centres_by_epoch[-1] += centres
            done.centres += centres
            done.words += end - position
            model.min_alpha_yet_reached = min(model.min_alpha_yet_reached, rate)
            if loss:
                model.running_training_loss += value
            if progress is not None:
                mean = done.losses[-1] / max(1, done.centres_by_epoch[-1]) if loss else None
                progress.update((end - position) * part.processes, rate, mean)
            position = end
            part.reached(position)
            if time.monotonic() - reported >= report_delay:
                reported = time.monotonic()
                share = (first + (position - begin) * part.processes) / (epochs * corpus.tokens)
                _logger.info(
                    "PROGRESS: %.2f%% of words, %.0f words/s", 100 * share, done.words / (reported - begun)
                )
        here = done.losses[-1], done.centres_by_epoch[-1], done.words - words
        total = part.finish(*here)
        done.losses[-1], done.centres_by_epoch[-1] = total[:2]
        done.centres += total[1] - here[1]
        done.words += total[2] - here[2]
        if loss:
            model.running_training_loss += total[0] - here[0]
        model.settle()
        if not np.isfinite(model.wv.vectors).all():
            raise FloatingPointError(
                f"alpha: expected a learning rate that converges, got infinity at {rate:g}"
            )
        for callback in callbacks:
            callback.on_epoch_end(model)
    return done


class _Turns:
    """How many words to hand to the kernels at once: some `_TURN` of work, in whole slices."""

    def __init__(self) -> None:
        self.words = 64 * _core.SLICE

    def took(self, words: int, seconds: float) -> None:
        wanted = int(words / max(seconds, 1e-4) * _TURN)
        wanted = min(4 * self.words, max(self.words // 4, wanted))
        self.words = max(16, wanted // _core.SLICE) * _core.SLICE
