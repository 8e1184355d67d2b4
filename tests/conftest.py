"""Fixtures: random numbers from a fixed seed, every instruction set in turn, other libraries."""

from __future__ import annotations

import importlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import hypothesis
import numpy as np
import pytest

from fastrnn import _core

SEED = 20240229
# An example may take any time on a busy machine.
hypothesis.settings.register_profile("fastrnn", deadline=None)
hypothesis.settings.load_profile("fastrnn")
REQUIRE_PEERS = os.environ.get("FASTRNN_REQUIRE_PEERS") == "1"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs on every instruction set whatever is forced."""
    for item in items:
        if "isa" in getattr(item, "fixturenames", ()):
            item.add_marker("every_isa")


@pytest.fixture(autouse=True, scope="session")
def heeds_ctrl_c() -> None:
    """A shell starts what it puts into the background with SIGINT ignored; commands would inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True, scope="module")
def keeps_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Free what functions of the module have cached: runs of the reference, up to a gigabyte."""
    yield
    for function in vars(request.module).values():
        if getattr(function, "__module__", None) == request.module.__name__ and hasattr(
            function, "cache_clear"
        ):
            function.cache_clear()


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator that starts afresh for every test."""
    return np.random.default_rng(SEED)


# A name with a suffix shares the kernels of the one without; what the suffix adds: test_bfloat16.py.
ISAS = tuple(name for name in _core.available_isas() if "_" not in name)


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every instruction set of this machine in turn; afterwards the one in use before comes back."""
    before = _core.isa()
    _core.use_isa(request.param)
    assert _core.isa() == request.param
    yield request.param
    _core.use_isa(before)


@pytest.fixture(params=["float32", "float64"])
def dtype(request: pytest.FixtureRequest) -> np.dtype:
    """Both element types."""
    return np.dtype(request.param)


@pytest.fixture
def emulated() -> Iterator[None]:
    """Products of bfloat16 without an instruction for them, on any processor."""
    _core.emulate_bfloat16(True)
    yield
    _core.emulate_bfloat16(False)


@pytest.fixture
def threads() -> Iterator[None]:
    """Give back the number of threads that the test leaves changed."""
    before = _core.get_num_threads()
    yield
    _core.set_num_threads(before)


@pytest.fixture
def torch() -> Iterator[ModuleType]:
    """PyTorch on one thread: absent, the test is skipped, or fails when FASTRNN_REQUIRE_PEERS=1.

    With a second thread, these small tensors take up to 150 times as long when the other core is busy.
    """
    library = peer("torch")
    before = library.get_num_threads()
    library.set_num_threads(1)
    yield library
    library.set_num_threads(before)


@pytest.fixture
def forks(threads: None, torch: ModuleType) -> None:
    """What forks of this process need: one thread in it, and torch imported before."""
    _core.set_num_threads(1)
    peer("torch.distributed")


@pytest.fixture
def gensim() -> ModuleType:
    """gensim: as above."""
    peer("gensim.models")
    return peer("gensim")


@pytest.fixture
def onnx() -> ModuleType:
    """ONNX and its runtime: as above."""
    peer("onnxruntime")
    return peer("onnx")


def checkout() -> Path:
    """The checkout that the tests lie in; where they are a copy without one, what needs it is skipped."""
    root = Path(__file__).resolve().parents[1]
    if not (root / "CMakeLists.txt").exists():
        pytest.skip("these tests are a copy without a checkout", allow_module_level=True)
    return root


def peer(name: str) -> ModuleType:
    """Import another library, or skip."""
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.skip(f"{name} is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn the skip of a peer test into a failure where peers are required."""
    report = yield
    if REQUIRE_PEERS and report.skipped and item.get_closest_marker("peer"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but FASTRNN_REQUIRE_PEERS=1: {report.longrepr}"
    return report
