"""Vectors to sequences: gradients, what is learnt, log-probabilities, files, and bad input."""

from __future__ import annotations

from typing import Any

import differences
import numpy as np
import pytest
from errors import Case, check

from fastrnn import GRU, Activation, Captioner, Dropout, Embedding, Linear, Pool, Sequential
from fastrnn.batches import DescribedBatches
from fastrnn.data import Vocabulary

WORDS = Vocabulary(["<unk>", "<eos>", *"abc"], "word")


def signs(count: int, seed: int = 0) -> tuple[np.ndarray, list[list[str]]]:
    """Four numbers, and a letter for each that is positive."""
    x = np.random.default_rng(seed).standard_normal((count, 3)).astype(np.float32)
    return x, [[letter for letter, value in zip("abc", row, strict=True) if value > 0] for row in x]


def dense(dtype: str = "float32") -> Sequential:
    return Sequential(Linear(3, 12, dtype=dtype, seed=1), Activation("tanh"), Dropout(0.1))


def model(encoder: Any = None, size: int = 12, **options: Any) -> Captioner:
    return Captioner(encoder or dense(), size, WORDS, options.pop("hidden_size", 16), seed=0, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"cell": "LSTM", "num_layers": 2, "dropout": 0.2},
        {"cell": "GRU", "tied": True, "embedding_size": 3, "label_smoothing": 0.1},
    ],
    ids=str,
)
def test_gradients(options: dict[str, Any]) -> None:
    net = model(dense("float64"), hidden_size=5, embedding_dropout=0.2, **options)
    x, y = signs(6)
    differences.check(net, *DescribedBatches(*net._pair(x, y), 6)[0])


def test_a_recurrent_encoder() -> None:
    """Four steps of numbers, with a pool at the end."""
    encoder = Sequential(GRU(2, 7, batch_first=True, dtype="float64", seed=1), Pool("last"))
    net = model(encoder, 7, hidden_size=4)
    x = np.random.default_rng(0).standard_normal((5, 4, 2))
    differences.check(net, *DescribedBatches(*net._pair(x, [["a"], [], ["b"], ["c", "a"], ["b"]]), 5)[0])


def test_it_learns_and_says_how_sure_it_is(tmp_path: Any) -> None:
    net = model(embedding_size=8)
    x, y = signs(300)
    held_out, wanted = signs(60, 1)
    net.fit(x, y, validation_data=(held_out, wanted), epochs=15, batch=8, lr=1e-2, progress=False)
    found = net.evaluate(held_out, wanted)
    assert found.exact > 0.85
    assert found.sequences == 60
    for row, hypotheses in zip(held_out, net.caption(held_out[:8], beam=3), strict=False):
        assert [h.score for h in hypotheses] == sorted((h.score for h in hypotheses), reverse=True)
        for h in hypotheses:
            inputs, targets = DescribedBatches(*net._pair(row[None], [h.tokens]), 1)[0]
            assert -net.total(inputs, targets)[0] == pytest.approx(h.log_probability, abs=1e-4)
            assert h.attention is None
    net.save(tmp_path / "model")
    again = Captioner.load(tmp_path / "model", encoder=dense())
    assert again.predict(held_out, beam=2) == net.predict(held_out, beam=2)
    with pytest.raises(ValueError, match="encoder: expected a layer like that of the model that was saved"):
        Captioner.load(tmp_path / "model")
    other = Sequential(Linear(3, 12, seed=1), Activation("relu"), Dropout(0.1))
    with pytest.raises(ValueError, match=r"^encoder: expected 1 Activation.*tanh.*, got 1 Activation.*relu"):
        Captioner.load(tmp_path / "model", encoder=other)


def test_captions_of_tokens() -> None:
    """Whole numbers go to an embedding as they are."""
    net = model(Sequential(Embedding(5, 7, seed=1), Pool("mean", batch_first=True)), 7)
    x = np.array([[0, 1], [4, 2]])
    net.fit(x, [["a"], ["b"]], epochs=1, progress=False)
    assert len(net.predict(x)) == 2


NAN = np.array([[0, 0, 0], [0, np.nan, 0]], np.float32)
ERRORS: dict[str, Case] = {
    "encoder": (
        lambda: Captioner(len, 3, WORDS),
        TypeError,
        "encoder: expected a layer, got builtin_function_or_method",
    ),
    "width": (
        lambda: model(size=11).predict(np.zeros((2, 3))),
        ValueError,
        "encoder: expected to give shape (B, D) = (2, 11), got (2, 12)",
    ),
    "shape": (
        lambda: model().predict(np.zeros(3)),
        ValueError,
        "x: expected shape (N, ...) with N > 0, got (3,)",
    ),
    "text": (lambda: model().predict(["a"]), TypeError, "x: expected numbers, got <U1"),
    "nan": (
        lambda: model().fit(NAN, [["a"], ["b"]]),
        ValueError,
        "x[1]: expected finite numbers of float32, got some that are not",
    ),
    "count": (
        lambda: model().fit(np.zeros((2, 3)), [["a"]]),
        ValueError,
        "y: expected 2 sequences, as x has, got 1",
    ),
    "length": (
        lambda: model().caption(np.zeros((2, 3)), max_length=0),
        ValueError,
        "max_length: expected an int >= 1, got 0",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)
