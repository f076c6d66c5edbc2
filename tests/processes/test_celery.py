"""Celery's prefork pool with real workers; the queue is a folder, so that no broker is needed."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from program import BIN, Program
from running import until

pytestmark = pytest.mark.e2e

Start, Counted = Callable[..., Program], Callable[[Program], int]
TASKS, EACH = 40, 5
WORKER = ("-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO",
          "--without-gossip", "--without-mingle", "--without-heartbeat")  # fmt: skip


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    (tmp_path / "queue" / "control").mkdir(parents=True)
    return tmp_path / "queue"


@pytest.mark.parametrize("recycled", [(), ("--max-tasks-per-child", "8")], ids=["warm-shutdown", "recycled"])
def test_what_tasks_predict_is_counted(start: Start, counted: Counted, queue: Path, recycled: tuple[str, ...]) -> None:
    filled = start(sys.executable, "tasks.py", QUEUE=str(queue), TASKS=str(TASKS))
    assert filled.wait() == 0, filled.output
    program = start(BIN / "celery", *WORKER, *recycled, QUEUE=str(queue))
    until(lambda: program.made.ended == TASKS * EACH, 30)
    assert program.end() == 0, program.output
    assert counted(program) == TASKS * EACH
