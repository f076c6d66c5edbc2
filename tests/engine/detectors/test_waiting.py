"""A detector that never scored a window waits, and says for what; it has no evidence, and its alarm stands at 0."""

from __future__ import annotations

from tests.engine.conftest import KEY, START, Journal
from tests.engine.detectors.test_kinds import MINUTE, ROWS, Traffic, base_of, come_of_age, draw, engine_with, run

from calidris.api.json_shapes import status_json
from calidris.config import ExportConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.export import points


def waits(engine: Engine) -> dict[str, str]:
    """Kind to what it waits for, by the read API; the exposition says the same."""
    taken = snapshot(engine, 0)
    found = {p.attributes["ml.detection.kind"]: p.attributes["ml.detection.waits_for"]
             for p in points(taken, ExportConfig()) if p.metric.name == "ml.detection.waiting"}  # fmt: skip
    told = {w["kind"]: w["for"] for w in status_json(taken, ready=True, health={})["models"][0]["waiting"]}
    assert found == told
    return found


def has_evidence(engine: Engine) -> set[str]:
    found = points(snapshot(engine, 0), ExportConfig())
    alarms = {p.attributes["ml.detection.kind"]: p.value for p in found if p.metric.name == "ml.detection.alarm"}
    assert set(alarms) >= {slot.kind.value for slot in engine.watchers[KEY].slots} and not any(alarms.values())
    return {p.attributes["ml.detection.kind"] for p in found if p.metric.name == "ml.detection.evidence"}


JUDGED = {"performance", "calibration", "fairness"}
LABEL_FED = JUDGED | {"labels"}


def test_without_labels_what_labels_feed_waits_for_them() -> None:
    engine, journal = engine_with(base_of()), Journal()
    rows, _ = draw(1, ROWS, START, MINUTE, Traffic())
    engine.apply(journal.request(rows))
    engine.apply(journal.seal(START + MINUTE))
    come_of_age(engine, journal, 1)
    assert {kind for kind, reason in waits(engine).items() if reason == "labels"} == LABEL_FED
    assert not has_evidence(engine) & LABEL_FED and {"drift"} <= has_evidence(engine)
    run(engine, journal, 200, 2, Traffic())
    come_of_age(engine, journal, 202)
    assert not JUDGED & waits(engine).keys() and has_evidence(engine) >= JUDGED
    assert waits(engine)["labels"] == "learning"


def test_windows_with_too_few_rows_wait_for_more() -> None:
    engine, journal = engine_with(base_of()), Journal()
    rows, _ = draw(1, 5, START, MINUTE, Traffic())
    engine.apply(journal.request(rows))
    engine.apply(journal.seal(START + MINUTE))
    assert waits(engine)["drift"] == "rows"
    assert "drift" not in has_evidence(engine)


def test_what_learns_says_so() -> None:
    engine, journal = engine_with(base_of(5)), Journal()
    run(engine, journal, 0, 2, Traffic())
    assert waits(engine)["drift"] == "learning"
    assert "drift" not in has_evidence(engine)


def test_an_alarm_that_labels_raise_after_the_rows_have_stopped_says_so() -> None:
    engine, journal = engine_with(base_of()), Journal()
    changed = Traffic(wrong=0.25, age=4.0)
    run(engine, journal, 0, 30, changed)
    come_of_age(engine, journal, 30)
    silent = {alarm.kind: alarm.silent for alarm in engine.alarms}
    assert silent["drift"] is False and silent["performance"] is True
    taken = snapshot(engine, 0)
    told = {p.attributes["ml.detection.kind"]: p.value for p in points(taken, ExportConfig())
            if p.metric.name == "ml.detection.alarm.silent"}  # fmt: skip
    assert (told["drift"], told["performance"]) == (0.0, 1.0)
