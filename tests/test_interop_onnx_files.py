"""Files that are no ONNX graph."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import peer

from fastrnn.interop import onnx as ours


@pytest.mark.peer
@pytest.mark.parametrize("data", [b"no graph", b"", b"\x08\x07"], ids=["text", "empty", "no graph"])
def test_no_graph(data: bytes, tmp_path: Path) -> None:
    """Some of them can be parsed, and are refused by ONNX's checker alone."""
    peer("onnx")
    (tmp_path / "model").write_bytes(data)
    with pytest.raises(ValueError, match=r"^onnx: expected an ONNX file, got '.*model': "):
        ours.load(tmp_path / "model")
