"""The receiver's clock jumps by a month, forth or back, under live senders whose clocks are right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running import labels, rows, until
from served import Started, configuration
from watched import write_baseline

from calidris.wire import encode_labels, encode_predictions

DAY_NS = 86_400 * 10**9


class Clock:
    """The true time and an error that a test sets."""

    def __init__(self) -> None:
        self.error_ns = 0

    def __call__(self) -> int:
        return time.time_ns() + self.error_ns


class Traffic:
    """A receiver with a clock of its own, and what was sent to it."""

    def __init__(self, path: Path) -> None:
        write_baseline(path)
        detect = {"windows": ["1s"], "false_alarms": "1 per day", "minimum_rows": 20}
        model = {
            "name": "credit",
            "windows": ["1s", "10s"],
            "baseline": str(path / "credit.calidris"),
            "detect": detect,
        }
        self.clock = Clock()
        self.config = configuration(path, models=[model])
        self.started = Started(self.config, self.clock)
        self.sent = 0

    def send(self, seconds: float) -> None:
        """Rows and their labels for a while, in the order of their time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            batch = rows(30, seed=self.sent)
            self.started.export(encode_predictions(batch, form="json", one_span_per_row=True))
            self.started.export(encode_labels(labels(batch)))
            self.sent += 30
            time.sleep(0.1)

    def history(self) -> list[Any]:
        """Windows that were closed."""
        return [point for model in self.started.server.snapshot().models for point in model.history]

    def counted(self) -> bool:
        """Whether every row and label is in; more than there are is an error."""
        (model,) = self.started.server.snapshot().models
        assert model.rows <= self.sent and model.labels <= self.sent
        return bool(model.rows == model.labels == self.sent)


@pytest.fixture
def traffic(tmp_path: Path) -> Iterator[Traffic]:
    made = Traffic(tmp_path)
    yield made
    made.started.server.stop()


@pytest.mark.parametrize("days", [30, -30])
def test_a_clock_that_jumps_and_comes_back(traffic: Traffic, days: int) -> None:
    until(lambda: (traffic.send(0.2), traffic.history())[1])
    traffic.clock.error_ns = days * DAY_NS
    traffic.send(1)
    traffic.clock.error_ns = 0
    right_ns = time.time_ns()
    until(lambda: (traffic.send(0.2), sum(point.end_ns > right_ns for point in traffic.history()) >= 1)[1])
    until(traffic.counted)
    taken = traffic.started.server.snapshot()
    assert not taken.alarms, "a clock is no drift"
    assert all(point.rows for point in traffic.history())


def test_a_wrong_clock_that_everybody_shared(
    traffic: Traffic, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Then the future is closed. Nothing is lost, rows are late and counted as such, and the next start says why."""
    truth = time.time_ns
    traffic.send(1)
    monkeypatch.setattr(time, "time_ns", lambda: truth() + 30 * DAY_NS)
    until(lambda: (traffic.send(0.2), traffic.started.server.loop.engine.sealed_ns > truth() + DAY_NS)[1])
    traffic.started.server.stop()
    monkeypatch.setattr(time, "time_ns", truth)
    traffic.started = Started(traffic.config, traffic.clock)
    assert "a clock was wrong: windows are closed for 25" in caplog.text
    traffic.send(1)
    until(traffic.counted)
    assert sum(traffic.started.server.snapshot().counters["calidris.receiver.rows.late"].values()) >= 30
