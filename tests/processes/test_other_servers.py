"""Servers with manners of their own: in threads, in native code, forked by the application; and one that schedules jobs."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable

import pytest
from program import BIN, END_S, Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
ANSWERS = 200
GRANIAN = (BIN / "granian", "--host", "127.0.0.1", "--port", "PORT", "--workers", "2")
UWSGI = (BIN / "uwsgi", "--http-socket", "127.0.0.1:PORT", "--virtualenv", sys.prefix, "--module", "wsgi:app",
         "--need-app", "--enable-threads", "--disable-logging", "--master", "--processes", "2",
         "--hook-master-start", "unix_signal:15 gracefully_kill_them_all")  # fmt: skip
SERVERS = {
    "waitress": (BIN / "waitress-serve", "--listen", "127.0.0.1:PORT", "wsgi:app"),
    "granian-asgi": (*GRANIAN, "--interface", "asgi", "asgi:app"),
    "granian-wsgi": (*GRANIAN, "--interface", "wsgi", "wsgi:app"),
}
UWSGI_OPTIONS = {
    "plain": (),
    "threads": ("--threads", "4"),
    "lazy": ("--lazy-apps",),
    "recycled": ("--max-requests", "50"),
}


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("server", SERVERS)
def test_every_answer_is_counted(start: Start, counted: Counted, server: str) -> None:
    port = free_port()
    program = start(*(str(word).replace("PORT", str(port)) for word in SERVERS[server]))
    program.ask(ANSWERS, port)
    program.end()
    assert counted(program) == program.made.ended == ANSWERS


@pytest.mark.parametrize("options", UWSGI_OPTIONS)
def test_uwsgi_under_load(start: Start, counted: Counted, options: str) -> None:
    """It finishes its answers, because it is told to."""
    port = free_port()
    command = (*UWSGI, *UWSGI_OPTIONS[options])
    program = start(*(str(word).replace("PORT", str(port)) for word in command))
    program.ask(ANSWERS, port)
    load = program.ask_until_it_ends(port)
    until(lambda: program.made.ended > 2 * ANSWERS)
    assert program.end() == 0
    load.join(END_S)
    assert counted(program) == program.made.ended > ANSWERS


def test_an_application_that_forks_its_servers(start: Start, counted: Counted) -> None:
    """Each of its processes is sent the signal, because the first passes nothing on."""
    port = free_port()
    program = start(sys.executable, "tornado_forks.py", str(port))
    program.ask(ANSWERS, port)
    os.killpg(program.process.pid, signal.SIGTERM)
    assert program.wait() == -signal.SIGTERM
    assert counted(program) == program.made.ended == ANSWERS


@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_scheduled_jobs(start: Start, counted: Counted, executor: str) -> None:
    program = start(sys.executable, "scheduled.py", executor)
    until(lambda: program.made.ended == ANSWERS)
    os.killpg(program.process.pid, signal.SIGTERM)  # the first process leaves its others behind
    program.wait()
    assert counted(program) == program.made.ended == ANSWERS
