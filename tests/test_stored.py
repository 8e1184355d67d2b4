"""Models that count, in files and back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from errors import check

from fastrnn import BagOfWordsLanguageModel, NGramLanguageModel, checkpoint
from fastrnn.baselines import HiddenMarkovTagger, NaiveBayes
from fastrnn.data import Vocabulary

TEXT = "the cat sat on the mat\nthe dog sat on the cat\nthe mat sat on a dog\n" * 3
WORDS = Vocabulary.from_text(TEXT, "word")
X = [["the", "cat"], ["a", "dog", "sat"], ["mat"]]
Y = [["D", "N"], ["D", "N", "V"], ["N"]]


@pytest.mark.parametrize(
    "made",
    [
        NGramLanguageModel(WORDS, 3),
        NGramLanguageModel(WORDS, 2, "add-k", 0.5),
        NGramLanguageModel(WORDS, 4, "counts"),
        BagOfWordsLanguageModel(WORDS, 2, 0.3),
    ],
    ids=["kneser-ney", "add-k", "counts", "bag"],
)
def test_language_models(tmp_path: Path, made: Any) -> None:
    made.fit(TEXT).save(tmp_path / "model")
    again = type(made).load(tmp_path / "model")
    held = "the dog sat on a mat\n"
    np.testing.assert_array_equal(again.probabilities(held), made.probabilities(held))
    assert again.next("sat on") == made.next("sat on")
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize(
    ("made", "y"),
    [
        (HiddenMarkovTagger(0.2), Y),
        (NaiveBayes(), ["p", "n", "p"]),
        (NaiveBayes(0.5, pairs=False, binary=False), ["p", "n", "p"]),
    ],
    ids=["markov", "bayes", "bayes of words"],
)
def test_baselines(tmp_path: Path, made: Any, y: Any) -> None:
    made.fit(X, y).save(tmp_path / "model")
    again = type(made).load(tmp_path / "model")
    unseen = [["the", "bird"], ["dog", "cat", "a"], []]
    assert again.predict(X + unseen) == made.predict(X + unseen)
    again.save(tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == (tmp_path / "model").read_bytes()


def saved(tmp_path: Path, tree: Any) -> str:
    """The path of a file that has it."""
    checkpoint.save(tmp_path / "model", tree)
    return str(tmp_path / "model")


@pytest.mark.parametrize("kind", [NGramLanguageModel, HiddenMarkovTagger, NaiveBayes])
def test_foreign_files(tmp_path: Path, kind: Any) -> None:
    name = kind.__name__
    for tree, got in (({"a": 1}, "no model"), ({"model": {"kind": "MLP"}}, "MLP")):
        path, message = saved(tmp_path, tree), f"checkpoint: expected a {name}, got {got}"
        check((lambda path=path: kind.load(path), ValueError, message))
    path = saved(tmp_path, {"model": {"kind": name}})
    with pytest.raises(ValueError, match=f"^checkpoint: expected the parts of a {name}, got none for '"):
        kind.load(path)


@pytest.mark.parametrize("made", [NGramLanguageModel(WORDS), HiddenMarkovTagger(), NaiveBayes()])
def test_nothing_to_save(tmp_path: Path, made: Any) -> None:
    with pytest.raises(
        ValueError, match=r"^save: expected a fitted model, got one without counts; call fit first$"
    ):
        made.save(tmp_path / "model")
    assert not list(tmp_path.iterdir())
