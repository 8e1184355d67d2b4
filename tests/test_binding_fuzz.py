"""Every function of the extension on wrong arguments of all kinds: an error that names one, never a crash."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from binding_calls import CALLS
from hypothesis import given, settings
from hypothesis import strategies as st

import fastrnn
from fastrnn import _core

# They run for 50 ms, or for as long as they are told.
UNFUZZED = {"fma_peak", "explain"}
HUGE = 2**50  # elements: more than any memory, and no byte of it is touched
DTYPES = ["f2", "f4", "f8", ">f4", "i1", "i4", "i8", "u4", "u8", "c8", "?", "O", "S3", "U2", "M8[s]", "i4,i4"]

# Not arrays: of the wrong type for some argument, and at the ends of what a number can be.
NUMBERS = [0, 1, 2, 7, -1, 512, 2**31 - 1, -(2**31), 2**31, 2**63 - 1, -(2**63), 2**63, 2**64, 10**30]
FLOATS = [0.0, -0.5, 1e300, float("nan"), float("inf"), 1j, np.float32(1), np.int64(-1)]
BYTES = ["", "lstm", "float32", "\ud800", b"", b"a 1\n\xff", bytearray(3), memoryview(b"a b c d")[::-2]]
OTHERS = [None, True, (), [], {}, [None], (1, 2, 3), (-1, 0), (HUGE, HUGE), [1.0], range(3), object, iter(())]
scalars = st.sampled_from([*NUMBERS, *FLOATS, *BYTES, *OTHERS])


def unaligned(a: np.ndarray) -> np.ndarray:
    """A copy that begins at an odd address."""
    raw = np.zeros(a.nbytes + 1, np.uint8)
    out = raw[1:].view(a.dtype).reshape(a.shape)
    out[...] = a
    return out


def frozen(a: np.ndarray) -> np.ndarray:
    """A copy that is read-only."""
    out = a.copy()
    out.flags.writeable = False
    return out


def spread(a: np.ndarray) -> np.ndarray:
    """The same values with a gap behind each."""
    out = np.zeros((*a.shape, 2), a.dtype)
    out[..., 0] = a
    return out[..., 0]


BENT = {
    "unaligned": unaligned,
    "read-only": frozen,
    "spread": spread,
    "fewer": lambda a: a[:-1],
    "none": lambda a: a[:0],
    "narrow": lambda a: a[..., :0],
    "every other": lambda a: a[::2],
    "backwards": lambda a: a[::-1],
    "mirrored": lambda a: a[..., ::-1],
    "turned": lambda a: a.T,
    "flat": lambda a: a.reshape(-1),
    "deeper": lambda a: a[None],
    "item": lambda a: a.reshape(-1)[:1].reshape(()),
    "longer": lambda a: np.concatenate([a, a]) if a.ndim else a,
    "wider": lambda a: np.concatenate([a, a], -1) if a.ndim else a,
    "huge": lambda a: np.broadcast_to(a.reshape(-1)[:1].reshape((1,) * a.ndim), (HUGE, *a.shape[1:])),
    "large values": lambda a: a + np.asarray(100).astype(a.dtype),
    "largest values": lambda a: np.full_like(a, np.iinfo(a.dtype).max if a.dtype.kind in "iu" else np.inf),
    "negative values": lambda a: np.full_like(a, -1) if a.dtype.kind != "u" else a,
    "nan": lambda a: np.full_like(a, np.nan) if a.dtype.kind == "f" else a,
    "subclass": lambda a: np.ma.masked_array(a),
    "list": lambda a: a.tolist(),
}


@st.composite
def wrong(draw: st.DrawFn, good: Any) -> Any:
    """Something else than `good`, often much like it."""
    if isinstance(good, tuple | list) and good and draw(st.integers(0, 3)):
        at = draw(st.integers(0, len(good) - 1))
        changed = draw(
            st.sampled_from([[*good, good[at]], [*good[:at], *good[at + 1 :]]])
            | wrong(good[at]).map(lambda one: [*good[:at], one, *good[at + 1 :]])
        )
        return type(good)(changed)
    if isinstance(good, np.ndarray) and good.size and draw(st.integers(0, 4)):
        if draw(st.integers(0, 2)) == 0:
            with np.errstate(all="ignore"):
                return np.zeros(good.shape, draw(st.sampled_from(DTYPES)))
        return BENT[draw(st.sampled_from([*BENT]))](good)
    return draw(scalars)


def names(call: Any, message: str) -> bool:
    """Whether a message begins with an argument, or is one that shows all or the only one."""
    known = "|".join(map(re.escape, [*call.arguments, *call.parts]))
    pybind11 = r"[\w_]+\(\): incompatible (function|constructor) arguments"
    return re.match(rf"(({known})\b|cannot allocate |{pybind11})", message) is not None


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_wrong_arguments(name: str, data: st.DataObject) -> None:
    call = CALLS[name]
    places = st.sampled_from([*call.arguments])
    changed = data.draw(st.lists(places, min_size=1, max_size=2, unique=True))
    arguments = {**call.arguments, **{place: data.draw(wrong(call.arguments[place])) for place in changed}}
    message = name
    try:
        call.function(**arguments)
    except (TypeError, ValueError, MemoryError, LookupError) as error:
        message = str(error)
    finally:
        _core.set_num_threads(CALLS["set_num_threads"].arguments["n"])
    assert message == name or names(call, message)


def test_good_arguments() -> None:
    for call in CALLS.values():
        call.function(**call.arguments)


def test_all_functions_are_there() -> None:
    """Whoever adds a function to _core adds a good call of it to binding_calls.py."""
    stub = ast.parse(Path(fastrnn.__file__).with_name("_core.pyi").read_text())
    found = set()
    for node in stub.body:
        if isinstance(node, ast.FunctionDef) and node.args.args:
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and len(method.args.args + method.args.kwonlyargs) > 1:
                    found.add(node.name if method.name == "__init__" else f"{node.name}.{method.name}")
    assert found - UNFUZZED == {name.split(":")[0] for name in CALLS}
    for name, call in CALLS.items():
        wanted = getattr(_core, name.split(":")[0].split(".")[0])
        assert callable(wanted)
        assert call.arguments
