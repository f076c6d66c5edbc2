"""Paths, routes and links: something is there."""

from __future__ import annotations

import re
from pathlib import Path
from posixpath import normpath

from tests.docs.files import anchors
from tests.docs.project import Outcome, Project, Stale, stale
from tests.docs.reading import Piece

_SUFFIX = "bin|calidris|corrupt|csv|html|jinja|json|md|parquet|prom|proto|pyi?|sqlite|svg|toml|txt|ya?ml"
_PATH = re.compile(
    rf"""
    (?: (?:[\w.*{{}}<>-]*/)+ [\w.*{{}}<>-]*     # with a folder
      | [\w.*{{}}<>-]*\.(?:{_SUFFIX})\*?        # with an end that files have
      | \.[a-z]{{3,}}                           # hidden
    )
    (?:\#[\w-]+)?
    """,
    re.VERBOSE,
)
_END_OF_NAMES = re.compile(rf"\.(?:{_SUFFIX})")
_REQUEST = re.compile(
    r"""
    (?=(?:[A-Z]+\ )?(?:/|https?://))
    (?:[A-Z]+\ )?
    (?:https?://(?P<host>[\w.-]+)(?::\d+)?)?
    (?P<path>/\S*)?
    """,
    re.VERBOSE,
)
_OUR_HOSTS = frozenset({None, "localhost", "127.0.0.1", "endpoint", "host"})
_OF_THE_SYSTEM = ("/proc", "/etc/", "/dev/", "/var/", "/tmp")
_OTHERS = "url or path of others"


def request(piece: Piece, project: Project) -> Outcome:
    """``GET /v1/status``, ``/readyz`` or a URL: of our servers, that one answers it."""
    found = _REQUEST.fullmatch(piece.text)
    if not found:
        return None
    path = found["path"] or ""
    if found["host"] not in _OUR_HOSTS or path in {"", "/"}:
        return _OTHERS
    if path.startswith(_OF_THE_SYSTEM):
        return _OTHERS
    if project.vocabulary.is_route(path):
        return "route"
    return stale("no server of ours answers this path", path, project.vocabulary.routes)


def path(piece: Piece, project: Project) -> Outcome:
    """A file or folder, a pattern of some, or what a program of ours writes."""
    if not _PATH.fullmatch(piece.text) or piece.text in project.vocabulary.project:
        return None
    if _END_OF_NAMES.fullmatch(piece.text):
        return "end of file names"
    name, _, anchor = piece.text.partition("#")
    found = project.files.matching(name, piece.path, piece.near)
    if found:
        return _wrong_anchor(found, anchor, project) or "path"
    return _written(name, project) or _by_its_end(name, project)


def _written(name: str, project: Project) -> Outcome:
    """What a program of ours writes or reads on a user's machine: its name is a text of the code."""
    texts = project.source.strings
    top, _, below = name.rstrip("/").partition("/")
    if project.files.is_written(top):
        known = not below or below.rpartition("/")[2] in texts
        return "written file" if known else Stale("no program of ours writes a file of this name")
    bare = name.strip("*/")
    ends = (f"/{bare}", f".{bare}")
    known = bare in texts or any(text.endswith(ends) for text in texts)
    return "written file" if known else None


def _by_its_end(name: str, project: Project) -> Outcome:
    """What ends like this in one place only: its first folders need not be told.

    A module or folder is not looked for by its bare name: were it gone, one of that name elsewhere would stand in for it.
    """
    bare = "/" not in name.rstrip("/")
    if bare and name.endswith((".py", "/")):
        return _missing(name, project)
    found = project.files.ending(name)
    if len(found) == 1:
        return "path by its end"
    if found:
        return Stale(f"more than one is meant: write which, {_some(found)}")
    return _missing(name, project)


def _missing(name: str, project: Project) -> Stale:
    files = project.files
    last = name.rstrip("/").rpartition("/")[2]
    if last in files.by_name:
        return Stale(f"it is not there; perhaps {_some(files.by_name[last])}")
    return stale("there is no such file or folder", name, files.all.union(files.by_name))


def _some(paths: list[str]) -> str:
    return " or ".join(f"`{path}`" for path in paths[:3])


def link(piece: Piece, project: Project) -> Outcome:
    """The target of a link, in the repository, with its heading."""
    if piece.role != "link":
        return None
    if re.match(r"\w+:", piece.text):
        return _OTHERS
    name, _, anchor = piece.text.partition("#")
    target = piece.path.as_posix()
    if name:
        target = normpath(f"{piece.path.parent.as_posix()}/{name}")
    if target not in project.files.all:
        return _missing(name, project)
    return _wrong_anchor(target, anchor, project) or "link"


def _wrong_anchor(target: str, anchor: str, project: Project) -> Stale | None:
    if not anchor or Path(target).suffix != ".md":
        return None
    known = anchors(project.root / target)
    if anchor in known:
        return None
    return stale(f"`{target}` has no heading `#{anchor}`", anchor, known)
