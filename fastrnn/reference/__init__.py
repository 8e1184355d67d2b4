"""The kernels again, in NumPy: slow, short and meant to be read.

Each file mirrors the file of the same name in ``csrc/kernels`` and states the formula that the kernel
computes. All of it is generic over the dtype: float32, float64, longdouble, and complex, so that a derivative
can be taken by a complex step (`fastrnn.reference.testing.complex_step`). For that reason nothing here takes
an absolute value, and a comparison looks at the real part alone.

Arrays are time-major: ``x`` is [T, B, I], ``y`` is [T, B, H].
"""

from . import (
    attention,
    clockwork,
    convolution,
    cross_entropy,
    dropout,
    embedding,
    glove,
    hold,
    linear,
    math,
    nearest,
    norm,
    optim,
    pool,
    rng,
    scan,
    scrn,
    sequence,
    stack,
    state_noise,
    testing,
    word2vec,
    word2vec_train,
    word2vec_windows,
)
from .cells import CELLS

__all__ = [
    "CELLS",
    "attention",
    "clockwork",
    "convolution",
    "cross_entropy",
    "dropout",
    "embedding",
    "glove",
    "hold",
    "linear",
    "math",
    "nearest",
    "norm",
    "optim",
    "pool",
    "rng",
    "scan",
    "scrn",
    "sequence",
    "stack",
    "state_noise",
    "testing",
    "word2vec",
    "word2vec_train",
    "word2vec_windows",
]
