"""Real receivers that are hurt, and senders that keep account."""

import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parents[1] / "app"))
sys.path.insert(0, str(Path(__file__).parent))

from hatched import Nest, Reborn
from hatched import nest as opened_nest
from running import until
from senders import Load, load
from watched import WATCHED, history, write_baseline


@pytest.fixture(scope="session")
def nest() -> Iterator[Nest]:
    """What receivers are forked from."""
    with opened_nest() as one:
        yield one


@pytest.fixture(scope="session")
def still(nest: Nest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Reborn, Load, float]]:
    """A receiver under load that has stood still since a moment of the steady clock."""
    folder = tmp_path_factory.mktemp("still")
    write_baseline(folder)
    receiver = Reborn(folder, WATCHED, nest)
    receiver.start()
    with load(receiver, copies=1, senders=2) as senders:
        until(lambda: history(receiver))
        assert receiver.process
        receiver.process.send_signal(signal.SIGSTOP)
        yield receiver, senders, time.monotonic()
        receiver.process.send_signal(signal.SIGCONT)
    receiver.kill()


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
