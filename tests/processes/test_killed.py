"""Ends at which nothing can run any more: what is lost is what came within the last interval of sending, and one request."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

import pytest
from program import BIN, Program

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
DELAY_S = 1.0
"""Of sending; what OTEL_CALIDRIS_SCHEDULE_DELAY is when nobody sets it."""
DEADLY = (signal.SIGKILL, signal.SIGABRT, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1)
REQUEST_S = 1.5
"""What one request may take on a busy machine; a thousandth of it on others."""


def test_deadly_signals_lose_what_was_given_in_the_last_second(start: Start, counted: Counted) -> None:
    programs = {number: start(sys.executable, "ends.py", "goes_on") for number in DEADLY}
    for program in programs.values():
        program.said("(ready)")
    time.sleep(1)
    before = {number: program.made.ended for number, program in programs.items()}
    time.sleep(DELAY_S + REQUEST_S)
    for number, program in programs.items():
        assert program.end(number) == -number
        assert 0 < before[number] <= counted(program) <= program.made.begun


def test_a_killed_worker_of_gunicorn_loses_its_last_second_alone(start: Start, counted: Counted) -> None:
    program = start(BIN / "gunicorn", "-b", "127.0.0.1:0", "--workers", "2", "--no-control-socket", "wsgi:app")
    workers = program.ask(100)
    time.sleep(DELAY_S + REQUEST_S)
    os.kill(int(next(iter(workers))), signal.SIGKILL)
    program.ask(100)
    program.end()
    assert counted(program) == program.made.ended == 200


def test_a_handler_that_flushes_may_be_frozen_and_killed(start: Start, counted: Counted) -> None:
    program = start(sys.executable, "frozen.py")
    for invocation in range(2):
        program.said(rf"(invocation {invocation}: True)")
        program.process.send_signal(signal.SIGSTOP)
        assert counted(program) == program.made.ended == 50 * (invocation + 1)
        program.process.send_signal(signal.SIGUSR1)
        if not invocation:
            program.process.send_signal(signal.SIGCONT)
    program.kill()
    assert counted(program) == program.made.ended == 100
