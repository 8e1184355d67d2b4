"""Letters of folk tunes in ABC notation: 2 x 256 LSTM with dropout; validation loss in nats a letter.

Data: ``$FASTRNN_DATA/nottingham-abc/*.abc``, every tenth tune held out. ``--peer torch`` trains the same
model with the same initial parameters there: the two losses should differ by less than two seeds do.
"""

from __future__ import annotations

import sys
from pathlib import Path

from language_models import Config
from quality import Task, arguments, folder, run, streams

from fastrnn.data import Vocabulary
from fastrnn.schedules import Cosine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))
from music import read

BATCH, STEPS, HIDDEN, DROPOUT, LR, MAX_NORM = 32, 64, 256, 0.3, 4e-3, 1.0


def main() -> None:
    """Train and report."""
    options = arguments("2 x 256 LSTM on folk tunes", epochs=5)
    tunes = read(folder("nottingham-abc"))
    train = "\n\n".join([*(tune for k, tune in enumerate(tunes) if k % 10), ""])
    valid = "\n\n".join([*tunes[::10], ""])
    vocabulary = Vocabulary.from_text(train + valid)
    training = streams(vocabulary, train, BATCH, STEPS)
    total = options.epochs * len(training)
    task = Task(
        name="nottingham",
        config=Config(len(vocabulary), HIDDEN, 2, DROPOUT),
        optimizer="Adam",
        schedule=Cosine(LR, total, warmup=total // 100, final=0.01),
        max_norm=MAX_NORM,
        training=training,
        held_out=("validation", streams(vocabulary, valid, 10, 100, whole=True)),
        final={"validation as one stream": streams(vocabulary, valid, 1, 500, whole=True)},
    )
    run(task, options)


if __name__ == "__main__":
    main()
