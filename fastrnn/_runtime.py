"""What a process can ask and set: instruction set, threads, memory."""

from __future__ import annotations

from . import _check, _core

_MOST_THREADS = 1024


def use_isa(name: str) -> None:
    """Run all kernels on another instruction set, see `available_isas`.

    ``"sse4"``, ``"avx2"``, ``"avx512"``, ``"avx512_bf16"`` and ``"avx512_amx"`` (the same with an instruction
    for bfloat16) or ``"neon"``. Results of AVX2 and AVX-512 are the same in every bit. The environment
    variable ``FASTRNN_ISA`` does this at import.

    Raises
    ------
    ValueError
        It is unknown, or this machine does not have it.
    """
    if not isinstance(name, str):
        raise TypeError(f"name: expected a str, got {_check.describe(name)}")
    _core.use_isa(name)


def set_num_threads(n: int) -> None:
    """Use at most `n` threads, from any Python thread of the process; small work uses fewer by itself.

    Without this, the number is that of the processors that the process may run on, or ``OMP_NUM_THREADS``.
    """
    _core.set_num_threads(_check.integer("n", n, 1, _MOST_THREADS))


def fma_peak(dtype: str = "float32", threads: int | None = None) -> float:
    """Measure, in 50 ms, how many GFLOP/s fused multiply-adds alone reach on this machine.

    Parameters
    ----------
    dtype : {"float32", "float64", "bfloat16"}
        bfloat16: of its dot-product instruction; 0 where there is none.
    threads : int, optional
        By default as many as calls may use.
    """
    count = (
        _core.get_num_threads() if threads is None else _check.integer("threads", threads, 1, _MOST_THREADS)
    )
    return _core.fma_peak(dtype if dtype == "bfloat16" else str(_check.dtype("dtype", dtype)), count)
