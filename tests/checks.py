"""What the tests assert, as functions: the test and its sabotage twin call the same one."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from cuts import Runner, per_row, run_in_chunks, take_batch, take_rows
from ops import Run
from recurrent_cases import Case
from tolerances import TABLE

from fastrnn import _core
from fastrnn.reference.testing import complex_gradient, complex_step

Forward = Callable[[Run], Run]  # inputs to outputs
Backward = Callable[[Run, Run], Run]  # inputs, gradients of the outputs; to gradients of the inputs
Compare = Callable[[Run, Run], None]


def error(got: np.ndarray, want: np.ndarray) -> float:
    """Largest difference in multiples of eps of `got`; infinite when one is NaN and the other is not."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"shape {got.shape}, expected {want.shape}"
    number = ~np.isnan(want)
    if not np.array_equal(number, ~np.isnan(got)):
        return np.inf
    scale = np.maximum(1, np.abs(want[number]).max(initial=0))
    return float(np.abs(got - want)[number].max(initial=0) / scale / np.finfo(got.dtype).eps)


def close(got: np.ndarray, want: np.ndarray, tolerance: str, name: str = "value") -> None:
    """`got` is `want` within the named line of the table."""
    limit, reason = TABLE[tolerance]
    found = error(got, want)
    assert found <= limit, f"{name}: {found:.4g} eps, allowed {limit} ({reason})"


def runs_close(got: Run, want: Run, forward: str = "forward", gradient: str = "gradient") -> None:
    """Two runs have the same names, and equal arrays within tolerance."""
    assert set(got) == set(want), f"{sorted(got)} instead of {sorted(want)}"
    for name in want:
        close(got[name], want[name], gradient if name.startswith("d ") else forward, name)


runs_agree: Compare = partial(runs_close, forward="identity", gradient="identity")


def same_bits(got: np.ndarray, want: np.ndarray, name: str = "value") -> None:
    """Equal in shape, dtype and every bit: -0 is not +0; one NaN is as good as another."""
    got, want = np.asarray(got), np.asarray(want)
    assert (got.shape, got.dtype) == (want.shape, want.dtype), f"{name}: {got.shape} {got.dtype}"
    different = (got != want) & ~(np.isnan(got) & np.isnan(want)) | (
        np.signbit(got) != np.signbit(want)
    ) & ~np.isnan(got)
    first = tuple(int(k[0]) for k in np.nonzero(different)) if different.any() else ()
    assert not different.any(), (
        f"{name}: {different.sum()} of {got.size} differ, at {first} {got[first]!r}, not {want[first]!r}"
    )


def runs_same_bits(got: Run, want: Run) -> None:
    """Two runs have the same names and the same bits."""
    assert set(got) == set(want), f"{sorted(got)} instead of {sorted(want)}"
    for name in want:
        same_bits(got[name], want[name], name)


def inner(a: Run, b: Run) -> float:
    """Sum of the products of arrays of the same name."""
    return sum((a[name] * b[name]).sum() for name in a)


def gradients_by_complex_step(forward: Forward, backward: Backward, inputs: Run, cotangents: Run) -> None:
    """Every element of every gradient is the derivative of ``<cotangents, outputs>`` by a complex step."""
    found = backward(inputs, cotangents)
    assert set(found) == set(inputs)
    for name, value in inputs.items():

        def functional(a: np.ndarray, name: str = name) -> float:
            return inner(cotangents, forward({**inputs, name: a}))

        close(found[name], complex_gradient(functional, value), "complex step", name)


def adjoint(forward: Forward, backward: Backward, inputs: Run, cotangents: Run, directions: Run) -> None:
    """``<dy, J dx> = <J' dy, dx>``, with J dx by a complex step along `directions`."""
    pushed = 0.0
    for name, value in inputs.items():
        for output, d in cotangents.items():
            moved = complex_step(
                lambda a, n=name, o=output: forward({**inputs, n: a})[o], value, directions[name]
            )
            pushed += (d * moved).sum()
    pulled = inner(directions, backward(inputs, cotangents))
    close(np.float64(pulled), np.float64(pushed), "identity", "<J' dy, dx>")


def chunks_equal_the_whole(case: Case, cuts: list[int], run: Runner, compare: Compare) -> None:
    """A sequence cut in time gives the outputs, states and gradients of the whole."""
    compare(run_in_chunks(case, cuts, run), run(case))


def rows_are_independent(case: Case, rows: np.ndarray, run: Runner, compare: Compare) -> None:
    """Some rows of the batch, in any order, give what they give inside the batch: outputs, states, dx."""
    got, want = run(take_batch(case, rows)), take_rows(run(case), rows)
    compare(*({name: a for name, a in r.items() if per_row(name)} for r in (got, want)))


def tokens_are_rows(case: Case, run: Runner) -> None:
    """A case with tokens is the same case given the rows of its table."""
    rows = {"x": case.inputs["table"][case.tokens], **{n: a for n, a in case.inputs.items() if n != "table"}}
    into = {name: a for name, a in case.into.items() if name != "table"}
    got, want = dict(run(case)), dict(run(replace(case, inputs=rows, into=into, tokens=None)))
    got["d table"] = got["d table"] - case.into["table"]
    want["d table"] = np.zeros_like(got["d table"])
    np.add.at(want["d table"], case.tokens, want.pop("d x"))
    runs_agree(got, want)


# Known answers of the Random123 distribution (kat_vectors): halves of the counter, key, words.
PHILOX = [
    ((0x0, 0x0), 0x0, "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ((2**64 - 1, 2**64 - 1), 2**64 - 1, "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ((0x85A308D3243F6A88, 0x0370734413198A2E), 0x299F31D0A4093822, "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def philox_is_the_published_one(philox: Callable[..., np.ndarray]) -> None:
    """The generator gives the known answers."""
    for counter, key, words in PHILOX:
        assert " ".join(f"{int(w):08x}" for w in philox(key, *counter)) == words


def mask_depends_on_position_alone(dropout: Callable[..., np.ndarray], x: np.ndarray) -> None:
    """Dropout of x [T,B,H], cut in any way, is a cut of the dropout of x; another key or step masks anew."""
    whole = dropout(x, 0.5, 11, 4)
    same_bits(dropout(x[2:], 0.5, 11, 6), whole[2:], "later steps")
    same_bits(dropout(x[:, :3], 0.5, 11, 4), whole[:, :3], "fewer rows")
    same_bits(dropout(x[..., :9], 0.5, 11, 4), whole[..., :9], "fewer units")
    same_bits(dropout(x[1], 0.5, 11, 5), whole[1], "one step")
    for key, step in ((12, 4), (11 + 2**32, 4), (11, 5), (11, 4 + 2**32)):
        assert ((dropout(x, 0.5, key, step) == 0) != (whole == 0)).mean() > 0.25, (key, step)


def threads_change_nothing(run: Callable[[], Run], counts: tuple[int, ...] = (1, 2, 3, 7)) -> None:
    """The same bits for every number of threads."""
    _core.set_num_threads(counts[0])
    want = run()
    for count in counts[1:]:
        _core.set_num_threads(count)
        assert _core.get_num_threads() == count
        runs_same_bits(run(), want)


def isas_agree(run: Callable[[], Run], isas: tuple[str, ...]) -> None:
    """The same bits on every one of these instruction sets."""
    runs = []
    for name in isas:
        _core.use_isa(name)
        assert _core.isa() == name
        runs.append(run())
    for other in runs[1:]:
        runs_same_bits(other, runs[0])


def nan_stays_in_its_row(case: Case, row: int, run: Runner, value: float) -> None:
    """A NaN or infinity in one row of x leaves the outputs, states and dx of the other rows as they were."""
    x = case.inputs["x"].copy()
    x[len(x) // 2, row] = value
    others = np.delete(np.arange(x.shape[1]), row)
    found = run(replace(case, inputs={**case.inputs, "x": x}))
    got, want = take_rows(found, others), take_rows(run(case), others)
    runs_same_bits(*({name: a for name, a in r.items() if per_row(name)} for r in (got, want)))
    assert not np.isnan(value) or np.isnan(found["y"][len(x) // 2 :, row]).all()


def optimiser_matches(
    got: Callable[..., float], want: Callable[..., float], lists: list[Any], options: dict[str, Any]
) -> None:
    """Three steps of two optimisers agree: parameters, buffers, norm and cleared gradients."""
    dtype = lists[0][0].dtype
    for step in (1, 2, 30):
        wide = [arrays and [a.astype(np.longdouble) for a in arrays] for arrays in lists]
        signature = inspect.signature(want)
        arguments = {"step": step, **options} if "step" in signature.parameters else options
        call = signature.bind(*wide, **arguments)
        call.apply_defaults()
        norm = got(*lists, *call.args[len(lists) :])
        close(dtype.type(norm), np.asarray(want(*call.args)), "norm", "norm")
        for name, ours, theirs in zip(("params", "grads", "m", "v"), lists, wide, strict=False):
            for a, b in zip(ours or [], theirs or [], strict=True):
                close(a, b, "update", name)
        for a in lists[1]:
            a += 0.5


def nearest_are_nearest(found: tuple[np.ndarray, np.ndarray], problem: dict[str, Any]) -> None:
    """Each row once, best first, with its score; and no row left out is better than the last one found."""
    index, score = found
    queries, vectors = (problem[name].astype(np.longdouble) for name in ("queries", "vectors"))
    scale = problem["scale"]
    all_scores = queries @ vectors.T * (1 if scale is None else scale)
    best = min(problem["topn"], len(vectors))
    assert index.shape == score.shape == (len(queries), best)
    assert all(len(set(row)) == best for row in index.tolist())
    assert (score[:, :-1] >= score[:, 1:]).all()
    assert (index[:, :-1] < index[:, 1:])[score[:, :-1] == score[:, 1:]].all()
    close(score, np.take_along_axis(all_scores, index, axis=1), "product", "scores")
    np.put_along_axis(all_scores, index, -np.inf, axis=1)
    close(
        np.maximum(all_scores.max(axis=1), score[:, -1]).astype(score.dtype), score[:, -1], "product", "rest"
    )


def denormals_are_zeros(case: Case, run: Runner) -> None:
    """Inputs below the smallest normal number act as zeros; the caller can compute with them afterwards."""
    tiny = np.finfo(case.inputs["x"].dtype).tiny
    small = {**case.inputs, "x": np.where(case.inputs["x"] > 0, tiny / 4, -tiny / 4).astype(tiny.dtype)}
    zeros = {**case.inputs, "x": np.zeros_like(case.inputs["x"])}
    runs_same_bits(run(replace(case, inputs=small)), run(replace(case, inputs=zeros)))
    assert np.array([tiny])[0] / 2 > 0, "the caller's denormals are gone"


def is_installed(package: Path, source: Path) -> None:
    """The package under test is not the folder of sources."""
    assert package.resolve() != source.resolve(), f"{package} is the source folder: run the pytest script"
