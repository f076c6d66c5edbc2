"""Alarms of a real receiver that is killed: its list, its exposition and its status agree, before, after, and while figures are unknown."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from hatched import Reborn
from running import labels, rows, until
from watched import WATCHED

from calidris.baseline import BaselineColumns, build, write
from calidris.batch import NumberColumn
from calidris.state import Spec
from calidris.wire import encode_predictions

Make = Callable[..., Reborn]
LIMIT = "{figure: ml.drift.score, attributes: {ml.feature.name: age, ml.drift.measure: psi}, above: 0.5}"
LIMITED = WATCHED.replace("minimum_rows: 20}", f"minimum_rows: 20, thresholds: [{LIMIT}]}}")
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]


def write_timed_baseline(folder: Path) -> None:
    """With the times of its rows, so that detectors need not learn first."""
    drawn = rows(5000, seed=1, time_ns=0)
    spread = replace(drawn, event_time_ns=np.arange(5000) * 20_000_000)
    made = build(BaselineColumns(spread, labels(drawn).label, True), Spec(positive="1"), window_s=1.0)
    write(made, folder / "credit.calidris")


def send(receiver: Reborn, seed: int, n: int) -> None:
    """Rows of much older people than the baseline's."""
    batch = rows(n, seed)
    age = batch.features["age"]
    assert isinstance(age, NumberColumn)
    older = replace(batch, features={**batch.features, "age": NumberColumn.of(age.values + 40.0)})
    receiver.export(encode_predictions(older, form="packed", one_span_per_row=False))


def standing(receiver: Reborn) -> set[str]:
    """Kinds of alarms that stand; the same by every door, in one snapshot."""

    def agreed() -> set[str] | None:
        listed = {alarm["kind"] for alarm in receiver.get("/v1/alarms") if alarm["latched"]}
        told = {alarm["kind"] for alarm in receiver.status()["alarms"]}
        exposed = {dict(labels)["ml_detection_kind"] for (name, labels), value in receiver.metrics().items()
                   if name == "ml_detection_alarm" and value}  # fmt: skip
        figures = {r["attributes"]["ml.detection.kind"] for r in receiver.get("/v1/models/credit/7/readings")
                   if r["metric"] == "ml.detection.alarm" and r["value"]}  # fmt: skip
        return listed or {"none"} if listed == told == exposed == figures else None

    return set(until(agreed)) - {"none"}


def keep_sending(receiver: Reborn, n: int, seconds: float, first: int) -> None:
    """A few rows at a time for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        send(receiver, first, n)
        first += 1
        time.sleep(0.25)


def test_no_alarm_is_lost_by_unknown_figures_and_kills(make_receiver: Make, tmp_path: Path) -> None:
    write_timed_baseline(tmp_path)
    receiver = make_receiver(LIMITED)
    receiver.start()
    for round_ in range(10):
        keep_sending(receiver, 100, 1.0, 1000 * round_)
        if len(receiver.get("/v1/alarms")) > 1:
            break
    assert standing(receiver) == {"drift", "threshold"}
    keep_sending(receiver, 2, 3.0, 50_000)  # too few for a figure
    for _ in range(2):
        receiver.kill()
        receiver.start()
        keep_sending(receiver, 2, 2.5, 60_000)
        assert standing(receiver) == {"drift", "threshold"}
        assert not receiver.status()["counters"].get("calidris.engine.failures")
    for alarm in receiver.get("/v1/alarms"):
        path, order = f"/v1/alarms/{alarm['id']}/clear", {"by": "ada", "reason": "known"}
        assert httpx.post(receiver.api + path, json=order, trust_env=False).status_code == 202
    receiver.kill()
    receiver.start()
    until(lambda: standing(receiver) == set())
