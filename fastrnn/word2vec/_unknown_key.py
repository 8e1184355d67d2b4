"""The error about a key that is not there."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any


class UnknownKey(KeyError):
    """A key that is not there; near spellings are looked for when the message is wanted, not before."""

    def __init__(self, key: object, known: Sequence[Any]) -> None:
        super().__init__(key)
        self._known = known

    def __str__(self) -> str:
        return f"key: expected one of the {len(self._known)} keys, got {self.args[0]!r}{self._near()}"

    def __reduce__(self) -> Any:
        return KeyError, (str(self),)

    def _near(self) -> str:
        word = self.args[0]
        if not isinstance(word, str) or not word:
            return ""
        # The most frequent ones come first; comparing a word takes some 10 us.
        near = [k for k in self._known[:200_000] if isinstance(k, str) and abs(len(k) - len(word)) <= 2]
        near = [k for k in near if set(k[:2].lower()) & set(word[:2].lower())][:20_000]
        swapped = [word[:i] + word[i : i + 2][::-1] + word[i + 2 :] for i in range(len(word) - 1)]
        likely = {word.lower(), word.capitalize(), word.upper(), *swapped}
        found = [k for k in near if k in likely]
        found += [k for k in difflib.get_close_matches(word, near, 3) if k not in found]
        return f"; near spellings: {', '.join(map(repr, found[:4]))}" if found else ""
