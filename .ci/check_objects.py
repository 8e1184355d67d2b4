"""Look into the compiled kernels: `check_objects.py BUILD_DIR` prints what is wrong and exits with 1.

Symbols. An object of one instruction set is linked into one library with all others. A weak symbol
outside its own namespace (an std:: template that stayed out of line) may be taken from the AVX-512 object
and crash an older processor; a constructor at namespace scope would run there at import; an allocation would
throw in the middle of a team. So an object may define nothing outside its namespace, and ask only for what
is listed.

Tiles. The inner loop of every full register tile is fma, or the dot product of bfloat16, from registers: a
load of b folded into each fma that uses it makes the loop bound by loads (87 instead of 113 GFLOP/s at 4
rows), and a spilled accumulator costs more. Tiles of sse4 have no fma to look for, those of other processors
than x86 are not looked at.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# Of the C library and of csrc/base. Nothing that allocates, throws or prints.
WANTED = {"log", "pow", "memcpy", "memset", "memmove", "_GLOBAL_OFFSET_TABLE_", "__stack_chk_fail"}
REGISTERS = {"avx2": 16, "avx512": 32, "avx512_bf16": 32}
TILE = re.compile(
    r"void fastrnn::(\w+)::(?:NumberCells<(\w+)>|\(anonymous namespace\)::(DotPairs))"
    r"::run<(\d+), (\d+), [^,]*, false, (\d+)>\("
)
MULTIPLY = r"vfmadd\d+p|vdpbf16p"


class Instruction(NamedTuple):
    """One line of a disassembly."""

    address: int
    name: str
    operands: str


def wrong_symbols(isa: str, nm: str) -> Iterator[str]:
    """Complaints about the output of `nm` for an object of `isa`."""
    project = r"_Z(GV|T[VIS])?Z*N[KVRO]*7fastrnn"  # Z: a lambda inside of a function
    for line in nm.splitlines():
        found = re.fullmatch(r"[0-9a-f]* +(\w) (\S+)", line)
        if not found:
            continue
        kind, name = found.groups()
        if kind == "U":
            if name not in WANTED and not re.match(project, name):
                yield f"asks for {name}"
            continue
        shared = kind.isupper() or kind in "uvw"
        # A row that shares the kernels of another adds to its namespace.
        spaces = {isa, isa.partition("_")[0]}
        if shared and not any(re.match(f"{project}{len(space)}{space}", name) for space in spaces):
            yield f"defines {name} ({kind}) outside of its namespace"


def wrong_sections(headers: str) -> Iterator[str]:
    """Complaints about the output of `objdump -h`: code that would run when the library is loaded."""
    for section in re.findall(r"\s(\.(?:init_array|ctors)\S*)\s", headers):
        yield f"has a constructor at namespace scope ({section})"


def functions(disassembly: str) -> Iterator[tuple[str, list[Instruction]]]:
    """Name and instructions of each function in the output of `objdump -d -C --no-show-raw-insn`."""
    for part in re.split(r"\n(?=[0-9a-f]+ <.*>:\n)", disassembly):
        head = re.match(r"[0-9a-f]+ <(.*)>:\n", part)
        if head:
            lines = re.findall(r"^\s*([0-9a-f]+):\s+(\S+)[ \t]*(.*)$", part, re.MULTILINE)
            yield head[1], [Instruction(int(a, 16), name, rest) for a, name, rest in lines]


def inner_loops(code: list[Instruction]) -> list[list[Instruction]]:
    """The innermost loops that have an fma: from the target of a jump backwards to the jump.

    A jump back from behind the return is none: the compiler puts what is rare there.
    """
    spans = []
    for at in code:
        target = re.match(r"([0-9a-f]+) <", at.operands)
        if at.name.startswith("j") and target and int(target[1], 16) <= at.address:
            spans.append((int(target[1], 16), at.address))
    loops = [[i for i in code if first <= i.address <= last] for first, last in spans]
    loops = [
        loop
        for loop in loops
        if any(re.match("vfmadd|vdpbf16", i.name) for i in loop) and not any(i.name == "ret" for i in loop)
    ]
    return [a for a in loops if not any(b is not a and set(b) < set(a) for b in loops)]


def wrong_tile(
    isa: str, element: str, rows: int, vectors: int, panels: int, code: list[Instruction]
) -> Iterator[str]:
    """Complaints about one register tile."""
    loops = inner_loops(code)
    if not loops:
        yield "has no loop with fma"
    for loop in loops:
        fma = [i for i in loop if re.match(MULTIPLY, i.name)]
        suffix = "pd" if element == "double" else "ps"
        if not fma or len(fma) % (rows * vectors * panels) or any(not i.name.endswith(suffix) for i in fma):
            yield f"has {len(fma)} packed fma in its loop, not a multiple of {rows} x {panels * vectors}"
        if panels == 1 and rows * vectors + vectors + 1 > REGISTERS[isa]:
            continue  # one operand of b is meant to stay in memory
        folded = [i for i in fma if "(" in i.operands and "{1to" not in i.operands]
        if folded and (panels == 1 or rows > 1):  # across panels one row uses each vector of b once
            yield f"loads inside of {len(folded)} fma: {folded[0].name} {folded[0].operands}"
        spills = [i for i in loop if i.name.startswith("vmov") and i.operands.rstrip().endswith(")")]
        if spills:
            yield f"stores {len(spills)} vectors in its loop: {spills[0].name} {spills[0].operands}"


def wrong_tiles(isa: str, disassembly: str) -> Iterator[str]:
    """Complaints about the register tiles of `isa`, of which there must be some."""
    count = 0
    for name, code in functions(disassembly):
        tile = TILE.match(name)
        if tile and tile[1] == isa.partition("_")[0]:
            count += 1
            element, (rows, vectors, panels) = tile[2] or tile[3], map(int, tile.groups()[3:])
            for complaint in wrong_tile(isa, element, rows, vectors, panels, code):
                yield f"tile of {rows} x {panels} x {vectors} {element} {complaint}"
    if not count:
        yield "has no register tiles"


def run(*command: str | Path) -> str:
    """The output of a command."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def complaints(build: Path) -> Iterator[str]:
    """All that is wrong with the objects below a build folder."""
    objects = sorted(build.glob("csrc/CMakeFiles/kernels_*.dir/kernels/**/*.o"))
    if not any(path.name == "gemm.cc.o" for path in objects):
        yield f"{build}: no compiled kernels"
    for path in objects:
        folder = path.relative_to(build / "csrc" / "CMakeFiles").parts[0]
        isa = folder.removeprefix("kernels_").removesuffix(".dir")
        found = [*wrong_symbols(isa, run("nm", path)), *wrong_sections(run("objdump", "-h", path))]
        if path.name in ("gemm.cc.o", f"{isa}.cc.o") and isa in REGISTERS:
            found += wrong_tiles(isa, run("objdump", "-d", "-C", "--no-show-raw-insn", path))
        yield from (f"{isa} {path.name} {complaint}" for complaint in found)


if __name__ == "__main__":
    wrong = list(complaints(Path(sys.argv[1])))
    print("\n".join(wrong) or "objects: symbols and register tiles are as they should be")
    sys.exit(bool(wrong))
