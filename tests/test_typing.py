"""The types that a user sees: the stub is that of the extension, and a strict script passes."""

from __future__ import annotations

import ast
import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import peer

import fastrnn
from fastrnn import _core

PACKAGE = Path(fastrnn.__file__).parent
SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "stub.py"


def generator() -> object:
    spec = importlib.util.spec_from_file_location("stub", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_stub_is_current() -> None:
    """Run .ci/stub.py and ruff format where it is not."""
    stub = (PACKAGE / "_core.pyi").read_text()
    assert generator().generate(_core, stub) == ast.unparse(ast.parse(stub)) + "\n"


def test_the_stub_follows_the_extension() -> None:
    """Sabotage: another name, default, order or plain type is put right, and what is lacking comes back."""
    stub = (PACKAGE / "_core.pyi").read_text()
    want = generator().generate(_core, stub)
    for right, wrong in (
        ("def set_num_threads(n: int)", "def set_num_threads(m: int)"),
        ("add: bool = False", "add: bool = True"),
        ("def fma_peak(dtype: str, threads: int)", "def fma_peak(threads: int, dtype: str)"),
        ("def fma_peak(dtype: str, threads: int)", "def fma_peak(dtype: str, threads: float)"),
    ):
        assert right in stub
        assert generator().generate(_core, stub.replace(right, wrong, 1)) == want
    lacking = generator().generate(_core, stub.replace("def isa() -> str: ...\n", ""))
    assert "def isa() -> Any:" in lacking


USER = """
import numpy as np
import fastrnn
from fastrnn import callbacks, losses, optim
from fastrnn.training import Trainer

layer = fastrnn.LSTM(4, 8, num_layers=2, bidirectional=True, seed=0)
x = np.zeros((5, 3, 4), np.float32)
y, state = layer(x)
(y, state), pullback = layer.vjp(x, state, lengths=np.array([5, 2, 1]))
dx, dstate = pullback(y)
f = fastrnn.value_and_grad(fastrnn.Sequential(fastrnn.Linear(4, 2)), losses.MSE())
trainer = Trainer(f, optim.Adam(f, lr=1e-3), callbacks=[callbacks.History()])
loss: float = f(x, np.zeros((5, 3, 2), np.float32))[0]
model = fastrnn.Word2Vec([["a", "b"]], min_count=1, vector_size=4)
nearest: list[tuple[str, float]] = model.wv.most_similar("a", topn=1)
shape: tuple[int, ...] = y.shape
"""


@pytest.mark.peer
@pytest.mark.heavy
def test_a_strict_script(tmp_path: Path) -> None:
    peer("mypy")
    (tmp_path / "user.py").write_text(USER)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "user.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (PACKAGE / "py.typed").exists()
