"""What optimisers share: groups, spans, clipping, saving."""

from __future__ import annotations

import math
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import numpy as np

from . import _check, _core
from .layers.base import Layer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Optimizer:
    """What the optimisers share: groups, spans, clipping, saving.

    Attributes
    ----------
    lr : float
        The learning rate of all groups that name none of their own; may be set between steps.
    group_scale : float
        What rates of groups that name their own are multiplied by: a Trainer sets it to the share of the
        first rate that its schedule is at. It is not saved.
    groups : list of dict
        ``params``, the names, and the options in which the group differs from the optimiser.
    steps : int
        Steps done.
    """

    _buffers: tuple[str, ...] = ()  # the names of the arrays of state, each like model.flat_params

    def __init__(
        self,
        model: Layer,
        options: dict[str, Any],
        groups: Iterable[Mapping[str, Any]],
        frozen: Sequence[str],
    ) -> None:
        if not isinstance(model, Layer):
            raise TypeError(f"model: expected a layer, got {_check.describe(model)}")
        if not model._shapes:
            raise ValueError("model: expected a layer with parameters, got one without")
        self.model = model
        self.options = {name: self._option(name, value) for name, value in options.items()}
        self._validate(self.options)
        self.steps, self.group_scale = 0, 1.0
        self.groups: list[dict[str, Any]] = []
        free = list(model._shapes)
        self.frozen = self._claim("frozen", frozen, free)
        for place, group in enumerate(groups):
            self.groups.append(self._group(f"groups[{place}]", group, free))
        if free:
            self.groups.append({"params": free})
        self.state = {name: np.zeros_like(model.flat_params) for name in self._buffers}
        self._spans: list[Any] = []
        self._home: Any = None

    @property
    def lr(self) -> float:
        return float(self.options["lr"])

    @lr.setter
    def lr(self, value: float) -> None:
        self.options["lr"] = self._option("lr", value)

    def step(self, max_norm: float | None = None, zero_grad: bool = True, guard: bool = False) -> float:
        """Update the parameters from the gradients.

        Parameters
        ----------
        max_norm : float, optional
            Scale all gradients by min(1, max_norm / (norm + 1e-6)), as ``torch.nn.utils.clip_grad_norm_``;
            norm is that of all gradients that are not frozen.
        zero_grad : bool
            Set the gradients to zero in the same pass, frozen ones too.
        guard : bool
            Where the norm is not finite, change nothing, so that the gradients can be looked at. The step is
            not counted.

        Returns
        -------
        float
            The norm before clipping; nan without max_norm and guard.
        """
        if max_norm is not None:
            max_norm = _check.real("max_norm", max_norm)
        elif guard:
            max_norm = math.inf  # for the norm alone
        model = self.model
        with model._home.lock:
            if self._home is not model._home:
                self._cut()
            limits, norm = self._limits(max_norm)
            if guard and limits[1:] and not math.isfinite(norm) and max_norm is not None:
                return norm
            self.steps += 1
            for group, spans, limit in zip(self.groups, self._spans, limits, strict=True):
                found = self._update(self._options_of(group), spans, limit, zero_grad, guard)
                norm = found if len(limits) == 1 else norm
            if guard and max_norm is not None and not math.isfinite(norm):
                self.steps -= 1
                return norm
            if zero_grad and self.frozen:
                for name in self.frozen:
                    model.grads[name].fill(0)
            model._home.version += 1
        return norm

    def _options_of(self, group: dict[str, Any]) -> dict[str, Any]:
        own = {"lr": group["lr"] * self.group_scale} if "lr" in group else {}
        return {**self.options, **group, **own}

    def state_dict(self) -> dict[str, Any]:
        """Give all that ``load_state_dict`` needs: numbers, names, and the arrays themselves, not copies."""
        return {
            "kind": type(self).__name__,
            "steps": self.steps,
            "options": dict(self.options),
            "groups": [dict(group) for group in self.groups],
            "frozen": list(self.frozen),
            "state": dict(self.state),
        }

    def load_state_dict(self, tree: Mapping[str, Any]) -> None:
        """Take over what ``state_dict`` gave, all or nothing.

        Raises
        ------
        ValueError, TypeError
            It is that of another kind of optimiser, of another model or of other groups.
        """
        _check.names("state_dict", ("kind", "steps", "options", "groups", "frozen", "state"), tree)
        if tree["kind"] != type(self).__name__:
            got = _check.describe(tree["kind"])
            raise ValueError(f"state_dict: expected kind {type(self).__name__!r}, got {got}")
        steps = _check.integer("steps", tree["steps"], 0)
        _check.names("options", self.options, tree["options"])
        options = {name: self._option(name, tree["options"][name]) for name in self.options}
        self._validate(options)
        if list(tree["frozen"]) != self.frozen:
            raise ValueError(f"frozen: expected {self.frozen}, got {list(tree['frozen'])}")
        mine = [group["params"] for group in self.groups]
        theirs = [list(group["params"]) for group in tree["groups"]]
        if mine != theirs:
            raise ValueError(f"groups: expected the parameters {mine}, got {theirs}")
        groups = [
            self._group(f"groups[{place}]", group, list(group["params"]))
            for place, group in enumerate(tree["groups"])
        ]
        _check.names("state", self.state, tree["state"])
        flat = self.model.flat_params
        arrays = {
            name: _check.array(name, tree["state"][name], flat.shape, flat.dtype) for name in self.state
        }
        for name, value in arrays.items():
            self.state[name][:] = value
        self.steps, self.options, self.groups = steps, options, groups

    def _update(
        self, options: dict[str, Any], spans: Any, max_norm: float | None, zero_grad: bool, guard: bool
    ) -> float:
        raise NotImplementedError

    def _option(self, name: str, value: Any) -> Any:
        """A valid option."""
        if name == "nesterov":
            return _check.flag(name, value)
        if name in ("beta1", "beta2", "alpha"):
            return _check.real(name, value, 0.0, 1.0)
        return _check.real(name, value)

    def _validate(self, options: dict[str, Any]) -> None:
        """Raise if options do not go together."""

    def _group(self, where: str, group: Mapping[str, Any], free: list[str]) -> dict[str, Any]:
        """A valid group; takes its names out of `free`."""
        if not hasattr(group, "keys") or "params" not in group:
            raise TypeError(f"{where}: expected a dict with 'params', got {_check.describe(group)}")
        made: dict[str, Any] = {"params": self._claim(f"{where}: params", group["params"], free)}
        for name, value in group.items():
            if name == "params":
                continue
            if name not in self.options:
                raise ValueError(f"{where}: expected options out of {', '.join(self.options)}, got {name!r}")
            made[name] = self._option(name, value)
        self._validate({**self.options, **made})
        return made

    def _claim(self, where: str, patterns: Sequence[str], free: list[str]) -> list[str]:
        """The names that match, in the model's order; takes them out of `free`."""
        if isinstance(patterns, str):
            raise TypeError(f"{where}: expected a list of names, got {patterns!r}")
        claimed: set[str] = set()
        for pattern in patterns:
            found = [name for name in free if fnmatchcase(name, pattern)]
            if not found and pattern not in claimed:
                raise ValueError(
                    f"{where}: expected names of parameters that no other group has, got {pattern!r}"
                )
            claimed.update(found)
        names = [name for name in free if name in claimed]
        free[:] = [name for name in free if name not in claimed]
        return names

    def _cut(self) -> None:
        """The spans of each group: runs of its parameters that lie side by side, so a whole model is one."""
        model, places, start = self.model, {}, 0
        for name in model._shapes:
            places[name] = (start, start + model.params[name].size)
            start = places[name][1]
        self._spans = []
        for group in self.groups:
            runs: list[list[int]] = []
            for begin, end in (places[name] for name in group["params"]):
                if runs and runs[-1][1] == begin:
                    runs[-1][1] = end
                else:
                    runs.append([begin, end])
            slices = [slice(*run) for run in runs]
            buffers = [[self.state[name][part] for part in slices] for name in self._buffers]
            params, grads = (
                [model.flat_params[part] for part in slices],
                [model.flat_grads[part] for part in slices],
            )
            self._spans.append((params, grads, buffers))
        self._home = model._home

    def _limits(self, max_norm: float | None) -> tuple[list[float | None], float]:
        """What to clip the norm of each group to, so that the norm of all together becomes max_norm."""
        if max_norm is None or len(self.groups) == 1:
            return [max_norm] * len(self.groups), math.nan
        norms = [_core.global_norm(grads) for _, grads, _ in self._spans]
        norm = math.hypot(*norms)
        scale = max_norm / (norm + 1e-6)
        if scale >= 1:
            return [None] * len(norms), norm
        return [scale * (part + 1e-6) for part in norms], norm

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_spans": [], "_home": None}
