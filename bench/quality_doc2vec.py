"""Accuracy of a linear model on document vectors of data/sentiment-mr, of us and of gensim.

    python bench/quality_doc2vec.py --model dbow --seeds 1 2 3
    python bench/quality_doc2vec.py --model dbow --seeds 1 2 3 --peer gensim

Vectors are learned from all 10,662 sentences without their labels; the accuracy is that of scikit-learn's
logistic regression in 10-fold cross-validation. Also the words a second of training.
"""

from __future__ import annotations

import argparse
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np

MODELS: dict[str, dict[str, Any]] = {
    "dbow": {"dm": 0},
    "dbow-words": {"dm": 0, "dbow_words": 1},
    "dm": {"dm": 1},
    "dm-sum": {"dm": 1, "dm_mean": 0},
    "dm-concat": {"dm": 1, "dm_concat": 1},
}
COMMON = {"vector_size": 100, "epochs": 20, "min_count": 2, "negative": 5, "sample": 1e-3, "alpha": 0.05}


def sentences(data: Path) -> tuple[list[list[str]], np.ndarray]:
    """Tokens and labels, negative ones first."""
    found, labels = [], []
    for path in sorted((data / "sentiment-mr").iterdir()):
        kind = re.search(r"neg|pos", path.name)
        if kind is None:
            continue
        lines = path.read_text(encoding="latin-1").splitlines()
        found += [line.lower().split() for line in lines]
        labels += [int(kind[0] == "pos")] * len(lines)
    return found, np.array(labels)


def accuracy(vectors: np.ndarray, labels: np.ndarray) -> float:
    """Mean of 10 folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=500))
    folds = StratifiedKFold(10, shuffle=True, random_state=0)
    return float(cross_val_score(model, vectors, labels, cv=folds).mean())


def main() -> None:
    """Print a line for each seed, then the mean and the standard deviation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="dbow")
    parser.add_argument("--peer", choices=["gensim"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FASTRNN_DATA", "data")))
    args = parser.parse_args()
    if args.peer:
        from gensim.models.doc2vec import Doc2Vec, TaggedDocument
    else:
        from fastrnn.word2vec import Doc2Vec, TaggedDocument
    tokens, labels = sentences(args.data)
    documents = [TaggedDocument(words, [n]) for n, words in enumerate(tokens)]
    found = []
    for seed in args.seeds:
        begun = time.perf_counter()
        model = Doc2Vec(documents, seed=seed, workers=args.workers, **COMMON, **MODELS[args.model])
        seconds = time.perf_counter() - begun
        found.append(accuracy(np.asarray(model.dv.vectors), labels))
        words = COMMON["epochs"] * sum(map(len, tokens))
        print(
            f"{args.peer or 'fastrnn'} {args.model} seed {seed}  accuracy {found[-1]:.4f}  "
            f"{words / seconds:.3g} words/s from lists, vocabulary included",
            flush=True,
        )
    if len(found) > 1:
        print(f"accuracy {np.mean(found):.4f} +- {np.std(found, ddof=1):.4f}")


if __name__ == "__main__":
    main()
