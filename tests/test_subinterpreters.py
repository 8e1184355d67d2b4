"""A sub-interpreter cannot load the extension, and says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
try:
    import _interpreters as interpreters
    end = interpreters.create("legacy" if "legacy" in {kind!r} else "isolated")
except ImportError:
    import _xxsubinterpreters as interpreters
    end = interpreters.create(isolated="legacy" not in {kind!r})
found = interpreters.run_string(end, "import fastrnn")
if found is not None:
    print("ImportError: " + found.msg)
"""


@pytest.mark.parametrize("kind", ["legacy", "isolated"])
def test_import_is_refused(kind: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(kind=kind)], capture_output=True, text=True, timeout=60
    )
    said = done.stdout + done.stderr
    assert "fastrnn: expected the main interpreter, got a sub-interpreter; use processes, or threads" in said
