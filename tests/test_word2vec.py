"""Word2Vec as a user has it."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import checks
import numpy as np
import pytest
from word2vec import VARIANTS, model, topics

import fastrnn
from fastrnn import Word2Vec, reference
from fastrnn.word2vec import Corpus, _tables


@pytest.fixture(scope="module")
def sentences() -> list[list[str]]:
    """A corpus with something to learn."""
    return topics(np.random.default_rng(1))


def separation(trained: Word2Vec) -> float:
    """Mean cosine within topics less that between them."""
    words = sorted(trained.wv.index_to_key)
    rows = np.array([trained.wv[w] for w in words])
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    topic = np.array([w[0] for w in words])
    same = topic[:, None] == topic
    cosine = rows @ rows.T
    return float(cosine[same & ~np.eye(len(words), dtype=bool)].mean() - cosine[~same].mean())


@pytest.mark.parametrize("deterministic", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_learns(sentences: list[list[str]], variant: str, deterministic: bool) -> None:
    trained = model(sentences, compute_loss=True, workers=2, deterministic=deterministic, **VARIANTS[variant])
    assert separation(trained) > 0.1
    losses = trained.epoch_losses
    assert len(losses) == 10
    assert losses[-1] < losses[0]
    total = sum(loss * n for loss, n in zip(losses, trained.trained.centres_by_epoch, strict=True))
    assert trained.get_latest_training_loss() == pytest.approx(total)


def test_seeds(sentences: list[list[str]]) -> None:
    one, same, other = (model(sentences, seed=s, epochs=1) for s in (1, 1, 2))
    checks.same_bits(one.wv.vectors, same.wv.vectors)
    assert (one.wv.vectors != other.wv.vectors).all()


def test_epochs_draw_anew(sentences: list[list[str]]) -> None:
    keys = [_tables.epoch_key(seed, epoch) for seed in (0, 1, 2**64 - 1) for epoch in range(3)]
    assert len(set(keys)) == 9
    draw64 = reference.rng.draw64
    assert keys[4] == int(draw64(int(draw64(0, 1)), 1))


@pytest.mark.parametrize("form", ["list", "generator", "file", "corpus", "cache", "ids"])
def test_same_from_any_source(sentences: list[list[str]], tmp_path: Path, form: str) -> None:
    want = model(sentences)
    path = tmp_path / "a.txt"
    path.write_text("\n".join(" ".join(s) for s in sentences), encoding="utf-8")
    corpus = Corpus.read(sentences)
    source: dict[str, Any] = {
        "list": lambda: model(list(sentences)),
        "generator": lambda: model(s for s in sentences),
        "file": lambda: model(None, corpus_file=str(path)),
        "corpus": lambda: model(corpus),
        "cache": lambda: model(sentences, cache=tmp_path / "corpus"),
        "ids": lambda: model((corpus.ids, corpus.offsets)),
    }
    got = source[form]()
    names = got.wv.index_to_key
    assert (names if form != "ids" else [corpus.types[i] for i in names]) == want.wv.index_to_key
    checks.same_bits(got.wv.vectors, want.wv.vectors)


def test_vocabulary_then_train(sentences: list[list[str]]) -> None:
    want = model(sentences)
    got = model(None)
    got.build_vocab(sentences)
    assert (got.corpus_count, got.corpus_total_words) == (len(sentences), 12 * len(sentences))
    centres, words = got.train(sentences, total_examples=got.corpus_count, epochs=got.epochs)
    checks.same_bits(got.wv.vectors, want.wv.vectors)
    assert centres == words == 10 * 12 * len(sentences)


def test_vocabulary_from_frequencies(sentences: list[list[str]]) -> None:
    want = model(sentences)
    corpus = Corpus.read(sentences)
    got = model(None)
    got.build_vocab_from_freq(dict(zip(corpus.types, corpus.counts.tolist(), strict=True)))
    got.train(sentences, total_examples=len(sentences), epochs=got.epochs)
    checks.same_bits(got.wv.vectors, want.wv.vectors)


def test_learning_rate(sentences: list[list[str]]) -> None:
    """With rate 0 nothing moves; the rate falls to its end in a straight line."""
    still = model(sentences, alpha=0.0, min_alpha=0.0)
    checks.same_bits(still.wv.vectors, _tables.initial_vectors(40, 20, 1, "gensim").rows)
    rates: list[float] = []

    class Progress:
        def update(self, words: int, rate: float, loss: float | None) -> None:
            rates.append(rate)

    model(sentences, progress=Progress(), epochs=30, min_alpha=0.01)
    assert rates[0] == 0.05
    assert all(a >= b >= 0.01 for a, b in itertools.pairwise(rates))
    assert rates[-1] < 0.012


def test_train_on(sentences: list[list[str]]) -> None:
    trained = model(sentences, epochs=1)
    before = trained.wv.vectors.copy()
    trained.train(sentences[:100], total_examples=100, epochs=1, start_alpha=0.01, end_alpha=0.005)
    assert (trained.wv.vectors != before).any()
    assert (trained.alpha, trained.min_alpha, trained.train_count) == (0.01, 0.005, 2)


def test_many_epochs_of_a_small_corpus() -> None:
    """Turns do not grow without bound when the corpus is shorter than one."""
    model = Word2Vec(vector_size=2, min_count=1)
    model.build_vocab([["a", "b"]])
    model.train([["a", "b"]], total_examples=1, epochs=1200)
    assert model.trained.words == 2400


def test_update_of_the_vocabulary(sentences: list[list[str]]) -> None:
    trained = model(sentences, hs=1, epochs=2)
    before, noise = trained.wv.vectors.copy(), trained.syn1neg.copy()
    trained.build_vocab([["new", "a0", "rare"]] * 9 + [["a0"]], update=True)
    assert trained.wv.index_to_key[40:] == ["new", "rare"]
    checks.same_bits(trained.wv.vectors[:40], before)
    checks.same_bits(trained.syn1neg, np.vstack([noise, np.zeros((2, 20), np.float32)]))
    assert trained.syn1.shape == (42, 20)
    assert trained.wv.get_vecattr("new", "count") == 9
    trained.train([["new", "a0"]] * 50, total_examples=50, epochs=5)
    assert (trained.wv["new"] != before[0]).any()


def test_locks(sentences: list[list[str]]) -> None:
    trained = model(None)
    trained.build_vocab(sentences)
    before = trained.wv.vectors.copy()
    trained.wv.vectors_lockf = np.ones(40, np.float32)
    trained.wv.vectors_lockf[3] = 0
    trained.train(sentences, total_examples=1, epochs=1)
    moved = (trained.wv.vectors != before).any(axis=1)
    assert moved.sum() == 39
    assert not moved[3]


def test_vectors_put_in_place(sentences: list[list[str]]) -> None:
    trained = model(None, alpha=0.0, min_alpha=0.0)
    trained.build_vocab(sentences)
    mine = np.random.default_rng(0).random((40, 20), np.float32)
    trained.wv.vectors = mine.copy()
    trained.train(sentences, total_examples=1, epochs=1)
    checks.same_bits(trained.wv.vectors, mine)
    trained.wv.vectors = mine[:3]
    with pytest.raises(ValueError, match=r"wv.vectors: expected shape \(40, 20\), got \(3, 20\)"):
        trained.train(sentences, total_examples=1, epochs=1)


@pytest.mark.parametrize("variant", VARIANTS)
def test_save(sentences: list[list[str]], tmp_path: Path, variant: str) -> None:
    """What is saved goes on as if nothing had happened."""
    trained = model(sentences, comment="Ümläut", **VARIANTS[variant])
    trained.save(tmp_path / "model")
    loaded = Word2Vec.load(tmp_path / "model")
    assert loaded.comment == "Ümläut"
    assert loaded.wv.get_vecattr("a0", "count") == trained.wv.get_vecattr("a0", "count")
    for one in (trained, loaded):
        one.train(sentences, total_examples=1, epochs=2, start_alpha=0.01)
    checks.same_bits(loaded.wv.vectors, trained.wv.vectors)
    cut = (tmp_path / "model").read_bytes()[:-40]
    (tmp_path / "model").write_bytes(cut)
    with pytest.raises(ValueError, match="model"):
        Word2Vec.load(tmp_path / "model")


def test_callbacks(sentences: list[list[str]]) -> None:
    seen: list[str] = []

    class Callback:
        def __getattr__(self, name: str) -> Any:
            return lambda trained: seen.append(f"{name} {len(trained.wv)}")

    model(sentences, epochs=2, callbacks=[Callback()])
    epoch = ["on_epoch_begin 40", "on_epoch_end 40"]
    assert seen == ["on_train_begin 40", *epoch, *epoch, "on_train_end 40"]


def test_interrupt(sentences: list[list[str]]) -> None:
    class Stop:
        def update(self, words: int, rate: float, loss: float | None) -> None:
            raise KeyboardInterrupt

    with pytest.warns(
        RuntimeWarning, match=r"training was interrupted after 1.00 of 10 epochs; the model is as"
    ):
        trained = model(sentences, progress=Stop())
    assert trained.trained.words == 12 * len(sentences)
    assert np.isfinite(trained.wv.vectors).all()
    with pytest.raises(KeyboardInterrupt):
        trained.train(sentences, total_examples=1, epochs=1)


def test_predict_output_word(sentences: list[list[str]]) -> None:
    trained = model(sentences)
    found = trained.predict_output_word(["a1", "a2", "unknown", trained.wv.key_to_index["a3"]], topn=40)
    assert found is not None
    assert {w[0] for w, _ in found[:10]} == {"a"}
    assert sum(p for _, p in found) == pytest.approx(1)
    assert trained.predict_output_word(["unknown"]) is None
    with pytest.raises(RuntimeError, match="expected a model with negative sampling"):
        model(sentences, hs=1, negative=0).predict_output_word(["a1"])


@pytest.mark.parametrize("sg", [0, 1])
def test_score(sentences: list[list[str]], sg: int) -> None:
    trained = model(sentences, hs=1, negative=0, sg=sg)
    likely, mixed, short = trained.score([["a1", "a2", "a3"], ["a1", "b2", "c3"], ["a1", "unknown"]])
    assert mixed < likely < short == 0
    with pytest.raises(RuntimeError, match="expected a model with hs=1 and negative=0"):
        model(sentences).score([])


def test_full_rank_reaches_shifted_pmi(rng: np.random.Generator) -> None:
    """The optimum of skip-gram with K negatives is PMI - log K (Levy and Goldberg 2014)."""
    words, negative = 6, 2
    joint = rng.random((words, words)) + 0.2
    joint = joint + joint.T
    draws = rng.choice(words * words, 200_000, p=(joint / joint.sum()).ravel())
    pairs = np.stack([draws // words, draws % words], axis=1)
    trained = Word2Vec(
        pairs,
        vector_size=16,
        window=1,
        negative=negative,
        sg=1,
        sample=0,
        ns_exponent=1,
        epochs=20,
        min_count=1,
        alpha=0.025,
        min_alpha=1e-5,
        workers=1,
        shared_negatives=False,
    )
    order = trained.wv.index_to_key
    counts = np.zeros((words, words))
    np.add.at(counts, (pairs[:, 0], pairs[:, 1]), 1)
    counts = (counts + counts.T)[np.ix_(order, order)]
    share = counts.sum(axis=1) / counts.sum()
    # A negative that is the centre word is left out: the noise of a word has no share of itself.
    want = (
        np.log(counts / counts.sum() / np.outer(share, share)) - np.log(negative) - np.log1p(-share)[None, :]
    )
    got = trained.wv.vectors @ trained.syn1neg.T
    assert np.abs(got - want).max() < 0.15
    assert np.corrcoef(got.ravel(), want.ravel())[0, 1] > 0.98


def test_one_word() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in VARIANTS.values():
            alone = Word2Vec([["a"] * 10], min_count=1, vector_size=3, **options)
            assert np.isfinite(alone.wv.vectors).all()
    assert fastrnn.Word2Vec is Word2Vec
