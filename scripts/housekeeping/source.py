"""One source file, read once: its tokens, its lines, its comments, its functions and its syntax tree.

Tokens are names, operators and numbers; strings are none, so neither docstrings nor messages weigh. A code line is a
line that holds a token. A function counts from ``def`` to its last line: signature and docstring are included, its
decorators are not, and a function inside another one counts on its own and in the outer one.

An f-string is one string on every Python. Since 3.12 the standard tokenizer opens it and shows the names inside; were
they counted, the same tree would be denser on a newer Python and no figure could be kept in a file.
"""

from __future__ import annotations

import ast
import bisect
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

COUNTED = {tokenize.NAME, tokenize.OP, tokenize.NUMBER}
LONG_FILE = 120

# Absent before 3.12 (f-strings) and 3.14 (template strings): there such a string is one token already.
_OPENING = {
    getattr(tokenize, "FSTRING_START", None),
    getattr(tokenize, "TSTRING_START", None),
}
_CLOSING = {
    getattr(tokenize, "FSTRING_END", None),
    getattr(tokenize, "TSTRING_END", None),
}

_Def = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Function:
    """A function or method of a file.

    Attributes:
        name: qualified inside its file, as in ``Engine.apply``; a function inside another has both names.
        line: where its ``def`` stands.
        tokens: of the signature and the body.
        decorators: the last word of each, so ``functools.cached_property`` is ``cached_property``.
    """

    name: str
    line: int
    tokens: int
    decorators: frozenset[str]

    @property
    def own_name(self) -> str:
        """Its name without those of the class or function around it."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Source:
    """A file and what was counted in it.

    Attributes:
        path: relative to the checkout, with slashes.
        place: relative to the measured package, with slashes: ``engine/core.py``.
        module: its name in an import: ``calidris.engine.core``.
        length: in lines.
        lines: those that are not blank.
        code_lines: those that hold a token.
    """

    path: str
    place: str
    module: str
    length: int
    lines: int
    code_lines: int
    tokens: int
    comments: int
    functions: tuple[Function, ...]
    tree: ast.Module

    @property
    def name(self) -> str:
        """The file's own name."""
        return PurePosixPath(self.place).name

    @property
    def folder(self) -> str:
        """The folder that holds it, relative to the measured package: ``.`` for the package's own."""
        return str(PurePosixPath(self.place).parent)

    @property
    def package(self) -> str:
        """The top-level package it belongs to; ``.`` for a module that stands beside the packages."""
        return self.folder.split("/")[0]

    @property
    def tokens_a_line(self) -> float:
        """Tokens a code line; 0.0 for a file without code."""
        return self.tokens / max(self.code_lines, 1)

    @property
    def is_door(self) -> bool:
        """Whether it is the ``__init__`` of its folder."""
        return self.name == "__init__.py"

    @property
    def is_named_by_python(self) -> bool:
        """Whether Python looks for it under this name."""
        return self.name in ("__init__.py", "__main__.py")

    @property
    def is_generated(self) -> bool:
        """Whether a script wrote it: such a file is there to be imported, and is not measured."""
        return self.name == "semconv.py" or "_pb2" in self.name

    @property
    def is_silent(self) -> bool:
        """Whether it is long and holds no comment at all."""
        return not self.comments and self.length >= LONG_FILE


def read_package(root: Path, package: str) -> list[Source]:
    """Read every file below ``package``, a folder of the checkout ``root``, tests left out.

    Raises:
        FileNotFoundError: there is no such folder.
        SyntaxError: with the file's path; what does not parse cannot be measured.
    """
    top = root / package
    if not top.is_dir():
        raise FileNotFoundError(f"{top} is no folder")
    sources = []
    for path in sorted(top.rglob("*.py")):
        if "tests" not in path.relative_to(top).parts:
            sources.append(read_source(root, top, path))
    return sources


def read_source(root: Path, top: Path, path: Path) -> Source:
    """Read and count one file of the package at ``top``."""
    place = path.relative_to(top)
    text = path.read_text(encoding="utf-8", errors="replace")
    tree = ast.parse(text, str(path))
    tokens = _list_tokens(text)
    at = _find_counted(tokens)
    return Source(
        path=path.relative_to(root).as_posix(),
        place=place.as_posix(),
        module=_join_module(top, place),
        length=text.count("\n"),
        lines=_count_lines(text),
        code_lines=len(set(at)),
        tokens=len(at),
        comments=_count_comments(tokens),
        functions=_find_functions(tree, at),
        tree=tree,
    )


def _join_module(top: Path, place: Path) -> str:
    bare = place.with_suffix("")
    # A package is imported by its folder's name.
    named = bare.parent if bare.name == "__init__" else bare
    return ".".join([top.name, *named.parts])


def _list_tokens(text: str) -> list[tokenize.TokenInfo]:
    lines = io.StringIO(text)
    return list(tokenize.generate_tokens(lines.readline))


def _count_lines(text: str) -> int:
    lines = text.splitlines()
    return sum(1 for line in lines if line.strip())


def _count_comments(tokens: list[tokenize.TokenInfo]) -> int:
    kinds = [token.type for token in tokens]
    return kinds.count(tokenize.COMMENT)


def _find_counted(tokens: list[tokenize.TokenInfo]) -> list[int]:
    """Find the line of each token that counts, in order."""
    at = []
    depth = 0
    for token in tokens:
        if token.type in _OPENING:
            depth += 1
        elif token.type in _CLOSING:
            depth -= 1
        elif depth == 0 and token.type in COUNTED:
            at.append(token.start[0])
    return at


def list_statements(node: ast.AST) -> Iterator[ast.AST]:
    """List the statements right below a node; imports, functions and classes stand nowhere else."""
    statements = ast.stmt | ast.excepthandler | ast.match_case
    for child in ast.iter_child_nodes(node):
        if isinstance(child, statements):
            yield child


def _find_functions(node: ast.AST, at: list[int], outer: str = "") -> tuple[Function, ...]:
    """Find the functions below ``node``, wherever they stand; ``at`` holds the lines of the file's tokens."""
    found: list[Function] = []
    for child in list_statements(node):
        inner = outer
        if isinstance(child, _Def | ast.ClassDef):
            inner = f"{outer}{child.name}."
        if isinstance(child, _Def):
            found.append(_count_function(child, at, outer))
        found.extend(_find_functions(child, at, inner))
    return tuple(found)


def _count_function(node: _Def, at: list[int], outer: str) -> Function:
    last = node.end_lineno or node.lineno
    before = bisect.bisect_left(at, node.lineno)
    until = bisect.bisect_right(at, last)
    return Function(
        name=outer + node.name,
        line=node.lineno,
        tokens=until - before,
        decorators=frozenset(map(_read_decorator, node.decorator_list)),
    )


def _read_decorator(node: ast.expr) -> str:
    called = node.func if isinstance(node, ast.Call) else node
    return ast.unparse(called).rpartition(".")[2]
