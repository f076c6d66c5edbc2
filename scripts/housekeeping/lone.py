"""Small modules that only one other module of their package imports: two files where there may be one idea."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from housekeeping.imports import Imports
from housekeeping.source import Source

SMALL_FILE = 110

Importers = dict[str, list[Source]]


@dataclass(frozen=True)
class Lone:
    """A small module and its only importer inside the package.

    Attributes:
        module: the small one.
        importer: the one that imports it.
        inside_only: whether nobody outside the package imports it.
    """

    module: str
    importer: str
    inside_only: bool

    def __str__(self) -> str:
        """Both, as an arrow."""
        return f"{self.module} <- {self.importer}"


def find_lone(imports: Imports) -> list[Lone]:
    """Find small modules that exactly one other module of their top-level package imports, by name.

    Every import counts, those inside functions and those for types too. An ``__init__`` of the same package is no
    importer, since it passes names on; who takes a name through it is one.
    """
    lone = []
    importers = _collect_importers(imports)
    for module, source in sorted(imports.sources.items()):
        users = importers[module]
        siblings = [user for user in users if user.package == source.package]
        if is_small(source) and len(siblings) == 1:
            importer = siblings[0].module
            lone.append(Lone(module, importer, siblings == users))
    return lone


def _collect_importers(imports: Imports) -> Importers:
    importers: Importers = defaultdict(list)
    for edge in imports.list_edges(through_doors=True):
        user = imports.sources[edge.importer]
        used = imports.sources[edge.imported]
        known = importers[used.module]
        passes_on = user.is_door and user.package == used.package
        # Two imports of different kinds are still one importer.
        if not passes_on and user not in known:
            known.append(user)
    return importers


def is_small(source: Source) -> bool:
    """Whether a file is small enough to be one idea with its only importer."""
    if source.is_generated or source.is_named_by_python:
        return False
    return source.length < SMALL_FILE
