"""Rewrite what a branch from before November 2026 calls by an older name: imports, uses of them, and dotted names in text.

    python scripts/rewrite_moved_names.py src tests docs      # files, or folders with all that is in them

``moved_names.tsv`` beside it is the table, old and new. Merge or rebase first: git follows the files, this follows what they
import. Running it again changes nothing. Afterwards ``make format`` sorts the imports.
"""

from __future__ import annotations

import ast
import io
import re
import sys
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import NamedTuple

TABLE = Path(__file__).with_name("moved_names.tsv")
SOURCE = Path(__file__).resolve().parent.parent / "src"
PACKAGE = "calidris."
SUFFIXES = {".py", ".md", ".toml"}


class Moves(NamedTuple):
    """The table, with full module names.

    Attributes:
        modules: old module to new.
        names: old (module, name) to new.
    """

    modules: Mapping[str, str]
    names: Mapping[tuple[str, str], tuple[str, str]]


def read_table(path: Path = TABLE) -> Moves:
    """The table as it is checked in."""
    modules: dict[str, str] = {}
    names: dict[tuple[str, str], tuple[str, str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        kind, old, new = line.split("\t")
        if kind == "module":
            modules[PACKAGE + old] = PACKAGE + new
            continue
        (old_module, old_name), (new_module, new_name) = old.split(":"), new.split(":")
        names[PACKAGE + old_module, old_name] = PACKAGE + new_module, new_name
    return Moves(modules, names)


def rewrite(text: str, moves: Moves, *, python: bool) -> str:
    """A file's text with new names in place of old ones."""
    if not python:
        return _rewrite_mentions(text, moves)
    text, renamed = _rewrite_imports(text, moves)
    return _rewrite_tokens(text, renamed, moves)


def _rewrite_imports(text: str, moves: Moves) -> tuple[str, dict[str, str]]:
    """Import statements by the new names, and the local names that change with them."""
    lines = text.splitlines(keepends=True)
    renamed: dict[str, str] = {}
    imports = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom) and not node.level]
    # From the last one on, so that the line numbers of the others stay true.
    for node in sorted(imports, key=lambda node: -node.lineno):
        found = [(alias, _target(node.module or "", alias.name, moves)) for alias in node.names]
        if all(new == (node.module, alias.name) for alias, new in found):
            continue
        indent = " " * node.col_offset
        lines[node.lineno - 1 : node.end_lineno] = [
            f"{indent}from {module} import {name}{f' as {alias.asname}' if alias.asname else ''}\n"
            for alias, (module, name) in found
        ]
        renamed |= {alias.name: name for alias, (_, name) in found if not alias.asname and name != alias.name}
    return "".join(lines), renamed


def _target(module: str, name: str, moves: Moves) -> tuple[str, str]:
    """Where a name imported from a module is found today; a name may itself be a module, unless the package offers it."""
    if (module, name) in moves.names:
        return moves.names[module, name]
    if name in find_offered(module):
        return module, name
    whole = moves.modules.get(f"{module}.{name}")
    if whole is not None:
        package, _, last = whole.rpartition(".")
        return package, last
    return moves.modules.get(module, module), name


@cache
def find_offered(module: str) -> frozenset[str]:
    """What a package of today offers in its ``__all__``; nothing where there is no such package."""
    door = SOURCE.joinpath(*module.split("."), "__init__.py")
    if not door.exists():
        return frozenset()
    for node in ast.parse(door.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return frozenset(ast.literal_eval(node.value))
    return frozenset()


def _rewrite_tokens(text: str, renamed: Mapping[str, str], moves: Moves) -> str:
    """Uses of imported names that got another one, and dotted names in strings, comments and ``import`` statements.

    Attributes, keywords and parameters of the same spelling are left alone: they are other names.
    """
    edits = []
    before, tokens = "", list(tokenize.generate_tokens(io.StringIO(text).readline))
    for token, after in zip(tokens, [*tokens[1:], tokens[-1]], strict=True):
        is_use = token.type == tokenize.NAME and before != "." and after.string != "="
        new = token.string
        if is_use:
            new = renamed.get(token.string, token.string)
        elif token.type in (tokenize.STRING, tokenize.COMMENT):
            new = _rewrite_mentions(token.string, moves)
        if new != token.string:
            edits.append((token.start, token.end, new))
        before = token.string
    for start, end, new in reversed(edits):
        text = _replace(text, start, end, new)
    return _rewrite_plain_imports(text, moves)


def _replace(text: str, start: tuple[int, int], end: tuple[int, int], new: str) -> str:
    """The text with another piece between two places, each a line from 1 and a column from 0."""
    lines = text.splitlines(keepends=True)
    head = lines[start[0] - 1][: start[1]]
    tail = lines[end[0] - 1][end[1] :]
    lines[start[0] - 1 : end[0]] = [head + new + tail]
    return "".join(lines)


def _rewrite_plain_imports(text: str, moves: Moves) -> str:
    """``import calidris.x.y`` and the uses of it by its whole name, wherever a line of code has them."""
    strings = {
        line
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type == tokenize.STRING
        for line in range(token.start[0], token.end[0] + 1)
    }
    imports = {node.lineno for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        if number not in strings | imports:
            lines[number - 1] = _rewrite_mentions(line, moves)
    return "".join(lines)


def _rewrite_mentions(text: str, moves: Moves) -> str:
    """Dotted names in prose: the longest part that is an old module."""

    def new_of(match: re.Match[str]) -> str:
        parts = match[0].split(".")
        for end in range(len(parts), 1, -1):
            module = moves.modules.get(".".join(parts[:end]))
            if module is not None:
                return ".".join([module, *parts[end:]])
        return match[0]

    return re.sub(r"\bcalidris(?:\.[a-z_]\w*)+", new_of, text)


def find_files(places: Iterable[str]) -> Iterator[Path]:
    """The files named, and the Python, Markdown and TOML files in the folders named."""
    for place in map(Path, places):
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        yield from (path for path in inside if path.suffix in SUFFIXES)


def main(places: list[str]) -> int:
    """Rewrite, and say which files changed."""
    if not places:
        print(__doc__)
        return 2
    moves = read_table()
    for path in find_files(places):
        before = path.read_text(encoding="utf-8")
        after = rewrite(before, moves, python=path.suffix == ".py")
        if after != before:
            path.write_text(after, encoding="utf-8")
            print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
