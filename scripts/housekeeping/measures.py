"""The figures that may not get worse: of a top-level package, and of the whole tree."""

from __future__ import annotations

import math
from dataclasses import dataclass

from housekeeping.figures import forgive
from housekeeping.house import House
from housekeeping.report import Row, describe_figures, describe_row

TREE = "tree"
HUNDREDTHS = 100


@dataclass(frozen=True)
class Measure:
    """A figure that may not get worse.

    Attributes:
        title: what it is, with its unit.
        cure: what to do where it got worse.
        lower: whether less is better.
    """

    title: str
    cure: str
    lower: bool = True

    def is_worse(self, figure: float | None, allowed: float | None) -> bool:
        """Whether a figure is worse than the allowed one; what is not known is not worse."""
        if figure is None or allowed is None:
            return False
        return figure > allowed if self.lower else figure < allowed

    def round_off(self, figure: float | None) -> float | None:
        """Round to hundredths, to the lenient side: an untouched package never fails by its rounding."""
        if figure is None:
            return None
        scaled = figure * HUNDREDTHS
        kept = math.ceil(scaled) if self.lower else math.floor(scaled)
        return kept / HUNDREDTHS


SAY_WHY = "say why in a comment, where a reader would ask"
NAME_APART = "name files by what only they hold"
MOVE_DOWN = "move what both need below them"

MEASURES = {
    "median": Measure("tokens a function in the median", "split its long functions"),
    "p90": Measure("tokens a function at p90", "split its longest functions"),
    "tokens_a_line": Measure("tokens a code line", "give steps names and lines of their own"),
    "comments": Measure("comments for 100 lines", SAY_WHY, lower=False),
    "silent": Measure("files of 120 lines and more without a comment", SAY_WHY),
    "verbs": Measure("% of functions begin with a verb", "name functions by what they do", lower=False),
    "lone": Measure("small modules with one importer", "merge one idea into one file"),
}

TREE_MEASURES = {
    "shared_names": Measure("file names stand in several folders", NAME_APART),
    "shared_files": Measure("files have a name that stands in several folders", NAME_APART),
    "folders": Measure("folders, and modules beside folders, on an import cycle", MOVE_DOWN),
    "folders_with_types": Measure("folders, and modules beside folders, on an import cycle of types too", MOVE_DOWN),
    "packages": Measure("packages on an import cycle", MOVE_DOWN),
    "packages_with_types": Measure("packages on an import cycle of types too", MOVE_DOWN),
}


@dataclass(frozen=True)
class Scope:
    """A top-level package, or the whole tree, as a ratchet sees it.

    Attributes:
        name: the package, or `TREE`.
        figures: as they are.
        forgiven: as they are with a little forgiven; these are held against what is allowed.
        measures: what is kept of them.
    """

    name: str
    figures: Row
    forgiven: Row
    measures: dict[str, Measure]

    def find_worse(self, allowed: Row) -> list[str]:
        """Find the measures, by key, that are worse than ``allowed`` even with a little forgiven."""
        worse = []
        for key, measure in self.measures.items():
            if measure.is_worse(self.forgiven[key], allowed.get(key)):
                worse.append(key)
        return worse

    def tighten(self, allowed: Row) -> Row:
        """Take the better of what is and what is allowed, measure by measure."""
        row: Row = {}
        for key, measure in self.measures.items():
            now = measure.round_off(self.figures[key])
            was = allowed.get(key)
            better = was is None or measure.is_worse(was, now)
            row[key] = now if better else was
        return row


def list_scopes(house: House) -> list[Scope]:
    """List what a ratchet keeps figures of: the top-level packages, then the whole tree.

    Sub-packages have rows in the table and none here: what moves between two of them is the package's own affair.
    """
    scopes = [_measure_package(house, name) for name in house.packages]
    tree = _measure_tree(house)
    return [*scopes, Scope(TREE, tree, tree, TREE_MEASURES)]


def _measure_package(house: House, name: str) -> Scope:
    row = describe_row(house, name)
    forgiven = forgive(house.figures[name])
    return Scope(name, row, {**row, **describe_figures(forgiven)}, MEASURES)


def _measure_tree(house: House) -> Row:
    names = house.shared.values()
    row: Row = {
        "shared_names": len(names),
        "shared_files": sum(map(len, names)),
    }
    for level, cycles in house.cycles.items():
        # Those between modules are not kept: none is allowed.
        if level in TREE_MEASURES:
            row[level] = sum(map(len, cycles))
    return row
