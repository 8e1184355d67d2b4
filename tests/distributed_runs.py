"""A small run, which one process does alone or several together."""

from __future__ import annotations

from typing import Any

from fastrnn import optim
from fastrnn.callbacks import Callback, EarlyStopping, History
from fastrnn.data import Streams, Vocabulary
from fastrnn.models import LanguageModel
from fastrnn.training import Trainer

TEXT = "pack my box with five dozen liquor jugs; " * 12
VOCABULARY = Vocabulary.from_text(TEXT)
DATA = Streams(VOCABULARY.encode(TEXT), 5, 20)
HELD_OUT = Streams(VOCABULARY.encode(TEXT[7:90]), 3, 9, whole=True)
EPOCHS = 2


def language_model(path: Any = None, *extra: Callback, seed: int = 3, **options: Any) -> Trainer:
    model = LanguageModel(VOCABULARY, 12, 2, dtype="float64", seed=seed)
    return Trainer(
        model,
        optim.Adam(model, lr=1e-2),
        max_norm=0.5,
        callbacks=[EarlyStopping(5), History(), *extra],
        checkpoint=path,
        checkpoint_every=0.0,
        **options,
    )


def outcome(trainer: Trainer) -> Any:
    history = next(c for c in trainer.callbacks if isinstance(c, History))
    return trainer.model.flat_params.copy(), history.epochs


def alone() -> Any:
    trainer = language_model()
    trainer.fit(DATA, EPOCHS, HELD_OUT)
    return outcome(trainer)
