"""Servers of ASGI applications: what was answered is counted, however the server is ended."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable

import pytest
from program import BIN, Program

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
ANSWERS = 200
UVICORN = (BIN / "uvicorn", "asgi:app", "--port", "0", "--no-access-log")
SERVERS = {
    "uvicorn": UVICORN,
    "zero-code": (BIN / "opentelemetry-instrument", *UVICORN),
    "workers": (*UVICORN, "--workers", "2"),
    "hypercorn": (BIN / "hypercorn", "asgi:app", "-b", "127.0.0.1:0"),
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("server", SERVERS)
def test_every_answer_is_counted(start: Start, counted: Counted, server: str, number: int) -> None:
    program = start(*SERVERS[server])
    assert program.ask(ANSWERS).total() == ANSWERS
    program.end(number)
    assert program.made.ended == ANSWERS
    assert counted(program) == ANSWERS
