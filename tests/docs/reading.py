"""Back-ticked pieces of pages, docstrings, comments and settings, each with the place where it stands.

Nothing here judges a piece. What stands in a fenced block is no piece; `blocks` reads what it can of those.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

# As many backticks as opened it close a span, and an escaped backtick opens none.
_SPAN = re.compile(
    r"""
    (?: :(?P<role>[a-z]+): )?
    (?<![\\`]) (?P<ticks>`+) (?!`)
    (?P<text>.+?)
    (?<!`) (?P=ticks) (?!`)
    """,
    re.DOTALL | re.VERBOSE,
)
_FENCE = re.compile(
    r"""
    ^\ *(?P<ticks>```+|~~~+)\ *(?P<language>\w*)[^\n]*\n
    (?P<body>.*?)
    ^\ *(?P=ticks)\ *$
    """,
    re.DOTALL | re.MULTILINE | re.VERBOSE,
)
_REMARK = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK = re.compile(
    r"\]\((?P<target>[^()\s]+)\)|^\[[^\]]+\]: *(?P<named>\S+)",
    re.MULTILINE,
)
# What blank lines part, an item of a list and a row of a table speak of one thing each. No span goes over their end.
_END_OF_BLOCK = re.compile(r"\n[ #]*\n|\n(?= *(?:[-*|]|\d+\.) ?)")
_PATH = re.compile(r"[\w.-]*/[\w./-]*")


class Piece(NamedTuple):
    """One back-ticked text. ``near`` are the folders of the paths that stand in the same paragraph."""

    path: Path
    line: int
    text: str
    role: str = ""
    near: tuple[str, ...] = ()

    @property
    def in_code(self) -> bool:
        """Whether it stands in a Python file."""
        return self.path.suffix == ".py"


class Fence(NamedTuple):
    """One fenced block of a page; ``line`` is the first one inside of it."""

    path: Path
    line: int
    language: str
    body: str

    def piece(self, text: str, offset: int) -> Piece:
        """A piece of the block, by where it begins in the body."""
        above = self.body.count("\n", 0, offset)
        return Piece(self.path, self.line + above, text)


def pieces(path: Path, text: str) -> Iterator[Piece]:
    """All pieces of a file's text; the path says how to read it."""
    if path.suffix == ".md":
        yield from _spans(path, without_fences(text), 1)
    elif path.suffix == ".py":
        for line, told in _told(text):
            yield from _spans(path, told, line)
    else:
        for line, told in enumerate(text.splitlines(), 1):
            yield from _spans(path, told, line)


def fences(path: Path, text: str) -> Iterator[Fence]:
    """The fenced blocks of a page."""
    for found in _FENCE.finditer(text):
        line = _line_of(text, found.start("body"))
        yield Fence(path, line, found["language"], found["body"])


def links(path: Path, text: str) -> Iterator[Piece]:
    """The targets of a page's links and pictures."""
    bare = _SPAN.sub(_blank, without_fences(text))
    for found in _LINK.finditer(bare):
        target = found["target"] or found["named"]
        line = _line_of(bare, found.start())
        yield Piece(
            path,
            line,
            target,
            role="link",
        )


def without_fences(text: str) -> str:
    """A page with its fenced blocks and remarks emptied, line for line."""
    bare = _FENCE.sub(_blank, text)
    return _REMARK.sub(_blank, bare)


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])


def _line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _spans(path: Path, text: str, first: int) -> Iterator[Piece]:
    if "`" not in text:
        return
    for start, block in _blocks(text):
        found = [*_SPAN.finditer(block)]
        near = _folders(span["text"] for span in found)
        above = first + text.count("\n", 0, start)
        for span in found:
            below = block.count("\n", 0, span.start())
            told = _on_one_line(span["text"])
            role = span["role"] or ""
            yield Piece(
                path,
                above + below,
                told,
                role,
                near,
            )


def _folders(texts: Iterator[str]) -> tuple[str, ...]:
    folders = []
    for text in texts:
        folder = text.rpartition("/")[0]
        if folder and _PATH.fullmatch(text):
            folders.append(folder)
    return tuple(folders)


def _on_one_line(text: str) -> str:
    """A piece that goes over the end of a line, in a comment too."""
    joined = re.sub(r"\n[ #]*", " ", text)
    return " ".join(joined.split())


def _blocks(text: str) -> Iterator[tuple[int, str]]:
    start = 0
    for end in _END_OF_BLOCK.finditer(text):
        yield start, text[start : end.start()]
        start = end.end()
    yield start, text[start:]


def _told(text: str) -> Iterator[tuple[int, str]]:
    """Docstrings (of attributes too) and comments of a module, as they are written."""
    lines = text.splitlines()
    for node in docstrings(text):
        written = lines[node.lineno - 1 : node.end_lineno]
        yield node.lineno, "\n".join(written)
    # Reading tokens is slow, and few files have a comment that holds a name.
    if any("`" in line.partition("#")[2] for line in lines):
        yield from _comments(text)


@cache
def syntax(text: str) -> list[ast.AST]:
    """All syntax of a module, the module itself first."""
    return [*ast.walk(ast.parse(text))]


def docstrings(text: str) -> Iterator[ast.Constant]:
    """Statements of a module that are nothing but a text."""
    for node in syntax(text):
        if not isinstance(node, ast.Expr):
            continue
        told = node.value
        if isinstance(told, ast.Constant) and isinstance(told.value, str):
            yield told


def _comments(text: str) -> Iterator[tuple[int, str]]:
    """Comments on lines that follow each other are one text: a piece may go over the end of a line."""
    first = 0
    told: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        line = token.start[0]
        if line != first + len(told):
            yield first, "\n".join(told)
            first = line
            told = []
        told.append(token.string)
    yield first, "\n".join(told)
