"""Word vectors of several processes are as good as those of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import checks
import numpy as np
import processes
import pytest

import fastrnn
from fastrnn.distributed import connect


class Corpus:
    """Sentences of words of five topics, drawn by Zipf's law."""

    def __init__(self) -> None:
        draw = np.random.default_rng(1)
        p = 1 / np.arange(1, 101)
        topics = draw.integers(0, 5, 6000)
        words = draw.choice(100, (6000, 10), p=p / p.sum())
        self.lists = [[f"t{t}w{w}" for w in row] for t, row in zip(topics, words, strict=True)]

    def share_of_neighbours(self, model: Any) -> float:
        """Of the nearest five of each word, how many are of its topic."""
        keys = model.wv.index_to_key
        found = [[near[:2] == word[:2] for near, _ in model.wv.most_similar(word, topn=5)] for word in keys]
        return float(np.mean(found))


class TestWord2Vec:
    """Word vectors of two and more processes."""

    pytestmark = processes.together

    @pytest.mark.parametrize("options", [{"sg": 1}, {"hs": 1, "negative": 0, "alpha": 0.05}], ids=str)
    def test_as_good_as_one(self, tmp_path: Path, options: dict[str, Any]) -> None:
        corpus = Corpus()

        def made() -> Any:
            model = fastrnn.Word2Vec(
                vector_size=16, window=4, min_count=1, sample=0, deterministic=True, workers=1, **options
            )
            model.build_vocab(corpus.lists)
            return model

        one = made()
        assert one.train(corpus.lists, epochs=4, compute_loss=True)[1] == 240_000

        def work() -> Any:
            model, group = made(), connect(timeout=15)
            done = fastrnn.distributed.train_word2vec(
                model, corpus.lists, epochs=4, group=group, every=512, hot=64, compute_loss=True
            )
            return model.wv.vectors, model.epoch_losses, done, corpus.share_of_neighbours(model)

        first = processes.run(3, tmp_path, work)
        again = processes.run(3, tmp_path, work)
        for vectors, losses_, done, share in first + again:
            checks.same_bits(vectors, first[0][0])
            assert losses_ == first[0][1]
            assert done == (one.trained.centres, one.trained.words)
            assert share > corpus.share_of_neighbours(one) - 0.03
            assert losses_[-1] == pytest.approx(one.epoch_losses[-1], rel=0.02)

    def test_errors(self, tmp_path: Path) -> None:
        def other() -> Any:
            group = connect(timeout=15)
            model = fastrnn.Word2Vec(vector_size=4, min_count=1, window=5 + group.rank)
            model.build_vocab([["a", "b", "a"]])
            fastrnn.distributed.train_word2vec(model, [["a", "b", "a"]], epochs=1, group=group)

        errors = processes.run(2, tmp_path, other)
        assert str(errors[1]) == (
            "model: expected words, counts, options and corpus of process 0, got others in process 1 of 2"
        )
        assert "process 1 of 2 failed: comparing the models" in str(errors[0])


def test_word2vec_alone() -> None:
    with pytest.raises(TypeError, match=r"^model: expected a Word2Vec, got FastText$"):
        fastrnn.distributed.train_word2vec(fastrnn.FastText(), [["a"]], epochs=1)
    with pytest.raises(RuntimeError, match=r"^expected a vocabulary, got none; call build_vocab first$"):
        fastrnn.distributed.train_word2vec(fastrnn.Word2Vec(), [["a"]], epochs=1)
