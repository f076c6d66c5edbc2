"""Real receivers that are hurt, and senders that keep account."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
sys.path.insert(0, str(Path(__file__).parent))

from hatched import Nest, Reborn
from hatched import nest as opened_nest


@pytest.fixture(scope="session")
def nest() -> Iterator[Nest]:
    """What receivers are forked from."""
    with opened_nest() as one:
        yield one


@pytest.fixture
def make_receiver(tmp_path: Path, nest: Nest) -> Iterator[Callable[..., Reborn]]:
    """Makes receivers and kills what is left of them."""
    made: list[Reborn] = []

    def make(config: str, folder: Path = tmp_path) -> Reborn:
        folder.mkdir(exist_ok=True)
        made.append(Reborn(folder, config, nest))
        return made[-1]

    yield make
    for receiver in made:
        if receiver.process is not None and receiver.process.poll() is None:
            receiver.kill()
