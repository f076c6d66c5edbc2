"""The tree that pieces are held against, and how a rule answers."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from tests.docs.files import Files
from tests.docs.settings import Settings
from tests.docs.source import Source
from tests.docs.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parents[2]

CONFIGURATION = "CalidrisConfig"
MODEL = "ModelConfig"
"""The classes of a whole configuration and of a model in it, in whatever module."""


class Stale(NamedTuple):
    """A piece that leads nowhere, with what its writer should do."""

    cure: str


Outcome = str | Stale | None
"""The kind of thing that was found; `Stale`; or None where a rule does not know the shape."""


class Project:
    """All that a rule may ask. Each part is read when it is first asked for."""

    def __init__(self, root: Path = ROOT) -> None:
        self.root = root

    @cached_property
    def files(self) -> Files:
        """What is checked in."""
        return Files(self.root)

    @cached_property
    def source(self) -> Source:
        """What the Python files define."""
        return Source(self.root)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Names that are neither Python's nor settings."""
        return Vocabulary(self.root, self.source)

    @cached_property
    def settings(self) -> Settings:
        """Key paths of the configuration."""
        return Settings(
            self._class(CONFIGURATION),
            self._class(MODEL),
        )

    def _class(self, name: str) -> Any:
        for place in self.source.defined[name]:
            if place.is_class and place.module in self.source.ours:
                module = importlib.import_module(place.module.name)
                return getattr(module, name)
        raise AssertionError(f"the class {name} is gone: write its new name into {Path(__file__).name}")


def stale(
    what: str,
    name: str,
    known: Iterable[str],
    places: Iterable[str] = (),
) -> Stale:
    """A cure that names what is spelled most like it, where its last part is, and what is spelled like that."""
    names = sorted(set(known))
    last = name.rpartition(".")[2]
    perhaps = dict.fromkeys(
        [
            *get_close_matches(name, names, n=1, cutoff=0.75),
            *sorted(places),
            *get_close_matches(last, names, cutoff=0.75),
        ]
    )
    if not perhaps:
        return Stale(f"{what}; write what took its place")
    first = [f"`{one}`" for one in perhaps][:3]
    return Stale(f"{what}; perhaps {' or '.join(first)}")
