"""The compiled extension. Arrays may be read-only, with any strides but for a contiguous last axis."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ._typing import Array

Weights = tuple[Array | None, ...]
Grads = tuple[Array | None, ...]
States = tuple[Array, ...]

class Saved:
    @property
    def used(self) -> bool: ...

class Prepared:
    def __init__(
        self,
        cell: str,
        weights: Weights,
        zone: tuple[Array | float | None, ...] | None = None,
        bfloat16: bool = False,
    ) -> None: ...
    def __call__(self, x: Array, state: States | None) -> tuple[Array, States]: ...

def isa() -> str: ...
def available_isas() -> list[str]: ...
def use_isa(name: str) -> None: ...
def get_num_threads() -> int: ...
def set_num_threads(n: int) -> None: ...
def clear_cache() -> None: ...
def trim_memory() -> None: ...
def cache_info() -> dict[str, int]: ...
def barrier_waits() -> int: ...
def compiler() -> str: ...
def openmp() -> bool: ...
def fma_peak(dtype: str, threads: int) -> float: ...
def l2_bytes() -> int: ...
def recurrent_forward(
    cell: str,
    x: Array,
    table: Array | None,
    weights: Weights,
    state: States | None,
    batch_first: bool,
    keep: bool,
    reverse: bool = False,
    y: Array | None = None,
    lengths: Array | None = None,
    drop: Array | None = None,
    zone: tuple[Array | float | None, ...] | None = None,
    side: Array | None = None,
    cells: Array | None = None,
    bfloat16: bool = False,
    held: tuple[Array, Array, Array] | None = None,
) -> tuple[Array, States, Saved | None]: ...
def recurrent_backward(
    saved: Saved,
    x: Array,
    table: Array | None,
    weights: Weights,
    state: States | None,
    y: Array,
    dy: Array | None,
    dstate: States | None,
    grads: Grads,
    dtable: Array | None,
    want_dx: bool,
    dx: Array | None = None,
    add: bool = False,
    drop: Array | None = None,
    zone: tuple[Array | float | None, ...] | None = None,
    side: Array | None = None,
    dside: Array | None = None,
    dcells: Array | None = None,
    held: tuple[tuple[Array, Array, Array], tuple[Array, Array] | None] | None = None,
) -> tuple[Array | None, States]: ...
def scan_forward(saved: Saved, blocks: int, y: Array, state: Array | None) -> Array: ...
def scan_backward(saved: Saved, blocks: int, dy: Array | None, dstate: Array | None) -> Array: ...
def take(table: Array, places: Array, to: Array) -> None: ...
def hold(
    held: Array,
    versions: Array,
    of: Array,
    backward: bool,
    lengths: tuple[Array, Array] | None = None,
) -> None: ...
def pool(x: Array, lengths: Array | None, kind: str, turned: int, batch_first: bool) -> Array: ...
def pool_backward(
    dy: Array, x: Array, y: Array, lengths: Array | None, kind: str, turned: int, batch_first: bool
) -> Array: ...
def convolution(x: Array, weight: Array, bias: Array, lengths: Array | None) -> tuple[Array, Array]: ...
def convolution_backward(
    dy: Array,
    at: Array,
    x: Array,
    weight: Array,
    lengths: Array | None,
    dweight: Array,
    dbias: Array,
    want_dx: bool,
) -> Array | None: ...
def attention(
    q: Array, k: Array, v: Array, mask: Array | None, energy: Array | None, scale: float
) -> tuple[Array, Array]: ...
def attention_backward(
    dcontext: Array,
    weights: Array,
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    energy: Array | None,
    scale: float,
    denergy: Array | None,
) -> tuple[Array, Array, Array]: ...
def cells() -> dict[str, dict[str, int]]: ...
def empty(shape: tuple[int, ...], like: Array) -> Array: ...
def explain(
    cell: str, T: int, B: int, I: int, H: int, threads: int | None = None, dtype: str = "float32", P: int = 0
) -> dict[str, Any]: ...
def dropout(x: Array, p: float, key: int, step: int, batch_first: bool) -> Array: ...
def linear(x: Array, weight: Array, bias: Array | None, bfloat16: bool = False) -> Array: ...
def linear_backward(
    dy: Array,
    x: Array,
    weight: Array,
    dweight: Array | None,
    dbias: Array | None,
    want_dx: bool,
    bfloat16: bool = False,
) -> Array | None: ...
def embedding(tokens: Array, table: Array) -> Array: ...
def embedding_backward(tokens: Array, dy: Array, dtable: Array) -> None: ...
def cross_entropy(
    x: Array,
    weight: Array,
    bias: Array | None,
    targets: Array,
    ignore_index: int,
    mean: bool,
    mask: Array | None = None,
    bfloat16: bool = False,
) -> tuple[float, int]: ...
def cross_entropy_grad(
    x: Array,
    weight: Array,
    bias: Array | None,
    targets: Array,
    ignore_index: int,
    mean: bool,
    scale: float,
    dweight: Array | None,
    dbias: Array | None,
    want_dx: bool,
    mask: Array | None = None,
    bfloat16: bool = False,
) -> tuple[float, int, Array | None]: ...
def nearest(queries: Array, vectors: Array, scale: Array | None, topn: int) -> tuple[Array, Array]: ...
def read_records(
    data: bytes | bytearray | memoryview,
    begin: int,
    end: int,
    binary: bool,
    last: bool,
    rows: Array,
    encoding: str,
    errors: str,
) -> tuple[list[str], int, str | None, int, int]: ...
def write_records(words: list[bytes], rows: Array, binary: bool) -> bytes: ...
def global_norm(grads: list[Array]) -> float: ...
def sgd(
    params: list[Array],
    grads: list[Array],
    momentum_buffers: list[Array] | None,
    lr: float,
    momentum: float,
    dampening: float,
    nesterov: bool,
    weight_decay: float,
    max_norm: float | None,
    zero_grad: bool,
    guard: bool = False,
) -> float: ...
def adam(
    params: list[Array],
    grads: list[Array],
    m: list[Array],
    v: list[Array],
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    max_norm: float | None,
    zero_grad: bool,
    guard: bool = False,
) -> float: ...
def rmsprop(
    params: list[Array],
    grads: list[Array],
    v: list[Array],
    momentum_buffers: list[Array] | None,
    lr: float,
    alpha: float,
    eps: float,
    momentum: float,
    weight_decay: float,
    max_norm: float | None,
    zero_grad: bool,
    guard: bool = False,
) -> float: ...
def adagrad(
    params: list[Array],
    grads: list[Array],
    sums: list[Array],
    lr: float,
    eps: float,
    weight_decay: float,
    max_norm: float | None,
    zero_grad: bool,
    guard: bool = False,
) -> float: ...
def clip_value(grads: list[Array], limit: float) -> None: ...
def exp(x: Array) -> Array: ...
def sigmoid(x: Array) -> Array: ...
def tanh(x: Array) -> Array: ...

SLICE: int

class InvalidUtf8(ValueError): ...

class Word2VecRun:
    def __init__(
        self,
        *,
        ids: npt.NDArray[np.int32],
        offsets: npt.NDArray[np.int64],
        types: npt.NDArray[np.int32],
        input: npt.NDArray[np.float32],
        output: npt.NDArray[np.float32] | None,
        nodes: npt.NDArray[np.float32] | None,
        alias: npt.NDArray[np.uint32] | None,
        paths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]] | None,
        locks: npt.NDArray[np.float32] | None,
        window: int,
        negative: int,
        cbow: bool,
        mean: bool,
        shrink: bool,
        shared: bool,
        deterministic: bool,
        loss: bool,
        more: npt.NDArray[np.float32] | None = None,
        more_locks: npt.NDArray[np.float32] | None = None,
        bags: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None = None,
        tags: tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]] | None = None,
        windows: bool = True,
        fixed_outputs: bool = False,
        joined: tuple[int, int, int] | None = None,
    ) -> None: ...
    def train(
        self, begin: int, end: int, key: int, rate: float, rate_per_position: float, threads: int
    ) -> tuple[float, int]: ...

GLOVE_SLICE: int

def cooccurrences(
    ids: npt.NDArray[np.int32],
    words: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    vocabulary: int,
    first: int,
    last: int,
    window: int,
    threads: int,
) -> npt.NDArray[np.int32]: ...

class GloveRun:
    def __init__(
        self,
        *,
        entries: npt.NDArray[np.int32],
        words: npt.NDArray[np.float32],
        contexts: npt.NDArray[np.float32],
        word_squares: npt.NDArray[np.float32],
        context_squares: npt.NDArray[np.float32],
        word_biases: npt.NDArray[np.float32],
        context_biases: npt.NDArray[np.float32],
        rate: float,
        most: float,
        power: float,
    ) -> None: ...
    def train(self, begin: int, end: int, start: int, step: int, threads: int) -> float: ...

class TextEncoder:
    def __init__(self, threads: int, ignore: bool) -> None: ...
    def begin(self) -> None: ...
    def feed(self, text: bytes, last: bool) -> int: ...
    def take(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int64]]: ...
    def types(self) -> tuple[bytes, npt.NDArray[np.int64]]: ...
    def counts(self) -> npt.NDArray[np.int64]: ...

def alias_table(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]: ...
def ngrams(
    words: list[bytes], min_n: int, max_n: int, buckets: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]: ...
def huffman_paths(
    counts: npt.NDArray[np.int64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]: ...
def emulate_bfloat16(emulate: bool) -> None: ...
def has_bfloat16() -> bool: ...
