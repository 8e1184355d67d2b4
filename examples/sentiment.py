"""Sentiment of movie-review sentences, beside naive Bayes on words and pairs of words.

Data: the folder `sentiment-mr` of FASTRNN_DATA, 5,331 positive and 5,331 negative sentences. Ten-fold
cross-validation is the custom; --folds runs the first few of the ten. --dev trains on nine tenths of each
training part and tests on the last, for all that is to be chosen, the number of epochs, too. Vectors to begin
with come from a file, or are trained on the folder `enwiki` first.

    python examples/sentiment.py --folds 10
    python examples/sentiment.py --folds 10 --train-vectors 300
    python examples/sentiment.py --folds 10 --vectors enwiki.bin --freeze
"""

from __future__ import annotations

import argparse
import lzma
import os
import re
import tempfile
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

import fastrnn
from fastrnn.baselines import NaiveBayes
from fastrnn.data import Vocabulary


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


def train_vectors(folder: Path, size: int) -> Any:
    """Skip-gram vectors of the one long line of `enwiki`, in sentences of a thousand words."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "lines"
        with lzma.open(folder / "enwiki100m.txt.xz", "rt", encoding="utf-8") as file:
            words = file.read().split()
        lines = (" ".join(words[at : at + 1000]) for at in range(0, len(words), 1000))
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        del words
        options: dict[str, Any] = {"sg": 1, "vector_size": size, "window": 5, "negative": 5, "epochs": 10}
        return fastrnn.Word2Vec(corpus_file=str(path), min_count=2, seed=1, **options).wv


def add_compounds(vectors: Any, words: set[str]) -> None:
    """Add words like `self-conscious` and `film's`, whose parts are there: the means of these."""
    found: dict[str, Any] = {}
    for word in sorted(words - vectors.key_to_index.keys()):
        parts = [part for part in re.split("[^a-z]+", word) if part in vectors.key_to_index]
        if len("".join(parts)) > 2:
            found[word] = np.mean([vectors[part] for part in parts], axis=0)
    vectors.add_vectors(list(found), np.array(list(found.values()), np.float32))


def main() -> None:
    """Train and test on some of the ten folds."""
    parser = argparse.ArgumentParser(description="sentiment of movie reviews")
    parser.add_argument("--folds", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--cell", default="LSTM")
    parser.add_argument("--pooling", default="max")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--word-dropout", type=float, default=0.3)
    parser.add_argument("--vectors", help="a binary file of word vectors to begin with")
    parser.add_argument("--train-vectors", type=int, metavar="SIZE", help="train vectors on enwiki first")
    parser.add_argument("--save-vectors", help="write them to a binary file")
    parser.add_argument("--freeze", action="store_true", help="leave the vectors as they are")
    parser.add_argument("--dev", action="store_true", help="no test: right labels of the held-out tenths")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    data = Path(os.environ.get("FASTRNN_DATA", "."))
    x, y = read(data / "sentiment-mr")
    vectors: Any = None
    if arguments.vectors:
        vectors = fastrnn.KeyedVectors.load_word2vec_format(arguments.vectors, binary=True)
    elif arguments.train_vectors:
        vectors = train_vectors(data / "enwiki", arguments.train_vectors)
        if arguments.save_vectors:
            vectors.save_word2vec_format(arguments.save_vectors, binary=True)
    # A word of a test sentence that training never had is known when it has a vector.
    known: list[str] = []
    if vectors is not None:
        words = {word for sentence in x for word in sentence}
        add_compounds(vectors, words)
        known = sorted(words & vectors.key_to_index.keys())
    size = 100 if vectors is None else vectors.vector_size
    ours, bayes = [], []
    for fold in range(arguments.folds):
        train, test = [k for k in range(len(x)) if k % 10 != fold], list(range(fold, len(x), 10))
        if arguments.dev:
            train, test = [k for i, k in enumerate(train) if i % 10], train[::10]
        seen, unseen = [([x[k] for k in part], [y[k] for k in part]) for part in (train, test)]
        model = fastrnn.SequenceClassifier(
            Vocabulary.from_sentences([*seen[0], known]),
            y,
            arguments.hidden,
            embedding_size=size,
            cell=arguments.cell,
            pooling=arguments.pooling,
            dropout=0.5,
            embedding_dropout=0.5,
            vectors=vectors,
            freeze_embedding=arguments.freeze,
            seed=fold,
        )
        model.fit(
            *seen,
            epochs=arguments.epochs,
            lr=arguments.lr,
            word_dropout=arguments.word_dropout,
            batch=32,
            progress=False,
            seed=fold,
        )
        bayes.append(100 * NaiveBayes().fit(*seen).score(*unseen))
        ours.append(100 * model.evaluate(*unseen).accuracy)
        print(f"fold {fold}: {ours[-1]:.1f} %, naive Bayes {bayes[-1]:.1f} %", flush=True)
    name = f"{arguments.cell}, {arguments.pooling} pooling"
    print(f"{name}: {mean(ours):.1f} %, naive Bayes: {mean(bayes):.1f} % ({len(ours)} of 10 folds)")


if __name__ == "__main__":
    main()
