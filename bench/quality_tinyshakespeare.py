"""Characters of Shakespeare: 2 x 256 LSTM with dropout; validation loss in nats a character.

Data: ``$FASTRNN_DATA/tinyshakespeare/input.txt``, the first nine tenths to learn from. The task of
char-rnn (Karpathy 2015). Reached on PyTorch with this model and dropout 0.3: 1.496 after 9 epochs, 1.461
after 21.
"""

from __future__ import annotations

from language_models import Config
from quality import Task, arguments, folder, run, streams

from fastrnn.data import Vocabulary, read_text
from fastrnn.schedules import Cosine

BATCH, STEPS, HIDDEN, DROPOUT, LR, MAX_NORM = 50, 50, 256, 0.3, 4e-3, 1.0


def main() -> None:
    """Train and report."""
    options = arguments("2 x 256 LSTM on tinyshakespeare", epochs=22)
    text = read_text(folder("tinyshakespeare") / "input.txt")
    vocabulary, cut = Vocabulary.from_text(text), len(text) * 9 // 10
    training = streams(vocabulary, text[:cut], BATCH, STEPS)
    total = options.epochs * len(training)
    task = Task(
        name="tinyshakespeare",
        config=Config(len(vocabulary), HIDDEN, 2, DROPOUT),
        optimizer="Adam",
        schedule=Cosine(LR, total, warmup=total // 100, final=0.01),
        max_norm=MAX_NORM,
        training=training,
        held_out=("validation", streams(vocabulary, text[cut:], 10, 100, whole=True)),
        final={"validation as one stream": streams(vocabulary, text[cut:], 1, 500, whole=True)},
    )
    run(task, options)


if __name__ == "__main__":
    main()
