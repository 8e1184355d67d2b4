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


@pytest.mark.parametrize("kind", KINDS)
def test_attributes_of_words(kind: str, tmp_path: Path) -> None:
    """Numbers and text, in the file of the model."""
    make, corpus, options = KINDS[kind]
    model = make(corpus, vector_size=4, min_count=1, epochs=1, workers=1, **options)
    model.wv.set_vecattr("b", "weight", 3)
    model.wv.set_vecattr("c", "note", "a word")
    model.save(tmp_path / "model")
    loaded = make.load(tmp_path / "model")
    assert [loaded.wv.get_vecattr(word, "weight") for word in "abc"] == [0, 3, 0]
    assert loaded.wv.get_vecattr("c", "note") == "a word"
    assert loaded.wv.get_vecattr("a", "count") == 10


@pytest.mark.parametrize("kind", ["Word2Vec", "FastText", "Doc2Vec"])
def test_attributes_grow_with_the_vocabulary(kind: str, tmp_path: Path) -> None:
    make, corpus, options = KINDS[kind]
    model = make(corpus, vector_size=4, min_count=1, epochs=1, workers=1, **options)
    model.wv.set_vecattr("b", "weight", 3)
    more = [TaggedDocument(["d", "d"], [0])] if make is Doc2Vec else [["d", "d"]]
    model.build_vocab(more, update=True)
    assert model.wv.get_vecattr("d", "weight") == 0
    assert model.wv.get_vecattr("b", "weight") == 3
    model.wv.save(tmp_path / "vectors")
    assert type(model.wv).load(tmp_path / "vectors").get_vecattr("b", "weight") == 3


def test_raw_vocab_is_kept(tmp_path: Path) -> None:
    model = Word2Vec(vector_size=4, min_count=6, workers=1)
    model.build_vocab(SENTENCES, keep_raw_vocab=True)
    model.save(tmp_path / "model")
    assert Word2Vec.load(tmp_path / "model").raw_vocab == {"a": 10, "b": 5, "c": 10}


def test_attributes_of_documents(tmp_path: Path) -> None:
    model = Doc2Vec(DOCUMENTS, vector_size=4, min_count=1, epochs=1, workers=1)
    model.dv.set_vecattr(3, "note", "the fourth")
    model.save(tmp_path / "model")
    assert Doc2Vec.load(tmp_path / "model").dv.get_vecattr(3, "note") == "the fourth"


@pytest.mark.parametrize("update", [False, True])
def test_tags_of_a_vocabulary_that_failed(update: bool) -> None:
    """The model is as it was, tags and counts too."""
    first = [TaggedDocument(["a", "b"] * 9, ["n1"]), TaggedDocument(["a", "b"], ["n2"])]
    model = Doc2Vec(first, vector_size=4, min_count=1, epochs=1, workers=1, sample=0)
    before, vectors = model.corpus_count, model.dv["n2"].copy()

    def rule(word: str, count: int, least: int) -> int:
        return 7

    with pytest.raises(ValueError, match="trim_rule"):
        model.build_vocab([TaggedDocument(["z"], ["x1"])], trim_rule=rule, update=update)
    assert model.dv.index_to_key == ["n1", "n2"]
    assert model.dv.key_to_index == {"n1": 0, "n2": 1}
    assert model.corpus_count == before
    checks.same_bits(model.dv["n2"], vectors)
    model.train(first, total_examples=2, epochs=1)


def test_n_grams_of_words_that_were_added(tmp_path: Path) -> None:
    """Such vectors could not be read again."""
    model = FastText(SENTENCES, vector_size=4, min_count=1, epochs=1, workers=1, bucket=20)
    model.wv.add_vectors(["d"], np.ones((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"^vectors: expected n-grams of all 4 keys"):
        model.wv.save(tmp_path / "vectors")
    assert not (tmp_path / "vectors").exists()


def test_a_rule_that_says_nothing_is_that_of_counts() -> None:
    model = Word2Vec(vector_size=4, min_count=6, workers=1)
    model.build_vocab(SENTENCES, trim_rule=lambda word, count, least: None)
    assert sorted(model.wv.index_to_key) == ["a", "c"]


def test_rates_that_a_callback_sets() -> None:
    """They hold from then on, as in gensim: with 0 nothing more is learned."""

    class Stop:
        def __init__(self) -> None:
            self.vectors: list[np.ndarray] = []

        def on_train_begin(self, model: Word2Vec) -> None: ...
        def on_train_end(self, model: Word2Vec) -> None: ...
        def on_epoch_begin(self, model: Word2Vec) -> None: ...
        def on_epoch_end(self, model: Word2Vec) -> None:
            self.vectors.append(model.wv.vectors.copy())
            if len(self.vectors) == 2:
                model.alpha = model.min_alpha = 0.0

    stop = Stop()
    Word2Vec(SENTENCES, vector_size=4, min_count=1, epochs=4, workers=1, sample=0, callbacks=[stop])
    assert (stop.vectors[0] != stop.vectors[1]).any()
    checks.same_bits(stop.vectors[1], stop.vectors[2])
    checks.same_bits(stop.vectors[1], stop.vectors[3])
