"""The resident set of this process, as Linux counts it."""

from __future__ import annotations

import re
from pathlib import Path

STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def resident(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (at most so far, in this program: ``ru_maxrss`` has its parent's too)."""
    found = re.search(rf"{field}:\s+(\d+) kB", STATUS.read_text())
    assert found
    return 1024 * int(found[1])
