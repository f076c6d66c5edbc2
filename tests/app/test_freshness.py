"""When figures are renewed, and what the log says where they are old: with clocks of our own, and with a receiver that is stopped."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pytest
from running import Running, environment, rows, until

from calidris.app import loop
from calidris.app.freshness import LATE_S, LEAST_S, MOST_S, OLD_S, Freshness, Pace
from calidris.batch import ModelKey
from calidris.wire import encode_predictions

KEYS = [ModelKey("default", "credit", "7")]
STOPPED_S = 8.0
DOZING = """
import os, signal, sys, time
from calidris.app import loop
usual, rounds = loop.snapshot, []

def doze(*arguments):
    rounds.append(1)
    if len(rounds) == 6:  # as a suspended machine would stop: in the middle of a round
        os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(0.2)  # another thread may take the signal
    return usual(*arguments)

loop.snapshot = doze
from calidris.cli import main
sys.argv = ["calidris", "serve", "-c", sys.argv[1]]
main()
"""


class Clock:
    def __init__(self) -> None:
        self.now_s = self.worked_s = 1000.0

    def wall(self) -> float:
        return self.now_s

    def cpu(self) -> float:
        return self.worked_s

    def pass_(self, seconds: float, working: float = 0.0) -> None:
        self.now_s += seconds
        self.worked_s += working


def follow(spent: list[float]) -> list[float]:
    """The pauses after rounds of these lengths, each begun when it is due; begins at 100 s."""
    pace, begun_s, pauses = Pace(), 100.0, []
    for spent_s in spent:
        pace.took(begun_s, spent_s)
        pauses.append(pace.due_s - begun_s)
        begun_s = max(pace.due_s, begun_s + spent_s)
    return pauses


def test_a_stall_costs_one_round() -> None:
    assert follow([0.01, 0.01, 72.0, 0.01, 0.01]) == pytest.approx([LEAST_S] * 5)
    assert follow([72.0, 0.01]) == pytest.approx([LEAST_S] * 2)  # the first one too


def test_rounds_that_always_take_long_come_less_often() -> None:
    assert follow([2.0, 2.0, 2.0, 0.1, 0.1]) == pytest.approx([LEAST_S, 20.0, 20.0, 1.0, 1.0])


def test_no_round_is_due_later_than_two_minutes_after_the_one_before() -> None:
    assert max(follow([72.0] * 5)) == MOST_S


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_stall_is_told_with_its_length_and_cause(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fresh = Freshness(clock.wall, clock.cpu)
    fresh.begin_model(KEYS[0])
    clock.pass_(72.0, working=0.1)
    fresh.renewed(due_s=1000.5, usual_s=0.01, models=KEYS)
    (line,) = caplog.messages
    assert (
        "figures of 'credit:7' stood still for 72.0 s: taking the figures of 'credit:7' took 72.0 s, 0.1 s of it"
        in line
    )
    assert "the process or the machine stood still" in line


def test_work_that_takes_long_is_not_called_a_stall(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fresh = Freshness(clock.wall, clock.cpu)
    fresh.begin("applying what arrived")
    clock.pass_(30.0, working=29.0)
    fresh.renewed(due_s=1000.5, usual_s=0.01, models=KEYS)
    (line,) = caplog.messages
    assert line.endswith("applying what arrived took 30.0 s, 29.0 s of it on a processor")


def test_rounds_in_time_say_nothing(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fresh = Freshness(clock.wall, clock.cpu)
    for _ in range(100):
        fresh.begin("waiting for telemetry")
        clock.pass_(LATE_S - 1)
        fresh.renewed(clock.now_s - LATE_S + 1, 0.01, KEYS)
    for _ in range(100):  # and where taking them always takes long
        clock.pass_(20.0)
        fresh.renewed(clock.now_s - 20.0, 19.0, KEYS)
    fresh.warn_if_old(KEYS)
    assert not caplog.messages


def test_who_asks_meanwhile_is_told_once_a_minute(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fresh = Freshness(clock.wall, clock.cpu)
    fresh.begin("saving the state")
    for _ in range(20):
        clock.pass_(OLD_S / 4)
        fresh.warn_if_old(KEYS)
    assert len(caplog.messages) == 5
    assert "figures of 'credit:7' are 60 s old: saving the state has taken 60.0 s so far" in caplog.messages[0]


def test_few_models_are_named(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    fresh = Freshness(clock.wall, clock.cpu)
    clock.pass_(OLD_S)
    fresh.warn_if_old([ModelKey("default", f"m{n}", "1") for n in range(9)])
    assert "figures of 'm0:1', 'm1:1', 'm2:1' and 6 more are 60 s old" in caplog.text


def test_a_figure_that_fails_is_named_with_its_model(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    started = make()
    started.export(encode_predictions(rows(20, seed=1), form="packed", one_span_per_row=False))
    until(lambda: started.rows() == 20)
    usual = loop.snapshot

    def fail(engine: Any, now_ns: int, previous: Any, begin: Callable[[ModelKey], None]) -> Any:
        begin(KEYS[0])
        raise ZeroDivisionError("of a value that may be personal")

    monkeypatch.setattr(loop, "snapshot", fail)
    until(lambda: not started.server.ready)
    assert "taking the figures of 'credit:7' failed (ZeroDivisionError)" in caplog.text
    monkeypatch.setattr(loop, "snapshot", usual)
    until(lambda: started.server.ready)
    until(lambda: "figures of 'credit:7' are renewed again, after" in caplog.text)


class Dozing(Running):
    """A receiver that stops itself in the middle of a round."""

    def spawn(self, log: TextIO) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", DOZING, str(self.config)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment())


def renewed_since(receiver: Running, asked_ns: int) -> bool:
    return receiver.status()["taken_ns"] > asked_ns


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("T")


def test_a_process_that_was_stopped_renews_its_figures_at_once(tmp_path: Path) -> None:
    """Before, the next round was due ten times the stall later: twelve minutes after one of 72 s."""
    receiver = Dozing(tmp_path)
    receiver.begin()
    assert receiver.process
    try:
        until(lambda: stopped(receiver.process.pid), 60)  # type: ignore[union-attr]
        time.sleep(STOPPED_S)
        receiver.process.send_signal(signal.SIGCONT)
        receiver.api = receiver.said(r"api listening on (\S+)")
        for _ in range(3):
            until(partial(renewed_since, receiver, time.time_ns()), timeout_s=STOPPED_S * 3)
        said = until(lambda: re.search(r"stood still for (\d+\.\d) s: taking the figures took", receiver.log))
        assert float(said[1]) >= STOPPED_S - 1
        assert "the process or the machine stood still" in receiver.log
    finally:
        receiver.kill()
