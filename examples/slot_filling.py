"""Slot filling on ATIS: a bidirectional network, a tagger that sees one word, a hidden Markov model.

Data: the folder `atis` of FASTRNN_DATA, with lines ``BOS words EOS<tab>O tags intent``: train (4,478
sentences), dev (500) and test (893). The model of the epoch with the best F1 on dev is tested once.

    python examples/slot_filling.py --seeds 5
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean, stdev

import fastrnn
from fastrnn.baselines import HiddenMarkovTagger
from fastrnn.metrics import chunk_f1

Tagged = tuple[list[list[str]], list[list[str]]]


def read(path: Path) -> Tagged:
    """Sentences and their slots, without the marks of begin and end; digits become 0."""
    words, tags = [], []
    for line in path.read_text(encoding="utf-8").splitlines():
        left, right = line.split("\t")
        words.append(["".join("0" if c.isdigit() else c for c in word) for word in left.split()[1:-1]])
        tags.append(right.split()[1:-1])
    return words, tags


def show(model: fastrnn.SequenceTagger) -> None:
    """Print two sentences that differ in one word before a city."""
    for text in ("flights arriving in boston", "flights leaving from boston"):
        (tags,) = model.predict([text.split()])
        print("  ".join(f"{word}/{tag}" for word, tag in zip(text.split(), tags, strict=True)))


def main() -> None:
    """Train, choose, test."""
    parser = argparse.ArgumentParser(description="slot filling on ATIS")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--hidden", type=int, default=128)
    parser.add_argument("--cell", default="LSTM")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    folder = Path(os.environ.get("FASTRNN_DATA", ".")) / "atis"
    names = ("atis-2.train", "atis-2.dev", "atis.test")
    train, dev, test = (read(folder / f"{name}.w-intent.iob") for name in names)
    markov = HiddenMarkovTagger().fit(*train)
    print(f"hidden Markov model      test F1 {100 * chunk_f1(test[1], markov.predict(test[0])).f1:.2f}")
    for cell, what in ((None, "one word alone"), (arguments.cell, f"bidirectional {arguments.cell}")):
        found = []
        for seed in range(arguments.seeds):
            model = fastrnn.SequenceTagger(
                train[0],
                train[1] + dev[1] + test[1],
                arguments.hidden,
                embedding_size=100,
                cell=cell,
                dropout=0.5,
                embedding_dropout=0.3,
                seed=seed,
            )
            options = {"epochs": arguments.epochs, "lr": 5e-3, "word_dropout": 0.3, "seed": seed}
            model.fit(*train, validation_data=dev, batch=16, progress=False, **options)
            scores = [model.evaluate(*part).chunks for part in (dev, test)]
            found.append(100 * scores[1].f1)
            print(
                f"{what:24s} seed {seed}: dev F1 {100 * scores[0].f1:.2f}  test F1 {found[-1]:.2f}",
                flush=True,
            )
        spread = f" +- {stdev(found):.2f}" if len(found) > 1 else ""
        print(f"{what:24s} test F1 {mean(found):.2f}{spread} ({len(found)} seeds)")
    show(model)


if __name__ == "__main__":
    main()
