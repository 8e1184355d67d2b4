"""Words a second of us and of gensim on data/enwiki, each in a process of its own, in random order.

    python bench/bench_word2vec.py sg cbow hs sg300 --rounds 3
    python bench/bench_word2vec.py sg --workers 1

A round trains one epoch of each contender on the same file, in lines of 1,000 words. What counts is the
median over rounds of the ratio; the vocabularies must be equal. gensim is used at its fastest, with
``corpus_file``. Reading and the vocabulary, which come once whatever the number of epochs, are figures of
their own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from quality_word2vec import MODELS, enwiki, first_lines, model_class
from resident_memory import resident


def child(contender: str, name: str, corpus: str, workers: int) -> dict[str, Any]:
    """Train one epoch and tell how it went."""
    if contender != "gensim":
        import fastrnn

        fastrnn.set_num_threads(workers)
    model = model_class(name, contender)(**{**MODELS[name], "epochs": 1, "workers": workers})
    start = time.perf_counter()
    model.build_vocab(corpus_file=corpus)
    built = time.perf_counter()
    peak = resident("VmHWM")
    if contender != "gensim":
        from fastrnn.word2vec import Corpus

        source: dict[str, Any] = {"corpus_iterable": Corpus.read(corpus)}
    else:
        source = {"corpus_file": corpus}
    begun = time.perf_counter()
    totals = {"total_words": model.corpus_total_words, "total_examples": model.corpus_count}
    model.train(**source, **totals, epochs=1)
    seconds = time.perf_counter() - begun
    return {
        "vocabulary": len(model.wv),
        "words": model.corpus_total_words,
        "build": built - start,
        "megabytes": peak / 2**20,
        "speed": model.corpus_total_words / seconds,
    }


def measure(contender: str, name: str, corpus: Path, workers: int) -> dict[str, Any]:
    """What a child process says."""
    command = [sys.executable, __file__, name, "--child", contender, "--corpus", str(corpus)]
    done = subprocess.run(
        [*command, "--workers", str(workers)], capture_output=True, text=True, check=True, env=os.environ
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser()
    parser.add_argument("models", nargs="+", choices=MODELS)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FASTRNN_DATA", "data")))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--lines", type=int, help="only so many lines of the corpus")
    parser.add_argument("--child", choices=["fastrnn", "gensim"], help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.models[0], str(args.corpus), args.workers)))
        return
    corpus = args.corpus or enwiki(args.data, args.work)
    if args.lines:
        corpus = first_lines(corpus, args.lines)
    for name in args.models:
        results: dict[str, list[dict[str, Any]]] = {"fastrnn": [], "gensim": []}
        for _ in range(args.rounds):
            for contender in random.sample(sorted(results), 2):
                results[contender].append(measure(contender, name, corpus, args.workers))
        ours, theirs = results["fastrnn"], results["gensim"]
        assert {r["vocabulary"] for r in ours} == {r["vocabulary"] for r in theirs}
        assert {r["words"] for r in ours} == {r["words"] for r in theirs}
        for what, up in (("speed", True), ("build", False), ("megabytes", False)):
            pairs = [(a[what], b[what]) for a, b in zip(ours, theirs, strict=True)]
            ratios = [a / b if up else b / a for a, b in pairs]
            print(
                f"{name} workers {args.workers} {what}: {statistics.median(a for a, _ in pairs):.4g}, gensim "
                f"{statistics.median(b for _, b in pairs):.4g}; better {statistics.median(ratios):.2f} times "
                f"({min(ratios):.2f} to {max(ratios):.2f})",
                flush=True,
            )


if __name__ == "__main__":
    main()
