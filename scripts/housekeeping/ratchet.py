"""What was taken, in `scripts/house.json`, and how it is taken again: tighter by itself, looser only with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from housekeeping.house import PACKAGE, House
from housekeeping.measures import Scope, list_scopes
from housekeeping.report import Row

Note = dict[str, str]


@dataclass(frozen=True)
class Allowance:
    """An exception from a rule, with its reason.

    Attributes:
        rule: ``function``, ``line`` or ``folder``.
        place: the function (``src/…/core.py Engine.apply``), the file, or the folder.
        allowed: the figure up to which it is.
        reason: why; one that is missing fails.
    """

    rule: str
    place: str
    allowed: float
    reason: str = ""

    def __post_init__(self) -> None:
        # Written by hand: what is wrong with it is said when it is read, not where it is first compared.
        if not isinstance(self.allowed, int | float):
            raise TypeError(f"the exception for {self.place} allows no number")


@dataclass(frozen=True)
class Ratchet:
    """What was taken.

    Attributes:
        allowed: figures by package, and of the whole tree.
        exceptions: from the rules for folders and for files that came later.
        loosened: every time figures were allowed to get worse: of what, why, and from what to what.
        known_files: those that were there when it was first taken; any other is held to the rules for new ones.
    """

    allowed: dict[str, Row] = field(default_factory=dict)
    exceptions: list[Allowance] = field(default_factory=list)
    loosened: list[Note] = field(default_factory=list)
    known_files: list[str] = field(default_factory=list)

    def get_allowed(self, name: str) -> Row:
        """The figures that a package, or the tree, may have; empty for one that was not taken."""
        return self.allowed.get(name, {})

    def to_json(self) -> str:
        """The text of the data file; the same ratchet gives the same text."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


class CannotTake(Exception):
    """Taking would loosen what was taken, or what was asked makes no sense; says which, and what to do."""


def read_ratchet(path: Path) -> Ratchet:
    """Read the data file.

    Raises:
        FileNotFoundError: nothing was taken yet.
        ValueError: it is not what `Ratchet.to_json` writes.
    """
    text = path.read_text(encoding="utf-8")
    try:
        fields = json.loads(text)
        listed = fields.pop("exceptions", [])
        exceptions = [Allowance(**one) for one in listed]
        return Ratchet(exceptions=exceptions, **fields)
    except (AttributeError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not as --take writes it: {error}") from None


def take_first(house: House) -> Ratchet:
    """Take all figures of a house, and know all its files."""
    allowed = {}
    for scope in list_scopes(house):
        allowed[scope.name] = scope.tighten({})
    return Ratchet(
        allowed=allowed,
        known_files=[source.path for source in house.sources],
    )


def take_again(
    house: House,
    held: Ratchet,
    loosen: Set[str],
    why: str,
) -> Ratchet:
    """Take the figures that became better, and those of new packages.

    A figure that is worse by less than what is forgiven stays as it was taken, so taking again and again is no way
    down. Files that came later never become known.

    Args:
        house: what is measured.
        held: what was taken before.
        loosen: packages whose figures are taken also where they are worse by more than is forgiven.
        why: the reason, which is kept.

    Raises:
        CannotTake: a package got worse and is not to be loosened, or one is to be loosened for nothing.
    """
    scopes = list_scopes(house)
    _refuse_loosening(scopes, held, loosen)
    taken = held
    for scope in scopes:
        taken = _take_scope(taken, scope, why)
    paths = {source.path for source in house.sources}
    return replace(
        taken,
        allowed={scope.name: taken.allowed[scope.name] for scope in scopes},
        known_files=[path for path in held.known_files if path in paths],
    )


def _refuse_loosening(
    scopes: Iterable[Scope],
    held: Ratchet,
    loosen: Set[str],
) -> None:
    worse = set()
    for scope in scopes:
        keys = scope.find_worse(held.get_allowed(scope.name))
        if keys:
            worse.add(scope.name)
        if keys and scope.name not in loosen:
            cure = f"mend it, or say --loosen {scope.name} --why 'the reason'"
            raise CannotTake(f"{scope.name} got worse ({', '.join(keys)}): {cure}")
    for name in sorted(loosen - worse):
        raise CannotTake(f"{name} did not get worse: there is nothing to loosen")


def _take_scope(held: Ratchet, scope: Scope, why: str) -> Ratchet:
    """Take one scope; whatever is worse was asked for by now."""
    was = held.get_allowed(scope.name)
    worse = scope.find_worse(was)
    kept = {key: figure for key, figure in was.items() if key not in worse}
    taken = {scope.name: scope.tighten(kept)}
    notes = list(held.loosened)
    if worse:
        notes.append(_note_loosening(scope, was, worse, why))
    return replace(
        held,
        allowed={**held.allowed, **taken},
        loosened=notes,
    )


def _note_loosening(
    scope: Scope,
    was: Row,
    worse: Iterable[str],
    why: str,
) -> Note:
    now = scope.tighten({})
    changes = [f"{key} {was[key]} → {now[key]}" for key in worse]
    return {
        "package": scope.name,
        "why": why,
        "from and to": ", ".join(changes),
    }


@dataclass(frozen=True)
class Move:
    """A known file, or a folder with known files, that is somewhere else now.

    Attributes:
        old: its path in the checkout as it was.
        new: its path as it is.
    """

    old: str
    new: str

    def follow(self, place: str) -> str:
        """Where a path, or the place of an exception, is after the move."""
        rest = place.removeprefix(self.old)
        # What follows a path is nothing, a slash, or the blank before a function's name.
        if rest == place or rest[:1] not in ("", "/", " "):
            return place
        return self.new + rest

    def follow_package(self, name: str) -> str:
        """What a top-level package is called after the move."""
        place = self.follow(f"{PACKAGE}/{name}")
        return place.removeprefix(f"{PACKAGE}/")


def move_known(held: Ratchet, move: Move, paths: Set[str]) -> Ratchet:
    """Let known files stay known under a new path; exceptions and a package's figures go along.

    Args:
        held: what was taken.
        move: from where to where.
        paths: the files that are there.

    Raises:
        CannotTake: nothing known was at the old path, all of it still is, or nothing arrived at the new one.
    """
    known = set()
    for path in held.known_files:
        target = move.follow(path)
        moved = target in paths and path not in paths
        known.add(target if moved else path)
    if known == set(held.known_files):
        raise CannotTake(f"no known file moved from {move.old} to {move.new}")
    return replace(
        held,
        allowed={move.follow_package(name): row for name, row in held.allowed.items()},
        exceptions=[replace(one, place=move.follow(one.place)) for one in held.exceptions],
        known_files=sorted(known),
    )
