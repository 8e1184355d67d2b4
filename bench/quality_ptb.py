"""Words of the Penn Treebank: the small model of Zaremba et al. 2014 (arXiv:1409.2329); test perplexity.

Data: ``$FASTRNN_DATA/ptb/ptb.{train,valid,test}.txt``. 2 x 200 LSTM without dropout, 20 streams of 20 steps,
parameters from U(-0.1, 0.1), 13 epochs of SGD whose rate is halved before every epoch after the fourth.
They sum the loss over the 20 steps, with rate 1 and clipping at 5; here it is a mean, so the rate is 20 and
the clipping at 5 / 20. Published: 114.5 to 115.9.
"""

from __future__ import annotations

from language_models import Config
from quality import Task, arguments, folder, run, streams

from fastrnn.data import Vocabulary, read_text
from fastrnn.schedules import StepDecay

BATCH, STEPS, HIDDEN = 20, 20, 200


def main() -> None:
    """Train and report."""
    options = arguments("2 x 200 LSTM on the Penn Treebank", epochs=13)
    place = folder("ptb")
    train, valid, test = (read_text(place / f"ptb.{part}.txt") for part in ("train", "valid", "test"))
    vocabulary = Vocabulary.from_text(train, "word")
    task = Task(
        name="ptb",
        config=Config(len(vocabulary), HIDDEN),
        optimizer="SGD",
        schedule=StepDecay(20.0, hold=4, factor=0.5),
        max_norm=0.25,
        training=streams(vocabulary, train, BATCH, STEPS),
        held_out=("validation", streams(vocabulary, valid, 10, 100, whole=True)),
        final={"test": streams(vocabulary, test, 1, 200, whole=True)},
        uniform=0.1,
    )
    run(task, options)


if __name__ == "__main__":
    main()
