"""Against gensim on the same vectors: queries, evaluation, files both ways, phrases, signatures."""

from __future__ import annotations

import gzip
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

import checks
import numpy as np
import pytest
import vectors
from conftest import peer
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import make

from fastrnn import KeyedVectors
from fastrnn.word2vec import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases, _statistics

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

# What gensim has and we have not: older names that raise there, or that its pickles want; and logging.
LEFT_OUT = {
    "add_lifecycle_event", "index2entity", "index2word", "log_accuracy", "log_evaluate_word_pairs",
    "similarity_unseen_docs", "vectors_norm", "vocab",
}  # fmt: skip


@pytest.fixture
def pair(gensim: ModuleType) -> tuple[KeyedVectors, Any]:
    """The same vectors twice."""
    kv = make(200, 20)
    return kv, kv.to_gensim()


def test_signatures(gensim: ModuleType) -> None:
    theirs = gensim.models.KeyedVectors
    names = {n for n in vars(theirs) | vars(gensim.utils.SaveLoad) if not n.startswith("_")}
    assert {n for n in names if not hasattr(KeyedVectors, n)} == LEFT_OUT
    for name in names - LEFT_OUT - {"save", "load"}:
        got, want = (
            list(inspect.signature(getattr(c, name)).parameters.values()) for c in (KeyedVectors, theirs)
        )
        assert [p.name for p in got] == [p.name for p in want], name
        for ours, other in zip(got, want, strict=True):
            assert ours.default == other.default, (name, ours)
    phrases = gensim.models.phrases
    for ours, other in ((Phrases, phrases.Phrases), (FrozenPhrases, phrases.FrozenPhrases)):
        assert {n for n in vars(other) if not n.startswith("_") and not hasattr(ours, n)} == set()
        got, want = (inspect.signature(c).parameters for c in (ours, other))
        assert [(p.name, p.default) for p in want.values()] == [(p.name, p.default) for p in got.values()][
            : len(want)
        ]


def agree(got: list, want: list) -> None:
    assert [key for key, _ in got] == [key for key, _ in want]
    checks.close(np.float32([s for _, s in got]), np.array([s for _, s in want]), "peer")


def test_queries(pair: tuple[KeyedVectors, Any]) -> None:
    kv, other = pair
    for arguments in (
        {"positive": "war"},
        {"positive": ["king", "woman"], "negative": ["man"], "topn": 50},
        {
            "positive": [("king", 0.3), "word7"],
            "negative": [("man", -2.0), 11],
            "clip_start": 5,
            "clip_end": 150,
        },
        {"positive": kv.vectors[3:6], "restrict_vocab": 60},
        {"positive": [kv.vectors[3], "war"], "topn": 1000},
    ):
        agree(kv.most_similar(**arguments), other.most_similar(**arguments))
        scores = [m.most_similar(**arguments | {"topn": None}) for m in pair]
        checks.close(scores[0].astype("f4"), scores[1], "peer")
    agree(
        kv.most_similar_cosmul(["king", "woman"], ["man"]),
        other.most_similar_cosmul(["king", "woman"], ["man"]),
    )
    words = ["war", "peace", "king", "queen", "the"]
    for call in (
        lambda m: m.similarity("war", "peace"),
        lambda m: m.distance("war", "peace"),
        lambda m: m.distances("war"),
        lambda m: m.distances(m["war"], words),
        lambda m: m.n_similarity(words[:2], words[2:]),
        lambda m: m.get_mean_vector(words, [1, -2, 3, 0.5, 1]),
        lambda m: m.get_mean_vector([*words, "absent"], pre_normalize=False, post_normalize=True),
        lambda m: m.get_vector("war", norm=True),
        lambda m: m.get_normed_vectors(),
        lambda m: m.cosine_similarities(m.vectors[0], m.vectors),
        lambda m: m.relative_cosine_similarity("war", "peace"),
        lambda m: [s for s, _ in m.rank_by_centrality(words, use_norm=False)],
    ):
        checks.close(np.asarray(call(kv), np.float32), np.asarray(call(other)), "peer")
    for call in (
        lambda m: m.doesnt_match(words),
        lambda m: m.closer_than("war", "word9"),
        lambda m: m.rank("war", "word9"),
        lambda m: m.most_similar_to_given("war", words[1:]),
        lambda m: [k for _, k in m.rank_by_centrality(words)],
        lambda m: m.vectors_for_all(["war", "absent", "peace", "war"]).index_to_key,
        lambda m: m.vectors_for_all(words).expandos["count"].tolist(),
    ):
        assert call(kv) == call(other)


def test_word_movers_distance(pair: tuple[KeyedVectors, Any]) -> None:
    peer("ot")
    kv, other = pair
    a, b = ["war", "the", "war", "king", "absent", "of"], ["peace", "the", "queen"]
    for arguments in ((a, b), (b, a), (a, a), (a, b[:1]), (a, b, False), (a, ["word7"], False)):
        got, want = (np.asarray(m.wmdistance(*arguments)) for m in pair)
        checks.close(got.astype(np.float32), want, "peer")
    assert kv.wmdistance(a, ["absent"]) == kv.wmdistance([], b) == other.wmdistance([], b) == np.inf
    assert kv.wmdistance(["war"], ["war"]) == 0


def test_sorting_and_resizing(pair: tuple[KeyedVectors, Any]) -> None:
    for m in pair:
        m.expandos["count"] = np.arange(200) % 7
        m.sort_by_descending_frequency()
        m.index_to_key += ["p", "q"]
        m.resize_vectors(seed=3)
    assert pair[0].index_to_key == pair[1].index_to_key
    checks.same_bits(pair[0].vectors, pair[1].vectors)


QUESTIONS = """: one
war peace king queen
War PEACE king word3
war peace king
: two
the of and absent
king queen man woman
word1 word2 word1 word2
word1 word1 word1 word1
"""


@pytest.mark.parametrize(
    "options", [{}, {"restrict_vocab": 30}, {"case_insensitive": False}, {"dummy4unknown": True}]
)
def test_evaluation(pair: tuple[KeyedVectors, Any], tmp_path: Path, options: dict[str, Any]) -> None:
    kv, other = pair
    path = tmp_path / "questions"
    right = "".join(  # some whose answer is what most_similar says
        f"{a} {b} {c} {kv.most_similar([b, c], [a], topn=1)[0][0]}\n"
        for a, b, c in (("war", "king", "queen"), ("word1", "word9", "word5"))
    )
    path.write_text(QUESTIONS + right)
    got = kv.evaluate_word_analogies(path, **options)
    assert got == other.evaluate_word_analogies(path, **options)
    by_name = kv.evaluate_word_analogies(path, **options, similarity_function="most_similar_cosmul")
    assert [len(s["correct"]) + len(s["incorrect"]) for s in by_name[1]] == [
        len(s["correct"]) + len(s["incorrect"]) for s in got[1]
    ]
    rng = np.random.default_rng(1)
    lines = [f"word{i}\tWORD{j}\t{rng.integers(0, 9)}\n" for i, j in rng.integers(0, [12, 250], (150, 2))]
    path.write_text("# comment\nshort\tline\n" + "".join(lines), encoding="utf8")
    compare_pairs(kv.evaluate_word_pairs(path, **options), other.evaluate_word_pairs(path, **options)) if (
        options.get("case_insensitive", True)
    ) else None
    with pytest.raises(ValueError, match="pairs: expected some of words that are keys, got none"):
        kv.evaluate_word_pairs(path, delimiter=";")


def compare_pairs(got: tuple, want: tuple) -> None:
    """To 1e-6, which is some ten eps of float32."""
    numbers = [np.array([*m[0], *m[1], m[2] / 100], np.float64) for m in (got, want)]
    checks.close(numbers[0].astype(np.float32), numbers[1], "identity")


def test_gensims_own_data(gensim: ModuleType) -> None:
    from gensim.test.utils import datapath

    path = datapath("euclidean_vectors.bin")
    kv = KeyedVectors.load_word2vec_format(path, binary=True)
    other = gensim.models.KeyedVectors.load_word2vec_format(path, binary=True)
    for name in ("wordsim353.tsv", "simlex999.txt"):
        compare_pairs(kv.evaluate_word_pairs(datapath(name)), other.evaluate_word_pairs(datapath(name)))
    questions = datapath("questions-words.txt")
    assert kv.evaluate_word_analogies(questions) == other.evaluate_word_analogies(questions)
    for name in ("lee_fasttext.vec", "crime-and-punishment.vec", "high_precision.kv.txt"):
        ours = KeyedVectors.load_word2vec_format(datapath(name))
        vectors.same(
            ours, KeyedVectors.from_gensim(gensim.models.KeyedVectors.load_word2vec_format(datapath(name)))
        )


@pytest.mark.parametrize("name", ["v", "v.gz"])
@pytest.mark.parametrize("binary", [False, True])
def test_files_both_ways(pair: tuple[KeyedVectors, Any], tmp_path: Path, binary: bool, name: str) -> None:
    kv, other = pair
    theirs, path = type(other), tmp_path / name
    for write in (kv, other):
        write.save_word2vec_format(str(path), fvocab=str(tmp_path / "c"), binary=binary)
        for fvocab in (None, str(tmp_path / "c")):
            ours = KeyedVectors.load_word2vec_format(path, fvocab=fvocab, binary=binary)
            gensims = theirs.load_word2vec_format(str(path), fvocab=fvocab, binary=binary)
            vectors.same(ours, KeyedVectors.from_gensim(gensims))
            vectors.same(ours, kv, attributes=fvocab is not None)
    if binary:
        kv.save_word2vec_format(tmp_path / "ours", binary=True)
        other.save_word2vec_format(str(tmp_path / "theirs"), binary=True)
        assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()
    assert (path.read_bytes()[:2] == gzip.compress(b"")[:2]) == (name == "v.gz")


def test_conversion(pair: tuple[KeyedVectors, Any]) -> None:
    kv, other = pair
    vectors.same(KeyedVectors.from_gensim(other), kv)
    other.vectors[:] = 0
    assert kv.vectors.any()
    found = KeyedVectors.from_gensim(type("Model", (), {"wv": kv.to_gensim()}))
    vectors.same(found, kv)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(-5, 5, width=16)), min_size=2, max_size=60),
    st.floats(0, 4, width=16),
)
def test_correlations(rows: list[tuple[int, float]], slope: float) -> None:
    stats = peer("scipy.stats")

    x, y = np.array(rows, np.float64).T
    y = y + slope * x
    if np.ptp(x) < 1e-3 or np.ptp(y) < 1e-3:
        return
    for got, want in (
        (_statistics.pearson(x, y), stats.pearsonr(x, y)),
        (_statistics.spearman(x, y), stats.spearmanr(x, y)),
    ):
        assert np.isnan(got.pvalue) == np.isnan(want[1])
        if not np.isnan(want[1]):
            checks.close(np.float32(got), np.array(want), "identity")


def test_p_values_far_from_chance() -> None:
    special = peer("scipy.special")

    for a in (0.5, 3.0, 175.5, 1500.0, 1e5):
        for x in (1e-12, 1e-3, 0.3, 0.9, 0.999, 1 - 1e-9):
            got, want = _statistics.incomplete_beta(a, 0.5, x), special.betainc(a, 0.5, x)
            if want > 1e-290:
                checks.close(np.float32(got / want), np.array(1.0), "identity")


CORPUS = "the bank of america is in new york and the bank of america was in new york as new york is"
SENTENCES = [CORPUS.split(), ["machine", "learning", "in", "new", "york"], ["machine", "learning"], []] * 3


@pytest.mark.parametrize("connectors", [frozenset(), ENGLISH_CONNECTOR_WORDS], ids=["none", "english"])
@pytest.mark.parametrize(("scoring", "threshold"), [("default", 0.5), ("npmi", 0.3)])
@pytest.mark.parametrize("more", [{}, {"max_vocab_size": 9}, {"delimiter": "~", "min_count": 2}], ids=str)
def test_phrases(
    gensim: ModuleType, scoring: str, threshold: float, connectors: frozenset, more: dict
) -> None:
    theirs = gensim.models.phrases
    assert theirs.ENGLISH_CONNECTOR_WORDS == ENGLISH_CONNECTOR_WORDS
    options = {
        "min_count": 1,
        "scoring": scoring,
        "threshold": threshold,
        "connector_words": connectors,
    } | more
    ours, other = Phrases(SENTENCES, **options), theirs.Phrases(SENTENCES, **options)
    for _ in range(2):
        assert ours.vocab == other.vocab
        assert (ours.corpus_word_count, ours.min_reduce) == (other.corpus_word_count, other.min_reduce)
        assert ours.export_phrases() == other.export_phrases()
        assert ours.find_phrases(SENTENCES) == other.find_phrases(SENTENCES)
        assert list(ours[SENTENCES]) == list(other[SENTENCES])
        assert ours.freeze().phrasegrams == other.freeze().phrasegrams
        assert list(ours.freeze()[SENTENCES]) == list(other.freeze()[SENTENCES])
        ours.add_vocab(SENTENCES[:2])
        other.add_vocab(SENTENCES[:2])
