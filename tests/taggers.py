"""A small tagger and a small classifier of sentences, and what they learn from."""

from __future__ import annotations

from typing import Any

from sentences import journeys, opinions

from fastrnn import SequenceClassifier, SequenceTagger

TRAIN, DEV = journeys(120), journeys(40, 1)
GOOD, HELD = opinions(120), opinions(40, 1)
QUICK: dict[str, Any] = {"epochs": 12, "batch": 4, "lr": 2e-2, "progress": False}


def tagger(**options: Any) -> SequenceTagger:
    """A small one."""
    return SequenceTagger(TRAIN[0], TRAIN[1], 12, **{"seed": 0, **options})


def classifier(**options: Any) -> SequenceClassifier:
    """A small one."""
    return SequenceClassifier(GOOD[0], GOOD[1], 12, **{"seed": 0, **options})
