"""KeyedVectors for other programs: safetensors, TensorBoard's projector, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import checks
import numpy as np
import pytest
import vectors
from conftest import peer
from hypothesis import given, settings
from hypothesis import strategies as st
from vectors import make

from fastrnn import KeyedVectors
from fastrnn.word2vec import read_vectors


def test_projector_files(tmp_path: Path) -> None:
    kv = make()
    kv.index_to_key[1] = "tab\there\nand there"
    kv.to_projector(tmp_path / "run", limit=9)
    rows = np.fromfile(tmp_path / "run" / "vectors.bytes", "<f4").reshape(9, 12)
    assert np.array_equal(rows, kv.vectors[:9])
    lines = (tmp_path / "run" / "vectors.tsv").read_text("utf8").splitlines()
    assert lines[:3] == ["key\tcount", "the\t1600", "tab here and there\t1521"]
    assert len(lines) == 10
    kv.expandos.clear()
    kv.to_projector(tmp_path / "run", name="words")  # one column: no header
    assert (tmp_path / "run" / "words.tsv").read_text("utf8").splitlines()[0] == "the"
    with pytest.raises(ValueError, match="name: expected letters, digits and underscores, got 'a/b'"):
        kv.to_projector(tmp_path / "run", name="a/b")


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore")
def test_tensorboard_reads_the_projector(tmp_path: Path) -> None:
    """10,000 x 128, by the plugin's own server."""
    peer("tensorboard")
    from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
    from tensorboard.plugins import base_plugin
    from tensorboard.plugins.projector import projector_plugin
    from werkzeug.test import Client

    kv = make(10_000, 128)
    kv.to_projector(tmp_path)
    multiplexer = plugin_event_multiplexer.EventMultiplexer({".": str(tmp_path)})
    plugin = projector_plugin.ProjectorPlugin(
        base_plugin.TBContext(
            logdir=str(tmp_path),
            multiplexer=multiplexer,
            data_provider=data_provider.MultiplexerDataProvider(multiplexer, str(tmp_path)),
        )
    )
    apps = plugin.get_plugin_apps()

    def get(route: str) -> bytes:
        query = {"run": ".", "name": "vectors", "num_rows": "10000"}
        response = Client(apps[route]).get(route, query_string=query)
        assert response.status_code == 200, response.data
        return response.data

    tensor = np.frombuffer(get("/tensor"), np.float32).reshape(10_000, 128)
    assert np.array_equal(tensor, kv.vectors)
    assert get("/metadata").decode().splitlines()[2] == "of\t99980001"
    assert json.loads(get("/info"))["embeddings"][0]["tensorShape"] == [10_000, 128]


def test_pca() -> None:
    kv = make(30, 6)
    wide = kv.vectors.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    for dimensions in (1, 2, 3):
        points = kv.project(30, dimensions)
        values, directions = np.linalg.eigh(centred.T @ centred)
        for k in range(dimensions):
            direction = directions[:, -1 - k]
            want = centred @ direction * np.sign(direction[np.abs(direction).argmax()])
            checks.close(points[:, k], want, "identity", "coordinates")
        checks.close((points**2).sum(axis=0), values[::-1][:dimensions], "identity", "variances")
    assert np.array_equal(kv.project(["war", "peace", "king"]).shape, (3, 2))
    for arguments, message in (
        ((["war"],), "keys: expected more than 2, one for each dimension, got 1"),
        ((None, 4), "dimensions: expected an int <= 3, got 4"),
        ((None, 2, "umap"), "method: expected one of 'pca', 'tsne', got 'umap'"),
        ((31,), "keys: expected an int <= 30, got 31"),
    ):
        with pytest.raises(ValueError, match=message):
            kv.project(*arguments)


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning", "ignore::UserWarning")
def test_tsne_keeps_neighbours_together() -> None:
    peer("sklearn.manifold")
    rng = np.random.default_rng(0)
    kv = KeyedVectors(10)
    centres = np.eye(3, 10).repeat(20, axis=0)
    kv.add_vectors([f"w{i}" for i in range(60)], centres + 0.05 * rng.standard_normal((60, 10)))
    for dimensions in (2, 3):
        points = kv.project(60, dimensions, "tsne", seed=1)
        assert points.shape == (60, dimensions)
        assert np.array_equal(points, kv.project(60, dimensions, "tsne", seed=1))
        distances = np.linalg.norm(points[:, None] - points, axis=-1)
        together = np.equal.outer(np.arange(60) // 20, np.arange(60) // 20)
        assert 3 * np.median(distances[together]) < 2 * np.median(distances[~together])


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("dimensions", [2, 3])
def test_pictures(tmp_path: Path, dimensions: int) -> None:
    peer("matplotlib.figure")
    figure = make().plot(["war", "peace", "king", "x_y"], dimensions)
    assert [t.get_text() for t in figure.axes[0].texts] == [" war", " peace", " king", " x_y"]
    figure.savefig(tmp_path / "words.png")
    assert (tmp_path / "words.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.peer
def test_safetensors(tmp_path: Path) -> None:
    peer("safetensors")
    for dtype in ("float16", "float32", "float64"):
        kv = make(dtype=dtype)
        kv.save_safetensors(tmp_path / "v")
        vectors.same(KeyedVectors.load_safetensors(tmp_path / "v"), kv)
        vectors.same(read_vectors(tmp_path / "v"), kv)
    with pytest.raises(FileNotFoundError, match="vectors: cannot read"):
        KeyedVectors.load_safetensors(tmp_path / "absent")
    kv.set_vecattr("war", "part", "noun")
    with pytest.raises(TypeError, match="part: expected numbers, as safetensors holds them, got object"):
        kv.save_safetensors(tmp_path / "v")


@pytest.mark.peer
def test_damaged_safetensors(tmp_path_factory: pytest.TempPathFactory) -> None:
    peer("safetensors")
    path = tmp_path_factory.mktemp("fuzz") / "v"
    make(4, 3).save_safetensors(path)
    good = path.read_bytes()

    @settings(max_examples=150, deadline=None)
    @given(st.data())
    def fuzz(data: st.DataObject) -> None:
        content = bytearray(good)
        for at in data.draw(st.lists(st.integers(0, len(good) - 1), max_size=3)):
            content[at] = data.draw(st.integers(0, 255))
        path.write_bytes(content[: data.draw(st.integers(0, len(good)) | st.just(len(good)))])
        message = "read"
        try:
            KeyedVectors.load_safetensors(path)
        except ValueError as error:
            message = str(error)
        assert message

    fuzz()
