"""The scripts are no package: their folder is put on the path, last, so that none of them hides a module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = ROOT / "scripts"

if str(SCRIPTS) not in sys.path:
    sys.path.append(str(SCRIPTS))

Tree = Callable[..., Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Write files of a small checkout; a path that does not begin with ``tests`` or ``scripts`` is of the package."""

    def write(files: dict[str, str]) -> Path:
        (tmp_path / "scripts").mkdir(exist_ok=True)
        for name, text in files.items():
            path = tmp_path / (name if name.startswith(("tests/", "scripts/")) else f"src/calidris/{name}")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return write
