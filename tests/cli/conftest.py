"""The command line as a shell sees it."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
sys.path.insert(0, str(Path(__file__).parent))

from shell import Done, run


@pytest.fixture
def calidris() -> Callable[..., Done]:
    """Runs a command in this process."""
    return run
