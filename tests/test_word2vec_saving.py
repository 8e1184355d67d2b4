"""What models of word vectors say of words that are not theirs, and what a file keeps beside the tables."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest

from fastrnn import Doc2Vec, FastText, GloVe, Word2Vec
from fastrnn.word2vec import TaggedDocument

SENTENCES = [["a", "b", "c"], ["c", "a"]] * 5
DOCUMENTS = [TaggedDocument(words, [n]) for n, words in enumerate(SENTENCES)]
KINDS: dict[str, Any] = {
    "Word2Vec": (Word2Vec, SENTENCES, {}),
    "FastText": (FastText, SENTENCES, {"bucket": 20}),
    "Doc2Vec": (Doc2Vec, DOCUMENTS, {}),
    "GloVe": (GloVe, SENTENCES, {}),
}


@pytest.mark.parametrize("kind", KINDS)
def test_words_that_are_not_the_models(kind: str, tmp_path: Path) -> None:
    """They have no row in the tables; a file with them could not be read."""
    make, corpus, options = KINDS[kind]
    model = make(corpus, vector_size=4, min_count=1, epochs=1, workers=1, **options)
    model.save(tmp_path / "model")
    before = (tmp_path / "model").read_bytes()
    model.wv.add_vectors(["d"], np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"wv(: expected the 3 words|\.vectors: expected shape \(3, 4\))"):
        model.save(tmp_path / "model")
    assert (tmp_path / "model").read_bytes() == before


@pytest.mark.parametrize("kind", ["Word2Vec", "FastText", "Doc2Vec"])
def test_the_least_count_that_was_used_is_kept(kind: str, tmp_path: Path) -> None:
    make, corpus, options = KINDS[kind]
    model = make(corpus, vector_size=4, min_count=1, max_final_vocab=2, epochs=1, workers=1, **options)
    assert model.effective_min_count > 1
    model.save(tmp_path / "model")
    assert make.load(tmp_path / "model").effective_min_count == model.effective_min_count


@pytest.mark.parametrize("how", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_of_glove_trains_by_itself(how: Any) -> None:
    model = GloVe(SENTENCES, vector_size=4, min_count=1, epochs=1, workers=1)
    before = model.wv.vectors.copy()
    twin = how(model)
    twin.train(2)
    checks.same_bits(model.wv.vectors, before)
    model.train(2)
    checks.same_bits(twin.wv.vectors, model.wv.vectors)


def test_glove_trains_at_the_rate_that_it_has() -> None:
    """Also at one that was set after it was made, in memory as from a file."""
    model = GloVe(SENTENCES, vector_size=4, min_count=1, epochs=1, workers=1)
    before = model.word_vectors.copy()
    model.learning_rate = 1e-30
    model.train(1)
    checks.same_bits(model.word_vectors, before)
