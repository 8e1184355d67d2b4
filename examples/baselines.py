"""What a recurrent language model has to beat: counts, a bag of words, a window of words. One table on PTB.

Data: the folder `ptb` of FASTRNN_DATA, files ``ptb.train.txt``, ``ptb.valid.txt`` and ``ptb.test.txt``. What
is chosen (k, the bag, the epoch) is chosen on valid. A perplexity is inf where a token of the test part had
probability zero.

    python examples/baselines.py                                # counts alone
    python examples/baselines.py --window-epochs 5              # and the network of a fixed window
    python examples/baselines.py --lstm-epochs 24 --tied        # and an LSTM, 2 x 200
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import fastrnn
from fastrnn import BagOfWordsLanguageModel, NGramLanguageModel
from fastrnn.data import Vocabulary, read_text
from fastrnn.schedules import StepDecay


def report(name: str, valid: Any, test: Any) -> None:
    """One line of the table."""
    impossible = getattr(test, "impossible", 0)
    note = f"   {impossible} of {test.tokens} tokens had probability zero" if impossible else ""
    print(f"{name:42s} valid {valid.perplexity:8.2f}   test {test.perplexity:8.2f}{note}", flush=True)


def count(vocabulary: Vocabulary, train: str, valid: str, test: str) -> None:
    """The models that count."""
    for order in (1, 2, 3):
        model = NGramLanguageModel(vocabulary, order, "counts").fit(train)
        report(f"counts, {order}-grams", model.evaluate(valid), model.evaluate(test))
    for order in (2, 3):
        added = [
            NGramLanguageModel(vocabulary, order, "add-k", k).fit(train)
            for k in (1.0, 0.1, 0.03, 0.01, 0.003, 0.001)
        ]
        best = min(added, key=lambda model: model.evaluate(valid).loss)
        report(f"add-{best.k:g}, {order}-grams", best.evaluate(valid), best.evaluate(test))
    for order in (2, 3, 5):
        model = NGramLanguageModel(vocabulary, order).fit(train)
        report(f"interpolated Kneser-Ney, {order}-grams", model.evaluate(valid), model.evaluate(test))
    found = []
    for window in (1, 2, 3, 5, 10):
        bag = BagOfWordsLanguageModel(vocabulary, window).fit(train)
        for share in (0.5, 0.7, 0.8, 0.9, 0.95):
            bag.share = share
            found.append((bag.evaluate(valid).loss, window, share))
        if window == 5:
            best_of_five = min(item for item in found if item[1] == window)
    for _, window, share in (best_of_five, min(found)):
        bag = BagOfWordsLanguageModel(vocabulary, window, share).fit(train)
        report(f"bag of {window} words, share {share:g}", bag.evaluate(valid), bag.evaluate(test))


def window(vocabulary: Vocabulary, parts: list[str], arguments: argparse.Namespace) -> None:
    """The network of a fixed window."""
    train, valid, test = parts
    model = fastrnn.WindowLanguageModel(
        vocabulary,
        arguments.context,
        embedding_size=arguments.hidden // 2,
        hidden_size=arguments.hidden,
        dropout=0.3,
        embedding_dropout=0.2,
        seed=arguments.seed,
    )
    model.fit(train, valid, epochs=arguments.window_epochs, lr=2e-3, seed=arguments.seed, progress=False)
    name = f"window of {arguments.context} words, {arguments.hidden} units"
    report(name, model.evaluate(valid), model.evaluate(test))


def recurrent(vocabulary: Vocabulary, parts: list[str], arguments: argparse.Namespace) -> None:
    """Two layers of LSTM: SGD at a high rate for half of the epochs, then a falling one."""
    train, valid, test = parts
    model = fastrnn.LanguageModel(
        vocabulary,
        arguments.hidden,
        2,
        dropout=0.2,
        embedding_dropout=0.2,
        tied=arguments.tied,
        seed=arguments.seed,
    )
    model.fit(
        train,
        valid,
        epochs=arguments.lstm_epochs,
        batch=20,
        steps=35,
        optimizer=fastrnn.optim.SGD(model, lr=20.0),
        schedule=StepDecay(20.0, factor=0.7, hold=max(arguments.lstm_epochs // 2, 1)),
        max_norm=0.25,
        checkpoint=arguments.checkpoint,
        resume=bool(arguments.checkpoint) and arguments.checkpoint.exists(),
        progress=False,
        seed=arguments.seed,
    )
    name = f"LSTM, 2 x {arguments.hidden}{', tied' if arguments.tied else ''}"
    report(name, model.evaluate(valid), model.evaluate(test, batch=1))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="baselines of language models on PTB")
    parser.add_argument("--window-epochs", type=int, default=0)
    parser.add_argument("--context", type=int, default=4)
    parser.add_argument("--lstm-epochs", type=int, default=0)
    parser.add_argument("--tied", action="store_true")
    parser.add_argument("--hidden", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, help="of the LSTM; a run goes on from it")
    parser.add_argument("--no-counts", action="store_true")
    parser.add_argument("--threads", type=int, default=None)
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    folder = Path(os.environ.get("FASTRNN_DATA", ".")) / "ptb"
    parts = [read_text(folder / f"ptb.{part}.txt") for part in ("train", "valid", "test")]
    vocabulary = Vocabulary.from_text(parts[0], "word")
    if not arguments.no_counts:
        count(vocabulary, *parts)
    if arguments.window_epochs:
        window(vocabulary, parts, arguments)
    if arguments.lstm_epochs:
        recurrent(vocabulary, parts, arguments)


if __name__ == "__main__":
    main()
