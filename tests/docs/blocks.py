"""Fenced blocks of a page: command lines, settings, imports and telemetry in them. All else there is an example."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from tests.docs import commands, names
from tests.docs.project import Outcome, Project, Stale
from tests.docs.reading import Fence, Piece, fences
from tests.docs.source import PACKAGE
from tests.docs.vocabulary import is_foreign

Judged = tuple[Piece, str | Stale]

_SHELL = frozenset(
    {
        "",
        "bash",
        "console",
        "sh",
    }
)
_COMMAND = re.compile(
    rf"""
    ^(?:[A-Z_]+=\S+\ +)*
     (?:{PACKAGE}|make|pip|pytest|python)\ .*
    |^[A-Z][A-Z_]+=.*
    """,
    re.MULTILINE | re.VERBOSE,
)
_TELEMETRY = re.compile(rf"(?<![\w./])(?:ml|{PACKAGE})(?:\.[a-z_]+)+(?![\w*(]|\.\w)")


def judged(path: Path, text: str, project: Project) -> Iterator[Judged]:
    """What the blocks of a page name, and whether it is there."""
    for fence in fences(path, text):
        if fence.language == "python":
            yield from _imports(fence, project)
        elif fence.language == "yaml":
            yield from _settings(fence, project)
        else:
            yield from _telemetry(fence, project)
        if fence.language in _SHELL:
            yield from _commands(fence, project)


def _judged(piece: Piece, outcome: Outcome, kind: str) -> Judged:
    if isinstance(outcome, Stale):
        return piece, outcome
    return piece, kind


def _commands(fence: Fence, project: Project) -> Iterator[Judged]:
    for found in _COMMAND.finditer(fence.body):
        text = re.sub(r" +#.*", "", found[0])
        piece = fence.piece(text, found.start())
        outcome = commands.line(piece, project)
        kind = "command in a block"
        yield _judged(piece, outcome, kind)


def _telemetry(fence: Fence, project: Project) -> Iterator[Judged]:
    for found in _TELEMETRY.finditer(fence.body):
        piece = fence.piece(found[0], found.start())
        kind = "name in a block"
        if piece.text in project.files.by_name:
            yield piece, kind
            continue
        outcome = names.dotted(piece, project)
        yield _judged(piece, outcome, kind)


def _settings(fence: Fence, project: Project) -> Iterator[Judged]:
    if is_foreign(fence):
        return
    whole = fence.piece("yaml", 0)
    try:
        told = YAML(typ="safe").load(fence.body)
    except YAMLError as error:
        yield whole, Stale(f"this cannot be read: {error}")
        return
    wrong = project.settings.wrong(told)
    if wrong is None:
        yield whole, "settings in a block"
        return
    path = wrong.partition(":")[0]
    key = path.rpartition(".")[2]
    offset = fence.body.find(f"{key}:")
    piece = fence.piece(wrong, offset)
    yield piece, Stale("no setting takes this")


def _imports(fence: Fence, project: Project) -> Iterator[Judged]:
    for node in ast.walk(ast.parse(fence.body)):
        for name in _named(node):
            if name.partition(".")[0] != PACKAGE:
                continue
            above = getattr(node, "lineno", 1) - 1
            piece = fence.piece(name, 0)
            piece = piece._replace(line=piece.line + above)
            if project.source.find(name):
                yield piece, "import in a block"
            else:
                yield piece, names.gone(name, project)


def _named(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield f"{node.module}.{alias.name}"
    elif isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.Attribute):
        yield ast.unparse(node)
