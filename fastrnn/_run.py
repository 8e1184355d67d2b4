"""What `fastrnn train` does: text, model, run, comparison with an n-gram model, sample."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from typing import Any

import numpy as np

from fastrnn import checkpoint
from fastrnn.callbacks import TimeLimit, perplexity
from fastrnn.data import Vocabulary, read_text, text_digest
from fastrnn.models import LanguageModel
from fastrnn.ngram import NgramModel

CHECKPOINT = "fastrnn.ckpt"
HELD_OUT = 10  # one part in ten, the last, is held out
ORDER = {"character": 6, "word": 5}  # of the n-gram model to beat

# What decides the bits of a run, by default. A resumed run takes all of it from the checkpoint.
CHARACTERS: dict[str, Any] = {
    "text": None,
    "words": False,
    "vocabulary": None,
    "epochs": 25,
    "hidden": 256,
    "layers": 2,
    "batch": 16,
    "steps": 64,
    "dropout": 0.3,
    "lr": 4e-3,
    "max_norm": 1.0,
    "seed": 0,
}
WORDS = CHARACTERS | {
    "words": True,
    "vocabulary": 10_000,
    "hidden": 200,
    "batch": 20,
    "steps": 35,
    "lr": 2e-3,
}


def train(args: argparse.Namespace) -> int:
    """Run ``fastrnn train``."""
    resumed = _saved_run(args.checkpoint) if args.resume else None
    settings = _settings(args, resumed)
    if resumed is None and os.path.exists(args.checkpoint) and not args.overwrite:
        raise ValueError(
            f"{args.checkpoint} exists: go on with --resume, or give --checkpoint PATH or --overwrite"
        )
    text = _text(args.text if args.text is not None else settings["text"])
    digest = text_digest(text)
    if resumed is not None and digest != settings["sha256"]:
        raise ValueError(f"--text: expected the text that {args.checkpoint} was trained on, got another one")
    settings["sha256"] = digest
    if resumed is not None and resumed["training"]["finished"]:
        print(f"The run in {args.checkpoint} is finished; nothing to resume.")
        return 0
    cut = len(text) - len(text) // HELD_OUT
    known, held_out = text[:cut], text[cut:]
    model = _model(text, known, settings) if resumed is None else LanguageModel.from_saved(resumed)
    _say(f"text: {len(known):,} characters to learn from, {len(held_out):,} held out")
    _say(
        f"model: LSTM {settings['layers']} x {settings['hidden']}, {len(model.vocabulary)} "
        f"{model.vocabulary.unit}s, {model.flat_params.size:,} parameters"
    )
    start = time.monotonic()
    epochs = _fit(model, known, held_out, settings, args)
    if epochs is None:
        _say(f"time limit reached; go on with: {_resume_command(args)}")
    _report(model, known, held_out, args, time.monotonic() - start)
    return 0


def _fit(
    model: LanguageModel, known: str, held_out: str, settings: dict[str, Any], args: argparse.Namespace
) -> int | None:
    """Train; return the epochs done, None if the time was over before."""
    limit = None if args.time_limit is None else TimeLimit(args.time_limit)
    try:
        history = model.fit(
            known,
            held_out,
            epochs=settings["epochs"],
            batch=settings["batch"],
            steps=settings["steps"],
            lr=settings["lr"],
            max_norm=settings["max_norm"],
            seed=settings["seed"],
            callbacks=[] if limit is None else [limit],
            checkpoint=args.checkpoint,
            checkpoint_every=args.checkpoint_every,
            resume=args.resume,
            info=settings,
        )
    except KeyboardInterrupt:
        if os.path.exists(args.checkpoint):
            _say(f"interrupted; the checkpoint stands, go on with: {_resume_command(args)}")
        raise
    done = len(history.epochs)
    return None if limit is not None and limit.reached and done < settings["epochs"] else done


def _report(
    model: LanguageModel, known: str, held_out: str, args: argparse.Namespace, seconds: float
) -> None:
    """Print what was reached, beside the n-gram model on the same text, and a sample."""
    unit = model.vocabulary.unit
    ours = model.evaluate(held_out)
    order = ORDER[unit]
    ids = model.vocabulary.encode(known)
    ngram = NgramModel(ids, len(model.vocabulary), order)
    # Both are asked for the same tokens; the n-gram model sees the end of the training text before them.
    probe = np.concatenate([ids[-order:], model.vocabulary.encode(held_out)])
    theirs = ngram.loss(probe, order + 1)
    verdict = "better" if ours.loss < theirs else "worse"
    print(f"held-out loss  {ours.loss:.4f} nats/{unit}, perplexity {ours.perplexity:.3f}")
    print(f"{order}-gram model   {theirs:.4f} nats/{unit}, perplexity {perplexity(theirs):.3f}")
    print(f"LSTM is {verdict} than the {order}-gram model by {abs(theirs - ours.loss):.4f} nats/{unit}")
    print(f"training time  {seconds:.0f} s")
    print(f"checkpoint     {args.checkpoint}")
    if args.sample:
        print(f"\n--- a sample of {args.sample} {unit}s ---")
        print(model.sample(args.sample, temperature=0.8))


def _model(text: str, known: str, settings: dict[str, Any]) -> LanguageModel:
    if settings["words"]:
        vocabulary = Vocabulary.from_text(known, "word", settings["vocabulary"])
    else:
        vocabulary = Vocabulary.from_text(text)
    return LanguageModel(
        vocabulary,
        settings["hidden"],
        settings["layers"],
        dropout=settings["dropout"],
        seed=settings["seed"],
    )


def _settings(args: argparse.Namespace, resumed: dict[str, Any] | None) -> dict[str, Any]:
    given = {key: value for key in CHARACTERS if (value := getattr(args, key)) is not None}
    if resumed is None:
        settings = (WORDS if args.words else CHARACTERS) | given
        if settings["text"] is not None:
            settings["text"] = os.path.abspath(settings["text"])
        if settings["vocabulary"] is not None and not settings["words"]:
            raise ValueError("--vocabulary: expected together with --words; all characters are kept")
        return settings
    saved: dict[str, Any] = dict(resumed["training"]["info"])
    for key, value in given.items():
        if key != "text" and value != saved.get(key):
            option = "--" + key.replace("_", "-")
            raise ValueError(
                f"{option}: expected {saved.get(key)}, as the run began, got {value}; leave it out"
            )
    return saved


def _saved_run(path: str) -> dict[str, Any]:
    saved: dict[str, Any] = checkpoint.load(path)
    if not isinstance(saved, dict) or "training" not in saved or "sha256" not in saved["training"]["info"]:
        raise ValueError(f"--resume: expected a checkpoint of fastrnn train, got another one: {path}")
    return saved


def _text(path: str | None) -> str:
    if path is not None:
        return read_text(path)
    try:
        from pydoc_data.topics import topics
    except ImportError:
        raise ValueError("this Python comes without pydoc_data, the default text; give --text FILE") from None
    return "\n".join(topics.values())


def _resume_command(args: argparse.Namespace) -> str:
    where = "" if args.checkpoint == CHECKPOINT else f" --checkpoint {shlex.quote(args.checkpoint)}"
    return f"fastrnn train --resume{where}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
