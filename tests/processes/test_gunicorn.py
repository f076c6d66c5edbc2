"""Gunicorn: its own workers and uvicorn's, loaded before and after the fork, recycled under load, and reloaded."""

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest
from program import BIN, Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
ANSWERS = 200
GUNICORN = (BIN / "gunicorn", "-b", "127.0.0.1:0", "--workers", "2", "--no-control-socket")
WORKERS = {
    "sync": ("wsgi:app",),
    "gthread": ("wsgi:app", "-k", "gthread", "--threads", "4"),
    "gevent": ("wsgi:app", "-k", "gevent"),
    "uvicorn": ("asgi:app", "-k", "uvicorn_worker.UvicornWorker"),
}


@pytest.mark.parametrize("kind", WORKERS)
def test_every_answer_is_counted(start: Start, counted: Counted, kind: str) -> None:
    """The application is loaded in each worker, or in the master before it forks them."""
    programs = {preload: start(*GUNICORN, *WORKERS[kind], *preload) for preload in ((), ("--preload",))}
    for program in programs.values():
        program.ask(ANSWERS)
    assert [program.end() for program in programs.values()] == [0, 0]
    assert {preload: counted(program) for preload, program in programs.items()} == {
        (): ANSWERS,
        ("--preload",): ANSWERS,
    }


@pytest.mark.parametrize("kind", WORKERS)
def test_workers_forked_right_after_a_first_prediction(start: Start, counted: Counted, kind: str) -> None:
    """The thread that sends is in the middle of its imports then."""
    program = start(*GUNICORN, *WORKERS[kind], "--preload", WARM_UP="1")
    program.ask(ANSWERS)
    program.end()
    assert program.made.ended == counted(program) == ANSWERS + 1


@pytest.mark.parametrize("kind", WORKERS)
def test_workers_that_are_recycled_under_load(start: Start, counted: Counted, kind: str) -> None:
    program = start(*GUNICORN, *WORKERS[kind], "--max-requests", "20")
    workers: set[str] = set()
    until(lambda: workers.update(program.ask(40)) or len(workers) > 4)
    program.end()
    assert counted(program) == program.made.ended


def test_workers_that_are_reloaded(start: Start, counted: Counted) -> None:
    program = start(*GUNICORN, *WORKERS["sync"])
    before = program.ask(ANSWERS)
    program.process.send_signal(signal.SIGHUP)
    until(lambda: not set(program.ask(4)) & set(before))
    program.end()
    assert counted(program) == program.made.ended > ANSWERS
