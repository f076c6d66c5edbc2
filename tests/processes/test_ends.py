"""Plain programs that end: what they predicted is counted, and their end is their own."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable

import pytest
from program import Program

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
READY = "(ready)"
ENDS = {
    "returns": 0,
    "sys_exit": 3,
    "exception": 1,
    "system_exit_in_a_thread": 0,
    "threads_that_outlive_main": 0,
    "asyncio_tasks": 0,
    "atexit_handlers": 0,
    "only_at_exit": 0,
}


@pytest.mark.parametrize("end", ENDS)
def test_everything_is_counted_and_the_end_is_its_own(start: Start, counted: Counted, end: str) -> None:
    program = start(sys.executable, "ends.py", end)
    assert program.wait() == ENDS[end]
    assert ("LookupError: the application's own" in program.output) == (end == "exception")
    assert counted(program) == program.made.ended > 0


def test_daemon_threads_predict_to_the_last(start: Start, counted: Counted) -> None:
    """What comes when nobody waits any more is counted as dropped, as long as anything can be counted."""
    program = start(sys.executable, "ends.py", "daemon_threads")
    assert program.wait() == 0
    arrived = counted(program)
    (words,) = program.last_words
    assert words["made"] <= arrived + program.dropped <= program.made.begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_a_plain_script(start: Start, counted: Counted, number: int) -> None:
    """One that waits, and one that is in the middle of predicting."""
    programs = [start(sys.executable, "ends.py", what) for what in ("waits", "goes_on")]
    for program in programs:
        program.said(READY)
    time.sleep(0.5)
    for program in programs:
        assert program.end(number) == -number
        arrived = counted(program)
        made = program.made
        assert 0 < made.ended <= arrived <= made.begun


@pytest.mark.parametrize("what", ["own_handler", "own_handler_later"])
def test_a_handler_of_the_application_stays_its_own(start: Start, counted: Counted, what: str) -> None:
    program = start(sys.executable, "ends.py", what)
    program.said(READY)
    assert program.end() == 7
    assert "the application's own handler" in program.output
    assert counted(program) == program.made.ended


@pytest.mark.parametrize("what", ["ignores", "handler_in_the_loop"])
def test_a_signal_that_does_not_kill_goes_on_not_killing(start: Start, counted: Counted, what: str) -> None:
    program = start(sys.executable, "ends.py", what)
    program.said(READY)
    assert program.end() == 0
    assert counted(program) == program.made.ended


def test_a_signal_during_a_call_of_native_code(start: Start, counted: Counted) -> None:
    program = start(sys.executable, "ends.py", "native")
    program.said(READY)
    assert program.end() == -signal.SIGTERM
    assert counted(program) == program.made.ended
