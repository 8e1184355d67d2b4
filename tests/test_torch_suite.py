"""PyTorch's own tests of nn.LSTM, GRU and RNN on CPUs, run on our classes.

Inputs, references and error inputs are those that torch ships in ``torch.testing._internal.common_modules``
(which needs expecttest); what is done with them is what ``test/test_modules.py`` of its repository does. The
rest are the cases of ``test/test_nn.py`` and ``test/nn/`` that concern these layers; they are not shipped,
and so written here.
"""

from __future__ import annotations

import copy
import functools
import io
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import checks
import pytest

pytestmark = [pytest.mark.peer, pytest.mark.filterwarnings("ignore")]
KINDS = ("LSTM", "GRU", "RNN")


@pytest.fixture
def database(torch: ModuleType) -> dict[str, Any]:
    """What torch knows of its three modules; importing it seeds and switches things, which we undo."""
    import importlib

    before = torch.get_default_dtype(), torch.backends.disable_global_flags
    modules = importlib.import_module("torch.testing._internal.common_modules")
    torch.set_default_dtype(before[0])
    return {info.name.removeprefix("nn."): info for info in modules.module_db}


def samples(
    torch: ModuleType, database: Any, kind: str, dtype: Any, training: bool, **more: Any
) -> Iterator[Any]:
    """Our layer, torch's with the same parameters, and the sample."""
    import fastrnn.torch

    info = database[kind]
    options = {"device": "cpu", "dtype": dtype, "requires_grad": True, "training": training} | more
    found = list(info.module_inputs_func(info, **options))
    assert len(found) >= 8
    for sample in found:
        words = sample.constructor_input
        theirs = getattr(torch.nn, kind)(*words.args, **words.kwargs, dtype=dtype).train(training)
        ours = getattr(fastrnn.torch, kind)(*words.args, **words.kwargs, dtype=dtype).train(training)
        ours.load_state_dict(theirs.state_dict())
        yield ours, theirs, sample


def tensors(torch: ModuleType, value: Any) -> list[Any]:
    """All tensors in nested tuples."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, torch.nn.utils.rnn.PackedSequence):
        return [value.data]
    return [t for part in value or () for t in tensors(torch, part)]


def equal(torch: ModuleType, got: Any, want: Any) -> None:
    for a, b in zip(tensors(torch, got), tensors(torch, want), strict=True):
        checks.close(a.detach().numpy(), b.detach().numpy(), "peer")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_forward(
    torch: ModuleType, database: Any, kind: str, training: bool, dtype: Any, packed: bool
) -> None:
    more = {"with_packed_sequence": packed} if kind != "LSTM" else {}
    dtype = getattr(torch, dtype.name)
    for ours, theirs, sample in samples(torch, database, kind, dtype, training, **more):
        words = sample.forward_input
        found = ours(*words.args, **words.kwargs)
        equal(torch, found, theirs(*words.args, **words.kwargs))
        if sample.reference_fn is not None and not isinstance(found[0], torch.nn.utils.rnn.PackedSequence):
            args = copy.deepcopy((words.args, words.kwargs))
            equal(torch, found, sample.reference_fn(ours, *args[0], **args[1]))


@pytest.mark.parametrize("kind", KINDS)
def test_grad_and_gradgrad(torch: ModuleType, database: Any, kind: str) -> None:
    for ours, _, sample in samples(torch, database, kind, torch.float64, True):
        words = sample.forward_input
        inputs = tensors(torch, words.args)
        params = list(ours.parameters())

        def call(*leaves: Any, ours: Any = ours, words: Any = words) -> Any:
            replacements = iter(leaves)

            def place(value: Any) -> Any:
                if isinstance(value, torch.Tensor):
                    return next(replacements)
                return tuple(place(part) for part in value)

            return tuple(tensors(torch, ours(*place(words.args), **words.kwargs)))

        assert torch.autograd.gradcheck(call, (*inputs, *params))
        # Along random directions, as PyTorch's own; every element, here 136 s, in test_torch_operators.
        assert torch.autograd.gradgradcheck(call, (*inputs, *params), fast_mode=True)


@pytest.mark.parametrize("kind", KINDS)
def test_non_contiguous_tensors(torch: ModuleType, database: Any, kind: str) -> None:
    from torch.testing._internal.common_utils import noncontiguous_like

    for ours, theirs, sample in samples(torch, database, kind, torch.float64, False):
        words = sample.forward_input
        want = tensors(torch, theirs(*words.args))
        wanted = torch.autograd.grad(sum(t.sum() for t in want), tensors(torch, words.args))

        def scatter(value: Any) -> Any:
            if isinstance(value, torch.Tensor):
                return noncontiguous_like(value).detach().requires_grad_()
            return tuple(scatter(part) for part in value)

        args = scatter(words.args)
        got = tensors(torch, ours(*args))
        equal(torch, got, want)
        equal(torch, torch.autograd.grad(sum(t.sum() for t in got), tensors(torch, args)), wanted)


@pytest.mark.parametrize("kind", KINDS)
def test_pickle_repr_and_modes(torch: ModuleType, database: Any, kind: str) -> None:
    for ours, theirs, sample in samples(torch, database, kind, torch.float32, True):
        words, file = sample.forward_input, io.BytesIO()
        torch.save(ours, file)
        file.seek(0)
        other = torch.load(file, weights_only=False)
        equal(torch, other(*words.args), ours(*words.args))
        assert repr(ours) == repr(theirs)
        assert not ours.eval().training
        assert ours.train().training


@pytest.mark.parametrize("kind", KINDS)
def test_error_inputs(torch: ModuleType, database: Any, kind: str) -> None:
    import fastrnn.torch

    info = database[kind]
    options = {"device": "cpu", "dtype": torch.float32, "requires_grad": False, "training": True}
    found = list(info.module_error_inputs_func(info, **options))
    assert found
    for case in found:
        sample = case.module_error_input
        words = sample.constructor_input
        if "CONSTRUCTION" in case.error_on.name:
            with pytest.raises(case.error_type, match=case.error_regex):
                getattr(fastrnn.torch, kind)(*words.args, **words.kwargs)
            continue
        args = sample.forward_input
        layer, other = (
            getattr(part, kind)(*words.args, **words.kwargs) for part in (fastrnn.torch, torch.nn)
        )
        with pytest.raises(case.error_type, match=case.error_regex) as want:
            other(*args.args, **args.kwargs)
        with pytest.raises(case.error_type, match=case.error_regex) as got:
            layer(*args.args, **args.kwargs)
        assert str(got.value) == str(want.value)


class TestNN:
    """Cases of test_nn.py and its folder."""

    def make(self, kind: str, *args: Any, **options: Any) -> Any:
        import fastrnn.torch

        return getattr(fastrnn.torch, kind)(*args, **options)

    @pytest.mark.parametrize("kind", KINDS)
    def test_initial_hidden_state(self, torch: ModuleType, kind: str) -> None:
        layer = self.make(kind, 30, 20, 2)
        x, hx = torch.randn(10, 32, 30), torch.zeros(2, 32, 20)
        state = (hx, hx.clone()) if kind == "LSTM" else hx
        equal(torch, layer(x), layer(x, state))

    @pytest.mark.parametrize("kind", KINDS)
    def test_weight_norm(self, torch: ModuleType, kind: str) -> None:
        layer = self.make(kind, 32, 32, num_layers=2)
        x = torch.randn(5, 3, 32)
        want = layer(x)
        for name in ("weight_hh_l0", "weight_ih_l1"):
            torch.nn.utils.parametrizations.weight_norm(layer, name)
        equal(torch, layer(x), want)
        layer(x)[0].sum().backward()
        assert layer.parametrizations.weight_hh_l0.original1.grad is not None

    @pytest.mark.parametrize("kind", KINDS)
    def test_weights_that_are_drawn(self, torch: ModuleType, kind: str) -> None:
        """DropConnect: one mask for each call, and torch's own."""
        parametrize = torch.nn.utils.parametrize
        found = []
        for make in (getattr(torch.nn, kind), functools.partial(self.make, kind)):
            torch.manual_seed(0)
            layer = make(8, 16)
            parametrize.register_parametrization(layer, "weight_hh_l0", torch.nn.Dropout(0.5))
            y, state = layer(torch.randn(5, 3, 8))
            found.append((y, state, torch.rand(3)))
        equal(torch, *found)

    @pytest.mark.parametrize("kind", KINDS)
    def test_old_weight_norm_and_pruning(self, torch: ModuleType, kind: str) -> None:
        from torch.nn.utils import prune

        layer = self.make(kind, 32, 32, num_layers=2)
        x = torch.randn(5, 3, 32)
        want = layer(x)
        torch.nn.utils.weight_norm(layer, "weight_hh_l0")
        equal(torch, layer(x), want)
        torch.nn.utils.remove_weight_norm(layer, "weight_hh_l0")
        pruned = prune.l1_unstructured(layer, name="weight_ih_l0", amount=0.5)
        layer(x)[0].sum().backward()
        assert (pruned.weight_ih_l0 == 0).float().mean() == 0.5

    def test_nonlinearity(self, torch: ModuleType) -> None:
        assert self.make("RNN", 1, 10).nonlinearity == "tanh"
        relu = self.make("RNN", 1, 10, nonlinearity="relu")
        assert (relu(torch.randn(5, 3, 1))[0] >= 0).all()
        with pytest.raises(ValueError, match="Unknown nonlinearity 'garbage'"):
            self.make("RNN", 1, 10, nonlinearity="garbage")
        assert self.make("RNN", 1, 10, 1, "relu", True, True).batch_first

    def test_projections(self, torch: ModuleType) -> None:
        for size in (-1, 10, 11):
            with pytest.raises(ValueError, match="proj_size"):
                self.make("LSTM", 1, 10, proj_size=size)
        for kind in ("GRU", "RNN"):
            with pytest.raises(ValueError, match="proj_size argument is only supported for LSTM"):
                self.make(kind, 1, 10, proj_size=3)

    @pytest.mark.parametrize("kind", KINDS)
    def test_input_size_zero(self, torch: ModuleType, kind: str) -> None:
        with pytest.raises(ValueError, match="input_size must be greater than zero"):
            self.make(kind, 0, 4)

    @pytest.mark.parametrize("dropout", [0.0, 1.0])
    @pytest.mark.parametrize("train", [True, False])
    def test_dropout_of_nothing_and_all(self, torch: ModuleType, dropout: float, train: bool) -> None:
        layer = self.make("RNN", 10, 1000, 2, bias=False, dropout=dropout, nonlinearity="relu").train(train)
        for p in layer.parameters():
            torch.nn.init.constant_(p, 1.0)
        y, h = layer(torch.ones(1, 1, 10), torch.zeros(2, 1, 1000))
        assert (y == (0 if dropout == 1 and train else 10000)).all()
        assert (h[0] == 10).all()

    def test_dropout_that_changes(self, torch: ModuleType) -> None:
        layer = self.make("RNN", 100, 100, 2, dropout=0.0, nonlinearity="relu")
        x = torch.rand(3, 2, 100)
        previous = None
        for p in (0.0, 0.5, 0.0, 0.7, 0.2, 1.0, 0.2, 0.0):
            layer.dropout = p
            first, second = layer(x), layer(x)
            same = torch.equal(first[0], second[0])
            assert same == (p in (0.0, 1.0))
            if p == 0.0:
                assert previous is None or torch.equal(first[0], previous)
                previous = first[0]

    @pytest.mark.parametrize("kind", KINDS)
    def test_hidden_state_of_packed_single_steps(self, torch: ModuleType, kind: str) -> None:
        rnn = torch.nn.utils.rnn
        layer, x = self.make(kind, 3, 5), torch.randn(1, 4, 3)
        packed = rnn.pack_padded_sequence(x, [1, 1, 1, 1])
        equal(torch, layer(packed)[1], layer(x)[1])

    @pytest.mark.parametrize("kind", KINDS)
    def test_no_flattening_after_a_parameter_moved(self, torch: ModuleType, kind: str) -> None:
        layer = self.make(kind, 3, 5)
        x = torch.randn(4, 2, 3)
        layer.weight_hh_l0 = torch.nn.Parameter(2 * layer.weight_hh_l0.detach())
        theirs = getattr(torch.nn, kind)(3, 5)
        theirs.load_state_dict(layer.state_dict())
        equal(torch, layer(x), theirs(x))
        equal(torch, layer.double()(x.double()), theirs.double()(x.double()))
