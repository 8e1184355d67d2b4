"""The one place for argument checks on the Python side.

A message names the argument, the rule and what came: ``dropout: expected 0 <= p < 1, got 1.5``. What the
extension checks anyway (arrays on their way into a kernel) is not checked here.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from ._typing import Array, Shape, Width

F = TypeVar("F", bound="Callable[..., Any]")


def describe(value: object) -> str:
    """What came, for a message: the value of a scalar, the type and shape of anything larger."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    if value is None or isinstance(value, (bool, int, float, str, np.generic)):
        return repr(value)
    return type(value).__name__


def items(given: Any) -> Any:
    """A container that can be gone through again: of an Arrow array or an iterator, a list of its items."""
    if hasattr(given, "to_pylist"):
        return given.to_pylist()
    return list(given) if isinstance(given, Iterator) else given


def integer(name: str, value: Any, minimum: int | None = None, maximum: int | None = None) -> int:
    """An int (or anything with __index__, but not a bool) in [minimum, maximum]."""
    if isinstance(value, bool) or not hasattr(value, "__index__") or np.ndim(value) != 0:
        raise TypeError(f"{name}: expected an int, got {describe(value)}")
    number = operator.index(value)
    if minimum is not None and number < minimum:
        raise ValueError(f"{name}: expected an int >= {minimum}, got {number}")
    if maximum is not None and number > maximum:
        raise ValueError(f"{name}: expected an int <= {maximum}, got {number}")
    return number


def integers(name: str, value: Any, minimum: int) -> tuple[int, ...]:
    """At least one int, each >= minimum."""
    if not isinstance(value, (tuple, list)):
        raise TypeError(f"{name}: expected a tuple of ints, got {describe(value)}")
    if not value:
        raise ValueError(f"{name}: expected at least one int, got none")
    return tuple([integer(name, item, minimum) for item in value])


def increasing(name: str, value: Any) -> tuple[int, ...]:
    """Ints >= 1, each larger than the one before."""
    found = integers(name, value, 1)
    if any(low >= high for low, high in pairwise(found)):
        raise ValueError(f"{name}: expected increasing ints, got {found}")
    return found


def label(name: str, value: Any) -> int:
    """An int that a target, of 64 bits, can have."""
    return integer(name, value, -(2**63), 2**63 - 1)


def flag(name: str, value: Any) -> bool:
    """A bool; an int or a string in its place is more often a slip than a wish."""
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: expected True or False, got {describe(value)}")
    return bool(value)


def real(name: str, value: Any, low: float = 0.0, high: float | None = None) -> float:
    """A finite number with low <= value, and value < high when that is given."""
    if isinstance(value, (bool, str)) or not hasattr(value, "__float__") or np.ndim(value) != 0:
        raise TypeError(f"{name}: expected a number, got {describe(value)}")
    try:
        number = float(value)
    except OverflowError:  # an int beyond 1e308
        number = float(np.inf)
    # Comparisons are written so that nan fails them.
    if not (low <= number < (np.inf if high is None else high)):
        finite = "a finite number" if low == -np.inf else f"a finite number >= {low:g}"
        rule = finite if high is None else f"{low:g} <= {name} < {high:g}"
        raise ValueError(f"{name}: expected {rule}, got {number:g}")
    return number


def choice(name: str, value: Any, known: Sequence[str]) -> str:
    """One of the strings in `known`."""
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, known))}, got {describe(value)}")
    return value


def dtype(name: str, value: Any) -> np.dtype[Any]:
    """The float32 or float64 dtype that `value` names."""
    try:
        found: np.dtype[Any] = np.dtype(value if value is not None else "O")
    except TypeError:
        found = np.dtype("O")
    if found not in (np.dtype(np.float32), np.dtype(np.float64)):
        raise ValueError(f"{name}: expected float32 or float64, got {describe(value)}")
    return found


def several(**given: Any) -> None:
    """Refuse a string where several are meant: it would be taken letter by letter."""
    for name, value in given.items():
        if isinstance(value, (str, bytes)):
            raise TypeError(f"{name}: expected a list of words, got the string {value!r}")


def keyed(name: str, value: Any) -> Any:
    """KeyedVectors, ours or gensim's."""
    if not hasattr(value, "key_to_index"):
        hint = f"; use {name}.wv" if hasattr(value, "wv") else ""
        raise TypeError(f"{name}: expected KeyedVectors, got {describe(value)}{hint}")
    return value


def seed(value: Any) -> int | None:
    """None, or an int >= 0, as np.random.PCG64 wants it."""
    return None if value is None else integer("seed", value, 0)


def key(value: Any, p: float, option: str = "dropout") -> int:
    """The random key of a call with dropout `p`, or another option that draws."""
    if value is None:
        raise ValueError(f"key: expected an int because {option} is {p:g}, got None")
    return integer("key", value)


def foreign(name: str, value: Any) -> Any:
    """The memory of another library's array, by DLPack or ``__array_interface__``; anything else as it is."""
    if isinstance(value, (tuple, list)):
        found = [foreign(f"{name}[{k}]", part) for k, part in enumerate(value)]
        same = all(a is b for a, b in zip(found, value, strict=True))
        return value if same else tuple(found) if isinstance(value, tuple) else found
    if isinstance(value, (np.ndarray, np.generic)):
        return value
    if getattr(value, "requires_grad", False):
        raise TypeError(
            f"{name}: expected an array, or a tensor that does not require grad, got one that does; "
            f"use {name}.detach(), or fastrnn.torch for its gradient"
        )
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            words = str(error).partition("\n")[0]
            raise TypeError(
                f"{name}: expected memory of the CPU that NumPy can read, got {describe(value)} ({words})"
            ) from None
    return np.asarray(value) if hasattr(value, "__array_interface__") else value


def arrays_of_others(function: F) -> F:
    """A method that takes arrays takes those of other libraries too, without a copy.

    They cost a second call, so that NumPy's cost nothing.
    """

    @functools.wraps(function)
    def run(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except TypeError:
            import inspect  # 9 ms, where NumPy has not loaded it

            bound = inspect.signature(function).bind(*args, **options)
            given = dict(bound.arguments)
            for name, value in given.items():
                if name != "self":
                    bound.arguments[name] = foreign(name, value)
            if all(bound.arguments[name] is value for name, value in given.items()):
                raise
        return function(*bound.args, **bound.kwargs)

    return run  # type: ignore[return-value]


def array(name: str, value: Any, shape: Shape, dtype: np.dtype[Any], letters: str = "") -> Array:
    """An array of exactly this dtype and shape; `letters` says what the shape means, as "4*H, H"."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {describe(value)}")
    if value.dtype is not dtype and value.dtype != dtype:
        raise TypeError(f"{name}: expected {dtype}, got {value.dtype}; use {name}.astype(np.{dtype})")
    if value.shape != shape:
        meaning = f"({letters}) = " if letters else ""
        raise ValueError(f"{name}: expected shape {meaning}{shape}, got {value.shape}")
    return value


def readable(name: str, value: Any, shape: Shape, dtype: np.dtype[Any], letters: str = "") -> Array:
    """An array of exactly this dtype and shape whose last axis is contiguous, as kernels read it."""
    array(name, value, shape, dtype, letters)
    if shape and shape[-1] > 1 and value.strides[-1] != value.itemsize and value.size:
        raise ValueError(
            f"{name}: expected a contiguous last axis (use np.ascontiguousarray), "
            f"got a last axis with a stride of {value.strides[-1]} bytes"
        )
    return value  # type: ignore[no-any-return]


def rank(name: str, value: Any, ndim: int, letters: str) -> Shape:
    """The shape of an array that has `ndim` axes; its dtype is left to the extension."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {describe(value)}")
    if value.ndim != ndim:
        raise ValueError(f"{name}: expected shape ({letters}), got {value.shape}")
    shape: Shape = value.shape
    return shape


def state(
    prefix: str,
    names: Sequence[str],
    value: Any,
    shape: Shape,
    widths: Sequence[Width],
    dtype: np.dtype[Any],
    letters: str,
) -> None:
    """A tuple with one array for each of `names`, of a width of its own; `prefix` is "d" for gradients."""
    if not isinstance(value, (tuple, list)) or len(value) != len(names):
        wanted = ", ".join(prefix + name for name in names)
        got = f"{len(value)} of them" if isinstance(value, (tuple, list)) else describe(value)
        raise TypeError(f"{prefix}state: expected a tuple ({wanted}), got {got}")
    for name, part, (letter, width) in zip(names, value, widths, strict=True):
        readable(prefix + name, part, (*shape, width), dtype, f"{letters}, {letter}")


def gradient(name: str, value: Any, shape: Shape, dtype: np.dtype[Any]) -> Array:
    """A buffer that gradients can be added into: exact dtype and shape, contiguous, aligned, writeable."""
    array(name, value, shape, dtype)
    if not value.flags.c_contiguous or not value.flags.writeable:
        raise ValueError(f"{name}: expected a C-contiguous and writeable array, got one that is not")
    if not value.flags.aligned:
        raise ValueError(f"{name}: expected an aligned array, got one that is not")
    return value  # type: ignore[no-any-return]


def names(argument: str, expected: Iterable[str], value: Any, more: bool = False) -> Mapping[str, Any]:
    """A mapping that has exactly the `expected` names, or `more`."""
    if not hasattr(value, "keys"):
        raise TypeError(f"{argument}: expected a mapping of names to arrays, got {describe(value)}")
    expected = list(expected)
    missing = [name for name in expected if name not in value]
    unexpected = [repr(name) for name in value if name not in expected]
    if missing:
        raise ValueError(f"{argument}: expected {missing[0]!r}, got no such name ({len(missing)} missing)")
    if unexpected and not more:
        raise ValueError(f"{argument}: expected {len(expected)} names, got also {', '.join(unexpected)}")
    return value  # type: ignore[no-any-return]


def floats(name: str, value: Any) -> Array:
    """A float32 or float64 array with at least one axis."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {describe(value)}")
    if value.dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: expected float32 or float64, got {value.dtype}")
    if value.ndim == 0:
        raise ValueError(f"{name}: expected at least one axis, got shape ()")
    return value


def mask(value: Any, shape: Shape) -> Array:
    """Bools of this shape; None is all True."""
    if value is None:
        return np.ones(shape, bool)
    if not isinstance(value, np.ndarray):
        raise TypeError(f"mask: expected a NumPy array, got {describe(value)}")
    if value.dtype != bool:
        raise TypeError(f"mask: expected bool, got {value.dtype}")
    if value.shape != shape:
        raise ValueError(f"mask: expected shape {shape}, got {value.shape}")
    return value


def labels(name: str, value: Any, shape: Shape, classes: int, ignored: int, chosen: Array) -> Array:
    """Check for int32 or int64 labels of this shape; say which count: those `chosen` and not `ignored`.

    They must be in [0, classes).
    """
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name}: expected a NumPy array, got {describe(value)}")
    if value.dtype not in (np.int32, np.int64):
        raise TypeError(f"{name}: expected int32 or int64, got {value.dtype}")
    if value.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {value.shape}")
    kept: Array = chosen & (value != ignored)
    wrong = value[((value < 0) | (value >= classes)) & kept]
    if wrong.size:
        raise ValueError(f"{name}: expected values in [0, {classes}) or {ignored}, got {wrong[0]}")
    return kept


def lengths(value: Any, rows: int, steps: int) -> Array:
    """[B] ints in [0, T], as int64."""
    found = np.asarray(value) if isinstance(value, (list, tuple)) else value
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu":
        raise TypeError(f"lengths: expected an array of ints, got {describe(value)}")
    if found.shape != (rows,):
        raise ValueError(f"lengths: expected shape (B,) = ({rows},), got {found.shape}")
    wrong = found[(found < 0) | (found > steps)]
    if wrong.size:
        raise ValueError(f"lengths: expected numbers in [0, T = {steps}], got {wrong[0]}")
    return found.astype(np.int64)
