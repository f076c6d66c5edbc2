"""One part of a seal that fails costs none of the others: it is counted, logged once and told, and no alarm is lost."""

from __future__ import annotations

import logging
from collections.abc import Callable

import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, rows

from calidris import semconv
from calidris.api.json_shapes import alarms_json, status_json
from calidris.baseline import Baseline
from calidris.config import ExportConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import SlotWatcher
from calidris.engine.detectors.thresholds import ThresholdWatcher
from calidris.export import points
from calidris.metrics.base import Reading, Status

Restart = Callable[[Engine], Engine]
FAILURES = semconv.METRIC_CALIDRIS_ENGINE_FAILURES.name
AGE = {"ml.feature.name": "age", "ml.drift.measure": "psi"}
DETECT = {"windows": ["1s"], "false_alarms": "1 per day"}
PARTS = {
    "threshold": "calidris.detect.ThresholdRule.run",
    "drift": "calidris.engine.detectors.watcher.Watcher._without_absent",
    "days": "calidris.engine.detectors.watcher.note_day",
    "rows of days": "calidris.engine.detectors.watcher.note_traffic",
    "history": "calidris.engine.detectors.watcher.Watcher._remember",
    "roll-up": "calidris.engine.model.WatchedModel.roll_up",
    "waiting labels": "calidris.labels.PendingPredictions.forget",
}
"""Parts of a seal, and what fails in them."""
LIMIT = {"figure": "ml.drift.score", "attributes": AGE, "above": 0.5}


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


def run(engine: Engine, journal: Journal, first: int, windows: int, shift: float = 0.0) -> None:
    """Windows of 100 rows, each sealed at its end."""
    for number in range(first, first + windows):
        begin_ns = START + number * SECOND
        engine.apply(journal.request(rows(100 + number, 100, begin_ns, shift=shift)))
        engine.apply(journal.seal(begin_ns + SECOND))


def limited(*limits: dict[str, object]) -> dict[str, object]:
    return {"detect": DETECT | {"thresholds": list(limits)}}


def exposed(engine: Engine) -> dict[str, float]:
    """Kind to whether the exposition says that an alarm of it stands."""
    found = points(snapshot(engine, 0), ExportConfig())
    about = (p for p in found if p.metric is semconv.METRIC_ML_DETECTION_ALARM)
    return {p.attributes["ml.detection.kind"]: p.value for p in about}


def listed(engine: Engine) -> set[str]:
    return {alarm["kind"] for alarm in alarms_json(snapshot(engine, 0)) if alarm["latched"]}


def unknown_from(monkeypatch: pytest.MonkeyPatch, windows: int) -> None:
    """Every figure is unknown after so many windows, as when too few rows have a label."""
    taken = ThresholdWatcher.take
    seen: list[int] = []

    def take(self: ThresholdWatcher, readings: list[Reading], start_ns: int) -> object:
        seen.append(start_ns)
        known = len(seen) <= windows
        return taken(self, readings if known else [r.marked(Status.TOO_FEW) for r in readings], start_ns)

    monkeypatch.setattr(ThresholdWatcher, "take", take)


def test_a_figure_that_becomes_unknown_while_its_alarm_stands_costs_nothing(
    make_engine: MakeEngine, base: Baseline, monkeypatch: pytest.MonkeyPatch
) -> None:
    unknown_from(monkeypatch, 2)
    engine, journal = make_engine(configuration(**limited(LIMIT)), base), Journal()
    run(engine, journal, 0, 2, shift=9.0)
    run(engine, journal, 2, 8, shift=9.0)
    assert not engine.counters[FAILURES]
    assert {"drift", "threshold"} <= listed(engine)
    assert {kind for kind, value in exposed(engine).items() if value} == listed(engine)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("lost", sorted(PARTS))
def test_a_part_that_fails_costs_no_alarm_and_is_counted_logged_once_and_told(
    make_engine: MakeEngine,
    base: Baseline,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    restart: Restart,
    lost: str,
    restarted: bool,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise TypeError("a value that is nobody's business")

    monkeypatch.setattr(PARTS[lost], fails)
    engine, journal = make_engine(configuration(**limited(LIMIT)), base), Journal()
    with caplog.at_level(logging.WARNING):
        run(engine, journal, 0, 6, shift=9.0)
    engine = restart(engine) if restarted else engine
    kinds = {"drift", "threshold"} - {lost}
    assert listed(engine) == kinds == {kind for kind, value in exposed(engine).items() if value}
    assert engine.counters[FAILURES]["seal"] == 6
    assert len([r for r in caplog.records if "logged once" in r.message]) == 1
    if not restarted:
        detail = status_json(snapshot(engine, 0), ready=True, health={})["models"][0]["status_detail"]
        assert "TypeError, 6 times" in detail and "nobody's business" not in detail
    for number in sorted(engine.latched):
        engine.execute(Command(number, "clear", "ada", "known", START))
    assert not listed(engine) and not any(exposed(engine).values())


def test_a_detector_that_fails_after_it_latched_leaves_its_alarm(
    make_engine: MakeEngine, base: Baseline, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(SlotWatcher, "_begin_recovery", fails)
    engine, journal = make_engine(base=base), Journal()
    run(engine, journal, 0, 6, shift=9.0)
    (alarm,) = engine.alarms
    assert (alarm.kind, alarm.evidence, engine.latched) == ("drift", 1.0, {1})
    assert exposed(engine)["drift"] == 1.0
    assert "had no alarm" in caplog.text


def latch_alone(engine: Engine) -> None:
    """As the seal that raised left a checkpoint of versions before December 2026."""
    engine.book.restore([], [])


def alarm_alone(engine: Engine) -> None:
    for latch in engine.watchers[KEY].latches():
        latch.clear()


@pytest.mark.parametrize("breaks", [latch_alone, alarm_alone])
@pytest.mark.parametrize("limits", [(), (LIMIT,)])
def test_a_checkpoint_in_which_latches_and_alarms_differ_is_mended_and_said(
    make_engine: MakeEngine,
    base: Baseline,
    restart: Restart,
    caplog: pytest.LogCaptureFixture,
    breaks: Callable[[Engine], None],
    limits: tuple[dict[str, object], ...],
) -> None:
    engine, journal = make_engine(configuration(**limited(*limits)), base), Journal()
    run(engine, journal, 0, 6, shift=9.0)
    kinds = listed(engine)
    assert kinds == {"drift", *(["threshold"] if limits else [])}
    breaks(engine)
    back = restart(engine)
    assert listed(back) == kinds == {kind for kind, value in exposed(back).items() if value}
    assert all(
        latch.latched == (latch is known) for latch in back.watchers[KEY].latches() for known in [latched(back, latch)]
    )
    assert caplog.text.count("engine: model") == len(kinds)
    run(back, journal, 6, 3, shift=9.0)
    assert len(back.alarms) == len(kinds), "what stands raises no other one"
    assert "drift" in {alarm.kind for alarm in back.alarms}


def latched(engine: Engine, latch: object) -> object:
    """A latch itself where an alarm of it stands."""
    standing = [engine.watchers[KEY].latch_of(alarm) for alarm in engine.book.standing()]
    return latch if any(latch is known for known in standing) else None


def test_an_alarm_of_another_baseline_stands_and_hides_no_new_one(
    make_engine: MakeEngine, base: Baseline, restart: Restart
) -> None:
    engine, journal = make_engine(base=base), Journal()
    run(engine, journal, 0, 6, shift=9.0)
    engine.fleet.find_baseline = lambda *_: (other, "")
    other = baseline(windows=61)
    back = restart(engine)
    assert back.latched == {1} and exposed(back)["drift"] == 1.0
    run(back, journal, 6, 6, shift=9.0)
    assert back.latched == {1, 2}
    back.execute(Command(1, "clear", "ada", "another baseline", START))
    assert back.latched == {2} and exposed(back)["drift"] == 1.0
    run(back, journal, 12, 3, shift=9.0)
    assert back.latched == {2} and len(back.alarms) == 2


def test_a_limit_that_never_had_a_value_is_named_until_it_has(
    make_engine: MakeEngine, base: Baseline, restart: Restart
) -> None:
    by_labels = {"ml.performance.measure": "accuracy", "ml.performance.source": "labels"}
    never = {"figure": "ml.performance.score", "attributes": by_labels, "below": 0.5}
    engine, journal = make_engine(configuration(**limited(LIMIT, never)), base), Journal()
    run(engine, journal, 0, 3)
    for one in (engine, restart(engine)):
        detail = snapshot(one, 0).models[0].status_detail
        assert "'1: ml.performance.score below 0.5' has never had a value (3 windows of 1s)" in detail
        assert "ml.drift.score" not in detail
