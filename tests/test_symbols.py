"""The checks of compiled kernels in .ci/check_objects.py notice what they are there for.

CI runs them on real objects; here they see small ones, right and wrong.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest
from conftest import checkout

ROOT = checkout()
spec = importlib.util.spec_from_file_location("check_objects", ROOT / ".ci" / "check_objects.py")
assert spec is not None
assert spec.loader is not None
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

SYMBOLS = """
0000000000000000 W _ZN7fastrnn4avx24tileINS0_10FmaOperandIfEELi6ELi2EEEvRKNS0_4TileIfEE
0000000000000000 W _ZZNK7fastrnn4avx213LinearForwardIfE10run_panelsEiENKUlllE_clEll
0000000000000000 u _ZN7fastrnn4avx25TilesIfE3allE
0000000000000010 T _ZN7fastrnn4avx24fillERNS_7KernelsE
0000000000000000 t _ZNSt6vectorIfSaIfEE6resizeEm
0000000000000000 r .LC0
                 U _ZN7fastrnn7Barrier4waitEb
                 U memset
"""
WRONG_SYMBOLS = {
    "std:: template": "0000000000000000 W _ZSt3maxIfERKT_S2_S2_",
    "inline function of base": "0000000000000000 W _ZNK7fastrnn4Plan7threadsEv",
    "other instruction set": "0000000000000000 W _ZN7fastrnn6avx5124fillERNS_7KernelsE",
    "unique object": "0000000000000000 u _ZNSs4_Rep20_S_empty_rep_storageE",
    "allocation": "                 U _Znwm",
    "exception": "                 U __cxa_throw",
}

FMA = "  {}:\tvfmadd231ps %ymm4,%ymm3,%ymm{}"
TILE = "fastrnn::avx2::NumberCells<float>::run<2, 2, (fastrnn::avx2::Layout)0, false, 1>"
LOOP = [
    f"0000000000000000 <void {TILE}(fastrnn::avx2::Tile<float> const&)>:",
    "   0:\tvmovups (%rax),%ymm8",
    "  10:\tvmovups (%rbx),%ymm4",
    "  14:\tvbroadcastss (%rsi),%ymm3",
    *(FMA.format(20 + 4 * i, 8 + i) for i in range(4)),
    f"  40:\tjne    10 <void {TILE}+0x10>",
    "  44:\tvmovups %ymm8,(%rax)",
    "  48:\tret",
]
WRONG_LINES = {
    "a load in each fma": (4, "  20:\tvfmadd231ps (%rbx),%ymm3,%ymm8"),
    "an fma less": (5, "  24:\tnop"),
    "a scalar fma": (5, "  24:\tvfmadd231ss %xmm4,%xmm3,%xmm9"),
    "a spill": (3, "  14:\tvmovaps %ymm9,-0x40(%rbp)"),
    "no loop": (8, "  40:\tnop"),
}


def test_right_symbols() -> None:
    assert list(check.wrong_symbols("avx2", SYMBOLS)) == []


@pytest.mark.parametrize("line", WRONG_SYMBOLS.values(), ids=WRONG_SYMBOLS)
def test_wrong_symbols(line: str) -> None:
    assert len(list(check.wrong_symbols("avx2", SYMBOLS + line))) == 1


def test_constructors() -> None:
    assert list(check.wrong_sections("  4 .text._ZN7fastrnn 0000\n  5 .rodata 0010\n")) == []
    assert list(check.wrong_sections("  4 .text 0000\n  5 .init_array 0010\n")) != []


def test_right_tile() -> None:
    assert list(check.wrong_tiles("avx2", "\n".join(LOOP) + "\n")) == []


def test_tile_across_panels() -> None:
    """Of one row, the vectors of several panels are operands in memory; of more rows they are not."""
    folded = "\n".join([*LOOP[:4], "  20:\tvfmadd231ps (%rbx),%ymm3,%ymm8", *LOOP[5:]]) + "\n"
    assert (
        list(
            check.wrong_tiles(
                "avx2", folded.replace("run<2, 2,", "run<1, 2,").replace("false, 1", "false, 2")
            )
        )
        == []
    )
    assert (
        list(
            check.wrong_tiles(
                "avx2", folded.replace("run<2, 2,", "run<2, 1,").replace("false, 1", "false, 2")
            )
        )
        != []
    )


def test_row_that_shares_kernels() -> None:
    """Its tiles multiply pairs, and lie in the namespace of the row whose kernels it shares."""
    text = "\n".join(LOOP).replace("avx2", "avx512").replace("vfmadd231ps", "vdpbf16ps")
    text = text.replace("NumberCells<float>", "(anonymous namespace)::DotPairs") + "\n"
    assert list(check.wrong_tiles("avx512_bf16", text)) == []
    assert list(check.wrong_tiles("avx512_bf16", text.replace("vdpbf16ps", "nop"))) != []
    symbols = "00 W _ZN7fastrnn6avx5123runEv\n00 T _ZN7fastrnn11avx512_bf164fillERNS_7KernelsE"
    assert list(check.wrong_symbols("avx512_bf16", symbols)) == []


@pytest.mark.parametrize(("place", "line"), WRONG_LINES.values(), ids=WRONG_LINES)
def test_wrong_tile(place: int, line: str) -> None:
    lines = [*LOOP[:place], line, *LOOP[place + 1 :]]
    assert list(check.wrong_tiles("avx2", "\n".join(lines) + "\n")) != []


def test_nothing_to_look_at(tmp_path: Path) -> None:
    assert list(check.wrong_tiles("avx2", "")) == ["has no register tiles"]
    assert list(check.complaints(tmp_path)) == [f"{tmp_path}: no compiled kernels"]
