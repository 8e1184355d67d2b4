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


@pytest.mark.peer
def test_kinds_of_arrow_lists() -> None:
    """Lists in views and of fixed size; nulls and negative numbers."""
    pa = peer("pyarrow")
    for kind in (pa.list_view(pa.int32()), pa.large_list_view(pa.uint16()), pa.large_list(pa.int64())):
        found = Corpus.read(pa.array([[1, 2], [5, 5, 5], [3]], kind))
        assert ([found.types[k] for k in found.ids], found.offsets.tolist()) == (
            [1, 2, 5, 5, 5, 3],
            [0, 2, 5, 6],
        )
    fixed = Corpus.read(pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2)))
    assert fixed.offsets.tolist() == [0, 2, 4]
    for wrong, message in (
        ([[1, 2], None], "sentences: expected lists of integers, got null for a list"),
        ([[1, None]], "sentences: expected lists of integers, got null for an id"),
        ([[2**40, -2]], "ids: expected integers >= 0, got -2"),
    ):
        with pytest.raises(ValueError, match=message):
            Corpus.read(pa.array(wrong))


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


LETTERS = "the cat sat on the mat. " * 60


class TestText:
    """Text as a string, as tokens in any form, or as ids."""

    vocabulary = fastrnn.data.Vocabulary.from_text(LETTERS)
    words = fastrnn.data.Vocabulary.from_text(LETTERS, "word")

    @pytest.mark.parametrize("form", [list, *FORMS])
    def test_encode(self, form: Callable[[list[Any]], Any]) -> None:
        want = self.vocabulary.encode(LETTERS)
        for given in (form(list(LETTERS)), form(want.tolist())):
            found = self.vocabulary.encode(given)
            assert found.dtype == np.int32
            np.testing.assert_array_equal(found, want)
        unknown = self.words.encode(form(["cat", "dog"]))
        assert unknown.tolist() == [self.words.id("cat"), self.words.id("<unk>")]

    @pytest.mark.parametrize("kind", [fastrnn.LanguageModel, fastrnn.WindowLanguageModel])
    def test_models(self, kind: Any) -> None:
        """The same training and predictions, whatever the text comes as; a prediction for each token."""
        found = []
        for given in (LETTERS, list(LETTERS), self.vocabulary.encode(LETTERS)):
            if kind is fastrnn.LanguageModel:
                model, options = kind(self.vocabulary, 24, 1, seed=0), {"batch": 4, "steps": 12}
            else:
                model, options = kind(self.vocabulary, 4, seed=0), {"batch": 16}
            model.fit(given, validation_data=given, epochs=4, lr=2e-2, progress=False, **options)
            found.append((model.flat_params.copy(), model.evaluate(given), model.predict(given)))
        for params, score, tokens in found[1:]:
            np.testing.assert_array_equal(params, found[0][0])
            assert (score, tokens) == found[0][1:]
        predicted = found[0][2]
        assert len(predicted) == len(LETTERS)
        assert np.mean([a == b for a, b in zip(predicted, LETTERS[1:], strict=False)]) > 0.8
        last = model.predict("the c")
        assert last[-1] == model.next("the c", 1)[0][0]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (3, "text: expected str, or tokens or ids, got 3"),
            (b"the", "text: expected str, or tokens or ids, got bytes"),
            ([0, 99], "text: expected ids in [0, 11), got 99 at 1"),
            (["t", "X"], "text: expected one of the vocabulary's 11 characters, got 'X' at 1"),
            (["t", None], "text: expected tokens that are str, got None at 1"),
        ],
    )
    def test_errors(self, given: Any, message: str) -> None:
        with pytest.raises((TypeError, ValueError)) as raised:
            self.vocabulary.encode(given)
        assert str(raised.value) == message

    def test_decoding(self) -> None:
        for ids in ([-1], [99], [1.5]):
            with pytest.raises((TypeError, ValueError), match=r"^ids: expected "):
                self.vocabulary.decode(ids)

    def test_blank_prompt(self) -> None:
        """As none."""
        model = fastrnn.LanguageModel(self.words, 8, 1, seed=0)
        assert model.sample(5, "  ") == model.sample(5)
        assert model.next(" ") == model.next("")

    def test_a_model_that_has_diverged(self) -> None:
        model = fastrnn.LanguageModel(self.words, 8, 1, seed=0)
        model.head.params["bias"][1] = np.nan
        for temperature in (0.0, 1.0):
            with pytest.raises(FloatingPointError, match="the model has diverged"):
                model.sample(3, temperature=temperature)

    def test_equal_logits(self) -> None:
        """top_k is a number of tokens, also where more are as likely."""
        model = fastrnn.LanguageModel(self.vocabulary, 8, 1, seed=0)
        model.head.flat_params[:] = 0
        assert len(set(model.sample(40, top_k=1))) == 1
        assert len(set(model.sample(40, top_k=2))) == 2


class TestNumbers:
    """What pandas calls missing, booleans, rows one by one."""

    def model(self) -> Any:
        model = fastrnn.Forecaster(["a"], 12, 3, hidden_size=4, seed=0)
        return model, model.fit(np.arange(60.0), epochs=1, progress=False)

    @pytest.mark.peer
    @pytest.mark.parametrize("dtype", ["Int64", "Float64", "int64[pyarrow]"])
    def test_nullable(self, dtype: str) -> None:
        model, _ = self.model()
        frame = peer("pandas").DataFrame({"a": range(60)}).astype(dtype)
        np.testing.assert_array_equal(model.predict(frame), model.predict(np.arange(60.0)))
        frame.loc[5, "a"] = None
        with pytest.raises(
            ValueError, match=r"^x: expected finite numbers, got nan at row 5, column 0 \('a'\)$"
        ):
            model.predict(frame)

    def test_others(self) -> None:
        rows, labels = np.eye(4), ["a", "b"] * 2
        want = None
        for given in (rows, rows.astype(bool), iter(rows), rows.tolist()):
            model = fastrnn.MLP(4, ["a", "b"], seed=0)
            model.fit(given, iter(labels), epochs=1, progress=False)
            want = model.flat_params if want is None else want
            np.testing.assert_array_equal(model.flat_params, want)

    def test_validation_pairs(self) -> None:
        x, known = np.arange(60.0), np.zeros((60, 1))
        plain = fastrnn.Forecaster(1, 12, 3, hidden_size=4, seed=0)
        plain.fit(x, validation_data=(x, None), epochs=1, progress=False)
        model = fastrnn.Forecaster(1, 12, 3, known=1, hidden_size=4, seed=0)
        model.fit(x, known, validation_data=[x, known], epochs=1, progress=False)

    def test_targets_by_name_and_number(self) -> None:
        with pytest.raises(ValueError, match=r"^targets: expected each once, got \['a', 0\]$"):
            fastrnn.Forecaster(["a"], 12, 3, targets=["a", 0])


@pytest.mark.parametrize("form", FORMS)
def test_counted_models(form: Callable[[list[Any]], Any]) -> None:
    """The baselines, and questions about texts."""
    tagger, classifier = fastrnn.baselines.HiddenMarkovTagger(), fastrnn.baselines.NaiveBayes()
    assert tagger.fit(form(SENTENCES), form(TAGS)).predict(form(SENTENCES)) == TAGS
    assert len(classifier.fit(form(SENTENCES), form(LABELS)).predict(form(SENTENCES))) == 16
