"""The installed package is the one under test, not the folder of sources beside it."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import checks
import pytest

import fastrnn
from fastrnn import _core

SOURCE = Path(__file__).resolve().parents[1] / "fastrnn"


def is_editable() -> bool:
    """Whether pip installed a link to the sources (HACKING.md)."""
    url = importlib.metadata.distribution("fastrnn").read_text("direct_url.json")
    return bool(url and json.loads(url).get("dir_info", {}).get("editable"))


def test_the_extension_is_installed() -> None:
    checks.is_installed(Path(_core.__file__).parent, SOURCE)


@pytest.mark.skipif(is_editable(), reason="an editable install runs the sources")
def test_the_package_is_installed() -> None:
    checks.is_installed(Path(fastrnn.__file__).parent, SOURCE)
