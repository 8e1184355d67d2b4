"""The command `fastrnn`: language models, word vectors, this installation, its speed."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import select
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    from fastrnn._run import CHARACTERS, CHECKPOINT, WORDS
    from fastrnn._word2vec import add_parser as add_word2vec

    main = argparse.ArgumentParser(prog="fastrnn", description="Recurrent networks on CPUs.")
    main.add_argument("--version", action="version", version=f"fastrnn {_version()}")
    commands = main.add_subparsers(
        dest="command", required=True, metavar="train | sample | word2vec | similar | info | bench"
    )

    train = commands.add_parser("train", help="train a language model on a text")
    train.add_argument(
        "--text", metavar="FILE", help="UTF-8 text (default: the language reference in CPython)"
    )
    train.add_argument("--words", action="store_true", default=None, help="words instead of characters")
    train.add_argument("--checkpoint", metavar="PATH", default=CHECKPOINT, help="default: %(default)s")
    train.add_argument(
        "--checkpoint-every", type=_seconds, default=20.0, metavar="S", help="default: 20 seconds"
    )
    train.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    train.add_argument("--overwrite", action="store_true", help="replace a checkpoint that is there")
    for name, kind, text in (
        ("epochs", _positive, "passes over the text"),
        ("hidden", _positive, "units of a layer"),
        ("layers", _positive, "LSTM layers"),
        ("batch", _positive, "streams side by side"),
        ("steps", _positive, "steps of back-propagation through time"),
        ("vocabulary", _several, "most frequent words to keep, with --words"),
        ("dropout", _share, "between layers and before the softmax"),
        ("lr", _number, "highest learning rate"),
        ("max-norm", _number, "clip the gradient to this norm"),
        ("seed", _natural, "of parameters and dropout masks"),
    ):
        default = [settings[name.replace("-", "_")] for settings in (CHARACTERS, WORDS)]
        shown = f"{text} (default: {default[0]}; with --words: {default[1]})"
        train.add_argument(f"--{name}", type=kind, metavar="N", help=shown)
    train.add_argument("--threads", type=_positive, metavar="N", help="default: all cores")
    train.add_argument("--time-limit", type=_seconds, metavar="S", help="stop after S seconds; resume later")
    train.add_argument("--sample", type=_natural, default=400, metavar="N", help="tokens to print at the end")
    train.set_defaults(run=_train)

    sample = commands.add_parser("sample", help="let a trained model write")
    sample.add_argument("--checkpoint", metavar="PATH", default=CHECKPOINT, help="default: %(default)s")
    sample.add_argument("-n", "--length", type=_natural, default=400, help="tokens (default: %(default)s)")
    sample.add_argument("--prompt", default="", help="text to go on from")
    sample.add_argument(
        "--temperature", type=_seconds, default=0.8, help="default: %(default)s; 0: no randomness"
    )
    sample.add_argument("--top-k", type=_positive, help="draw from the likeliest K tokens")
    sample.add_argument("--seed", type=_natural, default=0)
    sample.set_defaults(run=_sample)

    similar = commands.add_parser("similar", help="the words nearest to some words, by a file of vectors")
    similar.add_argument(
        "vectors", metavar="FILE", help="of fastrnn, word2vec, fastText, GloVe, npz, safetensors"
    )
    similar.add_argument("words", nargs="+", metavar="WORD", help="several: nearest to their mean")
    similar.add_argument("--negative", nargs="+", default=[], metavar="WORD", help="words to be far from")
    similar.add_argument("--topn", type=_positive, default=10, metavar="N", help="default: %(default)s")
    similar.set_defaults(run=_similar)
    add_word2vec(commands, _positive, _number, _natural)

    info = commands.add_parser(
        "info", help="version, instruction sets, threads, compiler, speed of this machine"
    )
    info.set_defaults(run=_info)
    bench = commands.add_parser("bench", help="time this machine; see fastrnn bench --help", add_help=False)
    bench.set_defaults(run=_bench)
    return main


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; return 0, 2 after an error told in one line, or 130 after Ctrl-C."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning  # type: ignore[assignment]
            if argv[:1] == ["bench"]:
                return _bench(argv[1:])
            args = parser().parse_args(argv)
            return int(args.run(args))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return _after_broken_pipe()
    except (
        OSError, ValueError, TypeError, LookupError, EOFError, ArithmeticError, MemoryError, ImportError,
        RuntimeError,
    ) as error:  # fmt: skip
        text = str(error)
        if isinstance(error, OSError) and error.strerror:
            text = error.strerror + (f": {error.filename}" if error.filename else "")
        with contextlib.suppress(OSError, ValueError):  # a stderr that is closed, or full
            print(f"fastrnn: error: {' '.join(text.split())}", file=sys.stderr)
        return 2


def _after_broken_pipe() -> int:
    """0 where the reader of stdout has gone, who has seen enough; 1 where that of stderr has."""
    gone, quiet = (
        [_has_no_reader(stream) for stream in (sys.stdout, sys.stderr)],
        os.open(os.devnull, os.O_WRONLY),
    )
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            os.dup2(quiet, stream.fileno())  # or Python complains at its end
    return int(gone[1])


def _has_no_reader(stream: Any) -> bool:
    """Whether a stream is a pipe that nobody reads any more."""
    try:
        poll = select.poll()
        poll.register(stream.fileno(), 0)
        return any(event & select.POLLERR for _, event in poll.poll(0))
    except (AttributeError, OSError, ValueError):  # none here, or closed
        return False


def _train(args: argparse.Namespace) -> int:
    from fastrnn._run import train
    from fastrnn._runtime import set_num_threads

    if args.threads is not None:
        set_num_threads(args.threads)
    return train(args)


def _sample(args: argparse.Namespace) -> int:
    from fastrnn.models import LanguageModel

    model = LanguageModel.load(args.checkpoint)
    text = model.sample(
        args.length, args.prompt, temperature=args.temperature, top_k=args.top_k, seed=args.seed
    )
    blank = " " if model.vocabulary.unit == "word" and args.prompt[-1:].strip() else ""
    print(args.prompt + blank + text)
    return 0


def _similar(args: argparse.Namespace) -> int:
    from fastrnn.word2vec import read_vectors

    vectors = read_vectors(args.vectors)
    for word, cosine in vectors.most_similar(args.words, args.negative, topn=args.topn):
        print(f"{cosine:7.4f}  {word}")
    return 0


def _info(args: argparse.Namespace) -> int:
    import platform

    import numpy as np

    from fastrnn import _core

    threads = _core.get_num_threads()
    peaks = [f"{kind} {_core.fma_peak(kind, threads):.0f}" for kind in ("float32", "float64", "bfloat16")]
    rows = {
        "fastrnn": _version(),
        "Python, NumPy": f"{platform.python_version()}, {np.__version__}",
        "instruction set": f"{_core.isa()} (available: {', '.join(_core.available_isas())})",
        "threads": threads,
        "compiler": _core.compiler(),
        "OpenMP": "yes" if _core.openmp() else "no",
        "L2 cache": f"{_core.l2_bytes() // 1024} KiB a core",
        "measured FMA peak": f"{', '.join(peaks)} GFLOP/s on {threads} thread{'s'[: threads > 1]}",
    }
    for name, value in rows.items():
        print(f"{name:18}  {value}")
    return 0


def _bench(argv: list[str]) -> int:
    from fastrnn._bench import main as bench

    return int(bench(argv) or 0)


def _show_warning(message: Warning | str, *_: object) -> None:
    print(f"fastrnn: warning: {message}", file=sys.stderr)


def _version() -> str:
    from importlib.metadata import version

    return version("fastrnn")


def _positive(text: str) -> int:
    return int(_one_of(text, "a positive whole number", int, lambda n: n >= 1))


def _several(text: str) -> int:
    return int(_one_of(text, "a whole number of at least 2", int, lambda n: n >= 2))


def _natural(text: str) -> int:
    return int(_one_of(text, "a whole number of at least 0", int, lambda n: n >= 0))


def _seconds(text: str) -> float:
    return _one_of(text, "a number of at least 0", float, lambda x: 0 <= x < math.inf)


def _number(text: str) -> float:
    return _one_of(text, "a positive number", float, lambda x: 0 < x < math.inf)


def _share(text: str) -> float:
    return _one_of(text, "0 <= p < 1", float, lambda x: 0 <= x < 1)


def _one_of(
    text: str, expected: str, kind: Callable[[str], float], allowed: Callable[[float], bool]
) -> float:
    """The number that a text is."""
    try:
        value = kind(text)
    except ValueError:
        value = math.nan  # which is never allowed
    if not allowed(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text}")
    return value
