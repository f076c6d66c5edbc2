"""The files of the repository: which paths, patterns and anchors exist."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path
from posixpath import normpath

from tests.docs.reading import without_fences
from tests.docs.source import SOURCE

# What stands for any name in a path of a page: {version}, <name>.
_ANY = re.compile(r"\{\w+\}|<\w+>")
_HEADING = re.compile(r"^#+ +(.+?) *#*$", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


class Files:
    """What is checked in. What programs write beside it (``.gitignore``) is not there on every machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        ignored = (root / ".gitignore").read_text(encoding="utf-8")
        self._written = [line.rstrip("/") for line in ignored.split()]

    def is_written(self, name: str) -> bool:
        """Whether programs of ours write a folder of this name."""
        return any(fnmatchcase(name, pattern) for pattern in self._written)

    @cached_property
    def all(self) -> frozenset[str]:
        """Paths of files and folders, from the root."""
        return frozenset(self._walk())

    def _walk(self) -> Iterator[str]:
        for folder, below, files in os.walk(self.root):
            for name in [*below]:
                if name == ".git" or self.is_written(name):
                    below.remove(name)
            here = Path(folder).relative_to(self.root)
            for name in below + files:
                yield (here / name).as_posix()

    @cached_property
    def by_name(self) -> dict[str, list[str]]:
        """Each file's or folder's name, with the paths that end in it."""
        found = defaultdict(list)
        for path in sorted(self.all):
            name = path.rpartition("/")[2]
            found[name].append(path)
        return found

    def ending(self, path: str) -> list[str]:
        """Files and folders whose path ends like this; copies that tests keep are none."""
        end = path.rstrip("/")
        name = end.rpartition("/")[2]
        found = []
        for one in self.by_name.get(name, []):
            if f"/{one}".endswith(f"/{end}") and not one.startswith("tests/"):
                found.append(one)
        return found

    def matching(self, path: str, page: Path, near: tuple[str, ...]) -> str | None:
        """The first file that a path or a pattern names, as a reader of the page would look for it."""
        pattern = _ANY.sub("*", path.rstrip("/"))
        for folder in self._folders(page, near):
            full = normpath(f"{folder}/{pattern}")
            if full in self.all:
                return full
            if "*" in full:
                for one in self.all:
                    if fnmatchcase(one, full):
                        return one
        return None

    def _folders(self, page: Path, near: tuple[str, ...]) -> Iterator[str]:
        """The root, the package, the page's own folder; then folders that are named beside the piece."""
        bases = (
            ".",
            SOURCE.as_posix(),
            page.parent.as_posix(),
        )
        yield from bases
        for folder in near:
            for base in bases:
                yield f"{base}/{folder}"
            yield from self.ending(folder)


@cache
def anchors(page: Path) -> frozenset[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    text = without_fences(page.read_text(encoding="utf-8"))
    found = set()
    seen = Counter[str]()
    for heading in _HEADING.findall(text):
        plain = _LINK.sub(r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        times = seen[anchor]
        found.add(f"{anchor}-{times}" if times else anchor)
        seen[anchor] += 1
    return frozenset(found)
