"""What a docstring describes under ``Args`` and ``Attributes`` is there under that name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "src" / "calidris"
SECTION = re.compile(r"^(?:Args|Attributes):\n((?:    .*\n|\n)*)", re.M)
ENTRY = re.compile(r"^    \*{0,2}(\w+):", re.M)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def described(node: Function | ast.ClassDef) -> list[str]:
    """Names that a docstring describes."""
    doc = (ast.get_docstring(node) or "") + "\n"
    return [name for section in SECTION.findall(doc) for name in ENTRY.findall(section)]


def defined(node: Function | ast.ClassDef) -> set[str]:
    """Parameters of a function; of a class its fields, its methods and what these set."""
    functions = [part for part in ast.walk(node) if isinstance(part, Function)]
    names = {argument.arg for part in ast.walk(node) if isinstance(part, ast.arguments) for argument in listed(part)}
    if isinstance(node, ast.ClassDef):
        names |= {function.name for function in functions}
        names |= {
            part.target.id
            for part in node.body
            if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
        }
        names |= {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    return names


def listed(arguments: ast.arguments) -> Iterator[ast.arg]:
    """All arguments of a signature."""
    yield from (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    yield from (argument for argument in (arguments.vararg, arguments.kwarg) if argument is not None)


def unknown(text: str) -> list[str]:
    """``where: name`` of each entry that describes nothing."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, Function | ast.ClassDef)]
    return [f"{node.name}: {name}" for node in nodes for name in described(node) if name not in defined(node)]


def test_a_renamed_argument_and_a_renamed_field_are_found() -> None:
    function = 'def f(new):\n    """Do.\n\n    Args:\n        old: it.\n    """\n'
    fields = 'class A:\n    """Be.\n\n    Attributes:\n        old: it.\n        new: it.\n    """\n\n    new: int\n'
    assert unknown(function) == ["f: old"]
    assert unknown(fields) == ["A: old"]


def test_every_entry_describes_something() -> None:
    found = {path: unknown(path.read_text(encoding="utf-8")) for path in SOURCE.rglob("*.py")}
    assert not {str(path.relative_to(SOURCE)): names for path, names in found.items() if names}
    assert sum(len(described(node)) for path in found for node in nodes_of(path)) > 500, "they are looked at"


def nodes_of(path: Path) -> list[Function | ast.ClassDef]:
    """Functions and classes of a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return [node for node in ast.walk(tree) if isinstance(node, Function | ast.ClassDef)]
