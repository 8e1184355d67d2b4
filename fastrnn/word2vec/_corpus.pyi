from collections.abc import Callable, Iterable
from typing import Any

def encode(
    sentences: Iterable[Any],
    types: dict[str, int],
    sink: Callable[[bytes, bytes], object],
    tokenizer: Callable[[Any], Iterable[str]] | None = None,
) -> bytes: ...
