"""One Python file: what it defines, imports and writes, read from its text. Nothing of it is imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache, cached_property
from pathlib import Path

from tests.docs.reading import docstrings, syntax

_DEFINITION = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
_ASSIGNMENT = (
    ast.Assign,
    ast.AnnAssign,
)
_BRANCH = (
    ast.If,
    ast.Try,
    ast.With,
    ast.For,
)
_EXAMPLE = re.compile(r"^ *>>> (\w+) = ", re.MULTILINE)


class Module:
    """A file by its dotted name; the path is relative to the repository."""

    def __init__(self, path: Path, name: str, text: str) -> None:
        self.path = path
        self.name = name
        self.text = text
        self.nodes = syntax(text)

    @property
    def last_name(self) -> str:
        """Its name without the packages around it."""
        return self.name.rpartition(".")[2]

    @property
    def package(self) -> str:
        """The package that it lies in; a package lies in itself."""
        if self.path.name == "__init__.py":
            return self.name
        return self.name.rpartition(".")[0]

    @property
    def body(self) -> list[ast.stmt]:
        """Its statements."""
        return getattr(self.nodes[0], "body", [])

    @cached_property
    def outermost(self) -> dict[str, ast.AST]:
        """What stands at its outermost level, under a condition too, without what it imports."""
        return dict(_assigned(self.body))

    @cached_property
    def imports(self) -> dict[str, str]:
        """Imported names, anywhere in it, with the dotted names behind them."""
        found = {}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    name = alias.asname or alias.name
                    found[name] = f"{node.module}.{alias.name}"
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    root = alias.name.partition(".")[0]
                    name = alias.asname or root
                    found[name] = alias.name if alias.asname else root
        return found

    @cached_property
    def offered(self) -> frozenset[str]:
        """What its ``__all__`` lists."""
        listed = self.outermost.get("__all__")
        return frozenset(_texts(_below(listed)))

    @cached_property
    def strings(self) -> frozenset[str]:
        """Its string constants; docstrings, and the list of what it offers, left out."""
        left_out = [
            *docstrings(self.text),
            *_below(self.outermost.get("__all__")),
        ]
        silent = {id(node) for node in left_out}
        rest = (node for node in self.nodes if id(node) not in silent)
        return frozenset(_texts(rest))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every name that its code writes, or an example in a docstring, which is run."""
        shown = _EXAMPLE.findall(self.text)
        return _written(self.nodes) | set(shown)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Parameters of its functions."""
        found = set()
        for node in self.nodes:
            if isinstance(node, ast.arg):
                found.add(node.arg)
        return frozenset(found)

    @cached_property
    def definitions(self) -> dict[str, ast.AST]:
        """Functions, classes, methods, constants and attributes, however deep; no local variables."""
        found = dict(self.outermost)
        for node in self.nodes:
            if isinstance(node, _DEFINITION):
                found.setdefault(node.name, node)
            if isinstance(node, ast.ClassDef):
                found = members(node) | found
        return found

    @cached_property
    def _scopes(self) -> list[tuple[range, frozenset[str]]]:
        """The lines of each outermost function and class, with the names that the code in them writes."""
        found = []
        for node in self.body:
            if isinstance(node, _DEFINITION):
                end = node.end_lineno or node.lineno
                lines = range(node.lineno, end + 1)
                found.append((lines, _written(ast.walk(node))))
        return found

    def spoken(self, line: int) -> frozenset[str]:
        """Names that are plain to whoever reads a line.

        They are what the function or class around it writes, or outside of all of them what the module does; and always
        what the module defines and imports, its parameters and its texts.
        """
        around = self.words
        for lines, words in self._scopes:
            if line in lines:
                around = words
        return around.union(
            self.definitions,
            self.imports,
            self.parameters,
            self.strings,
        )


@cache
def members(node: ast.ClassDef) -> dict[str, ast.AST]:
    """What a class defines itself: in its body, and on an object in its methods."""
    found = dict(_assigned(node.body))
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store):
            found.setdefault(inner.attr, inner)
    return found


def _assigned(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        if isinstance(node, _DEFINITION):
            yield node.name, node
        elif isinstance(node, _ASSIGNMENT):
            for name in _targets(node):
                yield name, node
        elif isinstance(node, _BRANCH):
            yield from _assigned(node.body)
            yield from _assigned(getattr(node, "orelse", []))


def _targets(node: ast.Assign | ast.AnnAssign) -> Iterator[str]:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        for inner in ast.walk(target):
            if isinstance(inner, ast.Name):
                yield inner.id


def _below(node: ast.AST | None) -> Iterator[ast.AST]:
    return ast.walk(node) if node else iter(())


def _texts(nodes: Iterator[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _written(nodes: Iterator[ast.AST] | list[ast.AST]) -> frozenset[str]:
    """Names of variables, attributes, parameters, arguments and definitions."""
    found = set()
    for node in nodes:
        for field in ("id", "attr", "arg", "name"):
            name = getattr(node, field, None)
            if isinstance(name, str):
                found.add(name)
    return frozenset(found)
