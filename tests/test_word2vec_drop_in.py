"""What a script written for gensim meets in models: codes, mapped files, arguments of `save`, memory."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from word2vec import model, topics

from fastrnn import Doc2Vec, FastText, KeyedVectors, Word2Vec
from fastrnn.word2vec import TaggedDocument


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn."""
    return topics(np.random.default_rng(1), 200)


def test_codes_of_words(sentences: list[list[str]]) -> None:
    """Each word has the turns of its path and the nodes where they are taken, all from one root."""
    trained = model(sentences, hs=1, negative=0, epochs=1)
    codes = [tuple(trained.wv.get_vecattr(word, "code")) for word in trained.wv.index_to_key]
    points = [trained.wv.get_vecattr(i, "point") for i in range(40)]
    assert len(set(codes)) == 40
    assert sum(2.0 ** -len(code) for code in codes) == 1
    assert {len(code) - len(point) for code, point in zip(codes, points, strict=True)} == {0}
    assert {int(point[0]) for point in points} == {38}
    assert not trained.syn1[39].any()
    assert trained.syn1[:39].any(axis=1).all()
    with pytest.raises(KeyError, match="attr: expected one of"):
        model(sentences, epochs=1).wv.get_vecattr("a1", "code")


def test_mapped(sentences: list[list[str]], tmp_path: Path) -> None:
    """Tables that stay in the file answer as others do, and come into memory to be trained."""
    trained = model(sentences, hs=1, epochs=1)
    trained.save(tmp_path / "model", sep_limit=0)
    mapped, loaded = (Word2Vec.load(tmp_path / "model", mmap=mode) for mode in ("r", None))
    assert not mapped.wv.vectors.flags.writeable
    checks.same_bits(mapped.syn1neg, trained.syn1neg)
    assert mapped.wv.most_similar("a1") == trained.wv.most_similar("a1")
    assert mapped.predict_output_word(["a1"]) == trained.predict_output_word(["a1"])
    for each in (mapped, loaded):
        each.train(sentences, epochs=1)
    checks.same_bits(mapped.wv.vectors, loaded.wv.vectors)
    checks.same_bits(mapped.syn1, loaded.syn1)
    trained.wv.save(tmp_path / "wv", sep_limit=0)
    checks.same_bits(KeyedVectors.load(tmp_path / "wv", mmap="r").vectors, trained.wv.vectors)


def test_mapped_then_updated(sentences: list[list[str]], tmp_path: Path) -> None:
    """A vocabulary that grows when the tables are those of a file."""
    new = [["x1", "x2", "a1"]] * 6
    words = FastText(sentences, vector_size=8, bucket=50, min_count=1, epochs=1, workers=1)
    documents = Doc2Vec(
        [TaggedDocument(row, ["t", k]) for k, row in enumerate(sentences[:20])], vector_size=8, min_count=1
    )
    tagged = [TaggedDocument(row, ["t", 0]) for row in new]
    for trained, corpus in ((words, new), (documents, tagged)):
        trained.save(tmp_path / "model", sep_limit=0)
        mapped, loaded = (type(trained).load(tmp_path / "model", mmap=mode) for mode in ("r", None))
        for each in (mapped, loaded):
            each.build_vocab(corpus, update=True)
        assert mapped.wv.index_to_key == loaded.wv.index_to_key
        checks.same_bits(mapped.wv.vectors, loaded.wv.vectors)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies_train(sentences: list[list[str]], copied: Any) -> None:
    trained = model(sentences, epochs=1)
    again = copied(trained)
    for each in (trained, again):
        each.train(sentences, epochs=1)
    checks.same_bits(again.wv.vectors, trained.wv.vectors)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (
            {"ignore": ["vectors"]},
            ValueError,
            "ignore: expected no names, as models are saved whole, got ['vectors']",
        ),
        ({"sep_limit": -1}, ValueError, "sep_limit: expected an int >= 0, got -1"),
        ({"separately": 3}, TypeError, "separately: expected names or None, got 3"),
    ],
)
def test_wrong_saving(tmp_path: Path, options: dict, kind: type[Exception], message: str) -> None:
    kv = KeyedVectors(2)
    for each in (model(None), kv):
        with pytest.raises(kind) as raised:
            each.save(tmp_path / "model", **options)
        assert str(raised.value) == message
    with pytest.raises(ValueError, match=r"mmap: expected None or 'r', got 'w\+'"):
        Word2Vec.load(tmp_path / "model", mmap="w+")


def test_memory(sentences: list[list[str]]) -> None:
    """Tables count with the bytes that they take."""
    docs = [TaggedDocument(words, [n]) for n, words in enumerate(sentences)]
    small = {"vector_size": 20, "epochs": 1, "workers": 1, "hs": 1}
    for trained, more in (
        (Word2Vec(sentences, **small), None),
        (FastText(sentences, bucket=100, **small), "syn0_ngrams"),
        (Doc2Vec(docs, dm_concat=1, **small), "doctag_syn0"),
    ):
        found, tables = trained.estimate_memory(), trained.tables()
        assert found["syn1neg"] == tables.output.padded.nbytes
        assert found["syn1"] == tables.nodes.padded.nbytes
        assert found["syn0_vocab" if more == "syn0_ngrams" else "vectors"] == tables.input.padded.nbytes
        assert more is None or found[more] == tables.more.padded.nbytes
        assert found["total"] == sum(found.values()) - found["total"]
        assert trained.estimate_memory(vocab_size=2 * len(trained.wv))["syn1"] == 2 * found["syn1"]
    other = trained.estimate_memory(report={"corpus": 7, "total": 9})
    assert other["total"] == found["total"] + other["corpus"] == found["total"] + 7
    assert Word2Vec().estimate_memory(vocab_size=0)["total"] == 0


def test_errors_of_gensim(sentences: list[list[str]], tmp_path: Path) -> None:
    """What gensim raises for a corpus without words, for other things, and for `load` of a model."""
    for wrong, options in (([], {}), (sentences, {"min_count": 10**6})):
        with pytest.raises(RuntimeError, match="expected a"):
            Word2Vec(wrong, **options)
    trained = model(sentences, epochs=1)
    for arguments, message in (
        ({"corpus_file": 3}, "corpus_file: expected a path, got 3"),
        ({"corpus_file": sentences}, "corpus_file: expected a path, got list"),
        ({"corpus_iterable": 3}, "corpus_iterable: expected an iterable of lists of tokens, got 3"),
    ):
        with pytest.raises(TypeError, match=message):
            trained.train(**arguments)
    with pytest.raises(AttributeError, match="load: expected a call on the class"):
        trained.load(tmp_path)


def test_vocabulary_in_steps(sentences: list[list[str]]) -> None:
    """The same as `build_vocab`; a dry run reports what would come of other settings."""
    counted = [["a"] * 30, ["b"] * 20 + ["c"] * 4]
    stepwise, whole = (Word2Vec(vector_size=4, min_count=5, sample=0.1, workers=1) for _ in range(2))
    with pytest.raises(
        RuntimeError, match="raw_vocab: expected counts of types, got none; call scan_vocab first"
    ):
        stepwise.prepare_vocab()
    assert stepwise.scan_vocab(counted, workers=2) == (54, 2)
    assert stepwise.raw_vocab == {"a": 30, "b": 20, "c": 4}
    found = stepwise.prepare_vocab(min_count=21, sample=0, dry_run=True)
    want = {"drop_unique": 2, "retain_total": 30, "downsample_unique": 0, "downsample_total": 30}
    assert found == {**want, "num_retained_words": 1}
    assert len(stepwise.wv) == 0
    assert (stepwise.min_count, stepwise.effective_min_count) == (5, 0)
    found = stepwise.prepare_vocab()
    kept = [n * (np.sqrt(n / 5) + 1) * 5 / n for n in (30, 20)]
    want = {"drop_unique": 1, "retain_total": 50, "downsample_unique": 2, "downsample_total": int(sum(kept))}
    assert found == {**want, "num_retained_words": 2}
    assert stepwise.raw_vocab == {}
    whole.build_vocab(counted)
    assert stepwise.wv.key_to_index == whole.wv.key_to_index
    checks.same_bits(stepwise.wv.vectors, whole.wv.vectors)
    checks.same_bits(stepwise.keep_thresholds, whole.keep_thresholds)
    whole.train(counted, epochs=1)
    whole.prepare_weights()
    checks.same_bits(whole.wv.vectors, stepwise.wv.vectors)
    share = np.diff(whole.cum_table.astype(float), prepend=0) / (2**31 - 1)
    checks.close(share.astype(np.float32), np.array([30**0.75, 20**0.75]) / (30**0.75 + 20**0.75), "identity")
    with pytest.raises(AttributeError, match="cum_table: expected a vocabulary and negative > 0"):
        _ = Word2Vec().cum_table
    documents = Doc2Vec(vector_size=4, min_count=1, workers=1)
    assert documents.scan_vocab([TaggedDocument(words, [n]) for n, words in enumerate(counted)]) == (54, 2)
    documents.prepare_vocab()
    assert documents.dv.vectors.shape == (2, 4)
