"""Parts of speech or named entities: embeddings of words alone, and with what their letters say.

Data: of FASTRNN_DATA the folder `ud-ewt` (CoNLL-U, 17 universal parts of speech; share of right tags) or
`wnut17` (``token<tab>tag``, six kinds of entities; F1 by conlleval's rules). The model of the best epoch on
the development part is tested once; beside the test part itself stand its words that training never had, the
test part in lower case, and with slips of the pen: two neighbouring letters inside each word of four or more
are exchanged.

    python examples/part_of_speech.py --seeds 3
    python examples/part_of_speech.py --data wnut17 --seeds 3 --characters none LSTM
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np

import fastrnn
from fastrnn.metrics import has_chunks

Tagged = tuple[list[list[str]], list[list[str]]]
FILES = {
    "ud-ewt": [f"en_ewt-ud-{part}.conllu" for part in ("train", "dev", "test")],
    "wnut17": ["wnut17train.conll", "emerging.dev.conll", "emerging.test.annotated"],
}


def read(path: Path) -> Tagged:
    """Sentences and their tags, of CoNLL-U (the fourth column) or of words and tags."""
    x: list[list[str]] = [[]]
    y: list[list[str]] = [[]]
    for line in [*path.read_text(encoding="utf-8").split("\n"), ""]:
        fields = line.split("\t")
        if not line.strip():
            if x[-1]:
                x.append([])
                y.append([])
        elif path.suffix != ".conllu" and fields[0].strip():
            x[-1].append(fields[0].strip())
            y[-1].append(fields[1].strip())
        elif path.suffix == ".conllu" and fields[0].isdigit():  # neither comments nor 8-9 nor 8.1
            x[-1].append(fields[1])
            y[-1].append(fields[3])
    return x[:-1], y[:-1]


def slip(word: str, draw: np.random.Generator) -> str:
    """Exchange two letters that are neither the first nor the last."""
    if len(word) < 4:
        return word
    at = int(draw.integers(1, len(word) - 2))
    return word[:at] + word[at + 1] + word[at] + word[at + 2 :]


def score(model: fastrnn.SequenceTagger, x: list[list[str]], y: list[list[str]]) -> float:
    """Per cent: F1 of entities, or right tags."""
    found = model.evaluate(x, y)
    return 100 * (found.accuracy if found.chunks is None else found.chunks.f1)


def unseen(model: fastrnn.SequenceTagger, train: Tagged, test: Tagged) -> float:
    """Per cent of right tags on words that training never had; of chunks, all entities with such a word."""
    known = {word for sentence in train[0] for word in sentence}
    right = total = 0
    for words, tags, found in zip(*test, model.predict(test[0]), strict=True):
        for word, tag, guess in zip(words, tags, found, strict=True):
            if word not in known:
                total, right = total + 1, right + (tag == guess)
    return 100 * right / max(total, 1)


def main() -> None:
    """Train, choose, test."""
    parser = argparse.ArgumentParser(description="parts of speech, named entities")
    parser.add_argument("--data", choices=list(FILES), default="ud-ewt")
    parser.add_argument(
        "--characters", nargs="+", default=["none", "LSTM", "CNN"], help="none, CNN, or a cell"
    )
    parser.add_argument("--join", choices=["concatenate", "gate"], default="concatenate")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--dev", action="store_true", help="stop before the test part")
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    folder = Path(os.environ.get("FASTRNN_DATA", ".")) / arguments.data
    train, dev, test = (read(folder / name) for name in FILES[arguments.data])
    names = sorted({tag for part in (train, dev, test) for tags in part[1] for tag in tags})
    draw = np.random.default_rng(0)
    parts = {
        "test": test[0],
        "lower case": [[word.lower() for word in words] for words in test[0]],
        "slips": [[slip(word, draw) for word in words] for words in test[0]],
    }
    what = "F1" if has_chunks(names) else "%"
    for characters in arguments.characters:
        letters: dict[str, Any] = {}
        if characters != "none":
            sizes = {"embedding_size": 25, "hidden_size": 50}
            letters = {"characters": characters, "join": arguments.join, "character_options": sizes}
        rows = []
        for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
            model = fastrnn.SequenceTagger(
                train[0],
                names,
                arguments.hidden,
                embedding_size=100,
                dropout=0.5,
                embedding_dropout=0.3,
                **letters,
                seed=seed,
            )
            options = {"epochs": arguments.epochs, "lr": 4e-3, "word_dropout": 0.5, "seed": seed}
            model.fit(*train, validation_data=dev, batch=16, progress=False, **options)
            line = f"characters {characters}, seed {seed}: dev {score(model, *dev):.2f} {what}"
            if not arguments.dev:
                row = [score(model, x, test[1]) for x in parts.values()]
                rows.append([*row, unseen(model, train, test)])
                line += f", test {row[0]:.2f}"
            print(line, flush=True)
        if rows:
            found = [
                f"{name} {mean(column):.2f}" + (f" +- {stdev(column):.2f}" if len(column) > 1 else "")
                for name, column in zip(
                    [*parts, "tags of unseen words"], zip(*rows, strict=True), strict=True
                )
            ]
            print(f"characters {characters} ({len(rows)} seeds), {what}: {', '.join(found)}", flush=True)


if __name__ == "__main__":
    main()
