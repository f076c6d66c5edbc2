"""A time-out of the application at any place of a call: what it came in between is counted once, as sent or as dropped."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import calidris
from calidris import Model
from calidris.instrument.runtime import runtime

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
"""An alarm may strike in a callback of the garbage collection, where Python swallows whatever is raised."""

HITS = 60
LASTS_S = 30.0
"""However slow the machine is: an alarm comes when it gets to it."""

ROWS = 7
X = np.ones((ROWS, 1))


class Late(Exception):
    """The application's time-out."""


@pytest.fixture(autouse=True)
def alarm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def on_alarm(number: int, frame: Any) -> None:
        raise Late

    before = signal.signal(signal.SIGALRM, on_alarm)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def leave_row(model: Model, after_s: float) -> None:
    prediction = model.predict(features={"n": 1.0})
    prediction.__enter__()
    signal.setitimer(signal.ITIMER_REAL, after_s)
    prediction.__exit__(None, None, None)


def record_batch(model: Model, after_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, after_s)
    model.record_batch(X, [0.5] * ROWS)


def record_labels(model: Model, after_s: float) -> None:
    signal.setitimer(signal.ITIMER_REAL, after_s)
    model.record_labels(["a"] * ROWS, [1] * ROWS)


def count() -> int:
    """Rows that are anywhere: they wait, or were dropped."""
    assert runtime._buffer is not None
    waiting = runtime._buffer._unsent()
    return sum(waiting.values()) + sum(runtime.drops().values())


CALLS: dict[str, tuple[Callable[[Model, float], None], int, float]] = {
    "row": (leave_row, 1, 3e-5),
    "batch": (record_batch, ROWS, 2e-4),
    "labels": (record_labels, ROWS, 8e-5),
}


@pytest.mark.parametrize("bounds", [{}, {"queue_rows": 300, "queue_bytes": 30_000}], ids=["room", "full"])
@pytest.mark.parametrize("kind", CALLS)
def test_nothing_is_counted_twice(bounds: dict[str, int], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    call, rows, longest_s = CALLS[kind]
    monkeypatch.setattr(
        "calidris.instrument.sending.sender.Sender.start", lambda self: None
    )  # or it takes while we count
    calidris.configure(endpoint="http://127.0.0.1:9", delay_s=1000.0, **bounds)  # type: ignore[arg-type]
    model, rng, hits = Model("m", features=["n"]), random.Random(1), 0
    end_s = time.monotonic() + LASTS_S
    known = 0
    while hits < HITS and time.monotonic() < end_s:
        try:
            call(model, rng.uniform(1e-6, longest_s))
            signal.setitimer(signal.ITIMER_REAL, 0)
            known += rows
        except Late:
            hits += 1
            # It may have come before the call began, or after it had ended.
            found = count()
            assert known <= found <= known + rows
            known = found
    assert hits == HITS
    assert count() == known


def test_a_time_out_after_the_row_was_added_costs_nothing(receiver: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model("m")
    assert runtime._buffer is not None
    monkeypatch.setattr(
        "calidris.instrument.sending.buffer.RowBuffer._attend", lambda self: signal.raise_signal(signal.SIGALRM)
    )
    with pytest.raises(Late), model.predict(id="r"):
        pass
    monkeypatch.undo()
    monkeypatch.setenv("OTEL_CALIDRIS_DEBUG_RAISE", "1")
    assert calidris.flush(20)
    assert receiver.acknowledged_ids() == {"r"}
    assert runtime.drops() == {}
