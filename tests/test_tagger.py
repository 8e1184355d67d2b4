"""Taggers and classifiers of sentences learn what needs context."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from taggers import DEV, GOOD, HELD, QUICK, TRAIN, classifier, tagger

import fastrnn
from fastrnn import SequenceClassifier, SequenceTagger, checkpoint
from fastrnn.baselines import HiddenMarkovTagger, NaiveBayes
from fastrnn.callbacks import Callback
from fastrnn.data import Vocabulary
from fastrnn.models import base

CELLS = ["LSTM", "GRU", "RNN", "MinGRU", "SCRN"]


@pytest.fixture(scope="module")
def trained() -> SequenceTagger:
    """A tagger that has learnt."""
    model = tagger(dropout=0.1)
    model.fit(*TRAIN, validation_data=DEV, **QUICK)
    return model


@pytest.mark.parametrize("cell", CELLS)
def test_the_context_is_learnt(cell: str) -> None:
    model = tagger(cell=cell)
    history = model.fit(*TRAIN, validation_data=DEV, **QUICK)
    found = model.evaluate(*DEV)
    assert found.chunks is not None
    assert found.chunks.f1 > 0.95
    assert found.accuracy > 0.98
    assert max(epoch["f1"] for epoch in history.epochs) == found.chunks.f1  # the best epoch is kept
    assert found.tokens == sum(map(len, DEV[0]))
    assert found.loss < 0.2


def test_what_sees_the_word_alone_cannot_tell_from_and_to() -> None:
    model = tagger(cell=None)
    model.fit(*TRAIN, validation_data=DEV, **QUICK)
    assert not model.body.recurrent
    assert 0.3 < model.evaluate(*DEV).chunks.f1 < 0.9
    markov = HiddenMarkovTagger().fit(*TRAIN)
    found = [tag for row in markov.predict(DEV[0]) for tag in row]
    assert np.mean([a == b for a, b in zip(found, [t for row in DEV[1] for t in row], strict=True)]) > 0.7
    assert markov.predict([[], ["from", "paris"]])[1][1][:2] == "B-"


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_the_order_of_words_is_learnt(pooling: str) -> None:
    model = classifier(pooling=pooling)
    model.fit(*GOOD, validation_data=HELD, **QUICK)
    found = model.evaluate(*HELD)
    assert found.accuracy == 1
    assert found.sequences == 40
    assert model.predict([["good", ",", "not", "bad"], ["bad", ",", "not", "good"]]) == ["good", "bad"]


def test_a_bag_of_words_cannot() -> None:
    model = classifier(cell=None, pooling="mean")
    model.fit(*GOOD, validation_data=HELD, **QUICK)
    assert model.evaluate(*HELD).accuracy < 0.8
    assert NaiveBayes(pairs=False).fit(*GOOD).score(*HELD) < 0.8
    assert NaiveBayes().fit(*GOOD).score(*HELD) == 1


def test_a_sentence_does_not_depend_on_those_beside_it(trained: SequenceTagger) -> None:
    together = trained.predict_proba(DEV[0])
    for sentence, found in zip(DEV[0], together, strict=True):
        (alone,) = trained.predict_proba([sentence])
        assert np.array_equal(alone, found)
        assert found.shape == (len(sentence), len(trained.labels))


def test_words_that_are_not_known() -> None:
    model = tagger()
    model.fit(*TRAIN, validation_data=DEV, word_dropout=0.5, **QUICK)
    assert model.predict([["to", "timbuktu"]]) == [model.predict([["to", "<unk>"]])[0]]


@pytest.mark.parametrize("model", [tagger(num_layers=2, cell="GRU"), tagger(cell=None), classifier()])
def test_saved_and_loaded(model: Any, tmp_path: Any) -> None:
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model")
    assert again.describe() == model.describe()
    x = DEV[0]
    for a, b in zip(again.predict_proba(x), model.predict_proba(x), strict=True):
        assert np.array_equal(a, b)
    assert "weight" in str(again.summary())


class Stop(Callback):
    """Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, trainer: Any, logs: Any) -> None:
        if logs["step"] == self.step:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 7, 12])
def test_a_resumed_run_has_the_bits_of_an_unbroken_one(step: int, tmp_path: Any) -> None:
    options = {
        **QUICK,
        "epochs": 3,
        "batch": 16,
        "word_dropout": 0.2,
        "validation_data": DEV,
        "accumulate": 2,
    }
    whole, broken, again = (tagger(dropout=0.3, seed=s) for s in (0, 0, 5))
    whole.fit(*TRAIN, **options)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(*TRAIN, checkpoint=tmp_path / "run", callbacks=[Stop(step)], **options)
    again.fit(*TRAIN, checkpoint=tmp_path / "run", resume=True, **options)
    assert np.array_equal(again.flat_params, whole.flat_params)
    assert checkpoint.load(tmp_path / "run")["training"]["finished"]
    other = SequenceTagger([["a"]], TRAIN[1], 12, dropout=0.3)
    with pytest.raises(
        ValueError, match=r"^model vocabulary: expected tokens = .*, as in the checkpoint, got"
    ):
        other.fit(*TRAIN, checkpoint=tmp_path / "run", resume=True, **options)


def test_options_that_are_tuples_are_those_of_the_checkpoint(tmp_path: Any) -> None:
    def fit(**more: Any) -> SequenceTagger:
        model = tagger(cell="ClockworkRNN", bidirectional=False, cell_options={"periods": (1, 2)})
        model.fit(*TRAIN, **QUICK | {"epochs": 1}, checkpoint=tmp_path / "run", **more)
        return model

    assert np.array_equal(fit().flat_params, fit(resume=True).flat_params)


def test_vectors_of_word2vec_are_taken_over() -> None:
    vectors = fastrnn.Word2Vec(TRAIN[0], vector_size=12, min_count=1, epochs=1, seed=1).wv
    model = SequenceTagger(Vocabulary.from_vectors(vectors), TRAIN[1], 12, seed=0)
    assert model.load_vectors(vectors) == len(vectors)
    table = model.params["body.0.weight"]
    assert np.array_equal(table[model.vocabulary.id("boston")], vectors["boston"])
    with pytest.raises(ValueError, match=r"^vectors: expected 5 numbers for each word, got 12$"):
        tagger(embedding_size=5).load_vectors(vectors)


def test_a_classifier_begins_with_vectors() -> None:
    vectors = fastrnn.Word2Vec(GOOD[0], vector_size=7, min_count=1, epochs=1, seed=1).wv
    for frozen in (False, True):
        model = classifier(vectors=vectors, freeze_embedding=frozen)
        assert model.config["embedding_size"] == 7
        table = model.params["body.0.weight"]
        row = model.vocabulary.id("good")
        assert np.array_equal(table[row], vectors["good"])
        model.fit(*GOOD, validation_data=HELD, word_dropout=0.1, **{**QUICK, "epochs": 8})
        assert np.array_equal(table[row], vectors["good"]) == frozen
        assert model.evaluate(*HELD).accuracy > 0.9


def test_a_frozen_embedding_is_saved(tmp_path: Any) -> None:
    model = classifier(freeze_embedding=True)
    model.save(tmp_path / "model")
    again = SequenceClassifier.load(tmp_path / "model")
    before = again.params["body.0.weight"].copy()
    again.fit(*GOOD, **{**QUICK, "epochs": 1})
    assert np.array_equal(again.params["body.0.weight"], before)
    adam = fastrnn.optim.Adam(again, frozen=["body.0.*"])
    again.fit(*GOOD, optimizer=adam, **{**QUICK, "epochs": 1})
    assert np.array_equal(again.params["body.0.weight"], before)


@pytest.mark.parametrize("cell", base.CELLS)
def test_every_cell_has_its_levels(cell: str, tmp_path: Any) -> None:
    made: tuple[Any, ...] = (
        SequenceTagger(TRAIN[0], TRAIN[1], 8, 2, cell=cell, seed=0),
        fastrnn.LanguageModel(Vocabulary("ab\n"), 8, 2, cell=cell, seed=0),
        fastrnn.Forecaster(1, 6, 2, cell=cell, hidden_size=8, num_layers=2, seed=0),
    )
    for model in made:
        (layer,) = (part for _, part in model.body._leaves() if part.recurrent)
        assert (layer.hidden_size, layer.num_layers) == (8, 2)
        model.save(tmp_path / "model")
        assert repr(type(model).load(tmp_path / "model")) == repr(model)


def test_a_context_of_its_own(tmp_path: Any) -> None:
    model = tagger(cell="SCRN", num_layers=2, cell_options={"context_size": 5})
    assert "SCRN(12, 12, num_layers=2, context_size=5, bidirectional=True)" in repr(model)
    model.save(tmp_path / "model")
    assert repr(SequenceTagger.load(tmp_path / "model")) == repr(model)
    assert fastrnn.SCRN(3, 10).context_size == 2
    assert fastrnn.SCRN(3, 2).context_size == 1
