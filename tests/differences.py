"""Gradients of models by central differences in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def check(model: Any, x: Any, targets: Any, key: int = 7, places: int = 3) -> None:
    """Some places of every parameter, after random values in all of them; dropout under one key."""
    draw = np.random.default_rng(3)
    model.flat_params[:] = draw.normal(0, 0.4, model.flat_params.size)
    model.touch()
    model.zero_grad()
    model.value_and_grad(x, targets, key=key)
    gradients = {name: found.copy() for name, found in model.grads.items()}
    for name, values in model.params.items():
        found = gradients[name]
        for place in draw.choice(values.size, min(places, values.size), replace=False):
            before, ends = values.flat[place], []
            for change in (1e-6, -1e-6):
                values.flat[place] = before + change
                model.touch()
                ends.append(model.value_and_grad(x, targets, key=key)[0])
            values.flat[place] = before
            slope = (ends[0] - ends[1]) / 2e-6
            assert slope == pytest.approx(found.flat[place], rel=2e-5, abs=1e-8), name
