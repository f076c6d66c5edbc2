"""Receivers as real processes, each ended by its own process id."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from running import CONFIG, Running


@pytest.fixture
def make_receiver(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Makes receivers and kills what is left of them."""
    made: list[Running] = []

    def make(config: str = CONFIG, name: str = ".") -> Running:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        made.append(Running(folder, config))
        return made[-1]

    yield make
    for receiver in made:
        if receiver.process is not None and receiver.process.poll() is None:
            receiver.kill()


@pytest.fixture
def receiver(make_receiver: Callable[..., Running]) -> Running:
    """A receiver that takes requests."""
    return make_receiver().start()
