"""KeyedVectors: queries against their definitions, batches against single queries, keys and attributes."""

from __future__ import annotations

import copy
import pickle

import checks
import numpy as np
import pytest
import vectors
from vectors import make, nearest, units

from fastrnn import KeyedVectors

KV = make()


def agree(got: list, want: list) -> None:
    """The same keys in the same order, and cosines within tolerance."""
    assert [k for k, _ in got] == [k for k, _ in want]
    checks.close(np.float32([s for _, s in got]), np.array([s for _, s in want]), "identity")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    ("plus", "minus"), [(["war"], []), (["king", "woman"], ["man"]), (["the"], ["of", "and"])]
)
def test_most_similar(dtype, plus, minus):
    kv = make(dtype=dtype)
    for topn in (1, 5, 39, 1000):
        found = kv.most_similar(plus, minus, topn=topn)
        want = nearest(kv, plus, minus, topn)
        assert len(found) == len(want)
        if dtype != "float16":
            agree(found, want)
        else:
            assert np.abs(np.array([s for _, s in found]) - [s for _, s in want]).max() < np.finfo("f2").eps


def test_the_ways_to_ask_agree():
    want = KV.most_similar("war", topn=5)
    vector = KV.get_vector("war", norm=True)
    assert (
        want
        == KV.most_similar(["war"], topn=5)
        == KV.similar_by_key("war", 5)
        == KV.similar_by_word("war", 5)
    )
    assert want == KV.most_similar([("war", 2.5)], topn=np.int64(5)) == KV.most_similar(3, topn=5)
    assert KV.most_similar("king", "man") == KV.most_similar(["king"], ["man"])
    assert KV.most_similar([("king", 1.0), ("man", -1.0)]) == KV.most_similar("king", "man")
    agree(KV.similar_by_vector(vector, 6), [("war", 1.0), *want])
    agree(KV.most_similar([vector], topn=6), [("war", 1.0), *want])
    agree(
        KV.most_similar(KV.vectors[:2] / KV._lengths()[:2, None], topn=3)[2:],
        KV.most_similar(["the", "of"])[:1],
    )


def test_weights():
    u = units(KV)
    mean = 2 * u[3] - 0.5 * u[4]
    cosines = u @ (mean / np.sqrt(mean @ mean))
    found = KV.most_similar([("war", 2.0)], [("peace", -0.5)], topn=None)
    checks.close(found, cosines, "identity")


def test_a_batch_is_its_queries():
    queries = [["war"], ["king", "woman"], ["日本"], [KV["x_y"], ("the", 0.5)]]
    negative = [[], ["man"], ["of", "and"], []]
    singles = [KV.most_similar(q, n, topn=7) for q, n in zip(queries, negative, strict=True)]
    assert KV.most_similar(queries, negative, topn=7) == singles
    assert KV.similar_by_key(["war", "peace"], 4) == [
        KV.similar_by_key("war", 4),
        KV.similar_by_key("peace", 4),
    ]
    assert KV.similar_by_vector(KV.vectors[:3], 4) == [KV.similar_by_vector(v, 4) for v in KV.vectors[:3]]
    scores = KV.most_similar(queries, negative, topn=None)
    assert scores.shape == (4, 40)
    for row, q, n in zip(scores, queries, negative, strict=True):
        checks.close(row, KV.most_similar(q, n, topn=None), "identity")
    assert KV.most_similar(queries, topn=0) == [[], [], [], []]


def test_many_queries_in_pieces(monkeypatch):
    from fastrnn.word2vec import _nearest

    want = KV.similar_by_vector(np.tile(KV.vectors, (5, 1)), 3)
    for name in ("FLOPS", "PAIRS"):
        with monkeypatch.context() as patch:
            patch.setattr(_nearest, name, 1)
            assert KV.similar_by_vector(np.tile(KV.vectors, (5, 1)), 3) == want


def test_rows_to_look_among():
    assert {k for k, _ in KV.most_similar("war", topn=9, restrict_vocab=3)} == {"the", "of", "and"}
    assert {k for k, _ in KV.most_similar("war", topn=9, clip_start=36)} == {
        f"word{i}" for i in range(23, 27)
    }
    clipped = KV.most_similar("war", topn=3, clip_start=2, clip_end=9)
    assert clipped == [p for p in KV.most_similar("war", topn=40) if p[0] in KV.index_to_key[2:9]][:3]
    assert KV.most_similar("war", topn=None, clip_start=2, clip_end=9).shape == (7,)


def test_an_index_is_asked_instead():
    class Index:
        def most_similar(self, vector, topn):
            return [("asked", float(vector @ vector)), ("topn", topn)]

    (_, length), topn = KV.most_similar("war", topn=4, indexer=Index())
    checks.close(np.float32(length), np.array(1.0), "identity")
    assert topn == ("topn", 4)


def test_a_vector_of_length_zero_comes_last_and_breaks_nothing():
    kv = make(5)
    kv.vectors[2] = 0
    found = kv.most_similar("war", topn=4)
    assert found[-1][0] == "and"
    assert np.isnan(found[-1][1])
    assert not np.isnan([s for _, s in found[:-1]]).any()


def test_cosmul():
    u = (1 + units(KV) @ units(KV).T) / 2
    king, woman, man = (KV.key_to_index[k] for k in ("king", "woman", "man"))
    want = u[king] * u[woman] / (u[man] + 1e-6)
    checks.close(KV.most_similar_cosmul(["king", "woman"], "man", topn=None), want, "identity")
    order = [i for i in np.argsort(-want) if i not in (king, woman, man)][:6]
    assert [k for k, _ in KV.most_similar_cosmul(["king", "woman"], ["man"], 6)] == [
        KV.index_to_key[i] for i in order
    ]
    assert KV.most_similar_cosmul("king", topn=0) == []


def test_cosines_and_distances():
    u = units(KV)
    cosines = (u @ u.T).astype(np.float64)
    checks.close(KV.similarity("war", "peace"), cosines[3, 4], "identity")
    checks.close(KV.distances("war"), 1 - cosines[3], "identity")
    checks.close(KV.distances(KV["war"], ["of", "man"]), 1 - cosines[3, [1, 7]], "identity")
    assert KV.distance("war", "war") == 0
    closer = [KV.index_to_key[i] for i in np.flatnonzero(cosines[3] > cosines[3, 4]) if i != 3]
    assert KV.closer_than("war", "peace") == KV.words_closer_than("war", "peace") == closer
    assert KV.rank("war", "peace") == len(closer) + 1
    assert KV.rank("war", "war") == 1
    assert (
        KV.most_similar_to_given("war", ["the", "peace", "man"])
        == ["the", "peace", "man"][int(np.argmax(cosines[3, [0, 4, 7]]))]
    )
    similar = KV.most_similar("war", topn=10)
    rcs = KV.relative_cosine_similarity("war", "peace")
    checks.close(np.float32(rcs), cosines[3, 4] / sum(s for _, s in similar), "identity")


def test_means():
    wide = KV.vectors.astype(np.longdouble)
    u = units(KV)
    checks.close(KV.get_mean_vector(["war", "peace"]), (u[3] + u[4]) / 2, "identity")
    checks.close(
        KV.get_mean_vector(["war", "absent", "peace"], [1, 9, -3]), (u[3] - 3 * u[4]) / 4, "identity"
    )
    checks.close(
        KV.get_mean_vector(["war", KV["of"]], pre_normalize=False), (wide[3] + wide[1]) / 2, "identity"
    )
    length = np.linalg.norm(KV.get_mean_vector(["war", "peace"], post_normalize=True))
    checks.close(length, np.array(1.0), "identity")
    a, b = wide[3] + wide[4], wide[5]
    want = a @ b / np.sqrt((a @ a) * (b @ b))
    checks.close(KV.n_similarity(["war", "peace"], ["king"]), want, "identity")


def test_the_odd_one_out():
    u = units(KV)
    words = ["war", "peace", "king", "queen"]
    centre = u[3:7].mean(axis=0)
    assert KV.doesnt_match(words) == words[int(np.argmin(u[3:7] @ centre))]
    with pytest.warns(UserWarning, match=r"\['absent'\] are no keys"):
        ranked = KV.rank_by_centrality([*words, "absent"])
    assert [w for _, w in ranked] == [words[i] for i in np.argsort(-(u[3:7] @ centre))]


def test_lengths():
    kv = make()
    checks.close(kv._lengths(), np.sqrt((kv.vectors.astype("f8") ** 2).sum(axis=1)), "identity")
    checks.close(kv.get_normed_vectors(), units(kv), "identity")
    want = units(kv)
    kv.init_sims(replace=True)
    checks.close(kv.vectors, want, "identity")
    kv.vectors[0] *= 2
    kv.fill_norms(force=True)
    checks.close(kv.norms[:2], np.array([2.0, 1.0]), "identity")


def test_keys_are_added_replaced_and_found():
    kv = KeyedVectors(2, count=2)
    assert (len(kv), str(kv)) == (2, "KeyedVectors<vector_size=2, 2 keys>")
    assert kv.add_vector("a", [1, 2]) == 0
    assert kv.add_vector("b", [3, 4]) == 1
    with pytest.warns(UserWarning, match="each call copies all vectors"):
        assert kv.add_vector("c", [5, 6]) == 2
    kv.add_vectors(["a", "d", "d"], [[9, 9], [7, 8], [0, 0]])
    kv["a"] = np.array([0.5, 0.5])
    kv[["b", "e"]] = [[1, 1], [2, 2]]
    assert kv.index_to_key == ["a", "b", "c", "d", "e"]
    assert kv.vectors.tolist() == [[0.5, 0.5], [1, 1], [5, 6], [7, 8], [2, 2]]
    assert kv.vectors.dtype == np.float32
    assert ("d" in kv, 4 in kv, 5 in kv, "x" in kv) == (True, True, False, False)
    assert (kv.get_index("c"), kv.get_index(3), kv.get_index("x", -7)) == (2, 3, -7)
    assert kv.word_vec("c", norm=True).tolist() == kv.get_vector("c", True).tolist()
    assert kv[["c", 0]].tolist() == [[5, 6], [0.5, 0.5]]
    with pytest.raises(ValueError, match="read-only"):
        kv["a"][0] = 1


def test_adding_after_a_query_is_seen_by_the_next():
    kv = make(5)
    kv.most_similar("war")
    kv.add_vectors(["new"], [kv["war"] * 3])
    assert kv.most_similar("war", topn=1)[0][0] == "new"
    kv["of"] = kv["war"] * 2
    assert {k for k, _ in kv.most_similar("war", topn=2)} == {"new", "of"}


def test_attributes():
    kv = KeyedVectors(1)
    kv.add_vectors(["a", "b"], [[1], [2]], extras={"count": np.array([3, 4])})
    kv.set_vecattr("b", "part", "noun")
    kv.set_vecattr("a", "weight", 0.5)
    kv.add_vectors(["b", "c"], [[7], [8]], extras={"count": np.array([5, 6])})
    assert [kv.get_vecattr(k, "count") for k in "abc"] == [3, 4, 6]
    assert [kv.get_vecattr(k, "part") for k in "abc"] == [0, "noun", 0]
    kv.add_vectors(["b"], [[7]], extras={"count": np.array([5])}, replace=True)
    assert kv.get_vecattr("b", "count") == 5
    kv.sort_by_descending_frequency()
    assert kv.index_to_key == ["c", "b", "a"]
    assert kv.vectors.ravel().tolist() == [8, 7, 1]
    assert kv.get_vecattr("b", "part") == "noun"
    with pytest.raises(TypeError, match=r"count: expected a value of type int64, got one of float64"):
        kv.set_vecattr("a", "count", 1.5)
    with pytest.raises(KeyError, match="attr: expected one of"):
        kv.get_vecattr("a", "absent")


def test_resizing_keeps_what_was_there():
    kv = make(6, 3)
    before = kv.vectors.copy()
    kv.index_to_key += ["p", "q"]
    kv.resize_vectors(seed=4)
    assert kv.vectors.shape == (8, 3)
    assert np.array_equal(kv.vectors[:6], before)
    assert np.abs(kv.vectors[6:]).max() <= 1 / 3
    assert len(kv.expandos["count"]) == 8


def test_vectors_for_all():
    some = KV.vectors_for_all(["peace", "absent", "war", "peace"])
    assert some.index_to_key == ["peace", "war"]
    assert np.array_equal(some.vectors, KV.vectors[[4, 3]])
    assert some.expandos["count"].tolist() == [2, 1]
    copied = KV.vectors_for_all(["peace", "war"], copy_vecattrs=True)
    assert copied.expandos["count"].tolist() == KV.expandos["count"][[4, 3]].tolist()


def test_vectors_may_be_columns_of_something_wider():
    kv = make()
    wide = np.full((40, 16), np.nan, np.float32)
    wide[:, :12] = kv.vectors
    want = kv.most_similar([["war"], ["king"]], topn=5)
    kv.vectors = wide[:, :12]
    assert kv.most_similar([["war"], ["king"]], topn=5) == want


def test_near_spellings():
    for word, near in {
        "wra": "'war'",
        "WAR": "'war'",
        "qeen": "'queen'",
        "Peace": "'peace'",
        "Grüsse": "'Grüße'",
    }.items():
        with pytest.raises(KeyError) as raised:
            KV.most_similar(word)
        assert str(raised.value).startswith(
            f"key: expected one of the 40 keys, got {word!r}; near spellings: "
        )
        assert near in str(raised.value)
    error = pickle.loads(pickle.dumps(raised.value))
    assert type(error) is KeyError
    assert "near spellings" in str(error)


def test_copies_are_apart():
    kv = make(5)
    other = copy.deepcopy(kv)
    other.vectors[0] = 0
    other.index_to_key[0] = "changed"
    vectors.same(kv, make(5))
