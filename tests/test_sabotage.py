"""Every check fails when something is wrong: the twins of the other tests.

A wrong copy of the reference, or a disturbed array, goes into the very function that the test calls.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import checks
import numpy as np
import ops
import pytest
import recurrent
import test_torch
from cuts import Runner
from mutants import disturbed, mutant, one_bit_off, wrong_cells
from ops import Run
from recurrent_cases import Case, make_case
from tolerances import TABLE

from fastrnn import _core, reference
from fastrnn.reference import (
    attention,
    convolution,
    cross_entropy,
    dropout,
    embedding,
    linear,
    pool,
    sequence,
    stack,
)
from fastrnn.reference import rng as counter_rng

SHAPE = (4, 3, 3, 5)
WRONG_CELLS = [
    pytest.param(name, wrong, id=f"{name}: {what}")
    for name, cell in reference.CELLS.items()
    for what, wrong in wrong_cells(cell)
]
SEQUENCES = {
    "operand of another step": (
        "products, units, saved.states[t], saved",
        "products, units, saved.states[t - 1], saved",
    ),
    "dR of one step": ("dwhole[rows] += found.weight", "dwhole[rows] = found.weight"),
    "dy of the step before": ("d[0] + dy[t]", "d[0] + dy[t - 1]"),
    "final gradient lost": ("if dstate is None else tuple(dstate)", "if True else ()"),
    "bias of one step": ("self.dbias[rows] += found.bias", "self.dbias[rows] = found.bias"),
    "new states for old": ("units, saved.states[t],", "units, saved.states[t + 1],"),
    "states after zoneout": ("saved.made[t], d)", "saved.states[t + 1], d)"),
    "nothing past the cell": ("a + b for a, b in zip(d, past", "a for a, b in zip(d, past"),
    "no mask on the way down": ("return self._dropped(found.x, matrix)", "return found.x"),
    "weights see h itself": ("read = self._dropped(operand, matrix)", "read = operand"),
}
STACKS = {
    "mask of another gap": ("else gaps[layer - 1](g.x)", "else gaps[layer - 2](g.x)"),
    "no mask on the way down": ("else gaps[layer - 1](g.x)", "else g.x"),
    "state of another layer": ("dstate is None else dstate[layer]", "dstate is None else dstate[0]"),
}
OPERATIONS: dict[str, tuple[ModuleType, str, str]] = {
    "linear": (linear, "rows.sum(axis=0)", "rows[:-1].sum(axis=0)"),
    "embedding": (
        embedding,
        "np.add.at(dtable, tokens.reshape(-1), ",
        "operator.setitem(dtable, tokens.reshape(-1), ",
    ),
    "cross_entropy": (cross_entropy, "classes] -= 1", "classes] -= 0.999"),
    "cross_entropy mask": (cross_entropy, "counted &= mask", "counted &= False & mask"),
    "cross_entropy mean": (cross_entropy, "int(counted.sum()), 1)", "counted.size, 1)"),
    "pool mean": (pool, "dy[b] / dy.dtype.type(length)", "dy[b] / dy.dtype.type(length + 1)"),
    "convolution of another step": (convolution, "t = at + j - before", "t = at + before - j"),
    "convolution bias": (convolution, "dbias[f] += dy[b, f]", "dbias[f] = dy[b, f]"),
    "attention softmax": (attention, "axis=2, keepdims=True))", "axis=2, keepdims=True) / 2)"),
    "attention energy": (attention, "energy * (1 - h * h)", "energy * (1 - h)"),
}


def fails(check: Callable[..., None], *arguments: Any) -> None:
    """The check notices."""
    with pytest.raises(AssertionError):
        check(*arguments)


def stack_on(wrong_sequence: ModuleType) -> ModuleType:
    """The stack of layers over a wrong sequence."""
    return mutant(stack, sequence=wrong_sequence)


def wrong_sequence(what: str) -> ModuleType:
    """One of the mutants above, as a stack."""
    return stack_on(mutant(sequence, *SEQUENCES[what]))


def wrong_operation(rng: np.random.Generator, what: str) -> tuple[ops.Op, ModuleType]:
    """A case, and the wrong module for it."""
    module, right, wrong = OPERATIONS[what]
    case = {
        linear: lambda: ops.make_linear(rng, (3, 2), 4, 5),
        embedding: lambda: ops.make_embedding(rng, (9, 4), 3, 4),
        pool: lambda: ops.make_pool(rng, (4, 3, 5), "mean"),
        convolution: lambda: ops.make_convolution(rng, (5, 4, 3), 4, 3, lengths=False),
        attention: lambda: ops.make_attention(rng, (2, 4, 3, 3, 2), additive=True),
        cross_entropy: lambda: ops.make_cross_entropy(rng, (9,), 3, 5, ignored=0.5, masked=0.3),
    }[module]()
    return case, mutant(module, right, wrong, operator=operator)


class TestReference:
    """Twins of test_reference."""

    @pytest.mark.parametrize(("name", "wrong"), WRONG_CELLS)
    def test_cells(self, rng: np.random.Generator, name: str, wrong: Any) -> None:
        case = make_case(rng, SHAPE, cell=name)
        self.both_fail(rng, case, recurrent.reference_functions(case, cell=wrong))

    @pytest.mark.parametrize("what", SEQUENCES)
    def test_sequences(self, rng: np.random.Generator, what: str) -> None:
        case = make_case(rng, SHAPE, noise=True)
        self.both_fail(rng, case, recurrent.reference_functions(case, wrong_sequence(what)))

    @pytest.mark.parametrize("what", STACKS)
    def test_stacks(self, rng: np.random.Generator, what: str) -> None:
        case = make_case(rng, SHAPE, layers=3, dropout=0.4)
        self.both_fail(rng, case, recurrent.reference_functions(case, mutant(stack, *STACKS[what])))

    @pytest.mark.parametrize("what", OPERATIONS)
    def test_operations(self, rng: np.random.Generator, what: str) -> None:
        case, module = wrong_operation(rng, what)
        self.both_fail(rng, case, ops.op_functions(case, module))

    def both_fail(self, rng: np.random.Generator, case: Case | ops.Op, functions: tuple) -> None:
        directions = {name: rng.standard_normal(a.shape) for name, a in case.inputs.items()}
        fails(checks.gradients_by_complex_step, *functions, case.inputs, case.cotangents)
        fails(checks.adjoint, *functions, case.inputs, case.cotangents, directions)

    def test_tokens(self, rng: np.random.Generator) -> None:
        case = make_case(rng, SHAPE, vocabulary=2)
        module, right, wrong = OPERATIONS["embedding"]
        on_wrong = stack_on(
            mutant(
                sequence,
                embedding_backward=mutant(module, right, wrong, operator=operator).embedding_backward,
            )
        )
        fails(checks.tokens_are_rows, case, lambda c: recurrent.run_reference(c, on_wrong))

    def test_philox(self) -> None:
        fails(checks.philox_is_the_published_one, mutant(counter_rng, "range(10)", "range(9)").philox)

    @pytest.mark.parametrize(
        ("right", "wrong"),
        [
            ("[:, None, None] + np.uint64(step)", "[:, None, None]"),
            ("np.arange(rows,", "rows - np.arange(rows,"),
            ("philox(key, q", "philox(0, q"),
        ],
    )
    def test_masks(self, rng: np.random.Generator, right: str, wrong: str) -> None:
        x = rng.standard_normal((6, 5, 23))
        fails(checks.mask_depends_on_position_alone, mutant(dropout, right, wrong).dropout, x)


class TestKernels:
    """Twins of test_kernels: the kernel is far from a wrong reference."""

    @pytest.mark.parametrize(("name", "wrong"), WRONG_CELLS)
    def test_cells(self, rng: np.random.Generator, dtype: np.dtype, name: str, wrong: Any) -> None:
        case = make_case(rng, SHAPE, dtype, cell=name)
        fails(checks.runs_close, recurrent.run_kernel(case), recurrent.run_reference(case, cell=wrong))

    @pytest.mark.parametrize("what", SEQUENCES)
    def test_sequences(self, rng: np.random.Generator, dtype: np.dtype, what: str) -> None:
        case = make_case(rng, SHAPE, dtype, noise=True)
        fails(
            checks.runs_close, recurrent.run_kernel(case), recurrent.run_reference(case, wrong_sequence(what))
        )

    @pytest.mark.parametrize("what", OPERATIONS)
    def test_operations(self, rng: np.random.Generator, dtype: np.dtype, what: str) -> None:
        case, module = wrong_operation(rng, what)
        case = case.astype(dtype)
        fails(checks.runs_close, ops.run_kernel(case), ops.run_reference(case, module), "product", "product")

    def test_every_array_is_compared(self, rng: np.random.Generator, dtype: np.dtype) -> None:
        run = dict(recurrent.run_kernel(make_case(rng, SHAPE, dtype)))
        checks.runs_close(run, run)
        checks.runs_same_bits(run, run)
        for name in run:
            limit = TABLE["gradient" if name.startswith("d ") else "forward"].eps
            checks.runs_close(disturbed(run, name, limit / 2), run)
            fails(checks.runs_close, disturbed(run, name, 2 * limit), run)
            fails(checks.runs_close, disturbed(run, name, np.nan), run)
            fails(checks.runs_close, {n: a for n, a in run.items() if n != name}, run)
            fails(checks.runs_same_bits, one_bit_off(run, name), run)
        fails(checks.same_bits, np.zeros(3), -np.zeros(3))
        fails(checks.same_bits, np.zeros(3), np.zeros(3, np.float32))


def nudged(run: Runner, when: Callable[[Case, Run], bool]) -> Runner:
    """A runner whose y is one bit off in its last element for some cases."""

    def runner(case: Case) -> Run:
        found = run(case)
        return one_bit_off(found, "y") if when(case, found) else found

    return runner


def forgets_what_was_there(case: Case) -> Run:
    """A runner that does not add into the gradients."""
    return recurrent.run_kernel(replace(case, into={name: 0 * a for name, a in case.into.items()}))


def swallows_nan(case: Case) -> Run:
    """A runner that makes NaN zero."""
    return {name: np.nan_to_num(a) for name, a in recurrent.run_kernel(case).items()}


@pytest.mark.usefixtures("threads")
class TestInvariance:
    """Twins of test_invariance: one bit off under some condition."""

    def test_threads(self, rng: np.random.Generator) -> None:
        case = make_case(rng, SHAPE, "float32")
        runner = nudged(recurrent.run_kernel, lambda c, r: _core.get_num_threads() == 7)
        fails(checks.threads_change_nothing, lambda: runner(case))

    def test_isas(self, rng: np.random.Generator) -> None:
        isas, before = _core.available_isas(), _core.isa()
        case = make_case(rng, SHAPE, "float32")
        runner = nudged(recurrent.run_kernel, lambda c, r: _core.isa() != isas[0])
        if len(isas) > 1:
            fails(checks.isas_agree, lambda: runner(case), tuple(isas))
        _core.use_isa(before)

    def test_rows(self, rng: np.random.Generator) -> None:
        case = make_case(rng, SHAPE, "float32")
        alone = nudged(recurrent.run_kernel, lambda c, r: c.cotangents["y"].shape[1] == 1)
        fails(checks.rows_are_independent, case, np.array([2]), alone, checks.runs_same_bits)
        last = nudged(recurrent.run_kernel, lambda c, r: True)
        fails(checks.rows_are_independent, case, np.array([1, 2, 0]), last, checks.runs_same_bits)

    def test_chunks(self, rng: np.random.Generator) -> None:
        case = make_case(rng, SHAPE, "float32")
        for steps in (1, 3):
            runner = nudged(recurrent.run_kernel, lambda c, r, n=steps: len(c.cotangents["y"]) == n)
            fails(checks.chunks_equal_the_whole, case, [1], runner, checks.runs_same_bits)
        fails(checks.chunks_equal_the_whole, case, [1], forgets_what_was_there, checks.runs_same_bits)

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_nan(self, rng: np.random.Generator, value: float) -> None:
        case = make_case(rng, SHAPE, "float32")
        runner = nudged(recurrent.run_kernel, lambda c, r: not np.isfinite(c.inputs["x"]).all())
        fails(checks.nan_stays_in_its_row, case, 0, runner, value)
        if np.isnan(value):
            fails(checks.nan_stays_in_its_row, case, 0, swallows_nan, value)

    def test_denormals(self, rng: np.random.Generator) -> None:
        case = make_case(rng, SHAPE, "float32")
        runner = nudged(recurrent.run_kernel, lambda c, r: bool(c.inputs["x"].any()))
        fails(checks.denormals_are_zeros, case, runner)


def test_install() -> None:
    source = Path(__file__).resolve().parents[1] / "fastrnn"
    fails(checks.is_installed, source, source)


@pytest.mark.peer
@pytest.mark.parametrize(("name", "wrong"), [p for p in WRONG_CELLS if p.values[0] in test_torch.CELLS])
def test_against_torch(torch: ModuleType, rng: np.random.Generator, name: str, wrong: Any) -> None:
    case = make_case(rng, SHAPE, cell=name)
    got = test_torch.run_torch(torch, case)
    fails(checks.runs_close, got, recurrent.run_reference(case, cell=wrong), "peer", "peer")
