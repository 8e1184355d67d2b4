"""What `fastrnn word2vec` does: a text in, vectors out."""

from __future__ import annotations

import argparse
import os
import sys
import time
import warnings
from typing import Any

from tqdm import tqdm  # type: ignore[import-untyped,unused-ignore]

from fastrnn import _core

BINARY = (".bin",)


def add_parser(commands: Any, positive: Any, number: Any, natural: Any) -> None:
    """Describe the command line."""
    parser = commands.add_parser("word2vec", help="train word vectors on a text")
    parser.add_argument("text", metavar="TEXT", help="UTF-8 text, .gz or folder; a line is a sentence")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        required=True,
        help="vectors; binary when it ends in .bin, else text",
    )
    parser.add_argument("--model", metavar="FILE", help="write the whole model too, to go on training")
    parser.add_argument("--cbow", action="store_true", help="CBOW instead of skip-gram")
    parser.add_argument(
        "--hs", action="store_true", help="hierarchical softmax; beside it noise words if --negative is given"
    )
    parser.add_argument(
        "--negative", type=natural, metavar="N", help="noise words for each (default: 5, with --hs none)"
    )
    for name, kind, default, text in (
        ("size", positive, 100, "numbers in a vector"),
        ("window", positive, 5, "words on either side, at most"),
        ("min-count", natural, 5, "leave out words that are rarer"),
        ("epochs", positive, 5, "passes over the text"),
        ("seed", natural, 1, "of initial vectors, windows and noise"),
        ("alpha", number, 0.025, "learning rate at the beginning"),
    ):
        parser.add_argument(
            f"--{name}", type=kind, default=default, metavar="N", help=f"{text} (default: {default})"
        )
    parser.add_argument(
        "--sample", type=float, default=1e-3, metavar="T", help="thin out words (default: 0.001)"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="default: all cores")
    parser.add_argument("--deterministic", action="store_true", help="same bits for any number of threads")
    parser.add_argument("--ignore-errors", action="store_true", help="leave out bytes that are not UTF-8")
    parser.add_argument("--overwrite", action="store_true", help="replace files that are there")
    parser.set_defaults(run=run)


class _Bar:
    """The progress bar: words a second, learning rate, running loss, time left."""

    def __init__(self) -> None:
        self.bar: Any = None
        self.total = 0

    def update(self, words: int, rate: float, loss: float | None) -> None:
        if self.bar is None:
            self.bar = tqdm(
                total=self.total, unit=" words", unit_scale=True, dynamic_ncols=True, file=sys.stderr
            )
        self.bar.update(words)
        self.bar.set_postfix_str(
            f"lr {rate:.4f}" + ("" if loss is None else f", loss {loss:.3f}"), refresh=False
        )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def run(args: argparse.Namespace) -> int:
    """Run ``fastrnn word2vec``."""
    from fastrnn.word2vec import Corpus, Word2Vec

    if args.model is not None and os.path.realpath(args.model) == os.path.realpath(args.output):
        raise ValueError(f"--model: expected another file than --output, got {args.model}")
    for path in (args.output, args.model):
        if path is not None and os.path.exists(path) and not args.overwrite:
            raise ValueError(f"{path} exists; give another name, or --overwrite")
        folder = os.path.dirname(path or "") or os.curdir
        if not os.access(folder, os.W_OK):  # to be said now, not after hours
            raise ValueError(f"{path}: expected a folder that can be written, got {folder}")
    if args.threads is not None:
        _core.set_num_threads(args.threads)
    bar = _Bar()
    model = Word2Vec(
        vector_size=args.size,
        alpha=args.alpha,
        window=args.window,
        min_count=args.min_count,
        sample=args.sample,
        seed=args.seed,
        workers=_core.get_num_threads(),
        sg=int(not args.cbow),
        hs=int(args.hs),
        negative=args.negative if args.negative is not None else 0 if args.hs else 5,
        epochs=args.epochs,
        deterministic=args.deterministic,
        progress=bar,
    )
    begun = time.monotonic()
    corpus = Corpus.read(os.fspath(args.text), errors="ignore" if args.ignore_errors else "strict")
    model.build_vocab(corpus)
    _say(
        f"text: {corpus.tokens:,} words in {len(corpus):,} sentences, {len(model.wv):,} of "
        f"{len(corpus.types):,} types in the vocabulary, {time.monotonic() - begun:.1f} s"
    )
    bar.total = corpus.tokens * args.epochs
    code, begun = 0, time.monotonic()
    try:
        model.train(corpus, epochs=args.epochs, compute_loss=True)
    except KeyboardInterrupt:
        code = 130
    finally:
        bar.close()
    done, seconds = model.trained.words, max(1e-9, time.monotonic() - begun)
    _say(f"trained: {done:,} words in {seconds:.1f} s, {done / seconds:,.0f} words/s")
    if code:
        warnings.warn("interrupted: the vectors are as trained so far", stacklevel=1)
    model.wv.save_word2vec_format(args.output, binary=args.output.endswith(BINARY))
    _say(f"vectors: {args.output}")
    if args.model is not None:
        model.save(args.model)
        _say(f"model: {args.model}")
    return code


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
