"""Children of a process that predicts: multiprocessing, its pools and executors, joblib, and fork alone."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from program import Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
METHODS = ("fork", "spawn", "forkserver")
WAYS = {
    "process": 50,
    "daemonic": 25,
    "terminated": 25,
    "pool": 200,
    "pool_in_a_with": 200,
    "pool_of_short_lives": 200,
    "executor": 200,
    "exceptions": 50,
    "nested": 50,
}
PARENT = 25


@pytest.mark.parametrize("way", WAYS)
def test_what_children_predict_is_counted(start: Start, counted: Counted, way: str) -> None:
    """Started in each of the three ways."""
    programs = {method: start(sys.executable, "children.py", way, method) for method in METHODS}
    for program in programs.values():
        assert program.wait() == 0, program.output
    assert {program.made.ended for program in programs.values()} == {PARENT + WAYS[way]}
    assert {method: counted(program) for method, program in programs.items()} == dict.fromkeys(
        METHODS, PARENT + WAYS[way]
    )


OTHERS = {
    "loky": 200,
    "joblib_multiprocessing": 200,
    "os_fork": 25,
    "os_fork_and_exit": 25,
    "daemonized": 75,
    "forks_of_multiprocessing": 400,
}


@pytest.mark.parametrize("way", OTHERS)
def test_what_other_children_predict_is_counted(start: Start, counted: Counted, way: str) -> None:
    program = start(sys.executable, "children.py", way, "fork")
    assert program.wait() in (0, 3), program.output
    until(lambda: program.made.ended == PARENT + OTHERS[way])
    assert counted(program) == program.made.ended


def test_a_failing_task_kills_the_workers_of_loky(start: Start, counted: Counted) -> None:
    program = start(sys.executable, "children.py", "loky_that_fails", "fork")
    assert program.wait() == 3, program.output
    made = program.made
    assert PARENT + 50 <= made.ended <= PARENT + 60
    assert PARENT + 50 <= counted(program) <= made.begun
