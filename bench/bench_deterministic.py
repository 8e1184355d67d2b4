"""What ``deterministic=True`` costs: words a second of both ways on data/enwiki, by turns in one process.

    python bench/bench_deterministic.py sg cbow hs --rounds 5 --workers 2

A round trains one epoch each way, in random order, on the same corpus in memory. What counts is the median
over rounds of the ratio. That the bits are the same for 1 and 2 threads is asserted.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from quality_word2vec import MODELS, enwiki, first_lines

import fastrnn
from fastrnn.word2vec import Corpus

PLAIN = ("sg", "cbow", "hs", "cbow-hs", "sg300", "classic", "fasttext", "fasttext-cbow")


def trained(name: str, corpus: Corpus, deterministic: bool, workers: int) -> tuple[float, Any]:
    """Words a second of an epoch, and the vectors."""
    fastrnn.set_num_threads(workers)
    kind = fastrnn.FastText if name.startswith("fasttext") else fastrnn.Word2Vec
    model = kind(**{**MODELS[name], "deterministic": deterministic, "workers": workers, "seed": 1})
    model.build_vocab(corpus)
    start = time.perf_counter()
    model.train(corpus, epochs=1)
    return corpus.tokens / (time.perf_counter() - start), model.wv.vectors


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", choices=PLAIN)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lines", type=int, default=5000, help="of 1,000 words")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FASTRNN_DATA", "data")))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    corpus = Corpus.read(first_lines(enwiki(args.data, args.work), args.lines))
    for name in args.models:
        speeds: dict[bool, list[float]] = {False: [], True: []}
        vectors = None
        for _ in range(args.rounds):
            for deterministic in random.sample([False, True], 2):
                speed, found = trained(name, corpus, deterministic, args.workers)
                speeds[deterministic].append(speed)
                vectors = found if deterministic else vectors
        assert np.array_equal(trained(name, corpus, True, 1)[1], vectors)
        ratios = [a / b for a, b in zip(speeds[True], speeds[False], strict=True)]
        print(
            f"{name} workers {args.workers}: {statistics.median(speeds[True]) / 1e6:.3f} million words/s, "
            f"concurrent {statistics.median(speeds[False]) / 1e6:.3f}; ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})",
            flush=True,
        )


if __name__ == "__main__":
    main()
