"""Training data may be a list, an array, a column of pandas or of Arrow, or an iterator: all the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import peer

import fastrnn
from fastrnn.word2vec import Corpus

SENTENCES = [line.split() for line in ("good film", "bad film", "good good", "bad bad film") * 4]
LABELS = ["pos", "neg"] * 8
TAGS = [["B-a"] + ["O"] * (len(sentence) - 1) for sentence in SENTENCES]


def column(values: list[Any]) -> np.ndarray:
    """An array of objects."""
    found = np.empty(len(values), object)
    found[:] = values
    return found


def series(values: list[Any]) -> Any:
    """A column of pandas whose index does not begin with 0."""
    return peer("pandas").Series(values, index=range(5, 5 + len(values)))


def arrow(values: list[Any]) -> Any:
    """An array of Arrow."""
    return peer("pyarrow").array(values)


def chunked(values: list[Any]) -> Any:
    """A column of a table of Arrow."""
    pa = peer("pyarrow")
    whole = pa.array(values)
    return pa.table({"x": pa.chunked_array([whole[:2], whole[2:]])})["x"]


FORMS = [
    column,
    iter,
    *(pytest.param(form, marks=pytest.mark.peer) for form in (series, arrow, chunked)),
]


def classify(form: Callable[[list[Any]], Any]) -> tuple[Any, ...]:
    model = fastrnn.SequenceClassifier(form(SENTENCES), form(LABELS), hidden_size=8, seed=0)
    validation = (form(SENTENCES[:4]), form(LABELS[:4]))
    history = model.fit(form(SENTENCES), form(LABELS), validation, epochs=2, progress=False)
    found = model.evaluate(form(SENTENCES), form(LABELS))
    return history.epochs[-1]["loss"], found, model.predict(form(SENTENCES))


def tag(form: Callable[[list[Any]], Any]) -> tuple[Any, ...]:
    model = fastrnn.SequenceTagger(form(SENTENCES), form(TAGS), hidden_size=8, seed=0)
    validation = (form(SENTENCES[:4]), form(TAGS[:4]))
    history = model.fit(form(SENTENCES), form(TAGS), validation, epochs=2, progress=False)
    found = model.evaluate(form(SENTENCES), form(TAGS))
    return history.epochs[-1]["loss"], found, model.predict(form(SENTENCES))


def translate(form: Callable[[list[Any]], Any]) -> tuple[Any, ...]:
    model = fastrnn.Seq2Seq(form(SENTENCES), form(TAGS), hidden_size=8, seed=0)
    history = model.fit(form(SENTENCES), form(TAGS), epochs=2, progress=False)
    found = model.evaluate(form(SENTENCES), form(TAGS))
    return history.epochs[-1]["loss"], found, model.predict(form(SENTENCES[:3]))


def caption(form: Callable[[list[Any]], Any]) -> tuple[Any, ...]:
    x = np.eye(len(SENTENCES), dtype=np.float32)
    encoder = fastrnn.Linear(len(x), 4, seed=1)
    model = fastrnn.Captioner(encoder, 4, form(SENTENCES), hidden_size=8, seed=0)
    history = model.fit(x, form(SENTENCES), epochs=2, progress=False)
    return history.epochs[-1]["loss"], model.evaluate(x, form(SENTENCES)), model.predict(x[:3])


def separate(form: Callable[[list[Any]], Any]) -> tuple[Any, ...]:
    x = np.eye(len(LABELS), dtype=np.float32)
    model = fastrnn.MLP(len(x), form(LABELS), hidden=(4,), seed=0)
    history = model.fit(x, form(LABELS), (x, form(LABELS)), epochs=2, progress=False)
    return history.epochs[-1]["loss"], model.evaluate(x, form(LABELS)), model.predict(x)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("train", [classify, tag, translate, caption, separate])
def test_models(train: Callable[..., tuple[Any, ...]], form: Callable[[list[Any]], Any]) -> None:
    """The same losses, scores and predictions as from lists."""
    assert train(form) == train(list)


@pytest.mark.parametrize("form", FORMS)
def test_corpus(form: Callable[[list[Any]], Any]) -> None:
    found, want = Corpus.read(form(SENTENCES)), Corpus.read(SENTENCES)
    np.testing.assert_array_equal(found.ids, want.ids)
    assert list(found.types) == list(want.types)


@pytest.mark.peer
def test_integers_of_arrow() -> None:
    """Also in chunks, and of part of an array."""
    pa = peer("pyarrow")
    parts = [pa.array([[3], []]), pa.array([[7, 7], [1, 3]])[1:]]
    for found in (Corpus.read(pa.chunked_array(parts)), Corpus.read(pa.array([[9], [3], [], [1, 3]])[1:])):
        assert [found.types[k] for k in found.ids] == [3, 1, 3]


class TestForecaster:
    """Columns of a table go by their names; how their numbers lie in memory does not matter."""

    values = np.stack([np.sin(np.arange(80) / 5), np.cos(np.arange(80) / 3)], axis=1)

    def forecast(self, x: Any, columns: Any = ("a", "b")) -> np.ndarray:
        model = fastrnn.Forecaster(columns, 12, 3, hidden_size=4, seed=0)
        model.fit(x, validation_data=x, epochs=1, progress=False)
        return model.predict(x)

    @pytest.mark.peer
    @pytest.mark.parametrize("order", ["ab", "ba", "cab"])
    @pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
    def test_tables(self, kind: str, order: str) -> None:
        named = {"a": self.values[:, 0], "b": self.values[:, 1], "c": np.full(80, np.nan)}
        table = peer("pandas").DataFrame({name: named[name] for name in order})
        if kind == "pyarrow":
            table = peer("pyarrow").Table.from_pandas(table)
        np.testing.assert_array_equal(self.forecast(table), self.forecast(self.values))

    @pytest.mark.peer
    def test_by_place(self) -> None:
        """Without names columns are taken as they come."""
        table = peer("pandas").DataFrame(self.values[:, ::-1], columns=["b", "a"])
        np.testing.assert_array_equal(self.forecast(table, 2), self.forecast(self.values[:, ::-1]))

    def test_memory(self) -> None:
        by_column = np.asfortranarray(self.values)
        np.testing.assert_array_equal(self.forecast(by_column), self.forecast(self.values))

    @pytest.mark.peer
    @pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
    def test_missing(self, kind: str) -> None:
        table = peer("pandas").DataFrame(self.values, columns=["a", "c"])
        if kind == "pyarrow":
            table = peer("pyarrow").Table.from_pandas(table)
        with pytest.raises(ValueError, match=r"^x: expected columns \['a', 'b'\], got \['a', 'c'\]$"):
            self.forecast(table)
