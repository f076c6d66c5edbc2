"""Lines that somebody would type: their programs, commands, options, targets and variables exist."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import typer
from tests.docs.project import Outcome, Project, Stale, stale
from tests.docs.reading import Piece

# Programs of others, whose arguments are theirs.
_OTHERS = frozenset(
    {
        "chmod",
        "cp",
        "curl",
        "kill",
        "mv",
        "opentelemetry-instrument",
        "promtool",
        "sqlite3",
        "ulimit",
        "uvicorn",
    }
)
_VARIABLE = re.compile(r"([A-Z][A-Z0-9_]{3,})=\S*\s*")
_OPTION = re.compile(r"\[?(--?[a-z][a-z-]*)")
_APPLICATION = re.compile(r"\b((?:calidris|examples|benchmarks)(?:\.\w+)*):(\w+)")


def line(piece: Piece, project: Project) -> Outcome:
    """A command line, with the environment in front of it."""
    known = project.vocabulary.environment
    rest = piece.text
    outcome: Outcome = None
    while found := _VARIABLE.match(rest):
        if found[1] not in known:
            return stale(f"nothing reads the variable `{found[1]}`", found[1], known)
        outcome = "environment"
        rest = rest[found.end() :]
    if not rest:
        return outcome
    program, *words = rest.split()
    if program in _PROGRAMS:
        return _PROGRAMS[program](words, project)
    return _other(rest, project) if program in _OTHERS else outcome


def short(piece: Piece, project: Project) -> Outcome:
    """A command without its program in front (``baseline build``), or an option alone."""
    words = piece.text.split()
    if re.fullmatch(r"[a-z]+ [a-z|. -]+", piece.text) and words[0] in command(project).commands:
        return _calidris(words, project)
    if not re.fullmatch(r"--[a-z][a-z-]+", piece.text):
        return None
    known = set(project.source.strings)
    for one in commands(command(project)):
        known.update(_options_of(one))
    return "option" if piece.text in known else stale("no command has this option", piece.text, known)


@cache
def command(project: Project) -> Any:
    """The command line itself: the one typer application of the package, in whatever module."""
    found = []
    for module in project.source.ours:
        if "app" in module.outermost and "typer" in module.imports:
            found.append(module.name)
    assert len(found) == 1, f"more than one module makes the command line: {found}"
    return typer.main.get_command(importlib.import_module(found[0]).app)


def commands(group: Any) -> Iterator[Any]:
    """A command, and those below it."""
    yield group
    for inner in getattr(group, "commands", {}).values():
        yield from commands(inner)


def _options_of(one: Any) -> set[str]:
    found = {"--help"}
    for parameter in one.params:
        found.update(parameter.opts)
        found.update(parameter.secondary_opts)
    return found


def _calidris(words: list[str], project: Project) -> Outcome:
    """Down the groups as far as the words are commands; the options behind must be the last one's."""
    one = command(project)
    while words and hasattr(one, "commands") and not words[0].startswith("-"):
        several = words[1:2] == ["|"]
        told = words[::2] if several else words[:1]
        for word in told:
            if word not in one.commands:
                return stale(f"`{one.name or 'calidris'}` has no command `{word}`", word, one.commands)
        if several:
            return "command"
        one = one.commands[words[0]]
        words = words[1:]
    known = _options_of(one)
    for option in _given(words):
        if option not in known:
            return stale(f"`{one.name}` has no option `{option}`", option, known)
    return "command"


def _given(words: list[str]) -> Iterator[str]:
    for word in words:
        found = _OPTION.match(word)
        if found:
            yield found[1]


def _make(words: list[str], project: Project) -> Outcome:
    text = (project.root / "Makefile").read_text(encoding="utf-8")
    targets = re.findall(r"^([a-z][\w-]*):", text, re.MULTILINE)
    for word in words:
        if "=" not in word and word not in targets:
            return stale(f"the Makefile has no target `{word}`", word, targets)
    if not words:
        return None
    return _wrong_path(words, project) or "make"


def _python(words: list[str], project: Project) -> Outcome:
    if words[:1] != ["-m"]:
        return _wrong_path(words, project) or "command"
    name = words[1]
    modules = project.source.modules
    if name not in modules:
        known = project.vocabulary.is_library(name)
        return "command of others" if known else stale(f"there is no module `{name}`", name, modules)
    texts = set[str]()
    for module in modules.values():
        if module.package == modules[name].package:
            texts.update(module.strings)
    for option in _given(words[2:]):
        if option not in texts:
            return Stale(f"`{name}` reads no option `{option}`")
    return "command"


def _pytest(words: list[str], project: Project) -> Outcome:
    return _wrong_path(words, project) or "command"


def _pip(words: list[str], project: Project) -> Outcome:
    for extras in re.findall(r"\[([\w,-]+)\]", " ".join(words)):
        for extra in extras.split(","):
            if extra not in project.vocabulary.project:
                return Stale(f"pyproject.toml has no extra `{extra}`")
    return "command"


def _wrong_path(words: list[str], project: Project) -> Stale | None:
    for word in words:
        path = word.rpartition("=")[2].partition("::")[0].rstrip("/")
        if "/" in path and path not in project.files.all:
            return stale(f"there is no file `{path}`", path, project.files.all)
    return None


def _other(text: str, project: Project) -> Outcome:
    """Another program, which may be given an application of ours."""
    for module, name in _APPLICATION.findall(text):
        if project.source.find(f"{module}.{name}") is None:
            return Stale(f"`{module}` defines no `{name}`")
    return "command of others"


_PROGRAMS = {
    "calidris": _calidris,
    "make": _make,
    "pip": _pip,
    "pytest": _pytest,
    "python": _python,
}
