"""Building: one clear line for what is missing, and an editable install that rebuilds what changed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from conftest import checkout

ROOT = checkout()
CMAKE = Path(sysconfig.get_path("scripts")) / "cmake"  # of the extra `test`


def configure(folder: Path, *options: str, **environment: str) -> str:
    """What CMake writes to stderr when it fails."""
    variables = {key: value for key, value in os.environ.items() if key not in ("CXX", "CXXFLAGS")}
    generator = ("-G", "Unix Makefiles", "-DCMAKE_MAKE_PROGRAM=true")
    python = f"-DPython_EXECUTABLE={sys.executable}"
    done = subprocess.run(
        [CMAKE, "-S", ROOT, "-B", folder / "build", *generator, python, *options],
        env={**variables, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr


needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="there is no compiler")


def compiler(folder: Path, flags: str) -> str:
    """The compiler of this machine in a disguise of macros, as an option of CMake."""
    path = folder / "compiler"
    path.write_text(f'#!/bin/sh\nexec c++ {flags} "$@"\n')
    path.chmod(0o755)
    return f"-DCMAKE_CXX_COMPILER={path}"


NEEDS = "fastrnn: needs GCC >= 12 or Clang >= 15, for vector extensions; found"
DISGUISES = {
    "old GCC": ("-U__clang__ -U__GNUC__ -D__GNUC__=11", rf"{NEEDS} GNU 11\.[\d.]+"),
    "old Clang": (
        "-D__clang__ -D__clang_major__=14 -D__clang_minor__=0 -D__clang_patchlevel__=6",
        rf"{NEEDS} Clang 14\.[\d.]+",
    ),
    "another": ("-D__INTEL_COMPILER=2021 -D__INTEL_COMPILER_UPDATE=1", rf"{NEEDS} Intel [\d.]+"),
}


@needs_compiler
@pytest.mark.parametrize("name", DISGUISES)
def test_a_compiler_that_does_not_fit_is_named(tmp_path, name):
    flags, line = DISGUISES[name]
    assert re.search(rf"^ *{line}$", configure(tmp_path, compiler(tmp_path, flags)), re.MULTILINE)


def test_no_compiler(tmp_path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "true").symlink_to(shutil.which("true"))
    stderr = configure(tmp_path, PATH=str(tmp_path / "bin"))
    assert re.search(
        r"^ *fastrnn: no C\+\+ compiler found \(.*apt-get install g\+\+\)$", stderr, re.MULTILINE
    )


@needs_compiler
def test_no_headers_of_python(tmp_path):
    stderr = configure(tmp_path, f"-DPython_INCLUDE_DIR={tmp_path / 'none'}")
    line = r"fastrnn: Python\.h not found \(Debian, Ubuntu: apt-get install python3-dev\)"
    assert re.search(rf"^ *{line}$", stderr, re.MULTILINE)


@needs_compiler
@pytest.mark.heavy
def test_an_editable_install_rebuilds_at_import(tmp_path):
    """The commands of HACKING.md, in a copy of the sources."""
    copy = tmp_path / "source"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".venv*", "build*", "dist", ".*_cache"))
    page = (ROOT / "HACKING.md").read_text()
    commands = re.search(r"^```sh\n(python3 -m venv .*?)^```$", page, re.MULTILINE | re.DOTALL)[1]
    subprocess.run(["bash", "-euc", commands], cwd=copy, check=True)

    def doc() -> str:
        program = "import fastrnn; print(fastrnn.__file__, fastrnn._core.__doc__)"
        return subprocess.run(
            [copy / ".venv/bin/python", "-c", program],
            cwd=tmp_path,
            check=True,
            capture_output=True,
            text=True,
        ).stdout

    module = copy / "csrc" / "bindings" / "module.cc"
    text = module.read_text()
    assert "Compiled kernels" in text
    assert f"{copy}/fastrnn/__init__.py Compiled kernels" in doc()
    module.write_text(text.replace("Compiled kernels", "Changed kernels"))
    assert "Changed kernels" in doc()
