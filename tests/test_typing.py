"""The types that a user sees: the stub is that of the extension, and a strict script passes."""

from __future__ import annotations

import ast
import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import checkout, peer

import fastrnn
from fastrnn import _core

PACKAGE = Path(fastrnn.__file__).parent
USER = Path(__file__).with_name("typed_user.py")


def generator() -> object:
    spec = importlib.util.spec_from_file_location("stub", checkout() / ".ci" / "stub.py")
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


def run(folder: Path, *args: str) -> str:
    """Run Python on a copy of the user's script in a folder without sources; the output."""
    shutil.copy(USER, folder / "user.py")
    done = subprocess.run([sys.executable, *args], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_script_runs(tmp_path: Path) -> None:
    run(tmp_path, "-W", "error", "user.py")


@pytest.mark.peer
@pytest.mark.heavy
def test_the_script_is_strict(tmp_path: Path) -> None:
    peer("mypy")
    assert (PACKAGE / "py.typed").exists()
    assert "Success" in run(tmp_path, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path), "user.py")


def test_what_is_lazy_has_a_type() -> None:
    """A type checker does not see __getattr__."""
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (seen,) = [n for n in tree.body if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
    names = {alias.asname for n in seen.body if isinstance(n, ast.ImportFrom) for alias in n.names}
    assert names == {*fastrnn._LAZY, *fastrnn._LAZY_MODULES, *fastrnn._EXTRAS}
