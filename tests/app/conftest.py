"""Receivers in this process; what they need is shared with the end-to-end tests."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from served import Started, configuration


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Started]]:
    """Starts servers and stops them."""
    made: list[Started] = []

    def start(**changes: Any) -> Started:
        made.append(Started(configuration(tmp_path, **changes)))
        return made[-1]

    yield start
    for started in made:
        started.server.stop()
