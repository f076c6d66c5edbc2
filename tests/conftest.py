"""Collection: only ``test_*.py`` below here; helpers and programs that tests start are not imported for doctests."""

from __future__ import annotations

from pathlib import Path


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules that are not tests: some of them are processes of their own."""
    name = collection_path.name
    return True if name.endswith(".py") and not name.startswith(("test_", "conftest")) else None
