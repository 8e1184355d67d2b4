"""Recurrent layers of Keras 3, on its torch backend, on our kernels.

>>> fastrnn.keras.accelerate(model)                     # those in an existing model, in place

Needs Keras and PyTorch. See ``docs/keras.md``; weights in and out are `fastrnn.interop.keras`.
"""

try:
    import keras as _keras
except ImportError as _error:
    raise ImportError("fastrnn.keras: needs Keras 3; pip install keras") from _error

if _keras.config.backend() != "torch":
    raise RuntimeError(
        "fastrnn.keras: expected Keras on its torch backend (KERAS_BACKEND=torch before its import), "
        f"got {_keras.config.backend()!r}"
    )

from fastrnn.torch import FallbackWarning as FallbackWarning
from fastrnn.torch import Report as Report

from ._accelerate import accelerate as accelerate
from ._accelerate import restore as restore
