"""What every layer is: parameters, a call for inference, and ``vjp`` for training."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import _check
from .._compute import Computing
from .parameters import Home, count, views

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .._typing import Array, Maybe, Shape
    from .summary import Summary

# Views of the home and what is made of them. A copy makes them anew: a copied view is no longer a view.
_DERIVED = frozenset({"_flat", "_gradients", "_home", "_weights", "grads", "params"})

# Methods that take arrays; those of other libraries too.
_CALLS = frozenset({"__call__", "loss", "logits", "total", "value_and_grad", "vjp"})


class Layer(Computing):
    """A function with parameters, and nothing else: no mode, no hidden state, no random generator.

    Attributes
    ----------
    params, grads : mapping of str to ndarray
        Named views into the flat buffers, in the order and with the names of PyTorch's ``state_dict``.
    flat_params, flat_grads : ndarray, [n]
        The same numbers as one contiguous span.
    dtype : dtype or None
        float32 or float64; None for a layer that takes both.
    recurrent : bool
        Calls take and return a state.

    Notes
    -----
    ``copy.deepcopy`` and pickle give a layer with buffers of its own: equal parameters, zero gradients.
    """

    recurrent: bool = False
    _draws: bool = False  # vjp needs a key
    _ragged: bool = False  # takes lengths
    params: Mapping[str, Array]
    grads: Mapping[str, Array]
    dtype: np.dtype[Any] | None
    _shapes: dict[str, Shape]
    _flat: tuple[Array, Array]
    _home: Home
    _start: int
    _weights: Any
    _gradients: Any

    def __init_subclass__(cls) -> None:
        for name in _CALLS & vars(cls).keys():
            setattr(cls, name, _check.arrays_of_others(vars(cls)[name]))

    def _declare(self, shapes: dict[str, Shape], dtype: np.dtype[Any] | None) -> None:
        """Say which parameters there are, and allocate them, once."""
        self._shapes = shapes
        self.dtype = dtype
        try:
            home = Home(count(shapes), dtype or np.dtype(np.float32))
        except (MemoryError, ValueError):  # the latter from NumPy, beyond what it can count
            sizes = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            kind = type(self).__name__
            raise MemoryError(f"{kind}: expected parameters that fit into memory, got {sizes}") from None
        self._attach(home, 0)

    def _attach(self, home: Home, start: int) -> None:
        """Take [start, start + size) of `home` as the buffers, as they are."""
        stop = start + count(self._shapes)
        self._home, self._start = home, start
        self._flat = home.params[start:stop], home.grads[start:stop]
        self.params, self.grads = views(self.flat_params, self._shapes), views(self.flat_grads, self._shapes)
        self._weights, self._gradients = self._pack(self.params), self._pack(self.grads)

    def _move(self, home: Home, start: int) -> None:
        """Move to another home, values and gradients with it."""
        old = self._home
        with old.lock:
            stop = start + self.flat_params.size
            home.params[start:stop], home.grads[start:stop] = self.flat_params, self.flat_grads
            old.version += 1  # pullbacks made before still refer to the old buffers
            old.moved = True
            self._attach(home, start)

    def _pack(self, named: Mapping[str, Array]) -> Any:
        """The arrays of `named` as the extension takes them, so that no call has to look them up."""
        return tuple(named.values())

    def _letters(self, name: str) -> str:
        """The shape of a parameter in letters, for messages."""
        return ""

    def _initialise(self, bound: float, seed: int | None) -> None:
        """Fill all parameters with U(-bound, bound), in their order."""
        draw = np.random.Generator(np.random.PCG64(_check.seed(seed)))
        self.flat_params[:] = draw.uniform(-bound, bound, self.flat_params.size)

    def _into(self, grads: Any) -> Any:
        """The arrays to add into, for what came as ``grads=``: a flat array or a mapping of names."""
        if isinstance(grads, np.ndarray):
            _check.gradient("grads", grads, self.flat_params.shape, self.flat_params.dtype)
            return self._pack(views(grads, self._shapes))
        _check.names("grads", self._shapes, grads)
        for name, shape in self._shapes.items():
            _check.gradient(f"grads[{name!r}]", grads[name], shape, self.flat_params.dtype)
        return self._pack({name: grads[name] for name in self._shapes})

    def _leaves(self, prefix: str = "") -> Iterator[tuple[str, Layer]]:
        """The layers that are made of no others, each with its name in this one."""
        yield prefix, self

    def summary(self, samples: int | None = None) -> Summary:
        """Give the shapes and numbers of all parameters, as a table to print.

        Parameters
        ----------
        samples : int, optional
            What the model is to learn from: tokens, steps or sequences, whichever have a target each. The
            summary has their number for each parameter: far below one, a model can learn its data by heart.

        Raises
        ------
        ValueError, TypeError
            `samples` is no int >= 0.
        """
        from .summary import summary

        return summary(self, samples)

    @property
    def flat_params(self) -> Array:
        """All parameters as one span, [n]; write into it, and call `touch`."""
        return self._flat[0]

    @flat_params.setter
    def flat_params(self, value: Array) -> None:
        self._same_span("flat_params", value, self._flat[0])

    @property
    def flat_grads(self) -> Array:
        """All gradients as one span, [n]."""
        return self._flat[1]

    @flat_grads.setter
    def flat_grads(self, value: Array) -> None:
        self._same_span("flat_grads", value, self._flat[1])

    def _same_span(self, name: str, value: Any, own: Array) -> None:
        """Let ``layer.flat_grads *= 2`` be; another array would have no part in what the layer does."""
        if value is not own:
            raise AttributeError(f"{name}: expected its own array, got another; use layer.{name}[:] = ...")

    @property
    def version(self) -> int:
        """Counts the changes of the parameters, or of those they share a buffer with."""
        return self._home.version

    def touch(self) -> None:
        """Say that the parameters have changed, so that pullbacks made before raise.

        Optimisers and ``load_params`` do this by themselves; call it after writing into ``params`` by hand.
        """
        with self._home.lock:
            self._home.version += 1

    def zero_grad(self) -> None:
        """Set all gradients to zero."""
        with self._home.lock:
            self.flat_grads.fill(0)

    def load_params(self, params: Mapping[str, Any]) -> None:
        """Copy parameters in, all or none.

        Parameters
        ----------
        params : mapping of str to array
            The names of ``self.params`` exactly, in any order: arrays of the layer's dtype, or CPU tensors,
            as in PyTorch's ``state_dict``.

        Raises
        ------
        ValueError
            A name is missing or unexpected, or a shape differs.
        TypeError
            A dtype differs, or something is no array.
        """
        _check.names("params", self._shapes, params)
        arrays = {}
        for name, shape in self._shapes.items():
            value = params[name]
            other = hasattr(value, "__array__") and not getattr(value, "requires_grad", False)
            value = np.asarray(value) if other else _check.foreign(name, value)
            value = _check.array(name, value, shape, self.flat_params.dtype, self._letters(name))
            arrays[name] = value.copy() if np.may_share_memory(value, self.flat_params) else value
        with self._home.lock:
            for name, value in arrays.items():
                self.params[name][...] = value
            self._home.version += 1

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _DERIVED}
        return {**state, "_values": self.flat_params.copy()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        values = state.pop("_values")
        self.__dict__.update(state)
        self._attach(Home(values.size, values.dtype), 0)
        self.flat_params[:] = values

    def _describe(self) -> str:
        return ", ".join(f"{name}: {shape}" for name, shape in self._shapes.items())

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._describe()})"


class Once:
    """What a pullback is: usable once, and only while the parameters are those of its forward pass."""

    __slots__ = ("_home", "_kept", "_layer", "_version")

    def __init_subclass__(cls) -> None:
        if "__call__" in vars(cls):
            call: Any = vars(cls)["__call__"]

            names = call.__code__.co_varnames[1 : call.__code__.co_argcount]

            @functools.wraps(call)
            def run(self: Any, *args: Any, **options: Any) -> Any:
                if options or (args and type(args[-1]) is not np.ndarray):
                    known = [_check.foreign(*pair) for pair in zip(names, args, strict=False)]
                    args = (*known, *args[len(names) :])
                    options = {name: _check.foreign(name, value) for name, value in options.items()}
                return call(self, *args, **options)

            cls.__call__ = run  # type: ignore[method-assign]

    def __init__(self, layer: Any, *kept: Any) -> None:
        self._layer = layer
        self._home = layer._home
        self._version = layer._home.version
        self._kept = [kept]

    def _peek(self) -> Any:
        """What forward kept; raises if it may not be used."""
        if self._home.version != self._version:
            raise RuntimeError(
                "pullback: expected the parameters of its forward pass, got changed ones; call vjp again"
            )
        if not self._kept:
            raise RuntimeError("pullback: expected one call, got a second; call vjp again")
        return self._kept[0]

    def consume(self, dy: Array, grads: Any = None) -> None:
        """Add the parameters' gradients, as a call does without dx; dy belongs to the callee from now on."""
        call: Any = self
        call(dy, grads=grads, want_dx=False)

    def _run_once(self, function: Any) -> Any:
        """``function(*kept)``, which refuses arguments before it writes anything: then all is as before."""
        kept = self._take()
        try:
            return function(*kept)
        except (TypeError, ValueError):
            self._kept.append(kept)
            raise

    def _take(self) -> Any:
        """Give out what forward kept, and forget it."""
        kept = self._peek()
        try:
            self._kept.pop()  # atomic: of two threads, one gets it
        except IndexError:
            self._peek()
        return kept


class OnceAdding(Once):
    """A pullback that adds the gradients by the parameters of its layer; a subclass has ``_backward``."""

    __slots__ = ()

    def __call__(self, dy: Array, grads: Any = None, *, want_dx: bool = True) -> Maybe:
        """Give dx, and add the gradients by the parameters into those of the layer.

        Parameters
        ----------
        dy : ndarray like y
        grads : ndarray like ``layer.flat_grads``, or mapping like ``layer.grads``, optional
            Add into this instead; no lock is taken.
        want_dx : bool
            Form the gradient by x; a first layer need not.

        Returns
        -------
        ndarray like x, or None if not wanted

        Raises
        ------
        RuntimeError
            Called before, or the parameters have changed since ``vjp``.
        """
        if grads is not None:
            return self._backward(dy, self._layer._into(grads), want_dx)
        with self._home.lock:
            return self._backward(dy, self._layer._gradients, want_dx)

    def _backward(self, dy: Array, into: Any, want_dx: bool) -> Array | None:
        """Add into the arrays of `into`, and give dx."""
        raise NotImplementedError
