"""Fixtures of the benchmarks: `paired` measures all contenders once, each test reports one of them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from paired import OURS, Result, clock, geometric_mean, play_back

from fastrnn import _core

REQUIRE_PEERS = os.environ.get("FASTRNN_REQUIRE_PEERS") == "1"
_measured: dict[str, Result] = {}

Paired = Callable[[str, str, Callable[[], Result]], Result]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every benchmark plays back times that were measured in rounds."""
    for item in items:
        if "paired" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.benchmark(timer=clock))


@pytest.fixture
def once(request: pytest.FixtureRequest) -> bool:
    """Whether one round is enough: under --benchmark-disable only the answers count."""
    return bool(request.config.getoption("benchmark_disable"))


@pytest.fixture
def paired(benchmark: Any) -> Paired:
    """``paired(group, contender, measure)``: measure the group, once, and report this contender of it."""

    def report(group: str, contender: str, measure: Callable[[], Result]) -> Result:
        if group not in _measured:
            _measured[group] = measure()
        result = _measured[group]
        benchmark.group = group
        benchmark.extra_info.update(result.extra_info(contender), contender=contender)
        play_back(benchmark, result.seconds[contender])
        return result

    return report


@pytest.fixture
def isa(request: pytest.FixtureRequest) -> Iterator[str]:
    """One instruction set, by name; afterwards the one in use before comes back."""
    before = _core.isa()
    _core.use_isa(request.param)
    yield request.param
    _core.use_isa(before)


@pytest.fixture
def torch() -> Any:
    """PyTorch: absent, the benchmark is skipped, or fails when FASTRNN_REQUIRE_PEERS=1."""
    try:
        return importlib.import_module("torch")
    except ImportError:
        pytest.skip("torch is not installed")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Turn the skip of a benchmark whose peer is missing into a failure where peers are required.

    What has a ``skipif`` is skipped for what the machine lacks.
    """
    report = yield
    peer = "torch" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("skipif")
    if REQUIRE_PEERS and report.skipped and peer:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but FASTRNN_REQUIRE_PEERS=1: {report.longrepr}"
    return report


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the ratios; and for each family of groups their geometric mean and the least."""
    if not _measured:
        return
    terminalreporter.section("peer / fastrnn: median [95 % interval] of the ratio by round")
    line = "{:44} {:10} {:>10} {:>22} {:>9} {:>8}".format
    terminalreporter.write_line(line("group", "peer", "ours, ms", "peer / fastrnn", "GFLOP/s", "of peak"))
    families: dict[tuple[str, str], list[float]] = {}
    for group, result in _measured.items():
        own = result.extra_info(OURS)
        speed, share = own.get("gflops"), own.get("share_of_peak")
        for peer in (name for name in result.seconds if name != OURS):
            theirs = result.extra_info(peer)
            low, high = theirs["ratio_95"]
            families.setdefault((group.split(":")[0], peer), []).append(theirs["ratio"])
            terminalreporter.write_line(
                line(
                    group,
                    peer,
                    f"{1e3 * sorted(result.seconds[OURS])[len(result.seconds[OURS]) // 2]:.3f}",
                    f"{theirs['ratio']:.3f} [{low:.3f}, {high:.3f}]",
                    "" if speed is None else f"{speed:.1f}",
                    "" if share is None else f"{share:.0%}",
                )
            )
    for (family, peer), ratios in families.items():
        mean = geometric_mean(ratios)
        terminalreporter.write_line(
            f"{family}, {peer} / {OURS}: geometric mean {mean:.3f}, least {min(ratios):.3f}, of {len(ratios)}"
        )
