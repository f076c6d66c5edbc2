"""What was measured, as rows of figures that a table, a file and a comparison are made of."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from housekeeping.figures import Figures
from housekeeping.house import PACKAGE, House
from housekeeping.source import Source

MOST_FILES = 17
WORST = 10

Row = dict[str, float | None]

COLUMNS = {
    "files": "files",
    "own": "own",
    "functions": "functions",
    "median": "median",
    "p90": "p90",
    "tokens_a_line": "a line",
    "comments": "comments",
    "silent": "silent",
    "verbs": "verbs %",
    "shared": "shared",
    "lone": "lone",
    "lone_inside": "inside",
}

LEGEND = f"""\
package: everything below a folder; . holds the modules beside the packages, total all of it.
files, own: Python files in and below the folder; in the folder itself, at most {MOST_FILES}.
median, p90: tokens (names, operators, numbers) of the middle function, and of the one that nine tenths do not exceed.
a line: tokens a code line. comments: for 100 lines that are not blank. silent: files of 120 lines and more without one.
verbs: of functions that are no properties, those whose name begins with one (scripts/verbs.txt).
shared: files whose name stands in another folder too.
lone: modules under 110 lines that one module of their package imports and nothing outside it.
inside: the same, whoever else imports them.
cycles between folders: a module that stands beside folders stands for itself."""


@dataclass(frozen=True)
class Report:
    """A house as it is shown and written.

    Attributes:
        packages: a row a folder, ``total`` last, by the keys of `COLUMNS`.
        tree: figures of the whole tree, by what they are.
        lists: the offenders behind the figures, by what they offend against.
    """

    packages: dict[str, Row]
    tree: Row
    lists: dict[str, list[str]]

    def to_json(self) -> str:
        """The report as text that `read_report` reads."""
        return json.dumps(asdict(self), indent=1)


def read_report(path: Path) -> Report:
    """Read what ``--json`` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is no report.
    """
    text = path.read_text(encoding="utf-8")
    try:
        return Report(**json.loads(text))
    except (TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not what house.py --json writes: {error}") from None


def describe_house(house: House) -> Report:
    """Describe a measured house."""
    rows = {name: describe_row(house, name) for name in house.rows}
    tree = describe_tree(house)
    return Report(rows, tree, list_offenders(house))


def describe_row(house: House, name: str) -> Row:
    """One row, by the keys of `COLUMNS`."""
    sources = house.rows[name]
    modules = {source.module for source in sources}
    inside = [one for one in house.lone if one.module in modules]
    folder = PurePosixPath(PACKAGE, name)
    return {
        **describe_figures(house.figures[name]),
        "own": house.folders.get(str(folder)),
        "shared": sum(source.name in house.shared for source in sources),
        "lone": sum(one.inside_only for one in inside),
        "lone_inside": len(inside),
    }


def describe_figures(figures: Figures) -> Row:
    """The part of a row that is counted in the files themselves."""
    return {
        "files": figures.files,
        "functions": len(figures.sizes),
        "median": figures.median,
        "p90": figures.p90,
        "tokens_a_line": figures.tokens_a_line,
        "comments": figures.comments_a_hundred,
        "silent": figures.silent,
        "verbs": figures.verb_share,
    }


def describe_tree(house: House) -> Row:
    """The figures that belong to no folder."""
    row: Row = {
        f"folders with more than {MOST_FILES} files": len(list_full_folders(house)),
        "files in the fullest folder": max(house.folders.values()),
        "file names that stand in several folders": len(house.shared),
    }
    for level, cycles in house.cycles.items():
        title = describe_cycles(level)
        row[title] = len(cycles)
    return row


def describe_cycles(level: str) -> str:
    """The title of a kind of cycles, by its key in `House.cycles`."""
    shown = level.replace("_with_types", ", types included")
    return f"import cycles between {shown}"


def list_offenders(house: House) -> dict[str, list[str]]:
    """List, measure by measure, what a reader would look at first."""
    shared = house.shared.items()
    lists = {
        f"folders with more than {MOST_FILES} files": list_full_folders(house),
        "longest functions": list_longest(house.sources, WORST),
        "files of 120 lines and more without a comment": list_silent(house.sources),
        "file names in several folders": [f"{name}: {', '.join(folders)}" for name, folders in shared],
        "small modules with one importer": list_lone(house, inside_only=True),
        "small modules with one importer inside, and others outside": list_lone(house, inside_only=False),
    }
    for level, cycles in house.cycles.items():
        title = describe_cycles(level)
        lists[title] = [" <-> ".join(cycle) for cycle in cycles]
    return lists


def list_full_folders(house: House) -> list[str]:
    """List the folders with more files of their own than the bound, the fullest first."""
    full = []
    for folder, count in house.folders.items():
        if count > MOST_FILES:
            full.append((-count, folder))
    return [f"{folder}: {-count}" for count, folder in sorted(full)]


def list_longest(sources: Sequence[Source], most: int) -> list[str]:
    """List the longest functions of some files, with their tokens."""
    functions = []
    for source in sources:
        for function in source.functions:
            place = f"{source.path}:{function.line} {function.name}"
            functions.append((-function.tokens, place))
    longest = sorted(functions)[:most]
    return [f"{place}: {-tokens}" for tokens, place in longest]


def list_silent(sources: Sequence[Source]) -> list[str]:
    """List the long files without a comment."""
    return [source.path for source in sources if source.is_silent]


def list_lone(house: House, inside_only: bool) -> list[str]:
    """List small modules with one importer in their package: those without importers outside, or those with."""
    return [str(one) for one in house.lone if one.inside_only == inside_only]
