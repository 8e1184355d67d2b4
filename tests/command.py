"""The console script `fastrnn` as tests run it: the installed one, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(sys.executable).with_name("fastrnn")
TEXT = "Pack my box with five dozen liquor jugs; how vexingly quick daft zebras jump!\n" * 40
TINY = ["--text", "text.txt", "--epochs", "2", "--hidden", "16", "--batch", "4", "--steps", "20"]


def start(folder: Path, *args: str, **options: object) -> subprocess.Popen:
    """Start the command in `folder`, in which text.txt holds TEXT."""
    if not (folder / "text.txt").exists():
        (folder / "text.txt").write_text(TEXT)
    # No terminal and a plain environment, as in CI.
    return subprocess.Popen(
        [SCRIPT, *args],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        **options,
    )


def run(folder: Path, *args: str, **options: object) -> tuple[int, str, str]:
    """Run the command to its end; return exit code, stdout, stderr."""
    process = start(folder, *args, **options)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err
