"""Outcomes that come late, through a served receiver: README's baseline, a job a day, and what is said of the model."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from nights import DAY_NS, HOUR_NS, end_of, send
from running import CALIDRIS, CONFIG, Running, environment, until

from calidris.batch import Floats, Ints, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import encode_labels

pytestmark = pytest.mark.e2e

MODEL = """
models:
  - name: credit
    arrival: batch
    batch_idle: 2s
    windows: [1h, 1d]
    baseline: baselines/credit-{version}.calidris
    detect: {windows: [1h], false_alarms: 1 per year, label_age: 1d, learn: 2d}
"""
README = (Path(__file__).resolve().parents[3] / "README.md").read_text(encoding="utf-8")
ROWS = 3600
"""Of a day."""
JUDGED = {"performance", "calibration"}


class Rows(NamedTuple):
    """Rows of one day, their outcomes, and seconds until these are known."""

    batch: PredictionBatch
    outcome: Ints
    delay_s: Floats


def draw(begin_ns: int, seed: int, *, late: bool = False, wrong: bool = False, n: int = ROWS) -> Rows:
    """A day. Negative outcomes are mistaken less often than positive ones, and come after three days where they are late."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1.0, 1.5, n)
    outcome = rng.random(n) < 1 / (1 + np.exp(-logit))
    outcome ^= rng.random(n) < (0.15 if wrong else 0.0)
    delay = np.where(rng.random(n) < 0.5, 1800.0, 40_000.0)
    delay = np.where(late & ~outcome, 3 * 86_400.0, delay)
    batch = PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=np.sort(begin_ns + rng.integers(0, DAY_NS, n)),
        features={"income": NumberColumn.of(rng.lognormal(10, 1, n))},
        task="binary",
        ids=[f"{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(1 / (1 + np.exp(-logit))),
    )
    return Rows(batch, outcome.astype(np.int64), delay)


def write_table(path: Path, begin_ns: int, days: int) -> None:
    """Rows of past days with their outcomes, and nothing of when these were known."""
    rows = draw(begin_ns, 1, n=days * ROWS)
    score = rows.batch.score
    assert score is not None
    income = rows.batch.features["income"]
    assert isinstance(income, NumberColumn)
    spread = begin_ns + np.arange(days * ROWS, dtype=np.int64) * (DAY_NS // ROWS)
    columns = {
        "income": income.values,
        "score": score.values,
        "label": rows.outcome,
        "ts": pa.array(spread, pa.timestamp("ns")),
    }
    pq.write_table(pa.table(columns), path)


def build_without_label_times(receiver: Running) -> str:
    """The command of README, of a table that does not say when outcomes were known; in the receiver's folder. What it says."""
    (stated,) = re.findall(r"`calidris (baseline build [^`]+)`", README)
    assert " --label-time known" in stated
    command = stated.replace(" --label-time known", "")
    done = subprocess.run(
        [*CALIDRIS, *command.split()], cwd=receiver.folder, env=environment(), check=True, capture_output=True, text=True, timeout=120
    )  # fmt: skip
    return " ".join(done.stdout.split())


@pytest.fixture
def first_ns() -> int:
    """Midnight eleven days ago: the first live day. The baseline's rows are of the days before it."""
    return (time.time_ns() // DAY_NS - 11) * DAY_NS


@pytest.fixture
def receiver(make_receiver: Callable[..., Running], first_ns: int) -> Running:
    made = make_receiver(CONFIG + MODEL)
    (made.folder / "baselines").mkdir()
    write_table(made.folder / "train.parquet", first_ns - 5 * DAY_NS, 5)
    said = build_without_label_times(made)
    assert "no --label-time column" in said and "performance and calibration learn live windows first" in said
    return made.start()


def live(receiver: Running, begin_ns: int, rows: Rows) -> None:
    """One day's job, its outcomes with the times at which they are known, and its windows closed."""
    send(receiver, rows.batch)
    ids, times = rows.batch.ids, rows.batch.event_time_ns + (rows.delay_s * 1e9).astype(np.int64)
    assert ids is not None
    labels = LabelBatch("default", "credit", ids, NumberColumn.of(rows.outcome.astype(np.float64)), times)
    receiver.export(encode_labels(labels))
    until(lambda: end_of(receiver, "credit") > begin_ns + DAY_NS - 2 * HOUR_NS, 60)


def test_one_class_late_from_the_start_is_no_loss_of_performance(receiver: Running, first_ns: int) -> None:
    """Found in an audit: README's baseline, one class labelled late, and performance alarmed after 1.1 days."""
    for day in range(7):
        live(receiver, first_ns + day * DAY_NS, draw(first_ns + day * DAY_NS, 10 + day, late=True))
    assert receiver.get("/v1/alarms") == []
    detail = receiver.model()["status_detail"]
    assert receiver.model()["status"] == "ok" and "label-time" not in detail, "by now it is learned"
    assert receiver.total("ml_detection_evidence", ml_detection_kind="performance") >= 0.0
    assert not [w for w in receiver.model()["waiting"] if w["kind"] in JUDGED]


def test_a_class_that_becomes_late_is_a_ticket_of_the_labels_and_no_alarm_of_the_model(
    receiver: Running, first_ns: int
) -> None:
    for day in range(8):
        begin = first_ns + day * DAY_NS
        live(receiver, begin, draw(begin, 10 + day, late=day >= 5))
        if day == 0:
            assert "was built without --label-time" in receiver.model()["status_detail"]
    (alarm,) = receiver.get("/v1/alarms")
    assert alarm["kind"] == "labels" and first_ns + 5 * DAY_NS <= alarm["since_ns"] < first_ns + 6 * DAY_NS
    assert [(f["name"], f["direction"]) for f in alarm["features"]] == [("a label within 1d", "less often")]
    waiting = {w["kind"]: w["for"] for w in receiver.model()["waiting"]}
    assert {kind for kind, reason in waiting.items() if reason == "labels_moved"} == JUDGED
    assert receiver.total("ml_detection_waiting", ml_detection_waits_for="labels_moved") == len(JUDGED)
    assert receiver.total("ml_detection_alarm", ml_detection_kind="labels") == 1
    assert receiver.total("ml_detection_alarm", ml_detection_kind="performance") == 0
    command = [*CALIDRIS, "status", "--endpoint", receiver.api, "--once"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment()).stdout
    assert "for labels to come as they did (on hold)" in " ".join(said.split())


def test_a_real_loss_is_raised_once_labels_of_that_age_are_learned(receiver: Running, first_ns: int) -> None:
    for day in range(7):
        begin = first_ns + day * DAY_NS
        live(receiver, begin, draw(begin, 10 + day, wrong=day >= 5))
    kinds = {alarm["kind"] for alarm in receiver.get("/v1/alarms")}
    assert "performance" in kinds and "labels" not in kinds
