"""What `import fastrnn` costs: counted in modules, because a wall time on a busy machine says little."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import peer

import fastrnn
from fastrnn import _core

# Of which 45 exist, each layer in a file: 1.16 to 1.19 of the time of `import numpy` (bench_import.py).
MOST_OWN = 46
LIGHT = {
    "__future__",
    "_interpreters",
    "_xxsubinterpreters",
    "fnmatch",
    "threading",
}  # a millisecond together, where NumPy has not loaded them
LAZY = [
    "LanguageModel",
    "Trainer",
    "callbacks",
    "checkpoint",
    "data",
    "models",
    "reference",
    "training",
    "Word2Vec",
]


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-I", "-c", code], check=True, capture_output=True, text=True
    ).stdout


def modules(statement: str) -> set[str]:
    return set(run(f"{statement}; import sys; print(*sys.modules)").split())


def test_import_adds_only_modules_of_its_own() -> None:
    added = modules("import fastrnn") - modules("import numpy")
    own = {name for name in added if name.split(".")[0] == "fastrnn"}
    assert added - own <= LIGHT, added - own
    assert len(own) <= MOST_OWN


@pytest.mark.parametrize(
    "heavy", ["tqdm", "importlib.metadata", "fastrnn.training", "fastrnn.models", "numpy.random"]
)
def test_import_leaves_heavy_things_for_later(heavy: str) -> None:
    assert heavy not in modules("import fastrnn") - modules("import numpy")


@pytest.mark.parametrize("name", LAZY)
def test_what_is_lazy_is_there(name: str) -> None:
    assert run(f"import fastrnn; fastrnn.{name}; print('{name}' in dir(fastrnn))") == "True\n"


def test_help_needs_no_other_package() -> None:
    without = "; ".join(f"sys.modules[{name!r}] = None" for name in ("sklearn", "torch", "keras"))
    assert (
        run(f"import sys; {without}; import fastrnn, pydoc; print(len(pydoc.render_doc(fastrnn)) > 0)")
        == "True\n"
    )
    assert "weights" in run("import fastrnn; print(fastrnn.interop.weights.__name__, fastrnn.interop.keras)")


@pytest.mark.peer
@pytest.mark.parametrize("name", ["sklearn", "torch"])
def test_extras_are_there(name: str) -> None:
    peer(name)
    assert run(f"import fastrnn; print(fastrnn.{name}.__name__)") == f"fastrnn.{name}\n"


def test_an_unknown_isa_is_reported_at_import() -> None:
    found = subprocess.run(
        [sys.executable, "-I", "-c", "import fastrnn"],
        env={**os.environ, "FASTRNN_ISA": "avx9"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 1
    assert "FASTRNN_ISA: expected one of " in found.stderr
    assert "got 'avx9'" in found.stderr


def test_version() -> None:
    assert run("import fastrnn; print(fastrnn.__version__)") == run(
        "import importlib.metadata as m; print(m.version('fastrnn'))"
    )


def test_the_stub_names_what_the_extension_has() -> None:
    stub = ast.parse(Path(fastrnn.__file__).with_name("_core.pyi").read_text())
    typed = {node.name for node in stub.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    typed |= {node.target.id for node in stub.body if isinstance(node, ast.AnnAssign)}
    assert typed == {name for name in dir(_core) if not name.startswith("_")}


def test_the_stub_names_the_arguments() -> None:
    stub = ast.parse(Path(fastrnn.__file__).with_name("_core.pyi").read_text())
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            found = re.findall(r"(\w+): ", getattr(_core, node.name).__doc__.split(")")[0])
            assert found == [argument.arg for argument in node.args.args], node.name
