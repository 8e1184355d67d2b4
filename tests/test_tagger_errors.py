"""What is wrong with the input of taggers and classifiers of sentences is said."""

from __future__ import annotations

from typing import Any

import pytest
from errors import Case, check
from taggers import GOOD, QUICK, classifier, tagger

import fastrnn
from fastrnn import SequenceClassifier, SequenceTagger
from fastrnn.baselines import HiddenMarkovTagger, NaiveBayes
from fastrnn.data import Vocabulary

SENTENCE = [["show", "me"]]


def trains_what_is_frozen(model: SequenceClassifier) -> None:
    """Give it an optimiser that knows nothing of that."""
    model.fit(*GOOD, optimizer=fastrnn.optim.Adam(model), **QUICK)


ERRORS: dict[str, Case] = {
    "empty": (
        lambda: tagger().predict([["me"], []]),
        ValueError,
        "x[1]: expected at least one token, got none",
    ),
    "none": (lambda: tagger().predict([]), ValueError, "x: expected at least one sequence, got none"),
    "string": (
        lambda: tagger().predict("show me"),
        TypeError,
        "x: expected a list of sentences, got 'show me'",
    ),
    "sentence": (
        lambda: classifier().predict(["show me"]),
        TypeError,
        "x[0]: expected a list of words, got 'show me'",
    ),
    "word": (lambda: tagger().predict([["a", 3]]), TypeError, "x[0]: expected words, got 3"),
    "tags": (
        lambda: tagger().fit(SENTENCE, [["O"]]),
        ValueError,
        "y[0]: expected 2 labels, one for each word, got 1",
    ),
    "lists": (
        lambda: tagger().fit(SENTENCE, []),
        ValueError,
        "y: expected 1 lists of labels, as x has, got 0",
    ),
    "tag": (
        lambda: tagger().fit(SENTENCE, [["O", "X"]]),
        ValueError,
        "y[0]: expected one of 5 labels, 'B-from', 'B-to', 'I-from', 'I-to', 'O', got 'X'",
    ),
    "validation": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], validation_data=(SENTENCE, [["O"]])),
        ValueError,
        "validation_data[1][0]: expected 2 labels, one for each word, got 1",
    ),
    "validation pair": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], validation_data=SENTENCE),
        TypeError,
        "validation_data: expected a pair (x, y), got list",
    ),
    "patience": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], patience=2),
        ValueError,
        "patience: expected None without validation_data, got 2",
    ),
    "epochs": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], epochs=0),
        ValueError,
        "epochs: expected an int >= 1, got 0",
    ),
    "accumulate": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], accumulate=0),
        ValueError,
        "accumulate: expected an int >= 1, got 0",
    ),
    "batch_first": (
        lambda: tagger(cell_options={"batch_first": True}),
        ValueError,
        "cell_options: expected no batch_first because the model decides on it, got True",
    ),
    "levels": (
        lambda: tagger(cell_options={"num_layers": 2}),
        ValueError,
        "cell_options: expected no num_layers because the model decides on it, got 2",
    ),
    "label": (
        lambda: classifier().fit(SENTENCE, ["fine"]),
        ValueError,
        "y[0]: expected one of 2 labels, 'bad', 'good', got 'fine'",
    ),
    "labels": (
        lambda: classifier().fit(SENTENCE, []),
        ValueError,
        "y: expected 1 labels, one for each of x, got 0",
    ),
    "number": (
        lambda: classifier().fit(SENTENCE, [1]),
        ValueError,
        "y[0]: expected one of 2 labels, 'bad', 'good', got 1",
    ),
    "cell": (
        lambda: tagger(cell="lstm"),
        ValueError,
        "cell: expected one of 'GRU', 'LSTM', 'RNN', 'SCRN', 'ClockworkRNN', 'DepthGatedLSTM', 'MinGRU', "
        "'MinLSTM', got 'lstm'",
    ),
    "pooling": (
        lambda: classifier(pooling="sum"),
        ValueError,
        "pooling: expected one of 'last', 'mean', 'max', 'attention', got 'sum'",
    ),
    "characters": (
        lambda: SequenceTagger(Vocabulary("ab"), ["O"]),
        ValueError,
        "vocabulary: expected a vocabulary of words, got one of characters",
    ),
    "no tags": (
        lambda: SequenceTagger(SENTENCE, []),
        ValueError,
        "tags: expected at least one name, got none",
    ),
    "name": (lambda: SequenceTagger(SENTENCE, [[1]]), TypeError, "tags: expected names, got 1"),
    "unfitted": (
        lambda: HiddenMarkovTagger().predict(SENTENCE),
        ValueError,
        "predict: expected a fitted model, got one without counts; call fit first",
    ),
    "vectors": (
        lambda: classifier(vectors=fastrnn.KeyedVectors(3), embedding_size=5),
        ValueError,
        "vectors: expected 5 numbers for each word, got 3",
    ),
    "model of vectors": (
        lambda: classifier().load_vectors(fastrnn.Word2Vec()),
        TypeError,
        "vectors: expected KeyedVectors, got Word2Vec; use vectors.wv",
    ),
    "vocabulary of a model": (
        lambda: Vocabulary.from_vectors(fastrnn.Word2Vec()),
        TypeError,
        "vectors: expected KeyedVectors, got Word2Vec; use vectors.wv",
    ),
    "dict of vectors": (
        lambda: classifier(vectors={"a": [1.0]}),
        TypeError,
        "vectors: expected KeyedVectors, got dict",
    ),
    "frozen": (
        lambda: trains_what_is_frozen(classifier(freeze_embedding=True)),
        ValueError,
        "optimizer: expected one with 'body.0.weight' frozen, as in the model, got it trained",
    ),
    "freeze": (
        lambda: classifier(freeze_embedding=1),
        TypeError,
        "freeze_embedding: expected True or False, got 1",
    ),
    "numbers": (lambda: SequenceClassifier(SENTENCE, [0]), TypeError, "labels: expected names, got 0"),
    "layers of none": (
        lambda: tagger(cell=None, num_layers=2),
        ValueError,
        "num_layers: expected 1 because cell is None, got 2",
    ),
    "options of none": (
        lambda: classifier(cell=None, cell_options={"zoneout": 0.1}),
        ValueError,
        "cell_options: expected none because cell is None, got {'zoneout': 0.1}",
    ),
    "callback": (
        lambda: tagger().fit(SENTENCE, [["O", "O"]], callbacks=[3]),
        TypeError,
        "callbacks[0]: expected a Callback, got 3",
    ),
    "k": (lambda: NaiveBayes(0.0), ValueError, "k: expected a positive number, got 0"),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS)
def test_errors(case: Case) -> None:
    check(case)


def test_another_kind_of_model(tmp_path: Any) -> None:
    classifier().save(tmp_path / "model")
    with pytest.raises(ValueError, match=r"^checkpoint: expected a SequenceTagger, got SequenceClassifier$"):
        SequenceTagger.load(tmp_path / "model")
