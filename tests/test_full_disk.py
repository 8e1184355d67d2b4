"""A disk that is full: a small file system of its own, mounted where nobody else sees it."""

from __future__ import annotations

import os
import shutil
import subprocess

import numpy as np
import pytest
from command import SCRIPT, TEXT, TINY, run

from fastrnn import KeyedVectors, checkpoint

PRIVATE = ["unshare", "--mount", "--map-root-user", "sh", "-euc"]


def can_mount() -> bool:
    """Whether this system lets a test mount a file system for itself."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*PRIVATE, "mount -t tmpfs tmpfs /tmp"], capture_output=True).returncode == 0


pytestmark = pytest.mark.skipif(not can_mount(), reason="no private mounts here")


def on_small_disk(folder, size: int, command: str) -> subprocess.CompletedProcess:
    """Run a command on a disk of `size` bytes with the files of `folder`; what it leaves is in `after`."""
    (folder / "disk").mkdir()
    script = f"""
        mount -t tmpfs -o size={size} tmpfs disk
        cp *.* disk
        cd disk
        result=0
        {command} || result=$?
        cp -r . ../after
        exit $result
    """
    return subprocess.run([*PRIVATE, script], cwd=folder, capture_output=True, text=True, env=os.environ)


def test_training_keeps_the_checkpoint_before(tmp_path):
    code, _, err = run(tmp_path, "train", *TINY, "--sample", "0")
    assert code == 0, err
    size = (tmp_path / "fastrnn.ckpt").stat().st_size
    (tmp_path / "fastrnn.ckpt").unlink()
    arguments = " ".join([*TINY, "--checkpoint-every", "0"])
    done = on_small_disk(tmp_path, len(TEXT) + size * 3 // 2, f"{SCRIPT} train {arguments}")
    assert done.returncode == 2, done.stderr
    message = f"checkpoint: cannot write '{tmp_path}/disk/fastrnn.ckpt': No space left on device"
    assert f"fastrnn: warning: {message}; the one before it stands" in done.stderr.splitlines()
    assert done.stderr.splitlines()[-1] == f"fastrnn: error: {message}"
    assert checkpoint.load(tmp_path / "after" / "fastrnn.ckpt")["training"]["steps_done"] == 0
    assert sorted(os.listdir(tmp_path / "after")) == ["fastrnn.ckpt", "text.txt"]


SAVE = """
import sys, numpy as np
from fastrnn import KeyedVectors
kv = KeyedVectors(500)
kv.add_vectors([f"w{i}" for i in range(40)], np.ones((40, 500)))
try:
    getattr(kv, sys.argv[1])("v.kv")
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("method", ["save", "save_npz", "save_word2vec_format"])
def test_vectors_keep_the_file_before(tmp_path, method):
    kv = KeyedVectors(2)
    kv.add_vectors(["a", "b"], np.eye(2))
    getattr(kv, method)(tmp_path / "v.kv")
    (tmp_path / "save.py").write_text(SAVE)
    before = (tmp_path / "v.kv").read_bytes()
    done = on_small_disk(tmp_path, 32768, f"{SCRIPT.with_name('python')} save.py {method}")
    assert (done.returncode, done.stdout[-3:]) == (0, "28\n"), done.stderr
    assert (tmp_path / "after" / "v.kv").read_bytes() == before
    assert sorted(os.listdir(tmp_path / "after")) == ["save.py", "v.kv"]
