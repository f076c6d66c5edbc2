"""Receivers that are dead, hang, refuse or restart: made is acknowledged and dropped, and no end is held for longer than stated."""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from front import front
from program import BIN, Program, settled
from running import Running, until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
HELD_S = 2.0
NOISE_S = 1.5
"""What this machine may add to the difference of two runs."""
PREDICTIONS = 300
NOT_SENT = rf"calidris: .*\b{PREDICTIONS}\b"


@pytest.fixture
def hanging() -> Iterator[str]:
    """An address that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def dead() -> str:
    """An address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture(params=["dead", "hanging"])
def nobody(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def seconds_to_end(program: Program) -> tuple[int, float]:
    begun = time.monotonic()
    return program.wait(), time.monotonic() - begun


def test_an_exit_is_held_for_two_seconds_at_most(start: Start, nobody: str) -> None:
    ordinary = seconds_to_end(start(sys.executable, "ends.py", "sys_exit", OTEL_EXPORTER_CALIDRIS_ENDPOINT=""))
    program = start(sys.executable, "ends.py", "sys_exit", endpoint=nobody)
    code, seconds = seconds_to_end(program)
    assert code == ordinary[0] == 3
    assert seconds - ordinary[1] < HELD_S + NOISE_S
    assert program.dropped == program.made.ended == PREDICTIONS
    assert re.search(NOT_SENT, program.output), program.output


def test_an_end_without_an_end_is_held_no_longer(start: Start, nobody: str) -> None:
    ordinary = seconds_to_end(start(sys.executable, "ends.py", "os_exit", OTEL_EXPORTER_CALIDRIS_ENDPOINT=""))
    program = start(sys.executable, "ends.py", "os_exit", endpoint=nobody)
    code, seconds = seconds_to_end(program)
    assert code == ordinary[0] == 5
    assert seconds - ordinary[1] < HELD_S + NOISE_S
    assert re.search(NOT_SENT, program.output), program.output


def test_a_server_is_held_for_two_seconds_at_most(start: Start, nobody: str) -> None:
    server = (BIN / "uvicorn", "asgi:app", "--port", "0")
    program, ordinary = start(*server, endpoint=nobody), start(*server, OTEL_EXPORTER_CALIDRIS_ENDPOINT="")
    for one in (program, ordinary):
        one.ask(PREDICTIONS)
        one.process.terminate()
    baseline = seconds_to_end(ordinary)
    code, seconds = seconds_to_end(program)
    assert code == baseline[0]
    assert seconds < HELD_S + NOISE_S
    assert re.search(NOT_SENT, program.output), program.output


def test_a_receiver_that_refuses_and_comes_back(start: Start, counted: Counted, receiver: Running) -> None:
    with front(receiver) as (door, address):
        program = start(sys.executable, "ends.py", "goes_on_until_told", endpoint=address)
        until(lambda: door.refused)
        door.open.set()
        assert program.tell() == 0
        assert counted(program) == program.made.ended > 0


def test_a_receiver_that_hangs_and_comes_back(start: Start, counted: Counted, receiver: Running) -> None:
    with front(receiver, patience_s=30) as (door, address):
        program = start(
            sys.executable, "ends.py", "goes_on_until_told", endpoint=address, OTEL_EXPORTER_CALIDRIS_TIMEOUT="1"
        )
        until(lambda: program.made.ended > 1000)
        door.open.set()
        assert program.tell() == 0
        assert counted(program) == program.made.ended > 0


def test_a_receiver_that_comes_back_while_a_program_ends(start: Start, counted: Counted, receiver: Running) -> None:
    with front(receiver) as (door, address):
        program = start(sys.executable, "ends.py", "returns", endpoint=address)
        until(lambda: door.refused)
        time.sleep(0.5)
        door.open.set()
        assert program.wait() == 0
        assert counted(program) == program.made.ended == PREDICTIONS


def test_a_receiver_that_is_killed_and_starts_again(start: Start, tmp_path: Path) -> None:
    receiver = Running(tmp_path).start()
    try:
        with front(receiver) as (door, address):
            door.open.set()
            program = start(sys.executable, "ends.py", "goes_on_until_told", endpoint=address)
            until(lambda: receiver.model(program.model)["rows"])
            receiver.kill()
            receiver.start()
            assert program.tell() == 0
            assert settled(receiver, program.model, program.made.ended) == program.made.ended > 0
    finally:
        receiver.kill()


def test_what_finds_no_room_is_counted(start: Start, counted: Counted, receiver: Running) -> None:
    """Rows that go because there is no room while the receiver is away, and those that arrive, are all that were made."""
    with front(receiver) as (door, address):
        program = start(
            sys.executable, "ends.py", "goes_on_until_told", endpoint=address,
            OTEL_CALIDRIS_QUEUE_SIZE="100", OTEL_CALIDRIS_SCHEDULE_DELAY="1000000",
        )  # fmt: skip
        until(lambda: program.made.ended > 1000)
        door.open.set()
        assert program.tell() == 0
        until(lambda: counted(program) + program.dropped == program.made.ended)
        assert 0 < program.dropped < program.made.ended
