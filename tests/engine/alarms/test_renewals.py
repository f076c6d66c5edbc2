"""A second incident while an alarm stands: an alarm of its own, told at every door, acknowledged and cleared by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, rows

from calidris import semconv
from calidris.api.json_shapes import alarms_json
from calidris.baseline import Baseline
from calidris.batch import NumberColumn
from calidris.config import ExportConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.export import points

OLDER, RICHER = 10, 20
"""The windows from which on ages, then incomes, are others."""


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


def traffic(windows: range, journal: Journal, older_until: int = 999, richer_until: int = 999) -> list[object]:
    """The records of some windows of a second."""
    first = len(journal.records)
    for w in windows:
        batch = rows(100 + w, 100, START + w * SECOND)
        age, income = batch.features["age"], batch.features["income"]
        assert isinstance(age, NumberColumn) and isinstance(income, NumberColumn)
        moved = dict(batch.features)
        if OLDER <= w < older_until:
            moved["age"] = NumberColumn.of(age.values + 12.0)
        if RICHER <= w < richer_until:
            moved["income"] = NumberColumn.of(income.values * 4.0)
        journal.request(replace(batch, features=moved))
        journal.seal(START + (w + 1) * SECOND)
    return journal.records[first:]


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def engine(make_engine: MakeEngine, base: Baseline, journal: Journal) -> Engine:
    """Two incidents: ages from the tenth window on, incomes from the twentieth, and nobody has decided anything."""
    made = make_engine(base=base)
    for record in traffic(range(30), journal):
        made.apply(record)
    return made


def said(engine: Engine, metric: semconv.Metric) -> dict[str, float]:
    """Feature, or kind, to the value of a metric."""
    found = [p for p in points(snapshot(engine, 0), ExportConfig()) if p.metric is metric]
    return {p.attributes.get("ml.feature.name", p.attributes["ml.detection.kind"]): p.value for p in found}


def test_each_incident_is_an_alarm_that_names_what_is_new_and_says_since_when(engine: Engine) -> None:
    first, second = engine.alarms
    assert (first.renews, [(f.name, f.direction) for f in first.features]) == (0, [("age", "mean up")])
    assert (second.renews, [(f.name, f.direction) for f in second.features]) == (1, [("income", "mean up")])
    assert first.onset is not None and second.onset is not None
    assert first.onset.at_ns == first.since_ns == START + OLDER * SECOND
    assert second.onset.at_ns == second.since_ns == START + RICHER * SECOND
    windows = (second.raised_ns - second.since_ns) // SECOND
    assert (second.windows, second.n) == (windows, 100 * windows)
    assert second.trace_ids == (f"{100 + RICHER + windows - 1:032x}",)
    assert engine.latched == {1, 2}


def test_every_door_tells_of_it(engine: Engine) -> None:
    assert said(engine, semconv.METRIC_ML_DETECTION_ALARMS)["drift"] == 2.0
    assert said(engine, semconv.METRIC_ML_DETECTION_ALARM_RENEWED) == {"income": 1.0}
    assert said(engine, semconv.METRIC_ML_DETECTION_ONSET) == {"drift": (START + RICHER * SECOND) / 1e9}
    told = alarms_json(snapshot(engine, 0))
    assert [a["renews"] for a in told] == [None, 1]
    assert told[1]["onset"]["status"] == "ok" and told[1]["onset"]["at_ns"] == START + RICHER * SECOND
    (model,) = snapshot(engine, 0).models
    assert [p.end_ns for p in model.history if p.alarm and p.window == "1s"] == [a.raised_ns for a in engine.alarms]


@pytest.mark.parametrize("cleared", [1, 2])
def test_each_is_acknowledged_and_cleared_by_itself(engine: Engine, journal: Journal, cleared: int) -> None:
    other = 3 - cleared
    engine.apply(journal.order(Command(other, "ack", "ada", "looked at", START)))
    engine.apply(journal.order(Command(cleared, "clear", "ada", "mended", START)))
    assert engine.latched == {other}
    until = {"older_until": 30} if cleared == 1 else {"richer_until": 30}
    for record in traffic(range(30, 40), journal, **until):
        engine.apply(record)
    assert engine.latched == {other} and len(engine.alarms) == 2, (
        "what was mended is quiet, what stands is not told again"
    )
    assert said(engine, semconv.METRIC_ML_DETECTION_ALARM_RENEWED) == ({"income": 1.0} if other == 2 else {})


@pytest.mark.parametrize("cleared", [1, 2])
def test_each_is_cleared_by_itself_where_the_latch_was_set_again(
    engine: Engine, journal: Journal, cleared: int
) -> None:
    """As after settings that did not have the detector for a while: it knows that it is latched, and not by which alarm."""
    for alarm in engine.alarms:
        engine.watchers[KEY].clear(alarm)
    engine.mend_alarms(engine.models[KEY])
    engine.apply(journal.order(Command(cleared, "clear", "ada", "mended", START)))
    until = {"older_until": 30} if cleared == 1 else {"richer_until": 30}
    for record in traffic(range(30, 40), journal, **until):
        engine.apply(record)
    assert engine.latched == {3 - cleared} and len(engine.alarms) == 2, "what stands is not told again"


def test_what_was_cleared_and_is_still_there_is_told_again(engine: Engine, journal: Journal) -> None:
    engine.apply(journal.order(Command(1, "clear", "ada", "known", START)))
    for record in traffic(range(30, 36), journal):
        engine.apply(record)
    (_, _, again) = engine.alarms
    assert ([f.name for f in again.features], again.renews, engine.latched) == (["age"], 2, {2, 3})


def test_each_recovers_by_itself(engine: Engine, journal: Journal) -> None:
    for record in traffic(range(30, 90), journal, richer_until=30):
        engine.apply(record)
    first, second = engine.alarms
    assert first.recovered_ns == 0 and second.recovered_ns > second.raised_ns


def test_the_next_incident_after_a_restart_is_the_same(
    engine: Engine, journal: Journal, restart: Callable[[Engine], Engine]
) -> None:
    again = restart(engine)
    for record in [*traffic(range(30, 36), journal), journal.order(Command(2, "clear", "ada", "mended", START))]:
        again.apply(record)
        engine.apply(record)
    assert digest(again) == digest(engine) and again.alarms == engine.alarms
    assert again.latched == {1}
    names = again.watchers[KEY].latches()
    assert sum(latch.latched for latch in names) == 1


def test_a_renewal_without_its_alarm_is_mended(engine: Engine) -> None:
    """As after a defect between the two: it is written down late, and nothing is told twice."""
    (watch,) = (w for w in engine.watchers[KEY].slots.values() if w.renewals)
    engine.book.restore(engine.alarms[:1], {1})
    watch.renewals[0].number = 0
    model = engine.models[KEY]
    engine.mend_alarms(model)
    (_, late) = engine.alarms
    assert ([f.name for f in late.features], late.renews, late.raised_ns) == (["income"], 1, model.sealed_ns)
    engine.mend_alarms(model)
    assert len(engine.alarms) == 2 and watch.renewals[0].number == 2


def test_quiet_windows_beside_a_standing_alarm_raise_nothing(make_engine: MakeEngine, base: Baseline) -> None:
    made = make_engine(base=base)
    for record in traffic(range(300), Journal(), richer_until=0):
        made.apply(record)
    assert [a.renews for a in made.alarms if a.kind == "drift"] == [0]
    assert np.all([a.since_ns >= START + OLDER * SECOND for a in made.alarms])
