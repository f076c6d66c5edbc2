"""Names, dotted and single: of Python, and of everything else that has a list."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from tests.docs.commands import command, commands
from tests.docs.project import Outcome, Project, Stale, stale
from tests.docs.reading import Piece
from tests.docs.source import PACKAGE, Place
from tests.docs.vocabulary import PYTHON

# One letter, with an index or without, is a formula's.
SYMBOL = re.compile(r"[^\W\d_](?:\d|_\w{1,2})?")
_WORD = re.compile(r"[^\W\d]\w*")
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*|\.\w*\*|\.<\w+>)+")
_HYPHENATED = re.compile(r"[A-Za-z-][\w.]*(?:-[\w.]+)+|-[a-z]+")


def role(piece: Piece, project: Project) -> Outcome:
    """``:class:`~a.b.C```: strictly what the role says, by its full name or as the module sees it."""
    if piece.role in {"", "link"}:
        return None
    name = piece.text.lstrip("~").removesuffix("()")
    place = _seen(name, piece, project)
    if place is None:
        return gone(name, project)
    if piece.role == "mod" and not place.is_module:
        return Stale("this is no module")
    if piece.role == "class" and not place.is_class:
        return Stale("this is no class")
    return f"role {piece.role}"


def _seen(name: str, piece: Piece, project: Project) -> Place | None:
    """What a dotted name means to the module that the piece stands in, by itself, or inside the package."""
    source = project.source
    if piece.in_code:
        first, *rest = name.split(".")
        visible = source.visible(source.of(piece.path), first)
        found = source.inside(visible, rest) if visible else None
        if found:
            return found
    return source.find(name) or source.find(f"{PACKAGE}.{name}")


def dotted(piece: Piece, project: Project) -> Outcome:
    """A name with dots: telemetry, a setting, Python's, an attribute of a value, a library's."""
    name = piece.text.removesuffix("()")
    if not _DOTTED.fullmatch(name):
        return None
    if project.vocabulary.is_telemetry(name):
        return "telemetry"
    if project.settings.has(name):
        return "setting"
    if _seen(name, piece, project):
        return "python"
    outcome = _guessed(name, piece, project)
    outcome = outcome or _of_others(name, project)
    return outcome or gone(name, project)


def _of_others(name: str, project: Project) -> Outcome:
    vocabulary = project.vocabulary
    if vocabulary.is_library(name) or name in vocabulary.project:
        return "library"
    if name in project.source.strings:
        return "text of the code"
    return None


def _guessed(name: str, piece: Piece, project: Project) -> Outcome:
    """What a reader finds without a path in front."""
    parts = name.split(".")
    # What begins as a setting is one or is gone: a class or module of that name is no excuse. In code one word is no beginning.
    beginning = parts[:2] if piece.in_code else parts[:1]
    if project.settings.has(".".join(beginning)):
        return None
    first, *rest = parts
    if _in_some(first, rest, project) or _pattern(name, project):
        return "python"
    if _of_a_value(first, rest, piece, project):
        return "attribute of a value"
    return None


def _in_some(first: str, rest: list[str], project: Project) -> bool:
    """Whether some class or module of that name has it."""
    source = project.source
    for place in source.defined.get(first, ()):
        has_names = place.is_class or place.is_module
        if has_names and source.inside(place, rest):
            return True
    return False


def _pattern(name: str, project: Project) -> bool:
    """``module.NAME_*``: something there begins like that."""
    above, _, start = name.rpartition(".")
    if not start.endswith("*"):
        return False
    last = above.rpartition(".")[2]
    for place in project.source.defined.get(last, ()):
        for one in place.module.definitions if place.module else ():
            if one.startswith(start[:-1]):
                return True
    return False


def _of_a_value(
    first: str,
    rest: list[str],
    piece: Piece,
    project: Project,
) -> bool:
    """Whether the first part is a value and the others are attributes.

    A value is known by its class where it bears the class's name (``snapshot.counters``). Else nobody knows its type; then
    the module must write its name, import nothing else by that name, and write the attributes or import them.
    """
    named_for = first.title().replace("_", "")
    if _in_some(named_for, rest, project):
        return True
    if not piece.in_code:
        return False
    source = project.source
    module = source.of(piece.path)
    if first in module.imports or first not in module.words:
        return False
    if first in module.outermost:
        return source.used.issuperset(rest)
    known = module.words | source.reach(module)
    return known.issuperset(rest)


def gone(name: str, project: Project) -> Stale:
    """The cure of a name that nothing has."""
    last = name.rpartition(".")[2]
    places = set()
    for place in project.source.defined.get(last, ()):
        if place.module:
            module = place.module.name
            places.add(module if place.is_module else f"{module}.{last}")
    known = set[str]().union(
        project.source.defined,
        project.source.modules,
        project.vocabulary.registry,
        project.settings.kinds,
        project.settings.paths,
    )
    return stale("nothing has this name", name, known - {name, last}, places)


def word(piece: Piece, project: Project) -> Outcome:
    """A single name."""
    name = piece.text.removesuffix("()")
    if not _WORD.fullmatch(name):
        return None
    if SYMBOL.fullmatch(name):
        return "symbol"
    if name.startswith(("ml_", "calidris_")):
        return _series(name, project)
    for kind, names in _known(piece, project):
        if name in names:
            return kind
    if _ends_a_name(name, project):
        return "end of a name"
    if project.vocabulary.is_library(name):
        return "library"
    return gone(name, project)


def _series(name: str, project: Project) -> Outcome:
    known = project.vocabulary.prometheus.union(project.source.defined)
    if name in known:
        return "telemetry"
    return stale("no series or label has this name", name, known)


def _ends_a_name(name: str, project: Project) -> bool:
    """``_total``, ``_HASH``: of several names that begin alike only the first is written out."""
    if not name.startswith("_"):
        return False
    vocabulary = project.vocabulary
    whole = vocabulary.environment | vocabulary.prometheus
    return any(one.endswith(name) for one in whole)


def _known(piece: Piece, project: Project) -> Iterator[tuple[str, Container[str]]]:
    """Where a name may come from, the nearest first.

    A page has no neighbourhood: all that has a list will do there. Of what stands far from a docstring only a name that is
    like no other will do, because a common word is always found somewhere.
    """
    source = project.source
    if piece.in_code:
        module = source.of(piece.path)
        yield "python: the module's own", module.spoken(piece.line)
        yield "python: imported or beside it", source.reach(module)
    yield "python itself", PYTHON
    yield from _lists(project)
    yield "python elsewhere", source.unique
    if not piece.in_code:
        yield from _of_a_page(project)
    elif re.search("[_A-Z]", piece.text):
        yield "text of the code", source.strings


def _lists(project: Project) -> Iterator[tuple[str, Container[str]]]:
    vocabulary = project.vocabulary
    yield "setting", project.settings.kinds
    yield "value of a setting", project.settings.values
    yield "value of telemetry", vocabulary.members
    yield "environment", vocabulary.environment
    yield "library", vocabulary.project
    yield "name of another program", vocabulary.foreign


def _of_a_page(project: Project) -> Iterator[tuple[str, Container[str]]]:
    source = project.source
    every = commands(command(project))
    yield "command", {one.name for one in every}
    yield "text of the code", source.strings
    yield "python elsewhere", source.defined
    yield "attribute of a library", source.used


def hyphenated(piece: Piece, project: Project) -> Outcome:
    """``grafana-foundation-sdk``, ``Retry-After``: a distribution, an extra, a header, a name of a file or thread."""
    if not _HYPHENATED.fullmatch(piece.text):
        return None
    if piece.text in project.vocabulary.project:
        return "library"
    return header(piece.text, project)


def header(name: str, project: Project) -> Outcome:
    """A name that the code writes in small letters or large ones."""
    for text in project.source.strings:
        if text.lower() == name.lower():
            return "text of the code"
    return gone(name, project)
