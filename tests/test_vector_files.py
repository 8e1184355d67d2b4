"""Files of vectors: what comes back, what is refused and at which byte, and that nothing is half-written."""

from __future__ import annotations

import os
import resource

import numpy as np
import pytest
import vectors
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from vectors import make

from fastrnn import KeyedVectors, _core
from fastrnn.word2vec import _word2vec_format, read_vectors

FORMATS = {
    "binary": (
        lambda kv, path: kv.save_word2vec_format(path, binary=True),
        lambda path: KeyedVectors.load_word2vec_format(path, binary=True),
    ),
    "text": (KeyedVectors.save_word2vec_format, KeyedVectors.load_word2vec_format),
    "own": (KeyedVectors.save, KeyedVectors.load),
    "mapped": (KeyedVectors.save, lambda path: KeyedVectors.load(path, mmap="r")),
    "npz": (KeyedVectors.save_npz, KeyedVectors.load_npz),
}


@pytest.mark.parametrize("name", ["v", "v.gz"])
@pytest.mark.parametrize("kind", FORMATS)
def test_all_comes_back(tmp_path, kind, name):
    save, load = FORMATS[kind]
    kv = make()
    save(kv, tmp_path / name)
    found = load(tmp_path / name)
    vectors.same(found, kv, attributes=kind not in ("binary", "text"))
    vectors.same(read_vectors(tmp_path / name), kv, attributes=kind not in ("binary", "text"))
    assert os.listdir(tmp_path) == [name]
    assert found.most_similar("war") == kv.most_similar("war")
    written = (tmp_path / name).read_bytes()
    assert written.startswith(b"\x1f\x8b") == (name == "v.gz" and kind in ("binary", "text"))
    save(found, tmp_path / name)
    assert kind == "npz" or (tmp_path / name).read_bytes() == written


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_types(tmp_path, dtype):
    kv = make(dtype=dtype)
    kv.save(tmp_path / "own")
    vectors.same(KeyedVectors.load(tmp_path / "own"), kv)
    kv.save_word2vec_format(tmp_path / "text")
    vectors.same(KeyedVectors.load_word2vec_format(tmp_path / "text", datatype=dtype), kv, attributes=False)
    kv.save_word2vec_format(tmp_path / "binary", binary=True)
    found = KeyedVectors.load_word2vec_format(tmp_path / "binary", binary=True, datatype=dtype)
    assert found.vectors.dtype == dtype
    assert np.array_equal(found.vectors, kv.vectors.astype("f4").astype(dtype))


NUMBERS = {
    "float32": arrays.arrays(np.float32, (3, 4), elements=st.floats(width=32)),
    "float64": arrays.arrays(np.float64, (3, 4), elements=st.floats()),
}


@pytest.mark.parametrize("dtype", NUMBERS)
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_numbers_in_text_come_back_bit_by_bit(dtype, data):
    rows = data.draw(NUMBERS[dtype])
    text = _core.write_records([b"a", b"b", b"c"], rows, False)
    found = np.empty_like(rows)
    words, used, problem, _, _ = _core.read_records(text, 0, len(text), False, False, found, "utf8", "strict")
    assert (words, used, problem) == (["a", "b", "c"], len(text), None)
    same = (found == rows) & (np.signbit(found) == np.signbit(rows)) | (np.isnan(found) & np.isnan(rows))
    assert same.all()


def test_numbers_as_others_write_them():
    text = b"a +1.5 1e5 1E-3 -0 .5 5. 1e-50 -1e-50 1e60 -1e60 nan -inf 1e-320\n"
    for dtype in ("f4", "f8"):
        rows = np.zeros((1, 13), dtype)
        assert _core.read_records(text, 0, len(text), False, True, rows, "utf8", "strict")[2] is None
        with np.errstate(over="ignore", under="ignore"):
            want = np.array([float(x) for x in text.split()[1:]]).astype(dtype)
        assert np.array_equal(rows[0], want, equal_nan=True)


def test_chunks_of_any_size_give_the_same(tmp_path, monkeypatch):
    kv = make(size=3)
    for binary in (False, True):
        kv.save_word2vec_format(tmp_path / "v", binary=binary)
        for chunk in (32, 33, 50, 64, 1000):
            monkeypatch.setattr(_word2vec_format, "CHUNK", chunk)
            found = KeyedVectors.load_word2vec_format(tmp_path / "v", binary=binary)
            vectors.same(found, kv, attributes=False)


def test_limit_and_made_up_counts(tmp_path):
    kv = make()
    for binary in (False, True):
        kv.save_word2vec_format(tmp_path / "v", binary=binary)
        found = KeyedVectors.load_word2vec_format(tmp_path / "v", binary=binary, limit=7)
        assert found.index_to_key == kv.index_to_key[:7]
        assert np.array_equal(found.vectors, kv.vectors[:7])
        assert found.expandos["count"].tolist() == [7, 6, 5, 4, 3, 2, 1]
        assert len(KeyedVectors.load_word2vec_format(tmp_path / "v", binary=binary, limit=99)) == 40


def test_without_a_header(tmp_path):
    kv = make()
    kv.save_word2vec_format(tmp_path / "v", write_header=False)
    vectors.same(KeyedVectors.load_word2vec_format(tmp_path / "v", no_header=True), kv, attributes=False)
    vectors.same(read_vectors(tmp_path / "v"), kv, attributes=False)
    for limit in (3, 99):
        found = KeyedVectors.load_word2vec_format(tmp_path / "v", no_header=True, limit=limit)
        assert len(found) == min(limit, 40)
    (tmp_path / "v").write_bytes(b"")
    assert len(KeyedVectors.load_word2vec_format(tmp_path / "v", no_header=True)) == 0


def test_what_word2vec_and_fasttext_write(tmp_path):
    row = np.float32([1, 2]).tobytes()
    (tmp_path / "w").write_bytes(b"2 2\nab " + row + b"\nc " + row + b"\n")  # a newline after each vector
    assert KeyedVectors.load_word2vec_format(tmp_path / "w", binary=True).index_to_key == ["ab", "c"]
    (tmp_path / "f").write_bytes(b"2 2\r\nab 1 2 \r\n\xc2\xa0 1  2 \r\n\r\n")  # blanks at the end
    assert KeyedVectors.load_word2vec_format(tmp_path / "f").index_to_key == ["ab", "\xa0"]


def test_the_order_is_that_of_an_attribute(tmp_path):
    kv = make(4)
    kv.expandos["count"] = np.array([1, 7, 3, 7])
    kv.save_word2vec_format(tmp_path / "v", fvocab=tmp_path / "counts", prefix="*")
    found = KeyedVectors.load_word2vec_format(tmp_path / "v", fvocab=tmp_path / "counts")
    assert found.index_to_key == ["*of", "*war", "*and", "*the"]
    assert found.expandos["count"].tolist() == [7, 7, 3, 1]
    assert np.array_equal(found.vectors, kv.vectors[[1, 3, 2, 0]])
    with pytest.raises(ValueError, match=r"sort_attr: expected one of \['count'\] for fvocab, got 'rank'"):
        kv.save_word2vec_format(tmp_path / "v", fvocab=tmp_path / "counts", sort_attr="rank")
    (tmp_path / "counts").write_text("*of 9\n")
    with pytest.warns(UserWarning, match=r"3 words have no count there and get 0, '\*war' first"):
        found = KeyedVectors.load_word2vec_format(tmp_path / "v", fvocab=tmp_path / "counts")
    assert found.expandos["count"].tolist() == [9, 0, 0, 0]
    (tmp_path / "counts").write_text("*of 9\nwar\n")
    with pytest.raises(ValueError, match=r"byte 6: expected a word and its count, got b'war\\n'"):
        KeyedVectors.load_word2vec_format(tmp_path / "v", fvocab=tmp_path / "counts")


@pytest.mark.parametrize("name", ["v", "v.gz"])
@pytest.mark.parametrize("binary", [False, True])
def test_appending(tmp_path, binary, name):
    kv, more = make(5), KeyedVectors(12)
    more.add_vectors(["more", "words"], np.ones((2, 12)))
    kv.save_word2vec_format(tmp_path / name, binary=binary, total_vec=7)
    more.save_word2vec_format(tmp_path / name, binary=binary, append=True, write_header=False)
    found = KeyedVectors.load_word2vec_format(tmp_path / name, binary=binary)
    assert found.index_to_key == [*kv.index_to_key, "more", "words"]


def test_a_word_that_comes_twice_counts_once(tmp_path):
    (tmp_path / "v").write_text("3 1\na 1\nb 2\na 3\n")
    with pytest.warns(UserWarning, match="1 of 3 words came before; the first of each is kept"):
        kv = KeyedVectors.load_word2vec_format(tmp_path / "v")
    assert (kv.index_to_key, kv.vectors.tolist()) == (["a", "b"], [[1], [2]])


def test_intersection(tmp_path):
    kv, other = make(6), make(30)
    other.vectors *= 2
    for binary in (False, True):
        kv = make(6)
        other.save_word2vec_format(tmp_path / "v", binary=binary)
        kv.key_to_index["absent"] = kv.key_to_index.pop("of")
        kv.intersect_word2vec_format(tmp_path / "v", lockf=0.25, binary=binary)
        assert np.array_equal(kv.vectors[1], make(6).vectors[1])
        assert np.array_equal(np.delete(kv.vectors, 1, 0), np.delete(other.vectors[:6], 1, 0))
        assert kv.vectors_lockf.tolist() == [0.25, 1, 0.25, 0.25, 0.25, 0.25]
    with pytest.raises(ValueError, match=r"vectors: expected size 3, got 12 in '.*v'"):
        make(3, 3).intersect_word2vec_format(tmp_path / "v", binary=True)


def test_text_that_is_not_utf8(tmp_path):
    (tmp_path / "v").write_bytes("2 1\ngrün 1\nblau 2\n".encode("latin1"))
    assert KeyedVectors.load_word2vec_format(tmp_path / "v", encoding="latin1").index_to_key == [
        "grün",
        "blau",
    ]
    for errors, word in {"ignore": "grn", "replace": "gr\ufffdn"}.items():
        found = KeyedVectors.load_word2vec_format(tmp_path / "v", unicode_errors=errors)
        assert found.index_to_key == [word, "blau"]
    with pytest.raises(UnicodeDecodeError, match=r"0xfc .* at byte 6 of '.*v'; unicode_errors='ignore' or"):
        KeyedVectors.load_word2vec_format(tmp_path / "v")
    with pytest.raises(LookupError, match="unknown encoding: klingon"):
        KeyedVectors.load_word2vec_format(tmp_path / "v", encoding="klingon")


@pytest.mark.parametrize("kind", FORMATS)
def test_a_full_disk_keeps_the_file_before(tmp_path, kind):
    save, load = FORMATS[kind]
    kv = make()
    save(kv, tmp_path / "v")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"cannot write .*v'"):
            save(make(40, 500), tmp_path / "v")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(tmp_path) == ["v"]
    vectors.same(load(tmp_path / "v"), kv, attributes=False)


def test_a_failed_append_leaves_what_was_there(tmp_path):
    make().save_word2vec_format(tmp_path / "v")
    before = (tmp_path / "v").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            make(40, 500).save_word2vec_format(tmp_path / "v", append=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / "v").read_bytes() == before


def test_keys_and_attributes_of_other_types(tmp_path):
    kv = KeyedVectors(2)
    kv.add_vectors([5, "a", np.int64(7)], np.arange(6).reshape(3, 2))
    kv.set_vecattr("a", "part", "noun")
    kv.set_vecattr("a", "known", True)
    kv.save(tmp_path / "own")
    found = KeyedVectors.load(tmp_path / "own")
    vectors.same(found, kv)
    assert (found.get_vecattr("a", "part"), found.get_vecattr("a", "known")) == ("noun", True)
    with pytest.raises(TypeError, match="part: expected numbers, as npz holds them, got object"):
        kv.save_npz(tmp_path / "npz")
    kv.add_vectors([("a", 1)], [[1, 2]])
    with pytest.raises(TypeError, match="keys: expected str or int, got tuple"):
        kv.save(tmp_path / "own")


def test_an_npz_of_somebody_else(tmp_path):
    np.savez(tmp_path / "v.npz", keys=np.array(["a", "bc"]), vectors=np.ones((2, 3)))
    assert KeyedVectors.load_npz(tmp_path / "v.npz").index_to_key == ["a", "bc"]
    make().save_npz(tmp_path / "c.npz", compressed=True)
    vectors.same(KeyedVectors.load_npz(tmp_path / "c.npz"), make())
    for wrong in (
        {"keys": np.array(["a"])},
        {"vectors": np.ones(2)},
        {"vectors": np.array([[1, "a"]], object)},
    ):
        np.savez(tmp_path / "w.npz", **{"keys": np.array(["a", "b"]), "vectors": np.ones((2, 3))} | wrong)
        with pytest.raises(ValueError, match="vectors: expected a NumPy archive of keys and vectors in"):
            KeyedVectors.load_npz(tmp_path / "w.npz")


def test_a_mapped_file_is_not_read_and_not_changed(tmp_path):
    make().save(tmp_path / "v")
    kv = KeyedVectors.load(tmp_path / "v", mmap=True)
    assert not kv.vectors.flags.writeable
    assert not kv.vectors.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        kv.unit_normalize_all()
    kv.add_vectors(["new"], np.ones((1, 12)))  # a copy from then on
    assert len(KeyedVectors.load(tmp_path / "v")) == 40
