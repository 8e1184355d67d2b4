"""Tunes in ABC notation, letter by letter: train, sample, and see how many samples a parser takes.

Data: the folder `nottingham-abc` of FASTRNN_DATA, 1,034 folk tunes; every tenth is held out. A sample begins
with "X:" and ends with the first empty line. It counts when the ABC parser of music21 (``pip install
music21``) makes a score of it that has notes.

    python examples/music.py --epochs 20 --samples 200
"""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

import fastrnn
from fastrnn.data import Vocabulary


def read(folder: Path) -> list[str]:
    """The tunes, from their number to an empty line."""
    text = "\n".join(
        path.read_text(encoding="latin-1").replace("\r", "") for path in sorted(folder.glob("*.abc"))
    )
    parts = re.split(r"\n\s*\n", text)
    return [part[part.index("X:") :].strip() for part in parts if "X:" in part]


def notes(tune: str) -> int:
    """How many notes music21 finds; 0 for what it does not take."""
    import music21

    try:
        return len(music21.converter.parse(tune, format="abc").recurse().notes)
    except Exception:  # whatever the parser says of a tune that is none
        return 0


def main() -> None:
    """Train, sample, parse."""
    parser = argparse.ArgumentParser(description="a language model of folk tunes")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--hidden", type=int, default=256)
    parser.add_argument("--cell", default="LSTM")
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--parse", action="store_true", help="parse the samples with music21")
    arguments = parser.parse_args()
    if arguments.threads:
        fastrnn.set_num_threads(arguments.threads)
    tunes = read(Path(os.environ.get("FASTRNN_DATA", ".")) / "nottingham-abc")
    train = "\n\n".join([*(tune for k, tune in enumerate(tunes) if k % 10), ""])
    held_out = "\n\n".join([*tunes[::10], ""])
    model = fastrnn.LanguageModel(
        Vocabulary.from_text(train + held_out),
        arguments.hidden,
        2,
        cell=arguments.cell,
        dropout=0.3,
        seed=arguments.seed,
    )
    model.fit(
        train, held_out, epochs=arguments.epochs, batch=32, steps=64, seed=arguments.seed, progress=False
    )
    print(f"{len(tunes)} tunes, held-out loss {model.evaluate(held_out).loss:.4f} nats a letter", flush=True)
    begin = "\n\nX:"
    samples = [
        "X:" + model.sample(2000, begin, temperature=arguments.temperature, seed=k, stop="\n\n")
        for k in range(arguments.samples)
    ]
    print(samples[0].strip(), flush=True)
    if arguments.parse:
        import music21

        good = sum(notes(tune) > 0 for tune in samples)
        share = 100 * good / len(samples)
        print(f"music21 {music21.__version__} parses {good} of {len(samples)} samples ({share:.1f} %)")


if __name__ == "__main__":
    main()
