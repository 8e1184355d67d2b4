"""Drop-in layers for PyTorch on CPUs: torch.nn's LSTM, GRU and RNN on our kernels.

>>> layer = fastrnn.torch.LSTM(40, 128, num_layers=2)   # arguments, parameters, answers of torch.nn.LSTM
>>> fastrnn.torch.accelerate(model)                     # or those in an existing model, in place

Needs PyTorch: ``pip install 'fastrnn[torch]'``. See ``docs/torch.md``.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError as _error:
    raise ImportError("fastrnn.torch: needs PyTorch; pip install 'fastrnn[torch]'") from _error

from . import cells as cells
from ._accelerate import Report as Report
from ._accelerate import accelerate as accelerate
from ._accelerate import compile as compile
from ._accelerate import restore as restore
from ._fallback import FallbackWarning as FallbackWarning
from ._loss import linear_cross_entropy as linear_cross_entropy
from ._modules import GRU as GRU
from ._modules import LSTM as LSTM
from ._modules import RNN as RNN
