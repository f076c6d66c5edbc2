"""The reference of the hour of the week at the engine's door: it begins with the baseline, says how far it is, and may replace the baseline."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, Journal

from calidris import semconv
from calidris.api.json_shapes import status_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import Floats, Ints, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.detectors.left_out_days import replay_left_out_days
from calidris.engine.snapshot import ModelSnapshot
from calidris.metrics.base import Status
from calidris.state import Spec

HOUR = 3600 * SECOND
BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = round(datetime(2027, 3, 29, tzinfo=BERLIN).timestamp()) * SECOND
"""The day after the change to summer time."""
ROWS = 150


def rows(first_ns: int, hours: int, *, shift_h: int = 0, seed: int = 1) -> PredictionBatch:
    """Traffic of an office in Berlin: customers from nine to five are older."""
    rng = np.random.default_rng([seed, hours])
    times: Ints = first_ns + np.repeat(np.arange(hours), ROWS) * HOUR + rng.integers(0, HOUR, hours * ROWS)
    starts = first_ns // SECOND + (np.arange(hours) - shift_h) * 3600
    clocks = [datetime.fromtimestamp(int(start), BERLIN) for start in starts]
    opened: Floats = np.repeat([float(9 <= c.hour < 17 and c.weekday() < 5) for c in clocks], ROWS)
    age = rng.normal(40.0 + 6.0 * opened, 10.0)
    return PredictionBatch(
        model=KEY,
        event_time_ns=times,
        features={"age": NumberColumn.of(age)},
        ids=[f"{first_ns}-{i}" for i in range(len(times))],
    )


def base_of(weeks: float) -> Baseline:
    hours = round(weeks * 168)
    return build(BaselineColumns(rows(MONDAY - hours * HOUR, hours)), Spec(positive="1"), window_s=3600.0)


@pytest.fixture(scope="module")
def base() -> Baseline:
    return base_of(4)


def engine_with(base: Baseline | None, *references: str, timezone: str = "Europe/Berlin") -> Engine:
    model = {
        "name": "credit",
        "windows": ["1h"],
        "timezone": timezone,
        "detect": {"windows": ["1h"], "references": list(references)},
    }
    config = CalidrisConfig(models=(ModelConfig.model_validate(model),))
    return Engine(config, lambda *_: (base, ""))


def run(engine: Engine, hours: int, *, shift_h: int = 0) -> ModelSnapshot:
    journal = Journal()
    for h in range(hours):
        begin = MONDAY + h * HOUR
        engine.apply(journal.request(rows(begin, 1, shift_h=shift_h, seed=100 + h), arrival_ns=begin))
        engine.apply(journal.seal(begin + HOUR))
    return snapshot(engine, MONDAY + hours * HOUR).models[0]


def drift(engine: Engine) -> list[tuple[str, int]]:
    """What each drift alarm was measured against, and after how many hours it came."""
    return [(alarm.reference, (alarm.raised_ns - MONDAY) // HOUR) for alarm in engine.alarms if alarm.kind == "drift"]


def test_a_change_to_summer_time_is_no_alarm_by_the_clock_of_the_users(base: Baseline) -> None:
    by_utc = engine_with(base, "frozen", "hour_of_week", timezone="UTC")
    run(by_utc, 24)
    assert [reference for reference, _ in drift(by_utc)] == ["hour_of_week"]
    by_their_clock = engine_with(base, "frozen", "hour_of_week")
    run(by_their_clock, 24)
    assert not by_their_clock.alarms


def test_a_day_that_moved_by_six_hours_is_found_and_the_frozen_baseline_does_not_see_it(base: Baseline) -> None:
    engine = engine_with(base, "frozen", "hour_of_week")
    told = run(engine, 24, shift_h=6)
    assert drift(engine)[0][0] == "hour_of_week" and drift(engine)[0][1] <= 24
    assert [(s.state, s.ready, s.hours, s.replaces, s.lacks) for s in told.seasons] == [("ready", 168, 168, False, "")]
    assert any("is ready: 168 of 168 hours of the week" in note for note in told.notes)


def test_it_may_stand_in_place_of_the_baseline_and_says_what_is_not_proven(base: Baseline) -> None:
    engine = engine_with(base, "hour_of_week")
    told = run(engine, 24)
    kinds = {(slot.kind.value, slot.reference) for slot in engine.watchers[KEY].slots}
    assert ("drift", "hour_of_week") in kinds and ("drift", "frozen") not in kinds
    budget = engine.watchers[KEY].budget
    assert sum(budget.share(slot) for slot in budget.slots) == pytest.approx(1.0)
    assert told.status is Status.OK and not engine.alarms
    (season,) = told.seasons
    assert season.replaces and any("no proven bound" in note for note in told.notes)
    evidence = [point.evidence for point in told.history]
    assert None not in evidence and len(evidence) == 24
    moved = engine_with(base, "hour_of_week")
    run(moved, 24, shift_h=6)
    assert drift(moved)[0][0] == "hour_of_week"


def test_half_a_week_judges_nothing_and_has_no_evidence() -> None:
    told = run(engine_with(base_of(0.5), "hour_of_week"), 6)
    (season,) = told.seasons
    assert (season.state, season.ready, season.hours) == ("sleeping", 0, 84 + 6)
    assert told.status is Status.LEARNING and "sleeps: no hour of the week can be judged yet" in told.status_detail
    assert waiting_for_drift(told) == [semconv.ML_DETECTION_WAITS_FOR_LEARNING]
    beside = run(engine_with(base_of(0.5), "frozen", "hour_of_week"), 6)
    assert beside.status is Status.OK and any("hour_of_week on 1h windows sleeps" in note for note in beside.notes)


def test_a_week_and_a_half_judges_half_of_the_hours() -> None:
    told = run(engine_with(base_of(1.5), "hour_of_week"), 6)
    (season,) = told.seasons
    assert (season.state, season.hours) == ("learning", 168) and 84 <= season.ready <= 91
    assert told.status is Status.OK and not waiting_for_drift(told)
    assert any(f"learns: {season.ready} of 168 hours of the week can be judged so far" in note for note in told.notes)


def waiting_for_drift(told: ModelSnapshot) -> list[str]:
    waiting = [dict(r.attributes) for r in told.readings if r.metric is semconv.METRIC_ML_DETECTION_WAITING]
    return [said[semconv.ML_DETECTION_WAITS_FOR] for said in waiting if said[semconv.ML_DETECTION_KIND] == "drift"]


def test_without_windows_it_says_why_it_sleeps(base: Baseline) -> None:
    timeless = build(BaselineColumns(rows(MONDAY - 168 * HOUR, 168), timed=False), Spec(positive="1"), window_s=3600.0)
    told = run(engine_with(timeless, "frozen", "hour_of_week"), 3)
    (season,) = told.seasons
    assert season.state == "sleeping" and "built without --time" in season.lacks
    assert any("hour_of_week on 1h windows sleeps: the baseline has no time order" in note for note in told.notes)


def test_the_read_api_tells_it(base: Baseline) -> None:
    engine = engine_with(base, "frozen", "hour_of_week")
    run(engine, 2)
    (model,) = status_json(snapshot(engine, MONDAY + 2 * HOUR), ready=True, health={})["models"]
    assert model["seasons"] == [
        {
            "reference": "hour_of_week", "window": "1h", "state": "ready", "ready": 168, "hours": 168,
            "replaces": False, "lacks": "", "measured": None,
        }
    ]  # fmt: skip
    plain = engine_with(base, "frozen")
    run(plain, 1)
    assert "seasons" not in status_json(snapshot(plain, MONDAY + HOUR), ready=True, health={})["models"][0]


def test_its_measured_rate_is_told_where_it_replaces_the_baseline(base: Baseline) -> None:
    unmeasured = run(engine_with(base, "hour_of_week"), 1)
    assert any("was not measured: build the baseline again" in note for note in unmeasured.notes)
    config = engine_with(base, "hour_of_week").config.models[0]
    replayed = replace(base, left_out=replay_left_out_days(base, config, lambda _: None))
    told = run(engine_with(replayed, "hour_of_week"), 1)
    (season,) = told.seasons
    assert season.measured is not None and season.measured.alarms == 0 and season.measured.windows > 100
    said = f"measured: 0 alarms in {season.measured.windows} windows of {season.measured.days} days of the baseline"
    assert any("no proven bound" in note and said in note for note in told.notes)
