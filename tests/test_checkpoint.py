"""Checkpoint files: what comes back, what is refused, and that a failed write loses nothing."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastrnn import checkpoint

TREE = {
    "name": "x",
    "numbers": [1, -2.5, None, True, float("inf"), 1e-310],
    "empty": {},
    "float16": np.arange(5, dtype=np.float16) / 3,
    "float32": np.arange(17, dtype=np.float32) / 3,
    "float64": np.linspace(0, 1, 5)[:, None] * np.arange(3),
    "int64": np.array([[1, 2], [3, 4]]).T,
    "none": np.zeros((0, 3), np.float32),
    "scalar": np.array(2.5),
    "text": "Grüße \U0001f600 \ud800",
}


def same(a: object, b: object) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and (a.dtype, a.shape, a.tobytes()) == (
            b.dtype,
            b.shape,
            b.tobytes(),
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "model.ckpt"
    checkpoint.save(path, TREE)
    return path


def test_everything_comes_back_with_the_same_bits(file):
    assert same(TREE, checkpoint.load(file))


def test_same_tells_a_changed_bit():
    changed = TREE | {"float32": np.nextafter(TREE["float32"], 2, dtype=np.float32)}
    assert not same(TREE, changed)


def test_arrays_are_writable_and_their_own(file):
    first, second = checkpoint.load(file), checkpoint.load(file)
    first["float32"][:] = 7
    assert second["float32"][1] != 7


def test_mapped_arrays_are_in_the_file(file):
    mapped = checkpoint.load(file, mapped=True)
    assert same(TREE, mapped)
    assert not mapped["float32"].flags.writeable
    raw = bytearray(file.read_bytes())
    raw[raw.index(TREE["float32"].tobytes()) + 3] ^= 1
    file.write_bytes(raw)  # in place: what is mapped sees it
    assert not same(TREE, mapped)


def test_a_mapped_file_that_is_cut_is_refused(file):
    raw = file.read_bytes()
    for size in (0, 5, 40, 200, len(raw) - 33, len(raw) - 1):
        file.write_bytes(raw[:size])
        with pytest.raises(ValueError, match=r"truncated|invalid header"):
            checkpoint.load(file, mapped=True)


def test_numpy_scalars_come_back_as_numbers(tmp_path):
    checkpoint.save(tmp_path / "a", {"f": np.float32(0.5), "i": np.int64(3), "b": np.bool_(True)})
    assert checkpoint.load(tmp_path / "a") == {"f": 0.5, "i": 3, "b": True}


def test_equal_trees_give_equal_files(file, tmp_path):
    checkpoint.save(tmp_path / "b", checkpoint.load(file))
    assert (tmp_path / "b").read_bytes() == file.read_bytes()


@pytest.mark.parametrize("bad", [{1: 2}, {"$array": 0}, {"a": object()}, np.array(["x"]), {"a": b"x"}, 1j])
def test_other_things_are_refused_and_nothing_is_written(file, bad):
    before = file.read_bytes()
    with pytest.raises(TypeError, match=r"^checkpoint: expected"):
        checkpoint.save(file, bad)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["model.ckpt"]


def test_truncated_anywhere(file, tmp_path):
    raw, part = file.read_bytes(), tmp_path / "part"
    for length in range(len(raw)):
        part.write_bytes(raw[:length])
        with pytest.raises(ValueError, match=r"^checkpoint: .*part' is truncated"):
            checkpoint.load(part)


def test_flipped_or_appended_bytes(file, tmp_path):
    raw, bad = file.read_bytes(), tmp_path / "bad"
    for at in range(len(raw)):
        bad.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << at % 8)]) + raw[at + 1 :])
        with pytest.raises(ValueError, match=r"^checkpoint: "):
            checkpoint.load(bad)
    bad.write_bytes(raw + b"\0")
    with pytest.raises(ValueError, match="truncated or damaged"):
        checkpoint.load(bad)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300), st.booleans())
def test_foreign_bytes(tmp_path_factory, data, with_magic):
    path = tmp_path_factory.getbasetemp() / "foreign"
    path.write_bytes((checkpoint.MAGIC if with_magic else b"") + data)
    with pytest.raises(ValueError, match=r"^checkpoint: "):
        checkpoint.load(path)


json_like = st.recursive(
    st.none() | st.integers(-5, 2**70) | st.text(max_size=4) | st.sampled_from(["<f4", "$array", "|O8"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["$array", "a", "tree"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(json_like, json_like, st.binary(max_size=64))
def test_hostile_header_with_a_valid_digest(tmp_path_factory, tree, arrays, rest):
    path = tmp_path_factory.getbasetemp() / "hostile"
    header = json.dumps({"tree": tree, "arrays": arrays}).encode()
    body = checkpoint._PREFIX.pack(checkpoint.MAGIC, checkpoint.VERSION, 0, len(header)) + header + rest
    path.write_bytes(body + hashlib.sha256(body).digest())
    with contextlib.suppress(ValueError):  # some are valid; nothing else may be raised
        checkpoint.load(path)


def test_another_version(file):
    raw = bytearray(file.read_bytes())
    raw[8] = 9
    file.write_bytes(raw)
    with pytest.raises(ValueError, match="layout version 9, this fastrnn reads version 1"):
        checkpoint.load(file)


def test_missing_folder_pipe(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"checkpoint: cannot read .*No such file"):
        checkpoint.load(tmp_path / "absent")
    with pytest.raises(IsADirectoryError, match="checkpoint: cannot read"):
        checkpoint.load(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="expected a regular file"):
        checkpoint.load(tmp_path / "pipe")
    with pytest.raises(OSError, match="checkpoint: cannot write"):
        checkpoint.save(tmp_path, TREE)
    with pytest.raises(FileNotFoundError, match="checkpoint: cannot write"):
        checkpoint.save(tmp_path / "absent" / "file", TREE)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable(file):
    file.chmod(0)
    with pytest.raises(PermissionError, match="checkpoint: cannot read"):
        checkpoint.load(file)


def test_full_disk_keeps_the_file_before(file):
    """A limit on the size of files is the full disk that a test can have: write() fails in the middle."""
    before = file.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match=r"checkpoint: cannot write .*model.ckpt'"):
            checkpoint.save(file, {"big": np.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["model.ckpt"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_failure_at_the_end_keeps_the_file_before(file, monkeypatch, call):
    before = file.read_bytes()

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
        checkpoint.save(file, {"a": 1})
    assert file.read_bytes() == before
    assert os.listdir(file.parent) == ["model.ckpt"]


def test_kill_in_the_middle_of_a_write_keeps_the_file_before(file):
    before = file.read_bytes()
    program = (
        "import os, sys, numpy as np; from fastrnn import checkpoint\n"
        "os.fsync = lambda handle: os.kill(os.getpid(), 9)\n"
        "checkpoint.save(sys.argv[1], {'big': np.zeros(100_000)})\n"
    )
    code = subprocess.run([sys.executable, "-c", program, str(file)], cwd=file.parent).returncode
    assert code == -9
    assert file.read_bytes() == before
    checkpoint.save(file, {"next": 1})  # what the killed one left aside is in nobody's way
    assert checkpoint.load(file) == {"next": 1}
    assert os.listdir(file.parent) == ["model.ckpt"]


def test_a_link_stays_a_link(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(file)
    checkpoint.save(link, {"a": 1})
    assert link.is_symlink()
    assert checkpoint.load(file) == {"a": 1}
