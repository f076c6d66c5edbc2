"""Plain programs that end: what they predicted is counted, and their end is their own."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from program import Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
READY = "(ready)"
CONTAINER = ("unshare", "--pid", "--fork", "--mount-proc")
ENDS = {
    "returns": 0,
    "sys_exit": 3,
    "exception": 1,
    "system_exit_in_a_thread": 0,
    "threads_that_outlive_main": 0,
    "asyncio_tasks": 0,
    "atexit_handlers": 0,
    "only_at_exit": 0,
    "os_exit": 5,
    "another_program": 0,
    "aborts": -signal.SIGABRT,
    "kills_itself": -signal.SIGKILL,
    "kills_its_group": -signal.SIGINT,
    "kills_its_thread": -signal.SIGUSR1,
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


def test_what_a_destructor_predicts_at_the_very_end(start: Start, counted: Counted) -> None:
    """No thread runs any more, so nothing can be sent: it is logged, and the application is neither told nor held."""
    program = start(sys.executable, "ends.py", "destructor")
    assert program.wait() == 0
    assert "it was told nothing" in program.output
    assert "Traceback" not in program.output
    assert "nothing can be sent any more" in program.output
    assert (program.made.ended, counted(program)) == (300, 0)


def test_an_end_in_one_thread_while_others_predict(start: Start, counted: Counted) -> None:
    """By os._exit, and by a signal."""
    exits, signalled = (
        start(sys.executable, "ends.py", "os_exit_in_a_thread"),
        start(sys.executable, "ends.py", "threads"),
    )
    signalled.said(READY)
    time.sleep(0.5)
    assert (exits.wait(), signalled.end()) == (5, -signal.SIGTERM)
    for program in (exits, signalled):
        arrived = counted(program)
        assert 0 < program.made.ended <= arrived <= program.made.begun


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
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


@pytest.mark.skipif(not hasattr(socket, "SO_PASSCRED"), reason="only Linux tells who wrote")
def test_a_signal_that_the_main_thread_does_not_hear(start: Start, counted: Counted) -> None:
    """As where it comes a moment before a wait begins: Python takes note of it, and the wait goes on."""
    program = start(sys.executable, "ends.py", "unheard")
    thread = int(program.said(r"thread (\d+)"))
    time.sleep(0.5)
    begun_s = time.monotonic()
    send_to_thread(program.process.pid, thread, signal.SIGTERM)
    assert program.wait() == -signal.SIGTERM
    assert time.monotonic() - begun_s < 30, "it has waited to its end"
    assert counted(program) == program.made.ended


def send_to_thread(pid: int, thread: int, number: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    assert library.tgkill(pid, thread, number) == 0, ctypes.get_errno()


def test_the_first_process_of_a_container(start: Start, counted: Counted) -> None:
    """Signals that it does not handle do not end it, with us as without."""
    program = start(*CONTAINER, sys.executable, "ends.py", "goes_on_until_told")
    until(lambda: program.made.ended > 300 or program.process.poll())
    if "Operation not permitted" in program.output:
        pytest.skip("no namespaces may be made here")
    children = Path(f"/proc/{program.process.pid}/task/{program.process.pid}/children").read_text()
    os.kill(int(children), signal.SIGTERM)
    before = program.made.ended
    until(lambda: program.made.ended > before + 300)
    assert program.tell() == 0
    assert counted(program) == program.made.ended


@pytest.mark.parametrize("what", ["own_handler", "own_handler_later"])
def test_a_handler_of_the_application_stays_its_own(start: Start, counted: Counted, what: str) -> None:
    program = start(sys.executable, "ends.py", what)
    program.said(READY)
    assert program.end() == 7
    assert "the application's own handler" in program.output
    assert counted(program) == program.made.ended


@pytest.mark.parametrize(
    ("what", "number"),
    [("ignores", signal.SIGTERM), ("handler_in_the_loop", signal.SIGTERM), ("own_dumper", signal.SIGHUP)],
)
def test_a_signal_that_does_not_kill_goes_on_not_killing(
    start: Start, counted: Counted, what: str, number: int
) -> None:
    program = start(sys.executable, "ends.py", what)
    program.said(READY)
    assert program.end(number) == 0
    assert counted(program) == program.made.ended


def test_a_signal_during_a_call_of_native_code(start: Start, counted: Counted) -> None:
    program = start(sys.executable, "ends.py", "native")
    program.said(READY)
    assert program.end() == -signal.SIGTERM
    assert counted(program) == program.made.ended
