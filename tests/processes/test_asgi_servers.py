"""Servers of ASGI applications: what was answered is counted, however the server is ended."""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from program import BIN, END_S, PROGRAMS, Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
ANSWERS = 200
OPTIONS = ("--port", "0", "--no-access-log")
INSTRUMENTED = BIN / "opentelemetry-instrument"
UVICORN = (BIN / "uvicorn", "asgi:app", *OPTIONS)
ZERO_CODE = (INSTRUMENTED, BIN / "uvicorn", "zero_code:app", *OPTIONS, "--lifespan", "off")
SERVERS = {
    "uvicorn": UVICORN,
    "instrumented": (INSTRUMENTED, *UVICORN),
    "zero-code": ZERO_CODE,
    "workers": (*UVICORN, "--workers", "2"),
    "script": (sys.executable, "serves.py"),
    "hypercorn": (BIN / "hypercorn", "asgi:app", "-b", "127.0.0.1:0"),
    "hypercorn-workers": (BIN / "hypercorn", "asgi:app", "-b", "127.0.0.1:0", "--workers", "2"),
}


@pytest.mark.parametrize("server", SERVERS)
def test_every_answer_is_counted(start: Start, counted: Counted, server: str) -> None:
    """Ended by SIGTERM, and by SIGINT."""
    programs = {number: start(*SERVERS[server]) for number in (signal.SIGTERM, signal.SIGINT)}
    for program in programs.values():
        program.ask(ANSWERS)
    for number, program in programs.items():
        program.end(number)
    assert {number.name: counted(program) for number, program in programs.items()} == {
        number.name: ANSWERS for number in programs
    }


def test_a_server_that_reloads(start: Start, counted: Counted, tmp_path: Path) -> None:
    """Its process is ended by SIGTERM and another begins, with each change of a file."""
    shutil.copy(PROGRAMS / "asgi.py", tmp_path / "watched.py")
    where = ("--app-dir", tmp_path, "--reload-dir", tmp_path)
    program = start(BIN / "uvicorn", "watched:app", *OPTIONS, "--reload", *where)
    before = program.ask(ANSWERS)
    with (tmp_path / "watched.py").open("a") as file:
        file.write("# changed\n")
    until(lambda: not set(program.ask(4)) & set(before))
    program.end()
    assert counted(program) == program.made.ended > ANSWERS


def test_a_server_that_is_ended_under_load(start: Start, counted: Counted) -> None:
    """What is answered while it ends is counted too."""
    program = start(*UVICORN)
    program.ask(ANSWERS)
    load = program.ask_until_it_ends()
    until(lambda: program.made.ended > ANSWERS)
    program.end()
    load.join(END_S)
    assert counted(program) == program.made.ended > ANSWERS
