"""docs/torch.md and the example run, and the example learns what it would with torch's own layers."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import checks
import numpy as np
import pytest
from conftest import checkout

pytestmark = pytest.mark.peer
ROOT = checkout()


def run(folder: Path, *args: str | Path) -> str:
    """Run Python on something in a folder without sources; the output."""
    command = [sys.executable, "-W", "error", *args]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_page(torch: ModuleType, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "torch.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / "page.py").write_text("\n".join(blocks))
    run(tmp_path, "page.py")


def test_links_lead_somewhere() -> None:
    for name in re.findall(r"\]\(([\w/.-]+\.md)\)", (ROOT / "docs" / "torch.md").read_text()):
        assert (ROOT / "docs" / name).exists(), name


def test_tagger(torch: ModuleType, tmp_path: Path) -> None:
    script, losses = ROOT / "examples" / "torch_tagger.py", []
    for more in ([], ["--plain"]):
        out = run(tmp_path, script, "--epochs", "6", "--hidden", "48", *more)
        assert ("recurrent: LSTM" in out) == (not more)
        losses.append([float(value) for value in re.findall(r"loss (\S+)", out)])
        assert float(re.findall(r"right: (\S+)", out)[0]) > 0.8  # 0.5 for the most frequent tag
    assert losses[0][-1] < 0.8 * losses[0][0]
    checks.close(np.float32(losses[0][0]), np.float32(losses[1][0]), "peer", "the loss of the first epoch")
