"""Models and weights of other libraries: the only place that permutes gates.

`fastrnn.interop.onnx` writes and reads ONNX graphs, `fastrnn.interop.keras` weights as Keras has them,
`fastrnn.interop.weights` files of weights. Those of PyTorch need no conversion:
``layer.load_params(module.state_dict())``, and `fastrnn.torch` has modules.
"""

from __future__ import annotations

from typing import Any

_LAZY_MODULES = ("keras", "onnx", "weights")


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _LAZY_MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f".{name}", __name__)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY_MODULES})
