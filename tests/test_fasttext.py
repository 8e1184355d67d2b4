"""FastText: n-grams, words that were not seen, files of Facebook's."""

from __future__ import annotations

import contextlib
import inspect
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from word2vec import topics

from fastrnn import FastText, Word2Vec, _core
from fastrnn.word2vec import (
    FastTextKeyedVectors,
    load_facebook_model,
    load_facebook_vectors,
    save_facebook_model,
)
from fastrnn.word2vec._subwords import ngram_rows

MODES: dict[str, dict[str, Any]] = {
    "skip-gram": {"sg": 1},
    "cbow": {"sg": 0},
    "nodes": {"sg": 1, "hs": 1, "negative": 0},
    "cbow nodes": {"sg": 0, "hs": 1},
    "classic": {"sg": 1, "shared_negatives": False},
}


def fasttext(sentences: Any, **options: Any) -> FastText:
    """A small one."""
    small = {"vector_size": 20, "epochs": 10, "workers": 1, "sample": 0, "alpha": 0.05, "bucket": 500}
    return FastText(sentences, **{**small, **options})


def slow_rows(word: str, min_n: int, max_n: int, bucket: int) -> list[int]:
    """The n-grams of a word, as the paper says."""
    text = f"<{word}>"
    rows = []
    for i in range(len(text)):
        for n in range(min_n, max_n + 1):
            ngram = text[i : i + n]
            if len(ngram) < n or ngram in ("<", ">"):
                continue
            h = 2166136261
            for byte in ngram.encode():
                h = (h ^ (byte if byte < 128 else byte + 0xFFFFFF00)) * 16777619 % 2**32
            rows.append(h % bucket)
    return rows


@pytest.mark.parametrize("word", ["", "a", "test", "жизнь", "日本語", "a-ž", "x" * 40])
@pytest.mark.parametrize(("low", "high"), [(3, 6), (1, 2), (0, 3), (4, 4)])
def test_ngrams(word: str, low: int, high: int) -> None:
    offsets, rows = ngram_rows([word, "other"], low, high, 1000)
    assert rows[: offsets[1]].tolist() == slow_rows(word, max(low, 1), high, 1000)
    assert rows.tolist() != slow_rows("others", max(low, 1), high, 1000)


def test_hash() -> None:
    """What fastText's own program makes of these."""
    assert slow_rows("a", 3, 3, 2**31 - 1)[0] == _core.ngrams([b"a"], 3, 3, 2**31 - 1)[1][0]
    _, rows = _core.ngrams([b"test"], 3, 4, 2_000_000)
    assert rows.tolist() == slow_rows("test", 3, 4, 2_000_000)


@pytest.mark.parametrize("mode", MODES)
def test_learns(rng: np.random.Generator, mode: str) -> None:
    model = fasttext(topics(rng), compute_loss=True, **MODES[mode])
    assert model.epoch_losses[-1] < 0.97 * model.epoch_losses[0]
    near = [word for word, _ in model.wv.most_similar("a1", topn=6)]
    assert sum(word[0] == "a" for word in near) >= 5


def test_vectors_are_means(rng: np.random.Generator) -> None:
    wv = fasttext(topics(rng, 50)).wv
    for word in ("a1", "d7"):
        rows = slow_rows(word, 3, 6, 500)
        own = wv.vectors_vocab[wv.key_to_index[word]]
        np.testing.assert_allclose(
            wv[word], (own + wv.vectors_ngrams[rows].sum(axis=0)) / (1 + len(rows)), rtol=1e-5
        )
    assert "unseen" in wv
    assert "unseen" not in wv.key_to_index
    want = wv.vectors_ngrams[slow_rows("unseen", 3, 6, 500)].mean(axis=0)
    np.testing.assert_allclose(wv["unseen"], want, rtol=1e-5)
    assert len(wv.most_similar("unseen", topn=3)) == 3
    assert wv.similarity("unseen", "unseen") == 1
    assert [b.tolist() for b in wv.buckets_word][wv.key_to_index["a1"]] == slow_rows("a1", 3, 6, 500)


def test_threads_do_not_matter(rng: np.random.Generator) -> None:
    sentences = topics(rng, 100)
    one = fasttext(sentences, sg=1, deterministic=True, workers=1)
    two = fasttext(sentences, sg=1, deterministic=True, workers=2)
    assert np.array_equal(one.wv.vectors, two.wv.vectors)
    assert np.array_equal(one.wv.vectors_ngrams, two.wv.vectors_ngrams)


def test_without_ngrams_it_is_word2vec(rng: np.random.Generator) -> None:
    """Bit for bit."""
    sentences = topics(rng, 100)
    plain = Word2Vec(sentences, vector_size=20, sg=1, workers=1, epochs=2)
    for none in ({"bucket": 0}, {"min_n": 4, "max_n": 3}):
        model = fasttext(sentences, sg=1, epochs=2, sample=1e-3, alpha=0.025, **none)
        assert np.array_equal(model.wv.vectors, plain.wv.vectors)
        with pytest.raises(KeyError, match="unseen"):
            model.wv["unseen"]


def test_one_mean_at_a_time(rng: np.random.Generator) -> None:
    """Locks of n-grams and words hold still what they should."""
    model = fasttext(None, sg=1)
    model.build_vocab(topics(rng, 50))
    words, ngrams = model.wv.vectors_vocab.copy(), model.wv.vectors_ngrams.copy()
    model.wv.vectors_vocab_lockf = np.zeros(1, np.float32)
    model.train(topics(rng, 50), epochs=1)
    assert np.array_equal(model.wv.vectors_vocab, words)
    assert not np.array_equal(model.wv.vectors_ngrams, ngrams)


def test_new_words(rng: np.random.Generator) -> None:
    model = fasttext(topics(rng, 100), min_count=1)
    before, ngrams = model.wv.vectors_vocab.copy(), model.wv.vectors_ngrams.copy()
    model.build_vocab([["e1", "e2"]], update=True)
    assert np.array_equal(model.wv.vectors_vocab[: len(before)], before)
    assert np.array_equal(model.wv.vectors_ngrams, ngrams)
    model.train([["e1", "e2", "a1"]] * 20, epochs=2)
    assert model.wv["e1"].shape == (20,)


def test_files(rng: np.random.Generator, tmp_path: Path) -> None:
    model = fasttext(topics(rng, 100))
    model.save(tmp_path / "model")
    again = FastText.load(tmp_path / "model")
    assert np.array_equal(again.wv.vectors, model.wv.vectors)
    assert np.array_equal(again.wv["unseen"], model.wv["unseen"])
    for each in (model, again):
        each.train(topics(np.random.default_rng(1), 50), epochs=1)
    assert np.array_equal(again.wv.vectors, model.wv.vectors)
    model.wv.save(tmp_path / "wv")
    assert np.array_equal(FastTextKeyedVectors.load(tmp_path / "wv")["unseen"], model.wv["unseen"])
    with pytest.raises(ValueError, match=r"expected a model of fastrnn\.Word2Vec"):
        Word2Vec.load(tmp_path / "model")
    with pytest.raises(ValueError, match="expected FastTextKeyedVectors"):
        FastTextKeyedVectors.load(tmp_path / "model")


@pytest.mark.parametrize("mode", MODES)
def test_facebook_format(rng: np.random.Generator, tmp_path: Path, mode: str) -> None:
    model = fasttext(topics(rng, 50), **{**MODES[mode], "negative": 0 if MODES[mode].get("hs") else 5})
    save_facebook_model(model, tmp_path / "model.bin")
    again = load_facebook_model(tmp_path / "model.bin")
    for name in ("sg", "hs", "negative", "window", "min_n", "max_n", "bucket", "vector_size"):
        assert getattr(again, name) == getattr(model, name), name
    assert again.wv.index_to_key == model.wv.index_to_key
    assert np.array_equal(again.wv.vectors, model.wv.vectors)
    save_facebook_model(again, tmp_path / "again.bin")
    assert (tmp_path / "again.bin").read_bytes() == (tmp_path / "model.bin").read_bytes()
    assert np.array_equal(load_facebook_vectors(tmp_path / "model.bin")["unseen"], model.wv["unseen"])
    again.train(topics(rng, 50), epochs=1)


def test_damaged_files(rng: np.random.Generator, tmp_path: Path) -> None:
    """Cut short anywhere, or with a byte changed in its head: an error, never a crash or a hang."""
    save_facebook_model(
        fasttext(topics(rng, 20), bucket=3, vector_size=2, min_count=1), tmp_path / "model.bin"
    )
    whole = (tmp_path / "model.bin").read_bytes()
    path = tmp_path / "damaged.bin"
    for size in range(0, len(whole), 7):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match="byte"):
            load_facebook_model(path)
    for at in range(150):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x80]) + whole[at + 1 :])
        with contextlib.suppress(ValueError, TypeError):
            load_facebook_model(path)
    words_at = 8 + struct.calcsize("<12id")
    path.write_bytes(whole[: words_at + 8] + struct.pack("<i", 2) + whole[words_at + 12 :])
    with pytest.raises(NotImplementedError, match="expected a model of words, got a supervised one"):
        load_facebook_vectors(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"word_ngrams": 2}, "word_ngrams: expected an int <= 1, got 2"),
        ({"min_n": -1}, "min_n: expected an int >= 0, got -1"),
        ({"bucket": -1}, "bucket: expected an int >= 0, got -1"),
        ({"hs": 0, "negative": 0}, "hs, negative: expected at least one of them to be positive"),
    ],
)
def test_errors(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FastText(**options)


@pytest.mark.peer
def test_gensim(rng: np.random.Generator, tmp_path: Path) -> None:
    """The same signature, n-grams and vectors; each reads what the other has written."""
    theirs = pytest.importorskip("gensim.models.fasttext")
    want = [(p.name, p.default) for p in inspect.signature(theirs.FastText).parameters.values()]
    ours = inspect.signature(FastText).parameters.values()
    assert [(p.name, p.default) for p in ours if p.kind is not p.KEYWORD_ONLY] == want
    for word in ("test", "жизнь", "日本語", "a"):
        found = ngram_rows([word], 3, 6, 2_000_000)[1].tolist()
        assert found == list(theirs.ft_ngram_hashes(word, 3, 6, 2_000_000))
    sentences = topics(rng, 50)
    for options in ({"sg": 1}, {"sg": 0}, {"hs": 1, "negative": 0}):
        small = {"vector_size": 10, "bucket": 100, "epochs": 1, "workers": 1}
        peer = theirs.FastText(sentences, **small, **options)
        theirs.save_facebook_model(peer, str(tmp_path / "theirs.bin"))
        read = load_facebook_model(tmp_path / "theirs.bin")
        np.testing.assert_allclose(read.wv.vectors, peer.wv.vectors, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(read.wv["unseen"], peer.wv["unseen"], rtol=1e-5, atol=1e-7)
        save_facebook_model(read, tmp_path / "ours.bin")
        assert (tmp_path / "ours.bin").read_bytes() == (tmp_path / "theirs.bin").read_bytes()
        back = theirs.load_facebook_vectors(str(tmp_path / "ours.bin"))
        np.testing.assert_allclose(back.vectors, read.wv.vectors, rtol=1e-5, atol=1e-7)
        copied = FastTextKeyedVectors.from_gensim(peer)
        returned = copied.to_gensim()
        assert type(returned) is type(peer.wv)
        for word in (*peer.wv.index_to_key[:3], "unseen"):
            np.testing.assert_allclose(copied[word], peer.wv[word], rtol=1e-5, atol=1e-7)
            np.testing.assert_array_equal(returned[word], peer.wv[word])
        assert copied.get_vecattr(copied.index_to_key[0], "count") == peer.wv.get_vecattr(0, "count")
        copied.adjust_vectors()  # of copies: gensim's own stay
        copied.vectors_ngrams[:] = 0
        assert peer.wv.vectors_ngrams.any()
        with pytest.raises(
            TypeError, match=r"^other: expected gensim's FastTextKeyedVectors, got KeyedVectors; "
        ):
            FastTextKeyedVectors.from_gensim(pytest.importorskip("gensim.models").KeyedVectors(3))
