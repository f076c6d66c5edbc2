"""One real receiver for all programs, and the programs, each ended with the test that started it."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
sys.path.insert(0, str(Path(__file__).parent))

from program import PROGRAMS, Program, settled
from running import Running


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A receiver that takes requests; each test of a file has a model of its own there.

    Not one receiver for all files: together they have more models than ``limits.models`` lets a tenant have unconfigured.
    """
    one = Running(tmp_path_factory.mktemp("receiver")).start()
    yield one
    without_room = one.total("calidris_models_overflow_total")
    one.kill()
    assert without_room == 0, "the receiver had no room for the models of this file"


@pytest.fixture
def start(receiver: Running, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Program]]:
    """Starts programs, by default those of the folder `programs`, and ends what is left of them."""
    started: list[Program] = []

    def run(*command: str | Path, endpoint: str = "", **env: str) -> Program:
        words = [word if not str(word).endswith(".py") else PROGRAMS / word for word in command]
        test = f"{request.path.stem} {request.node.name}"
        model = f"{re.sub('[^a-z0-9]+', '-', test)}-{len(started)}"
        started.append(Program(tmp_path, model, endpoint or f"http://{receiver.grpc}", words, env))
        return started[-1]

    yield run
    for program in started:
        program.kill()


@pytest.fixture
def counted(receiver: Running) -> Callable[[Program], int]:
    """How many predictions of a program the receiver has counted, once there are no more to come."""

    def rows(program: Program) -> int:
        return settled(receiver, program.model, program.made.ended)

    return rows
