"""Checks of the arguments of `Word2Vec`; what is wrong with them is said before a corpus is read."""

from __future__ import annotations

import logging
import os
from typing import Any

from fastrnn import _check

_logger = logging.getLogger(__name__)

COMPAT = ("gensim", "word2vec")


def size(name: str, value: Any) -> int | None:
    """None (or 0, as gensim allows), or a positive int."""
    return None if value is None else _check.integer(name, value, 0) or None


def switch(name: str, value: Any) -> int:
    """0 or 1, True or False."""
    if isinstance(value, bool):
        return int(value)
    return _check.integer(name, value, 0, 1)


def optional_callable(name: str, value: Any) -> Any:
    """None or something to call."""
    if value is not None and not callable(value):
        raise TypeError(f"{name}: expected a function or None, got {_check.describe(value)}")
    return value


def rate(name: str, value: Any) -> float:
    """A learning rate: finite, not below 0."""
    return _check.real(name, value, 0.0)


def seed(value: Any) -> int:
    """An int in [0, 2**64)."""
    return _check.integer("seed", value, 0, 2**64 - 1)


def one_source(first: tuple[str, Any], second: tuple[str, Any], *, needed: bool = True) -> Any:
    """The one of two sources that is given; None when neither is and none is needed."""
    (name, value), (file_name, file) = first, second
    if value is not None and file is not None:
        raise TypeError(f"{name}, {file_name}: expected one of them, got both")
    if value is None and file is None:
        if needed:
            raise TypeError(f"{name}: expected a corpus here or as {file_name}=, got neither")
        return None
    if isinstance(value, (str, bytes)):
        raise TypeError(
            f"{name}: expected lists of tokens, got a string; the name of a file goes in as {file_name}=, "
            "a text as [text.split()]"
        )
    if file is not None and not isinstance(file, (str, os.PathLike)):
        raise TypeError(f"{file_name}: expected a path, got {_check.describe(file)}")
    if isinstance(value, (bool, int, float)):
        raise TypeError(f"{name}: expected an iterable of lists of tokens, got {_check.describe(value)}")
    return file if value is None else value


def outputs(hs: int, negative: int) -> None:
    """What inputs are scored against: there must be something; of both gensim warns."""
    if not hs and not negative:
        raise ValueError("hs, negative: expected at least one of them to be positive, got hs=0, negative=0")
    if hs and negative:
        _logger.warning("Both hierarchical softmax and negative sampling are activated.")


def rates(alpha: Any, min_alpha: Any, compat: str, sg: int) -> tuple[float, float]:
    """First and last learning rate; those of word2vec.c where gensim's defaults were left."""
    first, last = rate("alpha", alpha), rate("min_alpha", min_alpha)
    if compat == "word2vec":
        if not sg and first == 0.025:
            first = 0.05
        if last == 0.0001:
            last = first * 1e-4
    return first, last


def save_options(
    separately: Any, sep_limit: Any = 10 * 1024**2, ignore: Any = (), pickle_protocol: Any = 4
) -> None:
    """What gensim's `save` takes beside the name of the file; see `Saving.save`."""
    if separately is not None and not isinstance(separately, (list, tuple, set, frozenset)):
        raise TypeError(f"separately: expected names or None, got {_check.describe(separately)}")
    _check.integer("sep_limit", sep_limit, 0)
    _check.integer("pickle_protocol", pickle_protocol, 0)
    if len(ignore):
        raise ValueError(f"ignore: expected no names, as models are saved whole, got {sorted(ignore)}")


def own_words(wv: Any, count: int) -> list[Any]:
    """The words of a model, unless its vectors have been given others."""
    if len(wv) != count:
        raise ValueError(f"wv: expected the {count} words of the model, got {len(wv)} keys; see build_vocab")
    return list(wv.index_to_key)


def load_of_a_model(*args: Any, **options: Any) -> Any:
    """`load` of the class, called on a model: what it returns is easily taken for the model itself."""
    raise AttributeError("load: expected a call on the class, as Word2Vec.load(path), got one on a model")


def mapped(mmap: Any) -> bool:
    """Whether arrays are to be mapped into memory: ``"r"``, gensim's word for it, or True."""
    if mmap not in (None, False, True, "r"):
        raise ValueError(f"mmap: expected None or 'r', got {mmap!r}")
    return bool(mmap)
