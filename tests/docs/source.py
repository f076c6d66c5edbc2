"""All Python files of the tree: what a dotted name means, and what a docstring may speak of."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

from tests.docs.modules import Module, members

PACKAGE = "calidris"
SOURCE = Path("src") / PACKAGE
ROOTS = (
    SOURCE,
    Path("benchmarks"),
    Path("examples"),
    Path("fuzz"),
    Path("scripts"),
    Path("semconv"),
)
"""Folders whose definitions count. Those of ``tests`` do not: no page may name what only a test defines."""


class Place(NamedTuple):
    """Where a name is defined: a module itself (no node), a definition in it, or a library's (no module)."""

    module: Module | None
    node: ast.AST | None = None

    @property
    def is_module(self) -> bool:
        """Whether it is a module of ours."""
        return self.module is not None and self.node is None

    @property
    def is_class(self) -> bool:
        """Whether it is a class of ours."""
        return isinstance(self.node, ast.ClassDef)


_OF_A_LIBRARY = Place(None)


class Source:
    """All modules below ``ROOTS``."""

    def __init__(self, root: Path) -> None:
        self._by_path: dict[Path, Module] = {}
        self.modules: dict[str, Module] = {}
        for folder in ROOTS:
            for path in (root / folder).rglob("*.py"):
                relative = path.relative_to(root)
                text = path.read_text(encoding="utf-8")
                module = Module(relative, _dotted(relative), text)
                self._by_path[relative] = module
                self.modules[module.name] = module

    def of(self, path: Path) -> Module:
        """The module in a file."""
        return self._by_path[path]

    @cached_property
    def ours(self) -> list[Module]:
        """The modules of the package itself."""
        found = []
        for module in self.modules.values():
            if module.name.partition(".")[0] == PACKAGE:
                found.append(module)
        return found

    @cached_property
    def defined(self) -> dict[str, list[Place]]:
        """Each name that is defined anywhere, modules and packages among them, with its places."""
        found = defaultdict(list)
        for module in self.modules.values():
            found[module.last_name].append(Place(module))
            for name, node in module.definitions.items():
                found[name].append(Place(module, node))
        return found

    @cached_property
    def unique(self) -> frozenset[str]:
        """Modules of the package and what stands outermost in them, where there is one of that name."""
        names = Counter[str]()
        for module in self.ours:
            names[module.last_name] += 1
            names.update(module.outermost.keys())
        return frozenset(name for name in names if names[name] == 1)

    @cached_property
    def strings(self) -> frozenset[str]:
        """String constants of all modules."""
        found = (module.strings for module in self.modules.values())
        return frozenset().union(*found)

    @cached_property
    def parameters(self) -> frozenset[str]:
        """Parameters of all functions."""
        found = (module.parameters for module in self.modules.values())
        return frozenset().union(*found)

    @cached_property
    def used(self) -> frozenset[str]:
        """What the code takes from an object somewhere, ours or a library's, or gives to a call by name."""
        found = set()
        for module in self.modules.values():
            for node in module.nodes:
                if isinstance(node, ast.Attribute):
                    found.add(node.attr)
                elif isinstance(node, ast.keyword):
                    found.add(node.arg or "")
        return frozenset(found)

    # A name's meaning

    def find(self, dotted: str) -> Place | None:
        """The place behind a full dotted name."""
        parts = dotted.split(".")
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            module = self.modules.get(name)
            if module:
                place = Place(module)
                return self.inside(place, parts[end:])
        return None

    def inside(self, place: Place, names: list[str]) -> Place | None:
        """What ``.a.b`` behind a place leads to; of a library anything, of a value nothing, for nobody knows its type."""
        for name in names:
            if place == _OF_A_LIBRARY:
                return place
            inner = self._member(place, name)
            if inner is None:
                return None
            place = inner
        return place

    def _member(self, place: Place, name: str) -> Place | None:
        module = place.module
        if module is None:
            return None
        if place.is_module:
            return self.local(module, name)
        if isinstance(place.node, ast.ClassDef):
            inner = self._of_class(module, place.node)
            if name in inner:
                return Place(module, inner[name])
        return None

    def local(self, module: Module, name: str) -> Place | None:
        """What a name means at the outermost level of a module."""
        if name in module.outermost:
            return Place(module, module.outermost[name])
        target = module.imports.get(name)
        if target:
            root = target.partition(".")[0]
            if root in self.modules:
                return self.find(target)
            return _OF_A_LIBRARY
        # Some modules load what they offer at its first use.
        if name in module.offered and "__getattr__" in module.outermost:
            return self.defined[name][0]
        return None

    def visible(self, module: Module, name: str) -> Place | None:
        """What a name means in a module: its own, an import, a module beside it or in a package around it."""
        place = self.local(module, name)
        package = module.package
        while place is None and package:
            place = self.find(f"{package}.{name}")
            package = package.rpartition(".")[0]
        return place

    def _of_class(self, module: Module, node: ast.ClassDef) -> dict[str, ast.AST]:
        """Members of a class, inherited ones too as far as the bases are ours."""
        found = members(node)
        for base in node.bases:
            place = self.local(module, ast.unparse(base))
            if place is None or place.module is None:
                continue
            if isinstance(place.node, ast.ClassDef):
                inherited = self._of_class(place.module, place.node)
                found = inherited | found
        return found

    @cache  # noqa: B019  # there is one such object in a process
    def reach(self, module: Module) -> frozenset[str]:
        """What a module's docstrings may speak of beside its own.

        That is what it imports, with members of classes and modules; what stands outermost in the modules beside it; and
        the texts of the modules that it imports from or that are beside it.
        """
        names = set[str]()
        for target in module.imports.values():
            place = self.find(target)
            if place and place.module:
                inner = self._inner_names(place)
                names.update(inner)
                names.update(place.module.strings)
        for other in self.modules.values():
            if other.package == module.package:
                names.add(other.last_name)
                names.update(other.outermost)
                names.update(other.strings)
        return frozenset(names)

    def _inner_names(self, place: Place) -> dict[str, ast.AST]:
        if place.module is None:
            return {}
        if isinstance(place.node, ast.ClassDef):
            return self._of_class(place.module, place.node)
        if place.is_module:
            return place.module.outermost
        return {}


def _dotted(path: Path) -> str:
    parts = [*path.with_suffix("").parts]
    for silent in ("src", "__init__"):
        if silent in parts:
            parts.remove(silent)
    return ".".join(parts)
