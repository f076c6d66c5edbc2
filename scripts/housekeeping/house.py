"""A checkout, measured: its packages, its folders, its imports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from housekeeping.figures import Figures, count_figures
from housekeeping.imports import LOADED, TYPES, Imports, find_cycles
from housekeeping.lone import Lone, find_lone
from housekeeping.source import Source, read_package
from housekeeping.verbs import read_verbs

PACKAGE = "src/calidris"
TESTS = "tests"
LEVELS = ("module", "folder", "package")

Rows = dict[str, list[Source]]
Names = dict[str, list[str]]
Cycles = dict[str, list[list[str]]]


@dataclass(frozen=True)
class House:
    """What `measure_house` found.

    Attributes:
        rows: by folder, the files in it and below it; ``.`` holds the modules beside the packages alone.
        figures: of each row, and of everything as ``total``.
        folders: how many files of its own each folder has, by its path in the checkout, tests included.
        shared: file names that stand in several folders, with those folders.
        lone: small modules that one module of their package imports.
        cycles: by ``modules``, ``folders`` and ``packages``, among the imports that run; with ``_with_types`` added to
            the key, among those for type checkers too. Those of modules alone are among ``modules`` only.
    """

    rows: Rows
    figures: dict[str, Figures]
    folders: dict[str, int]
    shared: Names
    lone: list[Lone]
    cycles: Cycles

    @property
    def sources(self) -> list[Source]:
        """Every file measured."""
        return self.rows["total"]

    @property
    def packages(self) -> list[str]:
        """The top-level packages, ``.`` among them: rows that neither lie in another one nor hold everything."""
        names = {source.package for source in self.sources}
        return sorted(names)


def measure_house(root: Path) -> House:
    """Measure the checkout at ``root``; takes about three seconds for 350 files.

    Raises:
        FileNotFoundError: it has no ``src/calidris``.
        SyntaxError: a file does not parse.
    """
    everything = read_package(root, PACKAGE)
    imports = Imports(everything)
    sources = [source for source in everything if not source.is_generated]
    rows = collect_rows(sources)
    return House(
        rows=rows,
        figures=count_rows(rows),
        folders=count_files(sources, root),
        shared=find_shared(sources),
        lone=find_lone(imports),
        cycles=find_all_cycles(imports),
    )


def collect_rows(sources: list[Source]) -> Rows:
    """Collect the files of every folder with those below it, parents before children; ``total`` last."""
    rows: Rows = defaultdict(list)
    for source in sources:
        folder = PurePosixPath(source.folder)
        for holder in (folder, *folder.parents):
            rows[str(holder)].append(source)
    # The package itself would be the total again; its row is for the modules that belong to no package.
    rows["."] = [source for source in sources if source.folder == "."]
    ordered = dict(sorted(rows.items()))
    ordered["total"] = sources
    return ordered


def count_rows(rows: Rows) -> dict[str, Figures]:
    """Count the files of every row."""
    verbs = read_verbs()
    figures = {}
    for name, sources in rows.items():
        figures[name] = count_figures(sources, verbs)
    return figures


def find_shared(sources: Iterable[Source]) -> Names:
    """Find the file names that stand in several folders; those that Python gives are left out."""
    places: Names = defaultdict(list)
    for source in sources:
        if not source.is_named_by_python:
            places[source.name].append(source.folder)
    shared = {}
    for name, folders in sorted(places.items()):
        if len(folders) > 1:
            shared[name] = sorted(folders)
    return shared


def count_files(sources: Iterable[Source], root: Path) -> dict[str, int]:
    """Count the Python files that each folder of the package and of the tests holds itself."""
    counts: Counter[str] = Counter()
    for source in sources:
        path = PurePosixPath(source.path)
        counts[str(path.parent)] += 1
    tests = root / TESTS
    for test in tests.rglob("*.py"):
        folder = test.parent.relative_to(root)
        counts[folder.as_posix()] += 1
    return dict(sorted(counts.items()))


def find_all_cycles(imports: Imports) -> Cycles:
    """Find the cycles at every level, without and with imports for type checkers."""
    cycles = {}
    for level in LEVELS:
        loaded = imports.draw_graph({LOADED}, level)
        known = imports.draw_graph({LOADED, TYPES}, level)
        cycles[f"{level}s"] = find_cycles(loaded)
        cycles[f"{level}s_with_types"] = find_cycles(known)
    for key, found in cycles.items():
        if not key.startswith("modules"):
            cycles[key] = [cycle for cycle in found if not imports.sources.keys() >= set(cycle)]
    return cycles
