"""Sentiment of movie-review sentences, beside naive Bayes on words and pairs of words.

Data: the folder `sentiment-mr` of FASTRNN_DATA, 5,331 positive and 5,331 negative sentences. Ten-fold
cross-validation is the custom; --folds runs the first few of the ten. A tenth of each training part is held
out for the choice of the epoch.

    python examples/sentiment.py --folds 10
    python examples/sentiment.py --folds 10 --vectors enwiki.bin
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from statistics import mean

import numpy as np

import fastrnn
from fastrnn.baselines import NaiveBayes


def read(folder: Path) -> tuple[list[list[str]], list[str]]:
    """Words and labels, in an order that is always the same."""
    x: list[list[str]] = []
    y: list[str] = []
    for name in ("neg", "pos"):
        lines = (folder / f"rt-polarity.{name}").read_text(encoding="iso-8859-1").strip().split("\n")
        x += [line.split() for line in lines]
        y += [name] * len(lines)
    order = np.random.default_rng(0).permutation(len(x))
    return [x[k] for k in order], [y[k] for k in order]


def main() -> None:
    """Train and test on some of the ten folds."""
    parser = argparse.ArgumentParser(description="sentiment of movie reviews")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--cell", default="LSTM")
    parser.add_argument("--pooling", default="max")
    parser.add_argument("--vectors", help="a file of word vectors to begin with")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    x, y = read(Path(os.environ.get("FASTRNN_DATA", ".")) / "sentiment-mr")
    vectors = (
        fastrnn.KeyedVectors.load_word2vec_format(arguments.vectors, binary=True)
        if arguments.vectors
        else None
    )
    size = vectors.vector_size if vectors is not None else 100
    ours, bayes = [], []
    for fold in range(arguments.folds):
        rest = [k for k in range(len(x)) if k % 10 != fold]
        held, train = rest[::10], [k for k in rest if k not in set(rest[::10])]
        parts = [([x[k] for k in part], [y[k] for k in part]) for part in (train, held)]
        test = x[fold::10], y[fold::10]
        bayes.append(100 * NaiveBayes().fit([x[k] for k in rest], [y[k] for k in rest]).score(*test))
        model = fastrnn.SequenceClassifier(
            parts[0][0],
            y,
            arguments.hidden,
            embedding_size=size,
            cell=arguments.cell,
            pooling=arguments.pooling,
            dropout=0.5,
            embedding_dropout=0.5,
            seed=fold,
        )
        known = "" if vectors is None else f", {model.load_vectors(vectors)} words have vectors"
        options = {"epochs": arguments.epochs, "lr": 2e-3, "word_dropout": 0.3, "seed": fold}
        model.fit(*parts[0], validation_data=parts[1], batch=32, progress=False, **options)
        ours.append(100 * model.evaluate(*test).accuracy)
        print(f"fold {fold}: {ours[-1]:.1f} %, naive Bayes {bayes[-1]:.1f} %{known}", flush=True)
    name = f"{arguments.cell}, {arguments.pooling} pooling"
    print(f"{name}: {mean(ours):.1f} %, naive Bayes: {mean(bayes):.1f} % ({len(ours)} of 10 folds)")


if __name__ == "__main__":
    main()
