"""A job that brings a night at once: every row of it is scored, in whatever order, and a live model beside it does not notice."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nights import DAY_NS, HOUR_NS, ROWS, build_baseline, end_of, night, send, write_night
from running import CALIDRIS, CONFIG, Running, environment, rows, until

from calidris.engine.columns import rows_of
from calidris.wire import encode_predictions

pytestmark = pytest.mark.e2e

MODELS = """
models:
  - name: nightly
    {arrival}
    windows: [1h, 1d]
    batch_idle: 2s
    baseline: nightly.calidris
    detect: {{shares: {{drift: 1.0}}}}
  - name: live
    windows: [1s, 10s]
"""
BATCH = CONFIG + MODELS.format(arrival="arrival: batch")
BY_ID = CONFIG + MODELS.format(arrival="threshold: 0.5")
NIGHTS = 40
PAGE = (Path(__file__).resolve().parents[2] / "docs" / "batch.md").read_text(encoding="utf-8")


@pytest.fixture
def first_ns() -> int:
    """Midnight 45 days ago: the baseline's first night. The night after its last one is four days ago."""
    return (time.time_ns() // DAY_NS - 45) * DAY_NS


def started(make_receiver: Callable[..., Running], first_ns: int, config: str, **night: int) -> Running:
    receiver = make_receiver(config)
    build_baseline(receiver, "nightly", first_ns, NIGHTS, **night)
    return receiver.start()


def scored(receiver: Running, until_ns: int, window: str = "1h") -> dict[str, Any]:
    """The model once its windows until then are closed."""
    until(lambda: end_of(receiver, window=window) >= until_ns, 30)
    return receiver.model("nightly")


def seen(receiver: Running, begin_ns: int, window: str = "1h") -> int:
    """Rows in windows that were fed to detectors since some time."""
    history = receiver.model("nightly")["history"]
    return sum(p["rows"] for p in history if p["window"] == window and p["end_ns"] > begin_ns)


@pytest.mark.parametrize(("config", "marked"), [(BATCH, False), (BY_ID, True)])
def test_every_row_of_a_night_is_scored_and_a_change_is_raised_at_its_first_night(
    make_receiver: Callable[..., Running], first_ns: int, config: str, marked: bool
) -> None:
    receiver = started(make_receiver, first_ns, config)
    begins = [first_ns + (NIGHTS + k) * DAY_NS for k in range(3)]
    made = [
        night(begin, k, shift=2.0 * (k == 2), batch_id=f"{k}" if marked else None) for k, begin in enumerate(begins)
    ]
    for k, begin in enumerate(begins[:2], start=1):
        send(receiver, made[k - 1])
        told = scored(receiver, begin + DAY_NS)
        assert (told["rows"], told["late"], told["moved"], told["arrival"]) == (k * ROWS, 0, 0, "batch")
        assert seen(receiver, begin) >= 0.99 * ROWS
        assert seen(receiver, begin, "1d") == ROWS
        assert told["status"] == "ok" and not receiver.get("/v1/alarms")
    send(receiver, made[2])
    scored(receiver, begins[2] + DAY_NS)
    raised = until(lambda: receiver.get("/v1/alarms"))
    assert {alarm["kind"] for alarm in raised} == {"drift"}
    assert all(begins[2] < alarm["raised_ns"] <= begins[2] + DAY_NS for alarm in raised)
    assert "age" in {feature["name"] for alarm in raised for feature in alarm["features"]}
    assert receiver.total("ml_received_late_total", ml_model_name="nightly") == 0
    assert receiver.total("ml_received_rows_total", ml_model_name="nightly") == 3 * ROWS


def run_job(receiver: Running, begin_ns: int, seed: int, shift: float) -> None:
    """The program of docs/batch.md as it stands there, in a process of its own, for one night."""
    (program,) = re.findall(r"^```python\n(# score_night\.py .*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    script, path = receiver.folder / "score_night.py", receiver.folder / f"{seed}.parquet"
    script.write_text(program.replace('"churn"', '"nightly"'), encoding="utf-8")
    write_night(path, begin_ns, seed, shift)
    env = os.environ | {"OTEL_EXPORTER_CALIDRIS_ENDPOINT": f"http://{receiver.grpc}"}
    command = [sys.executable, str(script), f"night {seed}", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert not done.returncode, done.stderr


def test_a_job_that_the_library_sends_is_scored_night_by_night(
    make_receiver: Callable[..., Running], first_ns: int
) -> None:
    """With the id of its batch and no setting: closed by day, and a change is raised at its first night."""
    receiver = started(make_receiver, first_ns, BY_ID)
    for k, shift in enumerate((0.0, 0.0, 2.0)):
        begin = first_ns + (NIGHTS + k) * DAY_NS
        run_job(receiver, begin, k, shift)
        told = scored(receiver, begin + DAY_NS)
        assert (told["rows"], told["late"], told["moved"], told["arrival"]) == ((k + 1) * ROWS, 0, 0, "batch")
        assert seen(receiver, begin) >= 0.99 * ROWS
        assert seen(receiver, begin, "1d") == ROWS
        assert bool(shift) or not receiver.get("/v1/alarms")
    raised = until(lambda: receiver.get("/v1/alarms"))
    assert {alarm["kind"] for alarm in raised} == {"drift"}
    assert all(begin < alarm["raised_ns"] <= begin + DAY_NS for alarm in raised)
    assert "age" in {feature["name"] for alarm in raised for feature in alarm["features"]}


def test_a_short_night_ends_days_that_are_over(make_receiver: Callable[..., Running], first_ns: int) -> None:
    config = BATCH.replace("detect: {", "detect: {windows: [1d], ")
    receiver = started(make_receiver, first_ns, config, span_ns=6 * HOUR_NS)
    for k, shift in enumerate((0.0, 2.0)):
        begin = first_ns + (NIGHTS + k) * DAY_NS
        send(receiver, night(begin, k, shift=shift, span_ns=6 * HOUR_NS))
        told = scored(receiver, begin + DAY_NS, "1d")
        assert told["late"] == 0 and seen(receiver, begin, "1d") == ROWS
        assert [alarm["kind"] for alarm in receiver.get("/v1/alarms")] == ["drift"] * k


def test_a_live_model_beside_it_closes_its_windows_on_time(
    make_receiver: Callable[..., Running], first_ns: int
) -> None:
    receiver = started(make_receiver, first_ns, BATCH)
    ends: list[float] = []
    for k in range(12):
        receiver.export(encode_predictions(rows(20, k, name="live"), form="packed", one_span_per_row=False))
        if k in (3, 7):
            send(receiver, night(first_ns + (NIGHTS + k // 4) * DAY_NS, k, n=10 * ROWS))
        time.sleep(1)
        closed_ns = end_of(receiver, "live", "1s")
        ends.append((time.time_ns() - closed_ns) / 1e9 if closed_ns else 0.0)
    # Windows of 1 s, open for 1 s longer, shown within a second or so: generous, because others use this machine too.
    assert max(ends[3:]) < 10
    live = until(lambda: (m := receiver.model("live"))["rows"] == 12 * 20 and m)
    assert live["arrival"] == "live"
    assert seen(receiver, first_ns + NIGHTS * DAY_NS) >= 10 * ROWS or end_of(receiver) == 0


def test_a_crash_in_the_middle_of_a_night_changes_nothing(make_receiver: Callable[..., Running], first_ns: int) -> None:
    begin = first_ns + NIGHTS * DAY_NS
    batch = night(begin, 3, shift=2.0)
    told = []
    for name, kills in (("whole", False), ("killed", True)):
        receiver = make_receiver(BATCH, name)
        build_baseline(receiver, "nightly", first_ns, NIGHTS)
        receiver.start()
        send(receiver, rows_of(batch, np.arange(0, ROWS, 2)))
        if kills:
            receiver.kill()
            time.sleep(3)  # longer than the job's longest pause
            receiver.start()
        send(receiver, rows_of(batch, np.arange(1, ROWS, 2)))
        scored(receiver, begin + DAY_NS)
        if kills:
            receiver.kill()
            receiver.start()
        model = receiver.model("nightly")
        alarms = [{k: v for k, v in alarm.items() if k != "trace_ids"} for alarm in receiver.get("/v1/alarms")]
        told.append((model["rows"], model["late"], model["history"], alarms))
    assert told[0] == told[1]
    assert told[0][:2] == (ROWS, 0) and told[0][3]


@pytest.mark.parametrize(("max_age", "days"), [("60d", [300] * 40), ("30d", [11 * 300] + [300] * 29)])
def test_forty_days_in_one_go(
    make_receiver: Callable[..., Running], first_ns: int, max_age: str, days: list[int]
) -> None:
    """In order, as one job: each day is scored by itself; what is too old is moved to the bound, counted and told."""
    config = BATCH.replace("lateness: 1s", f"lateness: 1s, max_age: {max_age}").replace("[1h, 1d]", "[1d]")
    receiver = make_receiver(config)
    begin = first_ns + 5 * DAY_NS  # 40 days ago: the bound of 30 days lies in the eleventh
    build_baseline(receiver, "nightly", begin - 100 * DAY_NS, NIGHTS)
    receiver.start()
    for k in range(40):
        send(receiver, night(begin + k * DAY_NS, k, n=300), seed=None)
    told = scored(receiver, begin + 40 * DAY_NS, "1d")
    assert (told["rows"], told["late"]) == (40 * 300, 0)
    assert [point["rows"] for point in told["history"] if point["window"] == "1d"] == days
    too_old = 40 - len(days)
    assert too_old * 300 <= told["moved"] <= (too_old + (too_old > 0)) * 300
    assert receiver.total("calidris_receiver_times_clamped_total") == told["moved"]
    command = [*CALIDRIS, "status", "--endpoint", receiver.api, "--once"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment()).stdout
    assert (f"{told['moved']:,} of 12,000" in said) == bool(too_old)
