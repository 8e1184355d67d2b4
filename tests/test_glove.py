"""GloVe: what a user has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from word2vec import topics

import fastrnn
from fastrnn import GloVe
from fastrnn.word2vec import Corpus
from fastrnn.word2vec.glove import order


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn."""
    return topics(np.random.default_rng(1), 400)


def small(sentences: Any, **options: Any) -> GloVe:
    """A small one."""
    usual = {"vector_size": 16, "epochs": 8, "workers": 1, "x_max": 20.0, "learning_rate": 0.05}
    return GloVe(sentences, **usual | options)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize("workers", [1, 2])
def test_learns(sentences: list[list[str]], workers: int) -> None:
    trained = small(sentences, workers=workers)
    losses = trained.epoch_losses
    assert len(losses) == 8
    assert losses[-1] < 0.5 * losses[0]
    assert {w[0] for w, _ in trained.wv.most_similar("b3", topn=9)} == {"b"}
    checks.same_bits(trained.wv.vectors, trained.word_vectors + trained.context_vectors)
    assert trained.word_biases.shape == trained.context_biases.shape == (40,)
    assert trained.wv.get_vecattr("b3", "count") == sum(s.count("b3") for s in sentences)


def test_seeds_and_sources(sentences: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    assert (GloVe(sentences, epochs=0).x_max, GloVe(sentences, epochs=0).learning_rate) == (10, 0.1)
    one, same, other = (small(s, seed=n) for s, n in ((sentences, 1), (iter(sentences), 1), (sentences, 2)))
    checks.same_bits(one.wv.vectors, same.wv.vectors)
    assert (one.wv.vectors != other.wv.vectors).all()
    corpus = Corpus.read(sentences)
    numbered = small((corpus.ids, corpus.offsets))
    assert sorted(numbered.wv.index_to_key) == list(range(40))
    monkeypatch.setattr("fastrnn.word2vec.glove._LARGE", 4)
    assert (GloVe(sentences, epochs=0).x_max, GloVe(sentences, epochs=0).learning_rate) == (100, 0.05)


def test_train_on(sentences: list[list[str]]) -> None:
    whole, parts = small(sentences, epochs=4), small(sentences, epochs=1)
    parts.train(3)
    checks.same_bits(parts.wv.vectors, whole.wv.vectors)
    assert parts.epoch_losses == whole.epoch_losses


@pytest.mark.parametrize("mmap", [None, "r"])
def test_a_file_trains_on(sentences: list[list[str]], tmp_path: Path, mmap: str | None) -> None:
    whole, first = small(sentences, epochs=4), small(sentences, epochs=2)
    first.save(tmp_path / "glove")
    model = GloVe.load(tmp_path / "glove", mmap=mmap)
    assert (str(model), model.window, model.epoch_losses) == (str(first), first.window, first.epoch_losses)
    assert model.wv.get_vecattr("b3", "count") == first.wv.get_vecattr("b3", "count")
    checks.same_bits(model.wv.vectors, first.wv.vectors)
    model.train(2)
    checks.same_bits(model.wv.vectors, whole.wv.vectors)
    assert model.epoch_losses == whole.epoch_losses
    model.save(tmp_path / "glove")  # over the file that its matrix may come from
    checks.same_bits(GloVe.load(tmp_path / "glove").wv.vectors, whole.wv.vectors)


def test_a_file_of_something_else(sentences: list[list[str]], tmp_path: Path) -> None:
    fastrnn.Word2Vec(sentences, vector_size=4, epochs=0).save(tmp_path / "words")
    with pytest.raises(ValueError, match=r"words: expected a model of fastrnn\.GloVe, got something else$"):
        GloVe.load(tmp_path / "words")
    small(sentences, epochs=0).save(tmp_path / "glove")
    whole = (tmp_path / "glove").read_bytes()
    (tmp_path / "glove").write_bytes(whole[:-99])
    with pytest.raises(ValueError, match=r"truncated|damaged"):
        GloVe.load(tmp_path / "glove")


@pytest.mark.parametrize("count", [1, 2, 3, 10, 1000, 4181])
def test_order_has_every_entry_once(count: int) -> None:
    start, step = order(count, 5)
    assert sorted((start + i * step) % count for i in range(count)) == list(range(count))


def test_callbacks_and_interrupt(sentences: list[list[str]]) -> None:
    seen: list[str] = []

    class Callback:
        def __getattr__(self, name: str) -> Any:
            return lambda model: seen.append(f"{name} {len(model.epoch_losses)}")

    small(sentences, epochs=2, callbacks=[Callback()])
    epochs = [f"on_epoch_{end} {n}" for n, end in ((0, "begin"), (1, "end"), (1, "begin"), (2, "end"))]
    assert seen == ["on_train_begin 0", *epochs, "on_train_end 2"]

    class Stop:
        def update(self, words: int, rate: float, loss: float | None) -> None:
            raise KeyboardInterrupt

    with pytest.warns(RuntimeWarning, match="interrupted in epoch 1 of 8; the model is as trained so far"):
        stopped = small(sentences, progress=Stop())
    assert np.isfinite(stopped.wv.vectors).all()


WRONG: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "nothing": (
        {"sentences": None},
        TypeError,
        "sentences: expected a corpus here or as corpus_file=, got neither",
    ),
    "string": ({"sentences": "the cat"}, TypeError, "sentences: expected lists of tokens, got a string"),
    "rare": (
        {},
        ValueError,
        "min_count: expected a word that occurs 5 times, but the most frequent of 2 has 2",
    ),
    "alone": (
        {"sentences": [["a"]] * 9},
        ValueError,
        "sentences: expected two words of the vocabulary in one of them, got no such sentence",
    ),
    "x_max": ({"x_max": 0}, ValueError, "x_max: expected a number above 0, got 0"),
    "alpha": ({"alpha": np.nan}, ValueError, "alpha: expected a finite number >= 0, got nan"),
    "rate": ({"learning_rate": -1}, ValueError, "learning_rate: expected a finite number >= 0, got -1"),
    "window": ({"window": 0}, ValueError, "window: expected an int >= 1, got 0"),
    "memory": ({"memory": 3}, ValueError, "memory: expected an int >= 1048576, got 3"),
    "epochs": ({"epochs": 1.5}, TypeError, "epochs: expected an int, got 1.5"),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong(what: str) -> None:
    options, kind, message = WRONG[what]
    with pytest.raises(kind) as raised:
        GloVe(**{"sentences": [["a", "b", "a"]], **options})
    assert message in str(raised.value)


def test_divergence_is_an_error(sentences: list[list[str]]) -> None:
    """Vectors that have diverged are noticed, also while they are finite."""

    class Spoil:
        def on_epoch_begin(self, model: GloVe) -> None:
            model.word_vectors[0] = self.value

        def __getattr__(self, name: str) -> Any:
            return lambda model: None

    for Spoil.value in (np.inf, 1e6):
        with pytest.raises(FloatingPointError, match=r"that converges, got a loss of .* at 0\.05"):
            small(sentences, callbacks=[Spoil()])


def test_name() -> None:
    assert fastrnn.GloVe is GloVe
    assert repr(small([["a", "b"]] * 9, epochs=0)) == "GloVe<vocab=2, vector_size=16, entries=1>"
