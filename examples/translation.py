"""English to German on Multi30k with subwords, beside no attention and a one-way encoder.

Data: the folder `multi30k` of FASTRNN_DATA: train (29,000 pairs), val (1,014) and test_2016_flickr (1,000).
Needs ``pip install tokenizers sacrebleu``: one vocabulary of subwords (byte-pair encoding) for both
languages, and the score, whose signature is printed. The length penalty is chosen by the score on val, the
epoch by the loss there; the test part is translated once.

    python examples/translation.py
    python examples/translation.py --attention none
    python examples/translation.py --one-way
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import sacrebleu
import tokenizers

import fastrnn

PENALTIES = (0.0, 0.6, 1.2)


def read(folder: Path, name: str) -> tuple[list[str], list[str]]:
    """The English and the German lines of one part."""
    english, german = ((folder / f"{name}.{tongue}").read_text(encoding="utf-8") for tongue in ("en", "de"))
    return english.strip().split("\n"), german.strip().split("\n")


class Subwords:
    """Byte-pair encoding, learned from these lines alone; a space is a part of the piece after it."""

    def __init__(self, lines: list[str], size: int) -> None:
        self.model = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
        self.model.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
            [tokenizers.pre_tokenizers.Metaspace(), tokenizers.pre_tokenizers.Punctuation()]
        )
        self.model.decoder = tokenizers.decoders.Metaspace()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=size, special_tokens=["<unk>"], show_progress=False
        )
        self.model.train_from_iterator(lines, trainer)

    def encode(self, lines: list[str]) -> list[list[str]]:
        """The pieces of each line."""
        return [found.tokens for found in self.model.encode_batch(lines)]

    def decode(self, pieces: list[str]) -> str:
        """The line."""
        return str(self.model.decoder.decode(pieces))


def picture(model: Any, pieces: Subwords, line: str, path: str) -> None:
    """Draw what each piece of the translation of a line has looked at."""
    source = pieces.encode([line])[0]
    (best, *_), *_ = model.translate([source], beam=5, length_penalty=1.0)
    fastrnn.plot.attention(best, source).savefig(path, dpi=110)


def main() -> None:
    """Train, choose the length penalty, and score the test part once."""
    parser = argparse.ArgumentParser(description="translation of Multi30k")
    parser.add_argument("--attention", default="general", help="dot, general, additive or none")
    parser.add_argument("--one-way", action="store_true")
    parser.add_argument("--cell", default="GRU")
    parser.add_argument("--hidden", type=int, default=400)
    parser.add_argument("--embedding", type=int, default=256)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--untied", action="store_true", help="embedding of the decoder and head apart")
    parser.add_argument("--dropout", type=float, default=0.4)
    parser.add_argument("--embedding-dropout", type=float, default=0.3)
    parser.add_argument("--memory-dropout", type=float, default=0.3)
    parser.add_argument("--label-smoothing", type=float, default=0.1)
    parser.add_argument("--subwords", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=None, help="train on the first of them alone")
    parser.add_argument("--sentences", type=int, default=None, help="of val and of the test part")
    parser.add_argument("--dev-only", action="store_true", help="leave the test part alone")
    parser.add_argument("--picture", default=None, help="file to draw the attention of a sentence into")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--checkpoint", default=None)
    parser.add_argument("--resume", action="store_true")
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    folder = Path(os.environ.get("FASTRNN_DATA", ".")) / "multi30k"
    parts = {name: read(folder, name) for name in ("train", "val", "test_2016_flickr")}
    train = tuple(lines[: arguments.pairs] for lines in parts["train"])
    pieces = Subwords([*train[0], *train[1]], arguments.subwords)
    encoded = [[pieces.encode(lines) for lines in pair] for pair in (train, parts["val"])]
    words = fastrnn.data.Vocabulary.from_sentences(encoded[0][0] + encoded[0][1])
    model = fastrnn.Seq2Seq(
        words,
        words,
        arguments.hidden,
        arguments.layers,
        embedding_size=arguments.embedding,
        cell=arguments.cell,
        bidirectional=not arguments.one_way,
        attention=None if arguments.attention == "none" else arguments.attention,
        dropout=arguments.dropout,
        embedding_dropout=arguments.embedding_dropout,
        memory_dropout=0.0 if arguments.attention == "none" else arguments.memory_dropout,
        tied=not arguments.untied,
        label_smoothing=arguments.label_smoothing,
        seed=arguments.seed,
    )
    print(f"{len(words)} subwords, {model.flat_params.size} parameters", flush=True)

    class Report(fastrnn.callbacks.Callback):
        def on_epoch_end(self, trainer: Any, logs: Any) -> None:
            print(f"epoch {logs['epoch'] + 1}: held-out loss {logs['validation_loss']:.3f}", flush=True)

    model.fit(
        *encoded[0],
        validation_data=tuple(encoded[1]),
        batch=arguments.batch,
        epochs=arguments.epochs,
        lr=arguments.lr,
        seed=arguments.seed,
        checkpoint=arguments.checkpoint,
        resume=arguments.resume,
        callbacks=[Report()],
        progress=False,
    )
    bleu = sacrebleu.BLEU()

    def translations(part: str, penalty: float) -> tuple[list[str], float]:
        source, wanted = (lines[: arguments.sentences] for lines in parts[part])
        outputs = model.predict(
            pieces.encode(source), beam=arguments.beam, length_penalty=penalty, max_length=80
        )
        lines = [pieces.decode(output) for output in outputs]
        return lines, bleu.corpus_score(lines, [wanted]).score

    scores = {penalty: translations("val", penalty)[1] for penalty in PENALTIES}
    for penalty, score in scores.items():
        print(f"val, length penalty {penalty}: BLEU {score:.2f}", flush=True)
    if arguments.picture:
        picture(model, pieces, parts["val"][0][0], arguments.picture)
    if arguments.dev_only:
        return
    penalty = max(scores, key=lambda p: scores[p])
    lines, score = translations("test_2016_flickr", penalty)
    print(f"test_2016, length penalty {penalty}: BLEU {score:.2f}  {bleu.get_signature()}")
    for english, german in list(zip(parts["test_2016_flickr"][0], lines, strict=False))[:3]:
        print(f"  {english}\n  {german}")


if __name__ == "__main__":
    main()
