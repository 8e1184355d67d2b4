"""Quality of word vectors on data/enwiki, of us and of gensim, one process for each model.

python bench/quality_word2vec.py --model sg --seeds 1 2 3
python bench/quality_word2vec.py --model sg --seeds 1 2 3 --peer gensim
python bench/quality_word2vec.py --model deterministic --lines 3400 --epochs 3     # on the first 20 MB
"""

from __future__ import annotations

import argparse
import itertools
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from word_vectors import judge

MODELS: dict[str, dict[str, Any]] = {
    "sg": {"sg": 1},
    "cbow": {"sg": 0},
    "hs": {"sg": 1, "hs": 1, "negative": 0},
    "cbow-hs": {"sg": 0, "hs": 1, "negative": 0},
    "sg300": {"sg": 1, "vector_size": 300},
    "deterministic": {"sg": 1, "deterministic": True},
    "deterministic-cbow": {"sg": 0, "deterministic": True},
    "deterministic-hs": {"sg": 1, "hs": 1, "negative": 0, "deterministic": True},
    "classic": {"sg": 1, "shared_negatives": False},
    "fasttext": {"sg": 1},
    "fasttext-cbow": {"sg": 0},
    "glove": {"epochs": 25},
    "glove-paper": {"epochs": 25, "x_max": 100, "learning_rate": 0.05},
    "dbow": {"dm": 0, "epochs": 5},
    "dm": {"dm": 1, "epochs": 5},
}
CLASSES = {
    "fasttext": "FastText",
    "fasttext-cbow": "FastText",
    "glove": "GloVe",
    "glove-paper": "GloVe",
    "dbow": "Doc2Vec",
    "dm": "Doc2Vec",
}
WORDS_IN_LINE = 1000  # gensim drops what is beyond 10,000


def model_class(name: str, peer: str | None) -> Any:
    """What trains a model: ours, or gensim's."""
    if peer == "gensim":
        import gensim.models as module
    else:
        import fastrnn as module  # type: ignore[no-redef]
    return getattr(module, CLASSES.get(name, "Word2Vec"))


def enwiki(data: Path, folder: Path) -> Path:
    """The corpus, unpacked and broken into lines."""
    import lzma

    target = folder / "enwiki.lines.txt"
    if not target.exists():
        with lzma.open(data / "enwiki" / "enwiki100m.txt.xz", "rt", encoding="utf-8") as file:
            words = file.read().split()
        lines = (" ".join(words[i : i + WORDS_IN_LINE]) for i in range(0, len(words), WORDS_IN_LINE))
        aside = target.with_suffix(".tmp")
        aside.write_text("\n".join(lines) + "\n", encoding="utf-8")
        aside.rename(target)
    return target


def first_lines(corpus: Path, count: int) -> Path:
    """A file of the first lines of a corpus."""
    part = corpus.with_suffix(f".{count}.txt")
    with corpus.open(encoding="utf-8") as file:
        part.write_text("".join(itertools.islice(file, count)), encoding="utf-8")
    return part


def train_by_file_rates(make: Any, corpus: str, options: dict[str, Any]) -> Any:
    """Train with the rates of gensim with ``corpus_file``, whose workers count only what they read."""
    model = make(**options)
    model.build_vocab(corpus_file=corpus)
    totals = {"total_words": model.corpus_total_words, "total_examples": model.corpus_count}
    alpha, fall = model.alpha, (model.alpha - model.min_alpha) / model.epochs
    for epoch in range(options["epochs"]):
        begin = alpha - fall * epoch  # training leaves its last rate in the model
        rates = {"start_alpha": begin, "end_alpha": begin - fall / options["workers"]}
        model.train(corpus_file=corpus, epochs=1, **totals, **rates)
    return model


def main() -> None:
    """Train with each seed; print a line for each, then the mean and the standard deviation."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", choices=MODELS, default="sg")
    parser.add_argument("--peer", choices=["gensim"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--epochs", type=int, help="default: 5, or what the model says")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--lines", type=int, help="only so many lines of the corpus, of 1,000 words each")
    parser.add_argument("--file-rates", action="store_true", help="rates as gensim has them with corpus_file")
    parser.add_argument(
        "--iterable", action="store_true", help="gensim reads a LineSentence: then its rate falls as it says"
    )
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FASTRNN_DATA", "data")))
    parser.add_argument("--work", type=Path, default=Path(tempfile.gettempdir()))
    args = parser.parse_args()
    if args.file_rates and args.peer:
        parser.error("--file-rates is for ours: gensim has them with corpus_file")
    if args.iterable and not args.peer:
        parser.error("--iterable is for gensim: ours has the same rates with corpus_file")
    corpus = enwiki(args.data, args.work)
    if args.lines:
        corpus = first_lines(corpus, args.lines)
    rows = []
    for seed in args.seeds:
        begun = time.monotonic()
        options = {"epochs": 5, "workers": args.workers, "seed": seed, **MODELS[args.model]}
        if args.epochs is not None:
            options["epochs"] = args.epochs
        source: dict[str, Any] = {"corpus_file": str(corpus)}
        if args.iterable:
            from gensim.models.word2vec import LineSentence

            source = {"sentences": LineSentence(str(corpus))}
        make = model_class(args.model, args.peer)
        if args.file_rates:
            model = train_by_file_rates(make, str(corpus), options)
        else:
            model = make(**source, **options)
        seconds = time.monotonic() - begun
        found = judge(args.data, model.wv.index_to_key, model.wv.vectors)
        rows.append(list(found.values()))
        scores = "  ".join(f"{name} {value:.4f}" for name, value in found.items())
        losses = getattr(model, "epoch_losses", [])
        if losses:
            print("loss", *(f"{loss:.4f}" for loss in losses))
        print(f"{args.peer or 'fastrnn'} {args.model} seed {seed}  {scores}  {seconds:.0f} s", flush=True)
    if len(rows) > 1:
        mean, deviation = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1)
        print("  ".join(f"{n} {m:.4f} +- {s:.4f}" for n, m, s in zip(found, mean, deviation, strict=True)))


if __name__ == "__main__":
    main()
