"""Refuses sub-interpreters, before an extension is loaded, which would wait there for ever."""

from __future__ import annotations

from typing import Any


def _is_main() -> bool:
    for name in ("_interpreters", "_xxsubinterpreters"):  # of CPython 3.13, and before
        try:
            interpreters: Any = __import__(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() == interpreters.get_main())
    return True  # another Python, without any


if not _is_main():
    raise ImportError(
        "fastrnn: expected the main interpreter, got a sub-interpreter; use processes, or threads: calls "
        "release the GIL"
    )
