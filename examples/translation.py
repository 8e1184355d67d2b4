"""English to German on Multi30k with subwords, beside no attention and a one-way encoder.

Data: the folder `multi30k` of FASTRNN_DATA: train (29,000 pairs), val (1,014) and test_2016_flickr (1,000).
Needs ``pip install sentencepiece sacrebleu``: one vocabulary of subwords for both languages, and the score,
whose signature is printed. A full run takes hours; --pairs trains on the first pairs alone.

    python examples/translation.py --attention general
    python examples/translation.py --attention none
    python examples/translation.py --one-way
"""

from __future__ import annotations

import argparse
import io
import os
from pathlib import Path
from typing import Any

import sacrebleu
import sentencepiece

import fastrnn


def read(folder: Path, name: str) -> tuple[list[str], list[str]]:
    """The English and the German lines of one part."""
    english, german = ((folder / f"{name}.{tongue}").read_text(encoding="utf-8") for tongue in ("en", "de"))
    return english.strip().split("\n"), german.strip().split("\n")


def subwords(lines: list[str], size: int) -> Any:
    """A model of subwords, byte-pair encoding, learned from these lines alone."""
    found = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=found,
        vocab_size=size,
        model_type="bpe",
        character_coverage=1.0,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=found.getvalue())


def main() -> None:
    """Train, and score the test part once."""
    parser = argparse.ArgumentParser(description="translation of Multi30k")
    parser.add_argument("--attention", default="general", help="dot, general, additive or none")
    parser.add_argument("--one-way", action="store_true")
    parser.add_argument("--cell", default="GRU")
    parser.add_argument("--hidden", type=int, default=512)
    parser.add_argument("--embedding", type=int, default=256)
    parser.add_argument("--subwords", type=int, default=6000)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--length-penalty", type=float, default=1.0)
    parser.add_argument("--pairs", type=int, default=None)
    parser.add_argument("--sentences", type=int, default=None, help="of the test part")
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
    pieces = subwords(train[0] + train[1], arguments.subwords)
    encoded = [[pieces.encode(lines, out_type=str) for lines in pair] for pair in (train, parts["val"])]
    words = fastrnn.data.Vocabulary.from_sentences(encoded[0][0] + encoded[0][1])
    model = fastrnn.Seq2Seq(
        words,
        words,
        arguments.hidden,
        embedding_size=arguments.embedding,
        cell=arguments.cell,
        bidirectional=not arguments.one_way,
        attention=None if arguments.attention == "none" else arguments.attention,
        dropout=0.4,
        seed=arguments.seed,
    )
    print(model.summary(), flush=True)
    model.fit(
        *encoded[0],
        validation_data=tuple(encoded[1]),
        batch=64,
        epochs=arguments.epochs,
        lr=1e-3,
        seed=arguments.seed,
        checkpoint=arguments.checkpoint,
        resume=arguments.resume,
    )
    source, wanted = (lines[: arguments.sentences] for lines in parts["test_2016_flickr"])
    options = {"beam": arguments.beam, "length_penalty": arguments.length_penalty, "max_length": 80}
    outputs = model.predict(pieces.encode(source, out_type=str), **options)
    lines = [pieces.decode_pieces(output) for output in outputs]
    bleu = sacrebleu.BLEU()
    print(f"BLEU {bleu.corpus_score(lines, [wanted]).score:.2f}  {bleu.get_signature()}")
    for english, german in list(zip(source, lines, strict=True))[:3]:
        print(f"  {english}\n  {german}")


if __name__ == "__main__":
    main()
