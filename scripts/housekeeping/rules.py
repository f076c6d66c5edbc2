"""The rules: what may not be, whatever was taken, and what may not get worse than it was when it was taken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from housekeeping.house import House
from housekeeping.measures import Scope, list_scopes
from housekeeping.ratchet import Allowance, Ratchet
from housekeeping.report import MOST_FILES, list_longest
from housekeeping.source import Source

MOST_TOKENS = 150
MOST_TOKENS_A_LINE = 8
NAMED = 3
DATA = "scripts/house.json"


@dataclass(frozen=True)
class Fault:
    """A rule that is broken.

    Attributes:
        place: the package, file, function or folder.
        figure: what was measured, in words.
        allowed: what was not to be exceeded.
        cure: what to do.
    """

    place: str
    figure: str
    allowed: str
    cure: str

    def __str__(self) -> str:
        """One line that says all four."""
        return f"{self.place}: {self.figure}; allowed: {self.allowed}. Cure: {self.cure}."


@dataclass(frozen=True)
class Rule:
    """A bound for every folder, or for every function or file that came later."""

    unit: str
    bound: float
    cure: str


@dataclass(frozen=True)
class Breach:
    """A bound that something exceeds, before exceptions are asked; ``rule`` is a key of `RULES`."""

    rule: str
    place: str
    figure: float


RULES = {
    "folder": Rule("files of its own", MOST_FILES, "give what belongs together a folder of its own"),
    "function": Rule("tokens", MOST_TOKENS, "split the function"),
    "line": Rule("tokens a code line", MOST_TOKENS_A_LINE, "give steps names and lines of their own"),
}


def find_faults(house: House, held: Ratchet) -> list[Fault]:
    """Find everything in a house that is not allowed, by the rules and by what was taken."""
    breaches = list(list_breaches(house, held))
    return [
        *_find_cycles(house),
        *_find_unexcused(breaches, held.exceptions),
        *_find_vain_exceptions(breaches, held.exceptions),
        *_find_worse(house, held),
    ]


def _find_cycles(house: House) -> Iterator[Fault]:
    # A cycle of imports that run is also one of imports with types: asked once, named once.
    for cycle in house.cycles["modules_with_types"]:
        yield Fault(
            place=" <-> ".join(cycle),
            figure="they import each other",
            allowed="no cycle between modules, of types either",
            cure="move what both need below both",
        )


def list_breaches(house: House, held: Ratchet) -> Iterator[Breach]:
    """List what exceeds a bound: folders that are too full, functions and files that came later and are too dense."""
    for folder, count in house.folders.items():
        if count > MOST_FILES:
            yield Breach("folder", folder, count)
    known = set(held.known_files)
    for source in house.sources:
        if source.path not in known:
            yield from _list_dense(source)


def _list_dense(source: Source) -> Iterator[Breach]:
    for function in source.functions:
        if function.tokens > MOST_TOKENS:
            place = f"{source.path} {function.name}"
            yield Breach("function", place, function.tokens)
    # An ``__init__`` is a list of names on long lines: dense by nature, and easy to read all the same.
    if source.tokens_a_line > MOST_TOKENS_A_LINE and not source.is_door:
        yield Breach("line", source.path, source.tokens_a_line)


def _find_unexcused(breaches: Iterable[Breach], exceptions: Iterable[Allowance]) -> Iterator[Fault]:
    allowed = {(one.rule, one.place): one.allowed for one in exceptions}
    for breach in breaches:
        rule = RULES[breach.rule]
        bound = allowed.get((breach.rule, breach.place), rule.bound)
        if breach.figure > bound:
            yield Fault(
                place=breach.place,
                figure=f"{breach.figure:.5g} {rule.unit}",
                allowed=f"{bound:g}",
                cure=f"{rule.cure}, or list it with a reason under exceptions in {DATA}",
            )


def _find_vain_exceptions(breaches: Iterable[Breach], exceptions: Iterable[Allowance]) -> Iterator[Fault]:
    """Exceptions that say no reason, and those that excuse nothing."""
    broken = {(breach.rule, breach.place) for breach in breaches}
    for one in exceptions:
        place = f"exception from {one.rule!r} for {one.place}"
        if not one.reason.strip():
            cure = f"say in {DATA} why it must be"
            yield Fault(place, "it has no reason", "none without one", cure)
        if (one.rule, one.place) not in broken:
            cure = f"delete it from {DATA}"
            yield Fault(place, "it excuses nothing", "none in vain", cure)


def _find_worse(house: House, held: Ratchet) -> Iterator[Fault]:
    """Figures that are worse than when they were taken; a package that came later has none."""
    for scope in list_scopes(house):
        allowed = held.get_allowed(scope.name)
        for key in scope.find_worse(allowed):
            yield _blame(house, scope, key, allowed[key])


def _blame(house: House, scope: Scope, key: str, allowed: float | None) -> Fault:
    measure = scope.measures[key]
    suspects = list_suspects(house, scope.name, key)
    first = f" (first {', '.join(suspects[:NAMED])})" if suspects else ""
    loosen = f"python scripts/house.py --take --loosen {scope.name} --why 'the reason'"
    return Fault(
        place=scope.name,
        figure=f"{scope.figures[key]:.5g} {measure.title}",
        allowed=f"{allowed:g}",
        cure=f"{measure.cure}{first}; or, where it must be, {loosen}",
    )


def list_suspects(house: House, package: str, key: str) -> list[str]:
    """List where to look first when a measure of a package got worse; empty where no place says more than another."""
    sources = house.rows.get(package, [])
    if key in ("median", "p90"):
        return list_longest(sources, NAMED)
    if key == "tokens_a_line":
        dense = sorted(sources, key=attrgetter("tokens_a_line"), reverse=True)
        return [source.path for source in dense]
    if key in ("comments", "silent"):
        long = sorted(sources, key=attrgetter("length"), reverse=True)
        return [source.path for source in long if not source.comments]
    return _list_pairs(house, sources, key)


def _list_pairs(house: House, sources: list[Source], key: str) -> list[str]:
    if key == "lone":
        modules = {source.module for source in sources}
        return [str(one) for one in house.lone if one.inside_only and one.module in modules]
    return [" <-> ".join(cycle) for cycle in house.cycles.get(key, [])]
