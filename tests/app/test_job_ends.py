"""When a job counts as over: by pauses alone, never by what a wall clock says."""

from __future__ import annotations

import numpy as np
import pytest
from running import rows

from calidris.app.job_ends import MOST_STEPS, JobEnds
from calidris.batch import ModelKey
from calidris.config import CalidrisConfig
from calidris.engine.core import Engine
from calidris.engine.inbox import Received
from calidris.wire import Decoded

SECOND = 10**9
HOUR, DAY = 3600 * SECOND, 86_400 * SECOND
START = 20_000 * DAY
KEY = ModelKey("default", "credit", "7")
IDLE_S = 20.0


class Receiver:
    """An engine, a steady clock, and what the loop would do with both."""

    def __init__(self) -> None:
        model = {"name": "credit", "windows": ["1h", "1d"], "arrival": "batch"}
        self.engine = Engine(CalidrisConfig.model_validate({"models": [model]}), lambda *_: (None, ""))
        self.now_s = 0.0
        self.restart()

    def restart(self) -> None:
        self.ends = JobEnds(10.0, lambda: self.now_s)

    def send(self, hours: range, version: str = "7") -> None:
        for hour in hours:
            batch = rows(3, self.engine.sequence, version=version, time_ns=START + hour * HOUR)
            seq = self.engine.sequence + 1
            decoded = Decoded((batch,), 1, 0, {}, "", 0, 0)
            self.engine.apply(Received(seq, START, "default", b"%d" % seq, 0, decoded, None, lambda: None))

    def turn(self, after_s: float = 0.0, now_ns: int = START + 90 * DAY) -> list[tuple[str, int]]:
        self.now_s += after_s
        found = list(self.ends.due(self.engine.models, now_ns))
        for key, until_ns in found:
            self.engine.seal(until_ns, key)
        return [(key.version, (until_ns - START) // HOUR) for key, until_ns in found]


@pytest.fixture
def receiver() -> Receiver:
    return Receiver()


def test_a_job_is_over_after_a_pause_and_asked_for_once(receiver: Receiver) -> None:
    receiver.send(range(6))
    assert receiver.turn() == [] and receiver.turn(IDLE_S - 1) == []
    assert receiver.turn(1) == [("7", 24)]
    assert receiver.turn(IDLE_S) == []
    receiver.send(range(24, 30))
    assert receiver.turn() == [] and receiver.turn(IDLE_S, now_ns=START + 30 * HOUR) == [("7", 30)]


def test_what_is_in_the_journal_and_not_applied_is_not_asked_for_again(receiver: Receiver) -> None:
    receiver.send(range(6))
    receiver.turn()
    receiver.now_s += IDLE_S
    models = receiver.engine.models
    assert len(list(receiver.ends.due(models, START + 90 * DAY))) == 1
    assert not list(receiver.ends.due(models, START + 90 * DAY))


def test_a_seal_that_failed_is_asked_for_again(receiver: Receiver) -> None:
    receiver.send(range(6))
    receiver.turn()
    receiver.now_s += IDLE_S
    failing = receiver.ends.due(receiver.engine.models, START + 90 * DAY)
    assert next(failing)[0] == KEY
    failing.close()  # as an exception of the loop's body does
    assert receiver.turn() == [("7", 24)]


def test_rows_after_a_restart_have_as_long_again(receiver: Receiver) -> None:
    receiver.send(range(3))
    receiver.turn()
    receiver.restart()
    receiver.now_s += 3600
    assert receiver.turn() == []
    receiver.send(range(3, 6))
    assert receiver.turn(IDLE_S - 1) == [] and receiver.turn(IDLE_S) == [("7", 24)]
    assert receiver.engine.models[KEY].late == 0


def test_versions_that_one_job_scores_with_close_together(receiver: Receiver) -> None:
    receiver.send(range(6), "7")
    receiver.turn()
    receiver.turn(IDLE_S - 1)
    receiver.send(range(6), "8")
    assert receiver.turn(1) == []
    assert receiver.turn(IDLE_S) == [("7", 24), ("8", 24)]


def test_many_windows_close_a_few_at_a_time(receiver: Receiver) -> None:
    days = 4 * MOST_STEPS // 24
    receiver.send(range(days * 24))
    receiver.turn()
    steps = [found[0][1] for _ in range(20) if (found := receiver.turn(IDLE_S))]
    assert np.diff([0, *steps]).max() == MOST_STEPS and steps[-1] == days * 24


def test_rows_that_never_stop_are_closed_once_a_day_as_far_as_they_have_passed(receiver: Receiver) -> None:
    found: list[tuple[str, int]] = []
    for hour in range(60):
        receiver.send(range(hour, hour + 1))
        for _ in range(240):
            receiver.send(range(hour, hour + 1))
            found += receiver.turn(15, now_ns=START + hour * HOUR)
    assert [until for _, until in found] == [23, 47]
    assert receiver.engine.models[KEY].late == 0
