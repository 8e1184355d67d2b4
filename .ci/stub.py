"""Writes fastrnn/_core.pyi anew from the extension: run after a change of a binding, then ``ruff format``.

Names, order, defaults, keyword-only arguments and plain types are those of the extension. Where it says no
more than object, tuple or ndarray, the type is the one that the stub has for that argument; of a new one it
is Any, to be made better by hand. Comments are lost. A test compares the stub with this.

Usage: python .ci/stub.py
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import ModuleType
from typing import Any

_PLAIN = {
    "typing.SupportsInt | typing.SupportsIndex": "int",
    "typing.SupportsFloat | typing.SupportsIndex": "float",
    "bool": "bool",
    "str": "str",
    "bytes": "bytes",
}
Known = dict[str, ast.FunctionDef]


def signature(function: Any) -> ast.FunctionDef:
    """What the first line of a docstring of pybind11 says; the result is left to the stub."""
    line = function.__doc__.strip().partition("\n")[0]
    found = ast.parse(f"def {line.rpartition(') -> ')[0]}): ...").body[0]
    assert isinstance(found, ast.FunctionDef)
    return found


def plain(annotation: ast.expr | None) -> str:
    """A type that the extension knows; empty where it does not."""
    text = "" if annotation is None else ast.unparse(annotation)
    if text.startswith("fastrnn._core."):
        return text.removeprefix("fastrnn._core.")
    optional = text.endswith(" | None")
    found = _PLAIN.get(text.removesuffix(" | None"), "")
    return f"{found} | None" if found and optional else found


def merged(name: str, function: Any, known: ast.FunctionDef | None) -> ast.FunctionDef:
    """A function of the stub, from the extension and from what the stub says."""
    found = signature(function)
    types = {}
    if known is not None:
        types = {a.arg: a.annotation for a in (*known.args.args, *known.args.kwonlyargs)}
    for argument in (*found.args.args, *found.args.kwonlyargs):
        text = plain(argument.annotation)
        if argument.arg == "self":
            argument.annotation = None
        elif text:
            argument.annotation = ast.parse(text, mode="eval").body
        else:
            argument.annotation = types.get(argument.arg) or ast.Name("Any")
    found.name = name
    found.returns = ast.Name("Any") if known is None else known.returns
    return found


def of_class(kind: type, node: ast.ClassDef) -> ast.ClassDef:
    """The methods of a class."""
    known: Known = {n.name: n for n in node.body if isinstance(n, ast.FunctionDef)}
    body: list[ast.stmt] = []
    for name, value in vars(kind).items():
        if name.startswith("_") and name not in ("__init__", "__call__"):
            continue
        if isinstance(value, property):
            text = ast.unparse(known[name].returns) if name in known and known[name].returns else "Any"
            body += ast.parse(f"@property\ndef {name}(self) -> {text}: ...").body
        elif callable(value) and "(self: " in (value.__doc__ or ""):
            body.append(merged(name, value, known.get(name)))
    node.body = body or [ast.Expr(ast.Constant(...))]
    return node


def generate(core: ModuleType, stub: str) -> str:
    """The stub that the extension should have, from the one that it has."""
    tree = ast.parse(stub)
    body: list[ast.stmt] = []
    named = set()
    for node in tree.body:
        name = getattr(node, "name", None)
        if isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target)
        named.add(name)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AnnAssign) and not hasattr(core, str(name)):
            continue
        if isinstance(node, ast.FunctionDef):
            body.append(merged(node.name, getattr(core, node.name), node))
        elif isinstance(node, ast.ClassDef):
            body.append(of_class(getattr(core, node.name), node))
        else:
            body.append(node)
    for name in dir(core):
        value = getattr(core, name)
        if name.startswith("_") or name in named:
            continue
        if isinstance(value, type):
            body.append(of_class(value, ast.ClassDef(name, [], [], [], [])))
        elif callable(value):
            body.append(merged(name, value, None))
        else:
            body += ast.parse(f"{name}: {type(value).__name__}").body
    tree.body = body
    return ast.unparse(ast.fix_missing_locations(tree)) + "\n"


if __name__ == "__main__":
    from fastrnn import _core

    path = Path(__file__).resolve().parents[1] / "fastrnn" / "_core.pyi"
    path.write_text(generate(_core, path.read_text()))
