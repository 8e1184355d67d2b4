"""`fastrnn bench`: what it prints, how it fails, and that its comparison can fail."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest
from command import run

from fastrnn import _bench, _core, _timing, cli

ROW = re.compile(r"^ *(\d+,\d+,\d+,\d+) +(forward|training) +([\d.]+) \[([\d.]+), ([\d.]+)\] +[\d.]+ +\d+%")


def rows(out: str) -> list[tuple[str, ...]]:
    return [found.groups() for line in out.splitlines() if (found := ROW.match(line))]


def test_a_table(tmp_path: Path) -> None:
    code, out, err = run(tmp_path, "bench", "--shape", "3,2,5,7", "--shape", "1,1,1,1", "--rounds", "2")
    assert (code, err) == (0, "")
    assert [row[:2] for row in rows(out)] == [
        (shape, kind) for shape in ("3,2,5,7", "1,1,1,1") for kind in ("forward", "training")
    ]
    assert all(float(low) <= float(middle) <= float(high) for *_, middle, low, high in rows(out))
    assert "torch" not in out
    assert re.search(r"FMA peak \d+ \[\d+, \d+\] GFLOP/s", out)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_threads_and_dtype(tmp_path: Path, dtype: str) -> None:
    options = ["--shape", "3,2,5,7", "--rounds", "1", "--threads", "1", "--dtype", dtype]
    code, out, _ = run(tmp_path, "bench", *options)
    assert code == 0
    assert f"{_core.isa()}, {dtype}, 1 thread\n" in out


@pytest.mark.peer
def test_against_torch(tmp_path: Path, torch: object) -> None:
    code, out, _ = run(tmp_path, "bench", "--shape", "3,2,5,7", "--rounds", "1", "--against", "torch")
    assert code == 0
    assert "torch / fastrnn" in out
    assert out.count("geometric mean") == 2


@pytest.mark.parametrize("value", ["", "1,2,3", "1,2,3,0", "1,2,3,-4", "1,2,3,x", "1,2,3,4,5", "1.5,2,3,4"])
def test_bad_shapes(capsys: pytest.CaptureFixture[str], value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        _bench.main([f"--shape={value}"])
    assert stop.value.code == 2
    wanted = f"argument --shape: expected four positive whole numbers T,B,I,H, got {value}"
    assert wanted in capsys.readouterr().err


def test_a_machine_without_bfloat16(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_core, "has_bfloat16", lambda: False)
    assert cli.main(["bench", "--shape=1,1,1,1", "--rounds=1", "--compute=bfloat16"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastrnn: error: compute: expected a processor with AVX512_BF16")
    assert err.count("\n") == 1


@pytest.mark.parametrize("option", ["--threads", "--rounds"])
@pytest.mark.parametrize("value", ["0", "-1", "1025", "two", "1.5"])
def test_bad_counts(capsys: pytest.CaptureFixture[str], option: str, value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        _bench.main([f"{option}={value}"])
    assert stop.value.code == 2
    wanted = f"argument {option}: expected a whole number from 1 to 1024, got {value}"
    assert wanted in capsys.readouterr().err


def test_a_missing_peer(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert cli.main(["bench", "--against", "torch"]) == 2
    found = capsys.readouterr()
    assert found.out == ""
    assert found.err == (
        "fastrnn: error: --against torch: not installed; pip install torch, or leave it out\n"
    )


class TestRecipe:
    """Rounds, their order, and the check of the answers."""

    def test_every_round_has_every_turn_once(self) -> None:
        calls: list[str] = []
        turns = {name: lambda name=name: float(len(calls)) + (calls.append(name) or 0) for name in "abc"}
        found = _timing.interleave(turns, 20)
        assert {name: len(values) for name, values in found.items()} == dict.fromkeys("abc", 20)
        rounds = ["".join(calls[k : k + 3]) for k in range(0, 60, 3)]
        assert {"".join(sorted(order)) for order in rounds} == {"abc"}
        assert len(set(rounds)) > 3
        # What a turn gives is filed under its own name: here, when it was called.
        assert all(calls[int(at)] == name for name, values in found.items() for at in values)

    def test_time_ends_the_rounds(self) -> None:
        found = _timing.interleave({"a": lambda: 0.0}, 10**6, seconds=0.0, least=4)
        assert len(found["a"]) == 4

    def test_a_turn_gives_seconds_a_call(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = [0.0]

        def work() -> None:
            now[0] += 0.003

        monkeypatch.setattr(_timing.time, "perf_counter", lambda: now[0])
        turn = _timing.timed(work, least=0.02)
        before = now[0]
        assert turn() == pytest.approx(0.003)
        assert now[0] - before == pytest.approx(0.003 * (1 + 7))

    @pytest.mark.parametrize("what", ["value", "nan", "shape", "name"])
    def test_other_answers_are_found(self, what: str) -> None:
        shape = _bench.Shape(3, 2, 5, 7)
        want = _bench.Ours("LSTM", shape).answer()
        found = {name: a.copy() for name, a in want.items()}
        _bench.check_equal(found, want)
        eps = np.finfo(np.float32).eps
        if what == "shape":
            found["y"] = found["y"][1:]
        elif what == "name":
            del found["dx"]
        else:
            largest = np.unravel_index(np.abs(found["weight_hh_l0"]).argmax(), found["weight_hh_l0"].shape)
            wrong = np.nan if what == "nan" else found["weight_hh_l0"][largest] * (1 + 300 * eps)
            found["weight_hh_l0"][largest] = wrong
        with pytest.raises(ArithmeticError, match={"shape": "y", "name": "answers"}.get(what, "weight_hh")):
            _bench.check_equal(found, want)

    def test_flops(self) -> None:
        shape = _bench.Shape(3, 2, 5, 7)
        assert shape.flops("forward", 4) == 2 * 3 * 2 * 4 * 7 * (5 + 7)
        assert shape.flops("training", 4) == 3 * shape.flops("forward", 4)
