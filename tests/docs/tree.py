"""All that is read: each piece of the tree, judged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tests.docs import blocks
from tests.docs.project import Project, Stale
from tests.docs.reading import Piece, links, pieces
from tests.docs.rules import judge
from tests.docs.source import ROOTS

# A change log tells of what was, so its names may be gone.
_HISTORY = "CHANGELOG.md"
_SETTINGS = (
    "Makefile",
    "pyproject.toml",
    "semconv/*.yaml",
    "examples/**/*.yaml",
    "collector_config/*.yaml",
)


class Finding(NamedTuple):
    """A piece that leads nowhere, and what to do."""

    piece: Piece
    cure: str

    def __str__(self) -> str:
        path, line, text, *_ = self.piece
        return f"{path.as_posix()}:{line}: `{text}`: {self.cure}"


def sources(root: Path) -> list[Path]:
    """Pages, code, and files whose comments speak of names; relative to the root."""
    found = set(root.glob("*.md"))
    found.discard(root / _HISTORY)
    for folder in ("docs", *ROOTS):
        found.update((root / folder).rglob("*.md"))
        found.update((root / folder).rglob("*.py"))
    for pattern in _SETTINGS:
        found.update(root.glob(pattern))
    # What a user of the Node client installed there is not ours.
    ours = (path.relative_to(root) for path in found if "node_modules" not in path.parts)
    return sorted(ours)


def judged(path: Path, text: str, project: Project) -> Iterator[tuple[Piece, str | Stale]]:
    """Each piece of one file's text, with what it is or what is wrong with it."""
    for piece in pieces(path, text):
        yield piece, judge(piece, project)
    if path.suffix == ".md":
        for piece in links(path, text):
            yield piece, judge(piece, project)
        yield from blocks.judged(path, text, project)


def findings(path: Path, text: str, project: Project) -> list[Finding]:
    """What is wrong in one file's text."""
    found = []
    for piece, outcome in judged(path, text, project):
        if isinstance(outcome, Stale):
            found.append(Finding(piece, outcome.cure))
    return found
