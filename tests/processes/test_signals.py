"""Signal handlers that record while the main thread does: nothing stands still, nothing is lost."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from program import Program

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]


@pytest.mark.parametrize("kind", ["timer", "children", "user", "while_it_starts"])
def test_a_handler_that_records(start: Start, counted: Counted, kind: str) -> None:
    program = start(sys.executable, "signals.py", kind)
    assert program.wait() == 0, program.output
    assert counted(program) == program.made.ended > 0


def test_a_time_out_of_the_application_reaches_it(start: Start, counted: Counted) -> None:
    program = start(sys.executable, "signals.py", "own_timeout")
    assert program.wait() == 0, program.output
    assert "seen 100 of 100" in program.output
    arrived = counted(program)
    made = program.made
    assert made.ended <= arrived + program.dropped <= made.begun
