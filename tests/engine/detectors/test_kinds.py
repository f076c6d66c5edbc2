"""Every kind of alarm at the engine's door: quiet while nothing changed, loud and named when it did, the same after a restart."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn, PredictionBatch
from calidris.config import CalidrisConfig, ModelConfig
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import RECOVERY, Command
from calidris.engine.core import Engine
from calidris.engine.snapshot import Alarm
from calidris.metrics.base import Status
from calidris.state import Role, Spec

HOUR = 3600 * SECOND
DETECT = {"windows": ["1m"], "false_alarms": "1 per month", "label_age": "1h"}
ROWS, BASE_WINDOWS, QUIET, CHANGED = 200, 200, 40, 40
MINUTE = 60 * SECOND


@dataclass(frozen=True)
class Traffic:
    """How one window is drawn: what is changed at its own key, all else as in the baseline."""

    wrong: float = 0.0  # share of outcomes that are turned round
    shift: float = 0.0  # of the logit that outcomes are drawn from
    failed: float = 0.01
    slow: float = 1.0
    favoured: float = 0.0  # of the logit of one group's score
    age: float = 0.0


def draw(
    seed: int, n: int, start_ns: int, span_ns: int, how: Traffic, key: ModelKey = KEY
) -> tuple[PredictionBatch, LabelBatch]:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n)
    logit = rng.normal(0.0, 1.5, n) + how.favoured * (sex == "m")
    score = 1 / (1 + np.exp(-logit))
    outcome = rng.random(n) < 1 / (1 + np.exp(-logit - how.shift))
    outcome ^= rng.random(n) < how.wrong
    times = start_ns + np.sort(rng.integers(0, span_ns, n))
    rows = PredictionBatch(
        model=key,
        event_time_ns=times,
        features={"age": NumberColumn.of(rng.normal(40 + how.age, 10, n)), "x": NumberColumn.of(rng.normal(size=n))},
        ids=[f"{key.version}-{seed}-{i}" for i in range(n)],
        score=NumberColumn.of(score),
        duration_s=NumberColumn.of(rng.lognormal(-4.0, 0.5, n) * how.slow),
        error=CodedColumn.of([("timeout" if f else None) for f in rng.random(n) < how.failed]),
        slices={"sex": CodedColumn.of(sex.tolist())},
    )
    assert rows.ids is not None
    return rows, LabelBatch("default", key.name, rows.ids, NumberColumn.of(outcome), times + 5 * SECOND)


def base_of(windows: int = BASE_WINDOWS) -> Baseline:
    n = windows * ROWS
    rows, labels = draw(1, n, START - windows * MINUTE, windows * MINUTE, Traffic())
    columns = BaselineColumns(rows, labels.label, delay_s=np.full(n, 5.0))
    return build(columns, Spec(positive="1"), window_s=60.0, slices=["sex"])


@pytest.fixture(scope="module")
def base() -> Baseline:
    return base_of()


def engine_with(base: Baseline | None, **detect: object) -> Engine:
    model = {
        "name": "credit", "windows": ["1m"], "slices": ["sex"], "detect": DETECT | detect,
        "fairness": {"attribute": "sex", "measures": ["demographic_parity"], "tolerance": 0.1},
    }  # fmt: skip
    config = CalidrisConfig(models=(ModelConfig.model_validate(model),))
    return Engine(config, lambda *_: (base, ""))


def run(
    engine: Engine, journal: Journal, first: int, windows: int, how: Traffic, start_ns: int = START, key: ModelKey = KEY
) -> None:
    """Windows of traffic, each sealed at its end; their labels come at once and are of age an hour later."""
    for w in range(first, first + windows):
        begin = start_ns + w * MINUTE
        rows, labels = draw(100 + w, ROWS, begin, MINUTE, how, key)
        for item in (rows, labels):
            engine.apply(journal.request(item, arrival_ns=begin))
        engine.apply(journal.seal(begin + MINUTE))


def come_of_age(engine: Engine, journal: Journal, windows: int) -> None:
    engine.apply(journal.seal(START + windows * MINUTE + HOUR + MINUTE))


CHANGES = {
    "performance": Traffic(wrong=0.25),
    "calibration": Traffic(shift=1.0),
    "errors": Traffic(failed=0.08),
    "latency": Traffic(slow=1.6),
    "fairness": Traffic(favoured=2.0),
    "drift": Traffic(age=4.0),
}


@pytest.mark.parametrize("kind", [*CHANGES])
def test_a_change_raises_an_alarm_of_its_kind(base: Baseline, kind: str) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, QUIET, Traffic())
    come_of_age(engine, journal, QUIET)
    assert engine.alarms == []
    shift = QUIET + 70  # the hour that was skipped, and some
    run(engine, journal, shift, CHANGED, CHANGES[kind])
    come_of_age(engine, journal, shift + CHANGED)
    kinds = {alarm.kind for alarm in engine.alarms}
    assert kind in kinds
    alarm = next(a for a in engine.alarms if a.kind == kind)
    assert alarm.features and alarm.evidence >= 1.0 and alarm.n >= ROWS
    assert alarm.raised_ns > START + shift * MINUTE
    assert alarm.budget == "1 per month"
    if kind in ("errors", "latency", "drift"):
        assert kinds == {kind}
    evidence = {dict(r.attributes)["ml.detection.kind"] for r in snapshot(engine, 0).models[0].readings
                if r.metric.name == "ml.detection.alarm" and r.value == 1.0}  # fmt: skip
    assert evidence == kinds


def test_fairness_names_the_group_and_the_direction(base: Baseline) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, CHANGED, CHANGES["fairness"])
    come_of_age(engine, journal, CHANGED)
    alarm = next(a for a in engine.alarms if a.kind == "fairness")
    assert alarm.reference == "demographic_parity"
    assert {f.name for f in alarm.features} <= {"sex=f", "sex=m", "sex=(other)"}
    said = {f.name: f.direction for f in alarm.features}
    assert said.get("sex=m", "decided positive more often") == "decided positive more often"


def test_labels_are_scored_once_and_at_their_age(base: Baseline) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, 5, Traffic())
    watcher = engine.watchers[KEY]
    scored = {slot.kind: watch.detector.scored for slot, watch in watcher.slots.items() if watch.detector}
    assert (scored["drift"], scored["performance"], scored["calibration"]) == (5, 0, 0)
    come_of_age(engine, journal, 5)
    come_of_age(engine, journal, 6)
    scored = {slot.kind: watch.detector.scored for slot, watch in watcher.slots.items() if watch.detector}
    assert (scored["drift"], scored["performance"], scored["calibration"]) == (5, 5, 5)


def test_an_alarm_says_when_what_it_named_has_come_back(base: Baseline) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, 10, CHANGES["drift"])
    assert [a.recovered_ns for a in engine.alarms] == [0] and engine.latched == {1}
    run(engine, journal, 10, 30, Traffic())
    (alarm,) = engine.alarms
    assert alarm.recovered_ns > alarm.raised_ns and engine.latched == {1}


def test_the_settings_let_an_alarm_that_is_over_clear_itself(base: Baseline) -> None:
    engine, journal = engine_with(base, clear_recovered=True), Journal()
    run(engine, journal, 0, 10, CHANGES["drift"])
    run(engine, journal, 10, 30, Traffic())
    assert engine.latched == set()
    (order,) = engine.commands
    assert (order.action, order.by) == ("clear", RECOVERY)
    run(engine, journal, 40, 10, CHANGES["drift"])
    assert [a.id for a in engine.alarms] == [1, 2] and engine.latched == {2}


def test_while_the_change_lasts_nothing_is_over(base: Baseline) -> None:
    engine, journal = engine_with(base, clear_recovered=True), Journal()
    run(engine, journal, 0, 60, CHANGES["drift"])
    assert [a.recovered_ns for a in engine.alarms] == [0] and engine.latched == {1}


@pytest.mark.parametrize("cut", [7, 23, 38])
def test_a_restart_changes_nothing_of_any_kind(base: Baseline, cut: int, restart: Callable[[Engine], Engine]) -> None:
    references = {"references": ["frozen", "hour_of_week", "decayed"], "shares": {"fairness": 0.2}}
    one, other, journal = engine_with(base, **references), engine_with(base, **references), Journal()
    run(one, journal, 0, 25, replace(Traffic(), age=3.0, failed=0.05))
    run(one, journal, 25, 20, Traffic(wrong=0.3))
    come_of_age(one, journal, 45)
    at = round(len(journal.records) * cut / 40)
    for record in journal.records[:at]:
        other.apply(record)
    other = restart(other)
    for record in journal.records[at:]:
        other.apply(record)
    assert one.alarms == other.alarms and len(one.alarms) >= 3
    assert digest(one) == digest(other)


def test_errors_and_latency_of_training_rows_are_learned_live_first() -> None:
    n = 60 * ROWS
    rows, labels = draw(1, n, START - 60 * MINUTE, 60 * MINUTE, Traffic())
    trained = replace(rows, duration_s=None, error=None)
    base = build(BaselineColumns(trained, labels.label, delay_s=np.full(n, 5.0)), Spec(positive="1"), window_s=60.0)
    engine, journal = engine_with(base, learn="30m"), Journal()
    run(engine, journal, 0, 29, Traffic())
    watcher = engine.watchers[KEY]
    learning = {slot.kind for slot, watch in watcher.slots.items() if watch.learner is not None}
    assert learning == {"errors", "latency", "labels"}, "how many rows have a label in time is always learned live"
    run(engine, journal, 29, 6, Traffic())
    assert all(watch.learner is None for slot, watch in watcher.slots.items() if slot.kind != "labels")
    run(engine, journal, 35, 10, Traffic(failed=0.2, slow=3.0))
    assert {a.kind for a in engine.alarms} == {"errors", "latency"}


def test_a_new_version_goes_on_with_the_evidence_on_features_alone(base: Baseline) -> None:
    engine, journal = engine_with(base), Journal()
    run(engine, journal, 0, 2, Traffic(age=3.0))
    before = engine.watchers[KEY].slots
    drift = next(w for s, w in before.items() if s.kind == "drift" and s.reference == "frozen")
    assert drift.last is not None and 0.0 < drift.last.evidence < 1.0
    second = ModelKey("default", "credit", "8")
    engine.apply(journal.request(draw(1, ROWS, START + 3 * MINUTE, MINUTE, Traffic(), second)[0]))
    after = next(w for s, w in engine.watchers[second].slots.items() if s.kind == "drift")
    assert drift.detector is not None and after.detector is not None
    mine, theirs = after.detector, drift.detector
    features = np.isin(np.array(mine.bets.names)[mine.bets.owner], ["age", "x"])
    assert np.array_equal(mine._log_r[features], theirs._log_r[features])
    assert np.isneginf(mine._log_r[~features]).all() and np.isfinite(theirs._log_r[~features]).any()


def test_a_kind_without_a_share_is_not_watched_and_the_others_have_all(base: Baseline) -> None:
    engine, journal = engine_with(base, shares={"latency": 0.0, "drift": 0.0}), Journal()
    run(engine, journal, 0, 8, Traffic(slow=3.0, age=9.0))
    assert engine.alarms == []
    kinds = {slot.kind for slot in engine.watchers[KEY].slots}
    assert kinds == {"performance", "calibration", "errors", "fairness", "labels"}
    budget = engine.watchers[KEY].budget
    assert sum(budget.share(slot) for slot in budget.slots) == pytest.approx(1.0)


def test_seasonal_references_learn_from_calm_windows(base: Baseline) -> None:
    engine, journal = engine_with(base, references=["frozen", "decayed"]), Journal()
    run(engine, journal, 0, 10, Traffic())
    (watch,) = (w for s, w in engine.watchers[KEY].slots.items() if s.reference == "decayed")
    references = watch.recipe.references
    assert references is not None
    calm = references.decayed()
    assert calm is not None and calm.count > 9.5 * ROWS
    run(engine, journal, 10, 6, Traffic(age=12.0))
    later = references.decayed()
    assert later is not None and later.count < 11.5 * ROWS
    found: list[Alarm] = [a for a in engine.alarms if a.reference == "decayed"]
    assert found and found[0].kind == "drift"
    engine.apply(journal.request(draw(9, 1, START, MINUTE, Traffic())[0]))
    engine.execute(Command(found[0].id, "clear", "ada", "sensor replaced", START))
    assert watch.detector is not None and not watch.detector.alarm
    assert snapshot(engine, 0).models[0].status is Status.OK


def test_panes_of_an_hour_keep_bins_that_no_baseline_decides(
    base: Baseline, restart: Callable[[Engine], Engine]
) -> None:
    config = CalidrisConfig(models=(ModelConfig.model_validate({"name": "credit", "windows": ["1h", "1d"]}),))
    engine, journal = Engine(config, lambda *_: (base, "")), Journal()
    rows, _ = draw(1, 5000, START, HOUR, Traffic())
    engine.apply(journal.request(rows))
    for one in (engine, restart(engine)):
        (pane,) = one.models[KEY].panes.memory.values()
        field = base.spec.index(Role.FEATURE, "age")
        assert pane.display is not None and field is not None
        edges = (-1000.0, 30.0, 50.0, 1000.0)
        age = rows.features["age"]
        assert isinstance(age, NumberColumn)
        counts, error = pane.display.rebin(field, edges)
        exact = np.histogram(age.values, edges)[0]
        assert (np.abs(counts[:3] - exact) <= error[:3]).all() and error[:3].max() < 0.15 * len(rows)


@pytest.mark.parametrize(("what", "how"), [("errors", Traffic(failed=0.15)), ("accuracy", Traffic(wrong=0.2))])
def test_a_canary_is_compared_with_the_version_beside_it(base: Baseline, what: str, how: Traffic) -> None:
    canary = {"version": "8", "against": "7", "on": ["errors", "accuracy", "score"]}
    model = {"name": "credit", "windows": ["1m"], "detect": DETECT | {"shares": {"versions": 0.5}}, "canary": canary}
    engine = Engine(CalidrisConfig(models=(ModelConfig.model_validate(model),)), lambda *_: (base, ""))
    journal, new = Journal(), ModelKey("default", "credit", "8")
    for first, change in ((0, Traffic()), (120, how)):  # between them is the hour that was skipped
        for w in range(first, first + 50):
            begin = START + w * MINUTE
            for key, traffic in ((KEY, Traffic()), (new, change)):
                for item in draw(100 + w + 7000 * (key == new), ROWS, begin, MINUTE, traffic, key):
                    engine.apply(journal.request(item, arrival_ns=begin))
            engine.apply(journal.seal(begin + MINUTE))
        come_of_age(engine, journal, first + 50)
        found = {a.reference for a in engine.alarms if a.kind == "versions"}
        assert found == (set() if first == 0 else {what})
    (alarm,) = (a for a in engine.alarms if a.kind == "versions")
    assert alarm.model == new and [f.name for f in alarm.features] == ["8"]
    assert alarm.features[0].direction == {"errors": "failed more often", "accuracy": "right less often"}[what]


def test_what_matters_most_needs_less_evidence(base: Baseline) -> None:
    even, weighted = engine_with(base), engine_with(base, importance={"age": 9.0})
    for engine in (even, weighted):
        run(engine, Journal(), 0, 3, Traffic(age=3.0))
    shares = []
    for engine in (even, weighted):
        (watch,) = (w for s, w in engine.watchers[KEY].slots.items() if s.kind == "drift")
        assert watch.last is not None and watch.detector is not None
        assert watch.detector.bets.field_weight.sum() == pytest.approx(1.0)
        shares.append(watch.last.fields["age"])
    assert shares[1] > shares[0] > 0.0


def test_a_fixed_limit_is_outside_of_the_budget_and_latches(
    base: Baseline, restart: Callable[[Engine], Engine]
) -> None:
    about = {"ml.feature.name": "age", "ml.drift.measure": "psi_debiased"}
    limit = {"figure": "ml.drift.score", "attributes": about, "above": 0.5, "windows": 2}
    engine, journal = engine_with(base, thresholds=[limit], shares={"drift": 0.0}), Journal()
    run(engine, journal, 0, 10, Traffic())
    run(engine, journal, 10, 1, Traffic(age=15.0))
    assert engine.alarms == []
    engine = restart(engine)
    run(engine, journal, 11, 5, Traffic(age=15.0))
    (alarm,) = engine.alarms
    assert (alarm.kind, alarm.budgeted, alarm.windows) == ("threshold", False, 2)
    assert alarm.since_ns == START + 10 * MINUTE and alarm.raised_ns == START + 12 * MINUTE
    (named,) = alarm.features
    assert "age" in named.name and "above 0.5" in named.direction
    engine.execute(Command(1, "clear", "ada", "known", START))
    run(engine, journal, 16, 2, Traffic(age=15.0))
    assert [a.id for a in engine.alarms] == [1, 2] and engine.latched == {2}
