"""Examples of hypothesis, and collection: only ``test_*.py`` below here; helpers and programs that tests start are not imported for doctests."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import settings

# CI judges a change, so it draws the same examples every time; elsewhere each run looks for new ones.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules that are not tests: some of them are processes of their own."""
    name = collection_path.name
    return True if name.endswith(".py") and not name.startswith(("test_", "conftest")) else None
