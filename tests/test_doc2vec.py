"""Doc2Vec: documents, their tags, and vectors for documents that were not trained on."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from word2vec import topics

from fastrnn import Doc2Vec, KeyedVectors
from fastrnn.word2vec import Corpus, Documents, TaggedDocument, TaggedLineDocument

MODES: dict[str, dict[str, Any]] = {
    "dbow": {"dm": 0},
    "dbow nodes": {"dm": 0, "hs": 1, "negative": 0},
    "dbow words": {"dm": 0, "dbow_words": 1},
    "dm": {"dm": 1},
    "dm sum": {"dm": 1, "dm_mean": 0},
    "dm nodes": {"dm": 1, "hs": 1, "negative": 0},
    "dm concat": {"dm": 1, "dm_concat": 1, "window": 3},
    "dm concat nodes": {"dm": 1, "dm_concat": 1, "window": 1, "hs": 1, "negative": 0},
    "classic": {"dm": 0, "shared_negatives": False},
}


# Contexts alone tell the topic, so PV-DM finds less of it, gensim's no more than this one.
FOUND = {"dm": 0.75, "dm sum": 0.75, "dm nodes": 0.4, "dm concat": 0.4, "dm concat nodes": 0.4}


def documents(rng: np.random.Generator, count: int = 200) -> list[TaggedDocument]:
    """Documents of one topic each, whose numbers are their tags."""
    return [TaggedDocument(words, [n]) for n, words in enumerate(topics(rng, count, 20))]


def topic(doc: TaggedDocument) -> str:
    """a, b, c or d."""
    return doc.words[0][0]


def doc2vec(source: Any, **options: Any) -> Doc2Vec:
    """A small one."""
    small = {"vector_size": 16, "epochs": 20, "workers": 1, "sample": 0, "alpha": 0.05, "min_count": 2}
    return Doc2Vec(source, **{**small, **options})


def topics_found(model: Doc2Vec, docs: list[TaggedDocument]) -> float:
    """Share of documents whose nearest document has the same topic."""
    units = model.dv.get_normed_vectors()
    cosines = units @ units.T
    np.fill_diagonal(cosines, -1)
    same = [topic(docs[i]) == topic(docs[j]) for i, j in enumerate(cosines.argmax(axis=1))]
    return float(np.mean(same))


@pytest.mark.parametrize("mode", MODES)
def test_learns(rng: np.random.Generator, mode: str) -> None:
    docs = documents(rng)
    untrained = doc2vec(None, **MODES[mode])
    untrained.build_vocab(docs)
    model = doc2vec(docs, compute_loss=True, **MODES[mode])
    assert model.epoch_losses[-1] < model.epoch_losses[0]
    assert topics_found(model, docs) > FOUND.get(mode, 0.95) > topics_found(untrained, docs)


@pytest.mark.parametrize("mode", MODES)
def test_inference(rng: np.random.Generator, mode: str) -> None:
    docs = documents(rng)
    model = doc2vec(docs, **MODES[mode])
    before = [model.wv.vectors.copy(), model.dv.vectors.copy()]
    outputs = (model.syn1neg if model.negative else model.syn1).copy()
    found = model.infer_vector([*docs[0].words, "unseen"], epochs=50)
    assert np.array_equal(found, model.infer_vector([*docs[0].words, "unseen"], epochs=50))
    assert not np.array_equal(found, model.infer_vector(docs[1].words, epochs=50))
    nearest = model.dv.most_similar([found], topn=10)
    if mode not in FOUND:
        assert sum(topic(docs[tag]) == topic(docs[0]) for tag, _ in nearest) >= 8
    assert np.array_equal(before[0], model.wv.vectors)
    assert np.array_equal(before[1], model.dv.vectors)
    assert np.array_equal(outputs, model.syn1neg if model.negative else model.syn1)
    assert np.abs(model.infer_vector(["unseen"])).max() <= 0.5 / 16


def test_threads_do_not_matter(rng: np.random.Generator) -> None:
    docs = documents(rng, 100)
    for mode in ("dbow", "dm", "dm concat"):
        one, two = (doc2vec(docs, deterministic=True, workers=n, **MODES[mode]) for n in (1, 2))
        assert np.array_equal(one.dv.vectors, two.dv.vectors)
        assert np.array_equal(one.wv.vectors, two.wv.vectors)


def test_joined_vectors(rng: np.random.Generator, tmp_path: Path) -> None:
    """Documents of two tags are trained, others are not; the vocabulary has a null word."""
    docs = [TaggedDocument(doc.words, [topic(doc), n]) for n, doc in enumerate(documents(rng, 40))]
    docs.append(TaggedDocument(docs[0].words, [40]))
    options = {"dm_concat": 1, "dm_tag_count": 2, "window": 2, "vector_size": 20, "hs": 1}
    untrained = doc2vec(None, **options)
    untrained.build_vocab(docs)
    model = doc2vec(docs, **options)
    assert model.layer1_size == (2 + 2 * 2) * 20
    assert model.syn1neg.shape == model.syn1.shape == (len(model.wv), 120)
    assert model.wv.index_to_key[-1] == "\0"
    moved = (model.dv.vectors != untrained.dv.vectors).any(axis=1)
    assert not moved[40]
    assert moved.sum() == len(moved) - 1
    assert (model.wv["\0"] != untrained.wv["\0"]).any()
    model.save(tmp_path / "model")
    again = Doc2Vec.load(tmp_path / "model")
    for each in (model, again):
        each.train(docs, epochs=1)
    assert np.array_equal(again.dv.vectors, model.dv.vectors)
    for call in (model.infer_vector, lambda words: model.similarity_unseen_docs(words, words)):
        with pytest.raises(ValueError, match="dm_tag_count: expected 1 to infer a vector, got 2"):
            call(["a1"])
    with pytest.raises(RuntimeError, match="dm_concat: expected a model of which words alone are inputs"):
        model.predict_output_word(["a1"])


def test_words_of_dbow_stay(rng: np.random.Generator) -> None:
    docs = documents(rng, 50)
    untrained = doc2vec(None, dm=0)
    untrained.build_vocab(docs)
    assert np.array_equal(doc2vec(docs, dm=0).wv.vectors, untrained.wv.vectors)
    assert not np.array_equal(doc2vec(docs, dm=0, dbow_words=1).wv.vectors, untrained.wv.vectors)


def test_tags(rng: np.random.Generator) -> None:
    model = doc2vec([*documents(rng, 20), TaggedDocument([], [25, "empty"])])
    assert model.dv.index_to_key[:26] == list(range(26))
    assert set(model.dv.index_to_key[26:]) >= {"empty"}
    assert model.dv.get_vecattr(25, "doc_count") == 1
    assert model.dv.get_vecattr(3, "word_count") == 20
    assert model.dv.get_vecattr(24, "doc_count") == 0
    assert np.array_equal(model["empty"], model.dv["empty"])
    assert model[["empty", "a1"]].shape == (2, 16)


def test_files_of_documents(rng: np.random.Generator, tmp_path: Path) -> None:
    """Lines, also empty ones, have their numbers as tags; all ways to the same documents train alike."""
    lines = [" ".join(words) for words in topics(rng, 30)]
    lines[4] = ""
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(lines) + "\n")
    from_file = doc2vec(None, corpus_file=path)
    from_lines = doc2vec(TaggedLineDocument(path))
    assert np.array_equal(from_file.dv.vectors, from_lines.dv.vectors)
    assert len(from_file.dv) == 30
    read = Documents.read_tagged(path)
    assert read.tags == [n for n in range(30) if n != 4]
    numbered = Documents.read_tagged(Corpus.read(path))
    assert numbered.tags == list(range(29))
    assert np.array_equal(doc2vec(read).dv.vectors, from_file.dv.vectors)


def test_saving(rng: np.random.Generator, tmp_path: Path) -> None:
    docs = documents(rng, 50)
    model = doc2vec(docs, dm=1, dm_mean=0, comment="small")
    model.save(tmp_path / "model")
    again = Doc2Vec.load(tmp_path / "model")
    assert again.dv.index_to_key == model.dv.index_to_key
    assert (again.dm, again.cbow_mean, again.comment) == (True, 0, "small")
    for each in (model, again):
        each.train(docs, epochs=1)
    assert np.array_equal(again.dv.vectors, model.dv.vectors)
    assert np.array_equal(again.infer_vector(["a1"]), model.infer_vector(["a1"]))
    model.save_word2vec_format(tmp_path / "both.txt", doctag_vec=True)
    both = KeyedVectors.load_word2vec_format(tmp_path / "both.txt")
    assert len(both) == len(model.wv) + len(model.dv)
    np.testing.assert_array_equal(both["*dt_7"], model.dv[7])


def test_more_documents(rng: np.random.Generator, tmp_path: Path) -> None:
    docs = [TaggedDocument(doc.words, [topic(doc)]) for doc in documents(rng, 50)]
    model = doc2vec(docs, dv_mapfile=tmp_path / "documents")
    assert (tmp_path / "documents").stat().st_size >= model.dv.vectors.nbytes
    before = model.dv.vectors.copy()
    model.build_vocab([TaggedDocument(["a1", "a2"], ["new"])], update=True)
    assert np.array_equal(model.dv.vectors[: len(before)], before)
    assert "new" in model.dv
    model.dv.vectors_lockf = np.zeros(1, np.float32)
    before = model.dv.vectors.copy()
    model.train(docs, epochs=1)
    assert np.array_equal(model.dv.vectors, before)


WRONG: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no tags": ([["a", "b"]], {}, TypeError, "expected objects with words and tags"),
    "string of words": ([TaggedDocument("a b", [0])], {}, TypeError, "got a string in document 0"),
    "string of tags": ([TaggedDocument(["a"], "tag")], {}, TypeError, "expected a list of tags"),
    "negative tag": ([TaggedDocument(["a"], [-1])], {}, ValueError, r"int tags in \[0, 2\*\*31\), got -1"),
    "odd tag": ([TaggedDocument(["a"], [1.5])], {}, TypeError, "tags that are int or str, got 1.5"),
    "text": ("some text", {}, TypeError, "documents: expected lists of tokens, got a string"),
    "number": (3, {}, TypeError, "documents: expected an iterable of lists of tokens, got 3"),
    "concat": (None, {"dm_concat": 2}, ValueError, "dm_concat: expected an int <= 1, got 2"),
    "concat of dbow": (None, {"dm_concat": 1, "dm": 0}, ValueError, "dm_concat: expected 0 with dm=0, got 1"),
    "tags": (None, {"dm_tag_count": 2}, ValueError, "dm_tag_count: expected 1 without dm_concat, got 2"),
    "too few tags": (
        [TaggedDocument(["a", "a"], [0])],
        {"dm_concat": 1, "dm_tag_count": 2},
        ValueError,
        "documents: expected some of dm_tag_count = 2 known tags, got none",
    ),
    "sg": (None, {"sg": 1}, TypeError, "sg: Doc2Vec has no such argument"),
    "dm": (None, {"dm": 2}, ValueError, "dm: expected an int <= 1, got 2"),
    "dv": (None, {"dv": 1}, TypeError, "dv: expected KeyedVectors of 16 numbers"),
}


@pytest.mark.parametrize("what", WRONG)
def test_errors(what: str) -> None:
    source, options, kind, message = WRONG[what]
    with pytest.raises(kind, match=message):
        doc2vec(source, **options)


def test_inference_errors(rng: np.random.Generator) -> None:
    with pytest.raises(RuntimeError, match="call build_vocab first"):
        doc2vec(None).infer_vector(["a"])
    with pytest.raises(TypeError, match="doc_words: expected a list of words, got a string"):
        doc2vec(documents(rng, 20)).infer_vector("a1 a2")


@pytest.mark.peer
def test_gensim() -> None:
    """The same signature, and joined vectors of the same shapes."""
    theirs = pytest.importorskip("gensim.models.doc2vec")
    want = [(p.name, p.default) for p in inspect.signature(theirs.Doc2Vec).parameters.values()]
    ours = inspect.signature(Doc2Vec).parameters.values()
    assert [(p.name, p.default) for p in ours] == want
    small = {"vector_size": 6, "window": 2, "min_count": 1, "epochs": 1, "dm_concat": 1, "dm_tag_count": 2}
    docs = [(words.split(), [n, "all"]) for n, words in enumerate(["a b c a", "b a b", "c a"])]
    other = theirs.Doc2Vec([theirs.TaggedDocument(*doc) for doc in docs], hs=1, workers=1, **small)
    model = Doc2Vec([TaggedDocument(*doc) for doc in docs], hs=1, workers=1, **small)
    assert model.wv.key_to_index == other.wv.key_to_index
    assert model.layer1_size == other.layer1_size
    assert model.syn1neg.shape == other.syn1neg.shape
    assert model.syn1.shape == other.syn1.shape


def test_reset_from(rng: np.random.Generator) -> None:
    docs = documents(rng, 20)
    trained, other = (
        doc2vec(docs, epochs=1),
        doc2vec([TaggedDocument(["x", "y"] * 5, ["one", "two"])], epochs=1),
    )
    trained.reset_from(other)
    assert trained.wv.key_to_index == {"x": 0, "y": 1}
    assert trained.dv.index_to_key == ["one", "two"]
    assert trained.dv.vectors.shape == (2, 16)
    trained.train([TaggedDocument(["x", "y"] * 5, ["two"])], epochs=1)
    with pytest.raises(TypeError, match="other_model: expected a Doc2Vec, got 3"):
        trained.reset_from(3)
