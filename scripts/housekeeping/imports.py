"""Who imports whom inside a package: cycles, and modules that only one other module needs.

Three kinds of import are told apart: those that run when a module is loaded, those for type checkers alone (under
``if TYPE_CHECKING:``), and those inside functions. The first two make cycles: a cycle of types is no error at run time,
but its modules cannot be read, moved or explained apart either. An import inside a function is a choice to load late,
and makes none. Relative imports are not followed; ruff forbids them here.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from housekeeping.source import Source, list_statements

LOADED = "loaded"
TYPES = "types"
LATE = "late"
TYPE_CONDITIONS = (
    "TYPE_CHECKING",
    "typing.TYPE_CHECKING",
)

Graph = dict[str, set[str]]


@dataclass(frozen=True)
class Import:
    """One module imports from another: ``name`` of ``module``, or the module itself where ``name`` is empty."""

    module: str
    name: str
    kind: str


@dataclass(frozen=True)
class Edge:
    """One file needs another: the files' modules, both of the measured package."""

    importer: str
    imported: str
    kind: str


def find_imports(
    node: ast.AST,
    kind: str = LOADED,
) -> Iterator[Import]:
    """Yield the imports below ``node`` with their kinds."""
    for child in list_statements(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, "", kind)
        elif isinstance(child, ast.ImportFrom):
            module = child.module or ""
            for alias in child.names:
                yield Import(module, alias.name, kind)
        elif isinstance(child, ast.If):
            yield from _find_in_branches(child, kind)
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from find_imports(child, LATE)
        else:
            yield from find_imports(child, kind)


def _find_in_branches(node: ast.If, kind: str) -> Iterator[Import]:
    condition = ast.unparse(node.test)
    then = kind
    # Inside a function nothing is loaded with the module, whoever the branch is for.
    if condition in TYPE_CONDITIONS and kind != LATE:
        then = TYPES
    for child in node.body:
        yield from find_imports(ast.Module([child], []), then)
    for child in node.orelse:
        yield from find_imports(ast.Module([child], []), kind)


class Imports:
    """The imports of a set of sources: all of a package's, generated ones too, else a name would lead to its door."""

    def __init__(self, sources: Iterable[Source]) -> None:
        self.sources: dict[str, Source] = {}
        self._parents: set[str] = set()
        self._found: dict[str, list[Import]] = {}
        for source in sources:
            found = find_imports(source.tree)
            self.sources[source.module] = source
            self._found[source.module] = list(found)
            folder = PurePosixPath(source.folder)
            for parent in folder.parents:
                self._parents.add(str(parent))

    def list_edges(self, through_doors: bool) -> set[Edge]:
        """List who needs whom.

        A name imported from a package needs the package's ``__init__``; with ``through_doors`` it needs the module from
        which that ``__init__`` has the name instead.
        """
        edges = set()
        for importer, found in self._found.items():
            for one in found:
                imported = self._resolve(one, through_doors)
                if imported not in ("", importer):
                    edges.add(Edge(importer, imported, one.kind))
        return edges

    def _resolve(self, found: Import, through_doors: bool) -> str:
        """The module that an import needs; empty where it is none of ours."""
        inner = f"{found.module}.{found.name}"
        if inner in self.sources:
            return inner
        door = self.sources.get(found.module)
        if door is None:
            return ""
        if through_doors and door.is_door:
            return self._look_behind(door.module, found.name)
        return door.module

    def _look_behind(self, door: str, name: str) -> str:
        """The module from which a package's ``__init__`` has a name; itself for one that it made or has from afar."""
        for offered in self._found[door]:
            if offered.name == name and offered.module != door:
                return self._resolve(offered, through_doors=True) or door
        return door

    def draw_graph(self, kinds: set[str], level: str) -> Graph:
        """Draw who imports whom at a level: ``module``, ``folder`` or ``package`` (the top-level ones).

        A module that stands beside folders stands for itself at the level of folders: a package's base lies below its
        sub-packages and what puts them together above, and that both are in one folder is no cycle.
        """
        graph: Graph = defaultdict(set)
        for edge in self.list_edges(through_doors=False):
            importer = self._get_place(edge.importer, level)
            imported = self._get_place(edge.imported, level)
            if edge.kind in kinds and importer != imported:
                graph[importer].add(imported)
        return graph

    def _get_place(self, module: str, level: str) -> str:
        source = self.sources[module]
        if level == "package" and source.package != ".":
            return source.package
        if level == "folder" and source.folder not in self._parents:
            return source.folder
        return module


def find_cycles(graph: Graph) -> list[list[str]]:
    """Find the cycles of a graph: the largest groups of names that all reach each other, sorted.

    >>> find_cycles({"a": {"b"}, "b": {"a", "c"}, "c": set()})
    [['a', 'b']]
    """
    reached = {}
    for name in graph:
        reached[name] = _follow(graph, name)
    cycles = []
    for name, reach in sorted(reached.items()):
        # A name that is imported and imports nothing has reached nothing.
        cycle = [other for other in sorted(reach) if name in reached.get(other, ())]
        if cycle and cycle not in cycles:
            cycles.append(cycle)
    return cycles


def _follow(graph: Graph, start: str) -> set[str]:
    """What can be reached from ``start``; itself only where a way leads back."""
    reach: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        name = waiting.pop()
        if name not in reach:
            reach.add(name)
            waiting.extend(graph.get(name, ()))
    return reach
