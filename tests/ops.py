"""What surrounds the cells: problems for linear, cross entropy, embedding and others, and how to run them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

import numpy as np

from fastrnn import _core, reference

# Arrays by name: outputs under their names, the gradient of the input `w` under `d w`.
Run = Mapping[str, np.ndarray]
Layout = Callable[[str, np.ndarray], np.ndarray]  # name and array; returns an equal array


def as_is(name: str, a: np.ndarray) -> np.ndarray:
    """The layout that changes nothing."""
    return a


@dataclass(frozen=True)
class Op:
    """Inputs, gradients of the outputs, and what the buffers of the gradients hold before."""

    kind: str
    inputs: Run
    cotangents: Run
    into: Run
    options: dict[str, Any] = field(default_factory=dict)

    def astype(self, dtype: np.typing.DTypeLike) -> Op:
        """The same numbers in another type."""
        inputs, cotangents, into = (
            {name: a.astype(dtype) for name, a in run.items()}
            for run in (self.inputs, self.cotangents, self.into)
        )
        return replace(self, inputs=inputs, cotangents=cotangents, into=into)


def make_linear(
    rng: np.random.Generator, lead: tuple[int, ...], width: int, out: int, bias: bool = True
) -> Op:
    """x [*lead, width] to y [*lead, out]."""
    shapes = {"x": (*lead, width), "weight": (out, width), "bias": (out,)}
    inputs = {name: rng.standard_normal(shape) for name, shape in shapes.items() if bias or name != "bias"}
    into = {name: rng.standard_normal(a.shape) for name, a in inputs.items() if name != "x"}
    return Op("linear", inputs, {"y": rng.standard_normal((*lead, out))}, into)


def make_cross_entropy(
    rng: np.random.Generator,
    lead: tuple[int, ...],
    width: int,
    classes: int,
    *,
    bias: bool = True,
    mean: bool = True,
    ignored: float = 0.2,
    ignore_index: int = -100,
    masked: float | None = None,
) -> Op:
    """x [*lead, width] to a loss over `classes`; a fraction `ignored` of the rows does not count.

    Of those that a mask leaves out, a fraction `masked`, the target is no class.
    """
    case = make_linear(rng, lead, width, classes, bias)
    targets = rng.integers(0, classes, lead)
    targets[rng.random(lead) < ignored] = ignore_index
    options = {"targets": targets, "ignore_index": ignore_index, "mean": mean}
    if masked is not None:
        options["mask"] = rng.random(lead) >= masked
        targets[~options["mask"]] = classes + 5
    return Op("cross_entropy", case.inputs, {"loss": np.array(0.75)}, case.into, options)


def make_embedding(rng: np.random.Generator, lead: tuple[int, ...], vocabulary: int, width: int) -> Op:
    """Tokens [*lead] to y [*lead, width]; some tokens come more than once, some never."""
    tokens = rng.integers(0, max(vocabulary - 1, 1), lead)
    table = rng.standard_normal((vocabulary, width))
    into = {"table": rng.standard_normal(table.shape)}
    return Op(
        "embedding", {"table": table}, {"y": rng.standard_normal((*lead, width))}, into, {"tokens": tokens}
    )


def make_pool(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    kind: str,
    *,
    turned: int = 0,
    lengths: bool = True,
    equal: bool = False,
) -> Op:
    """x [T, B, H] to y [B, H]; `equal`: of few values, so that the largest comes more than once."""
    steps, rows, _ = shape
    x = rng.integers(0, 3, shape).astype(float) if equal else rng.standard_normal(shape)
    chosen = rng.integers(0, steps + 1, rows) if lengths else np.full(rows, steps)
    options = {"lengths": chosen, "kind": kind, "turned": turned}
    return Op("pool", {"x": x}, {"y": rng.standard_normal(shape[1:])}, {}, options)


def make_convolution(
    rng: np.random.Generator, shape: tuple[int, int, int], filters: int, width: int, *, lengths: bool = True
) -> Op:
    """x [T, B, I] to y [B, F], the largest over time of each filter over `width` steps."""
    steps, rows, inputs = shape
    shapes = {"x": shape, "weight": (filters, inputs, width), "bias": (filters,)}
    arrays = {name: rng.standard_normal(size) for name, size in shapes.items()}
    into = {name: rng.standard_normal(arrays[name].shape) for name in ("weight", "bias")}
    chosen = rng.integers(0, steps + 1, rows) if lengths else np.full(rows, steps)
    return Op("convolution", arrays, {"y": rng.standard_normal((rows, filters))}, into, {"lengths": chosen})


def make_attention(
    rng: np.random.Generator,
    shape: tuple[int, int, int, int, int],
    *,
    additive: bool = False,
    masked: float | None = None,
    scale: float = 1.0,
) -> Op:
    """q [S, B, D], k [T, B, D] and v [T, B, E] to context [S, B, E]; a share `masked` is not looked at."""
    queries, keys, rows, depth, width = shape
    shapes = {"q": (queries, rows, depth), "k": (keys, rows, depth), "v": (keys, rows, width)}
    if additive:
        shapes["energy"] = (depth,)
    inputs = {name: rng.standard_normal(size) for name, size in shapes.items()}
    mask = None if masked is None else rng.random((rows, keys)) >= masked
    into = {"energy": rng.standard_normal(depth)} if additive else {}
    cotangents = {"context": rng.standard_normal((queries, rows, width))}
    return Op("attention", inputs, cotangents, into, {"mask": mask, "scale": scale})


def make_update(rng: np.random.Generator, dtype: np.typing.DTypeLike, arrays: int) -> list[list[np.ndarray]]:
    """Parameters, gradients and buffers of an optimiser: lists of spans of odd lengths."""
    lists = [[rng.standard_normal(n).astype(dtype) for n in (1, 15, 16, 17, 0, 1000)] for _ in range(arrays)]
    return [*lists[:-1], [np.abs(a) for a in lists[-1]]] if arrays == 4 else lists


def op_functions(
    case: Op, module: ModuleType | None = None
) -> tuple[Callable[[Run], Run], Callable[[Run, Run], Run]]:
    """Forward and backward on the reference, as `checks` wants them; a mutant may replace the module."""
    m: Any = getattr(reference, case.kind) if module is None else module
    options = case.options
    if case.kind == "linear":
        return (
            lambda run: {"y": m.linear(run["x"], run["weight"], run.get("bias"))},
            lambda run, d: _named(case, m.linear_backward(d["y"], run["x"], run["weight"])._asdict()),
        )
    if case.kind == "embedding":
        return (
            lambda run: {"y": m.embedding(options["tokens"], run["table"])},
            lambda run, d: {"table": m.embedding_backward(options["tokens"], d["y"], len(run["table"]))},
        )
    if case.kind == "pool":
        return (
            lambda run: {"y": m.forward(run["x"], **options)},
            lambda run, d: {"x": m.backward(d["y"], run["x"], **options)},
        )
    if case.kind == "convolution":
        return (
            lambda run: {"y": m.forward(run["x"], run["weight"], run["bias"], **options)},
            lambda run, d: _named(
                case, m.backward(d["y"], run["x"], run["weight"], run["bias"], **options)._asdict()
            ),
        )
    if case.kind == "attention":
        return (
            lambda run: {"context": m.attention(**run, **options)[0]},
            lambda run, d: _named(case, m.backward(d["context"], **run, **options)._asdict()),
        )

    def backward(run: Run, d: Run) -> Run:
        scale = d["loss"][()]
        g = m.cross_entropy_backward(run["x"], run["weight"], run.get("bias"), **options, scale=scale)
        return _named(case, g._asdict())

    return (
        lambda run: {
            "loss": np.asarray(m.cross_entropy(run["x"], run["weight"], run.get("bias"), **options)[0])
        },
        backward,
    )


def _named(case: Op, found: Run) -> Run:
    return {name: found[name] for name in case.inputs}


def run_reference(case: Op, module: ModuleType | None = None) -> Run:
    """Outputs and gradients in longdouble, added to what the buffers held."""
    wide = case.astype(np.longdouble)
    forward, backward = op_functions(wide, module)
    found = backward(wide.inputs, wide.cotangents)
    return {**forward(wide.inputs), **{f"d {name}": a + wide.into.get(name, 0) for name, a in found.items()}}


def run_kernel(case: Op, layout: Layout = as_is) -> Run:
    """The same on the kernels."""
    inputs = {name: layout(name, a) for name, a in case.inputs.items()}
    cotangents = {name: layout(f"d{name}", a) for name, a in case.cotangents.items()}
    into = {name: a.copy() for name, a in case.into.items()}
    run = globals()[f"_{case.kind}"](inputs, cotangents, into, case.options, layout)
    return {**run, **{f"d {name}": a for name, a in into.items()}}


def _linear(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    x, weight, bias = inputs["x"], inputs["weight"], inputs.get("bias")
    y = _core.linear(x, weight, bias)
    return {"y": y, "d x": _core.linear_backward(d["y"], x, weight, into["weight"], into.get("bias"), True)}


def _embedding(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    tokens = layout("tokens", options["tokens"])
    _core.embedding_backward(tokens, d["y"], into["table"])
    return {"y": _core.embedding(tokens, inputs["table"])}


def _cross_entropy(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    dtype = inputs["x"].dtype
    arguments = (
        inputs["x"],
        inputs["weight"],
        inputs.get("bias"),
        layout("targets", options["targets"]),
        options["ignore_index"],
        options["mean"],
    )
    counts, mask = options["targets"] != options["ignore_index"], options.get("mask")
    if mask is not None:
        counts, mask = counts & mask, layout("mask", mask)
    loss, count = _core.cross_entropy(*arguments, mask)
    scale = float(d["loss"][()])
    again, counted, dx = _core.cross_entropy_grad(
        *arguments, scale, into["weight"], into.get("bias"), True, mask
    )
    assert count == counted == int(counts.sum())
    assert loss == again or (np.isnan(loss) and np.isnan(again))
    return {"loss": np.asarray(loss, dtype), "d x": dx}


def _pool(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    x, lengths = inputs["x"], layout("lengths", options["lengths"])
    arguments = (lengths, options["kind"], options["turned"], False)
    y = _core.pool(x, *arguments)
    turned = x.swapaxes(0, 1)
    assert np.array_equal(_core.pool(turned, *arguments[:-1], True), y, equal_nan=True)
    return {"y": y, "d x": _core.pool_backward(d["y"], x, y, *arguments)}


def _convolution(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    x, weight, lengths = inputs["x"], inputs["weight"], layout("lengths", options["lengths"])
    y, at = _core.convolution(x, weight, inputs["bias"], lengths)
    assert np.array_equal(at < 0, np.broadcast_to(options["lengths"][:, None] == 0, at.shape))
    frozen = {name: a.copy() for name, a in into.items()}
    rest = (d["y"], at, x, weight, lengths)
    assert _core.convolution_backward(*rest, frozen["weight"], frozen["bias"], False) is None
    dx = _core.convolution_backward(*rest, into["weight"], into["bias"], True)
    assert all(np.array_equal(into[name], a, equal_nan=True) for name, a in frozen.items())
    return {"y": y, "d x": dx}


def _attention(inputs: Run, d: Run, into: Run, options: dict[str, Any], layout: Layout) -> Run:
    mask = None if options["mask"] is None else layout("mask", options["mask"])
    arguments = (inputs["q"], inputs["k"], inputs["v"], mask, inputs.get("energy"), options["scale"])
    context, weights = _core.attention(*arguments)
    parts = _core.attention_backward(d["context"], weights, *arguments, into.get("energy"))
    return {"context": context, **dict(zip(("d q", "d k", "d v"), parts, strict=True))}


def draw(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Normal numbers in float32."""
    return rng.standard_normal(shape).astype(np.float32)
