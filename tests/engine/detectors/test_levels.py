"""An early alarm is a ticket, rises to a strong one, and every door says the same of both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.engine.conftest import KEY, Journal
from tests.engine.detectors.test_kinds import Traffic, base_of, come_of_age, engine_with, run

from calidris.api.json_shapes import alarms_json
from calidris.baseline import Baseline
from calidris.config import ExportConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.checkpoint.plain_json import alarm_from, alarm_json
from calidris.engine.core import Engine
from calidris.engine.snapshot import Alarm
from calidris.export import points

SMALL, LARGE = Traffic(age=1.1), Traffic(age=6.0)


@pytest.fixture(scope="module")
def base() -> Baseline:
    return base_of()


def series(engine: Engine, kind: str) -> dict[tuple[str, str], float]:
    """Of the exposition: level and severity to whether an alarm stands."""
    found = {
        (p.attributes.get("ml.detection.level", ""), p.attributes["ml.detection.severity"]): p.value
        for p in points(snapshot(engine, 0), ExportConfig())
        if p.metric.name == "ml.detection.alarm" and p.attributes["ml.detection.kind"] == kind
    }
    told = {
        (about.get("ml.detection.level", ""), about["ml.detection.severity"]): r.value
        for r in snapshot(engine, 0).models[0].readings
        if (about := dict(r.attributes)) and r.metric.name == "ml.detection.alarm"
        if about["ml.detection.kind"] == kind
    }
    assert told == found
    return found


def until_alarm(engine: Engine, journal: Journal, how: Traffic, first: int = 0) -> int:
    """Windows until an alarm stands."""
    for w in range(first, first + 150):
        run(engine, journal, w, 1, how)
        if engine.latched:
            return w + 1
    raise AssertionError("no alarm came")


def test_an_early_alarm_of_drift_rises(base: Baseline, restart: Callable[[Engine], Engine]) -> None:
    engine, journal = engine_with(base), Journal()
    assert engine.models == {}
    end = until_alarm(engine, journal, SMALL)
    (alarm,) = alarms_json(snapshot(engine, 0))
    assert (alarm["kind"], alarm["level"], alarm["severity"], alarm["strong_ns"]) == ("drift", "early", "ticket", 0)
    assert series(engine, "drift") == {("early", "ticket"): 1.0, ("strong", "ticket"): 0.0}
    was = digest(engine)
    engine = restart(engine)
    assert digest(engine) == was
    run(engine, journal, end, 4, LARGE)
    (risen,) = alarms_json(snapshot(engine, 0))
    assert (risen["level"], risen["severity"]) == ("strong", "ticket")
    assert risen["strong_ns"] > alarm["raised_ns"] == risen["raised_ns"] and risen["id"] == alarm["id"]
    assert series(engine, "drift") == {("early", "ticket"): 0.0, ("strong", "ticket"): 1.0}
    raised = [p.value for p in points(snapshot(engine, 0), ExportConfig()) if p.metric.name == "ml.detection.alarms"
              and p.attributes["ml.detection.kind"] == "drift"]  # fmt: skip
    assert raised == [1.0]


def test_losses_page_where_the_evidence_is_strong(base: Baseline) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, 30, Traffic(wrong=0.25))
    assert series(engine, "performance") == {("early", "ticket"): 0.0, ("strong", "page"): 0.0}
    come_of_age(engine, journal, 30)
    alarms = [a for a in alarms_json(snapshot(engine, 0)) if a["kind"] == "performance"]
    assert {(a["level"], a["severity"]) for a in alarms} <= {("strong", "page"), ("early", "ticket")}
    assert (alarms[0]["level"], alarms[0]["severity"]) == ("strong", "page")
    assert series(engine, "performance")["strong", "page"] == 1.0


def test_drift_pages_where_the_settings_say_so_and_never_early(base: Baseline) -> None:
    engine, journal = engine_with(base, page=["drift"]), Journal()
    end = until_alarm(engine, journal, SMALL)
    assert engine.alarms[0].severity == "ticket"
    run(engine, journal, end, 4, LARGE)
    assert series(engine, "drift") == {("early", "ticket"): 0.0, ("strong", "page"): 1.0}


def test_there_is_no_early_level_where_its_tolerance_is_not_narrower(base: Baseline) -> None:
    engine, journal = engine_with(base, early_tolerance=0.05, early_loss_tolerance=0.005), Journal()
    run(engine, journal, 0, 1, Traffic())
    assert {kind: set(series(engine, kind)) for kind in ("drift", "performance")} == {
        "drift": {("strong", "ticket")},
        "performance": {("strong", "page")},
    }


def test_an_alarm_of_before_is_strong_and_as_severe_as_its_kind_was(base: Baseline) -> None:
    for kind, severity in (("drift", "ticket"), ("performance", "page")):
        alarm = Alarm(1, KEY, kind, "1m", 1, 1, 1, 1, 1.0, (), "b", "1 per month", level="strong", severity=severity)
        plain = alarm_json(alarm)
        assert not {"level", "severity", "strong_ns"} & plain.keys() and alarm_from(plain) == alarm
    early = replace(alarm, level="early", severity="ticket", strong_ns=7)
    assert alarm_from(alarm_json(early)) == early
