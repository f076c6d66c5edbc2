"""Everything that accompanies an alarm, against changes that were planted: what, which way, since when, how many rows, what for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, labels, rows

import calidris
from calidris.api.json_shapes import alarms_json
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, LabelBatch, NumberColumn, PredictionBatch
from calidris.engine.alarms.provenance import hash_settings
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.snapshot import Alarm
from calidris.state import Spec

QUIET, CHANGED = 40, 30
"""Windows of a second without a change, and after it."""
N, HOUR = 100, 3600 * SECOND
CANARY = KEY._replace(version="8")

Change = Callable[[PredictionBatch], PredictionBatch]


def _with_feature(batch: PredictionBatch, name: str, column: NumberColumn | CodedColumn) -> PredictionBatch:
    return replace(batch, features=dict(batch.features) | {name: column})


def older(batch: PredictionBatch) -> PredictionBatch:
    age = batch.features["age"]
    assert isinstance(age, NumberColumn)
    return _with_feature(batch, "age", NumberColumn.of(age.values + 12.0))


def without_income(batch: PredictionBatch) -> PredictionBatch:
    income = batch.features["income"]
    assert isinstance(income, NumberColumn)
    values = np.where(np.arange(len(batch)) % 3 == 0, np.nan, income.values)
    return _with_feature(batch, "income", NumberColumn.of(values))


def french(batch: PredictionBatch) -> PredictionBatch:
    rng = np.random.default_rng(int(batch.event_time_ns[0] // SECOND))
    return _with_feature(
        batch, "country", CodedColumn.of(rng.choice(["NL", "DE", "FR"], N, p=[0.15, 0.15, 0.7]).tolist())
    )


def failing(batch: PredictionBatch) -> PredictionBatch:
    return replace(
        batch, error=CodedColumn(("Timeout",), np.where(np.arange(len(batch)) % 4 == 0, 0, -1).astype(np.int32))
    )


def slow(batch: PredictionBatch) -> PredictionBatch:
    assert batch.duration_s is not None
    return replace(batch, duration_s=NumberColumn.of(batch.duration_s.values * 3.0))


def same(batch: PredictionBatch) -> PredictionBatch:
    return batch


@dataclass(frozen=True)
class Planted:
    """A change, and what its alarm must say."""

    kind: str
    name: str
    direction: str
    change: Change = same
    wrong: float = 0.0


PLANTED = {
    "a mean": Planted("drift", "age", "mean up", older),
    "gaps": Planted("drift", "income", "missing more", without_income),
    "a level": Planted("drift", "country", "level FR more", french),
    "errors": Planted("errors", "errors", "worse", failing),
    "latency": Planted("latency", "ml.prediction.duration", "mean up", slow),
    "outcomes": Planted("performance", "accuracy", "worse", wrong=0.35),
}


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


def settings() -> dict[str, object]:
    return {"windows": ["1s"], "false_alarms": "1 per day", "label_age": "1h", "learn": "30s"}


def live(engine: Engine, journal: Journal, first: int, windows: int, planted: Planted | None) -> None:
    for w in range(first, first + windows):
        begin = START + w * SECOND
        batch = rows(100 + w, N, begin)
        batch = replace(batch, error=batch.error or CodedColumn(("Timeout",), np.full(N, -1, dtype=np.int32)))
        known = labels(batch, w, delay_s=0.1)
        if planted is not None:
            batch = planted.change(batch)
            known = turned(known, planted.wrong, w)
        engine.apply(journal.request(batch, known, arrival_ns=begin))
        engine.apply(journal.seal(begin + SECOND))


def turned(known: LabelBatch, share: float, seed: int) -> LabelBatch:
    """Outcomes of which a share is turned round."""
    assert isinstance(known.label, NumberColumn)
    wrong = np.random.default_rng([seed, 1]).random(len(known.ids)) < share
    return replace(known, label=NumberColumn.of(np.where(wrong, 1.0 - known.label.values, known.label.values)))


def told(engine: Engine, alarm: Alarm) -> dict[str, object]:
    """By the read API."""
    (found,) = (a for a in json.loads(json.dumps(alarms_json(snapshot(engine, 0)))) if a["id"] == alarm.id)
    return dict(found)


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_an_alarm_says_is_what_was_planted(make_engine: MakeEngine, base: Baseline, planted: Planted) -> None:
    config = configuration(detect=settings())
    engine, journal = make_engine(config, base), Journal()
    live(engine, journal, 0, QUIET, None)
    assert engine.alarms == [], "nothing has changed yet"
    live(engine, journal, QUIET, CHANGED, planted)
    engine.apply(journal.seal(START + (QUIET + CHANGED) * SECOND + HOUR))  # labels come of age
    alarm = next(a for a in engine.alarms if a.kind == planted.kind)
    assert (alarm.features[0].name, alarm.features[0].direction) == (planted.name, planted.direction)
    changed_ns = START + QUIET * SECOND
    assert alarm.onset is not None and alarm.since_ns == alarm.onset.at_ns
    assert abs(alarm.onset.at_ns - changed_ns) <= 2 * SECOND
    assert alarm.onset.earliest_ns <= alarm.onset.at_ns <= alarm.onset.latest_ns
    aged = HOUR if planted.kind == "performance" else 0
    windows = (alarm.raised_ns - aged - alarm.since_ns) // SECOND
    assert (alarm.windows, alarm.n) == (windows, windows * N)
    assert alarm.evidence >= 1.0 and alarm.features[0].evidence <= alarm.evidence
    assert alarm.trace_ids == (f"{100 + (alarm.raised_ns - aged - START) // SECOND - 1:032x}",)
    said = told(engine, alarm)
    # So large a change is strong evidence, at once or after an early alarm; only a loss of performance wakes somebody.
    assert (alarm.level, alarm.severity) == ("strong", "page" if planted.kind == "performance" else "ticket")
    assert (said["level"], said["severity"]) == (alarm.level, alarm.severity)
    assert alarm.strong_ns == 0 or alarm.raised_ns < alarm.strong_ns
    assert said["moved"] == [], "nothing is compared with another version"
    assert (said["budget"], said["budgeted"], said["baseline"]) == ("1 per day", True, base.id)
    (model,) = engine.models.values()
    assert (said["program"], said["settings"]) == (calidris.__version__, hash_settings(model.config))
    assert said["onset"] == {
        "status": "ok", "at_ns": alarm.onset.at_ns, "earliest_ns": alarm.onset.earliest_ns, "latest_ns": alarm.onset.latest_ns
    }  # fmt: skip


@pytest.mark.parametrize(("page", "severity"), [([], "ticket"), (["drift"], "page"), (["errors"], "ticket")])
def test_the_ceiling_of_a_kind_is_raised_for_that_kind_alone(
    make_engine: MakeEngine, base: Baseline, page: list[str], severity: str
) -> None:
    """An early alarm stays a ticket wherever the ceiling is."""
    config = configuration(detect=settings() | {"page": page, "tolerance": 0.9})
    engine, journal = make_engine(config, base), Journal()
    live(engine, journal, 0, 10, None)
    seen: set[tuple[str, str]] = set()
    for w in range(10, 40):
        live(engine, journal, w, 1, PLANTED["a mean"])
        seen |= {(a.level, a.severity) for a in engine.alarms if a.kind == "drift"}
    assert seen == {("early", "ticket"), ("strong", severity)}


def test_it_says_when_what_it_named_came_back(make_engine: MakeEngine, base: Baseline) -> None:
    engine, journal = make_engine(configuration(detect=settings()), base), Journal()
    live(engine, journal, 0, 10, None)
    live(engine, journal, 10, 15, PLANTED["a mean"])
    back = START + 25 * SECOND
    live(engine, journal, 25, 40, None)
    (alarm,) = (a for a in engine.alarms if a.kind == "drift")
    assert back < alarm.recovered_ns <= back + 30 * SECOND


def test_a_fixed_limit_claims_no_budget_and_no_onset(make_engine: MakeEngine, base: Baseline) -> None:
    limits = [{"figure": "ml.error.ratio", "above": 0.2, "windows": 2}]
    engine, journal = make_engine(configuration(detect=settings() | {"thresholds": limits}), base), Journal()
    live(engine, journal, 0, 5, None)
    live(engine, journal, 5, 5, PLANTED["errors"])
    alarm = next(a for a in engine.alarms if a.kind == "threshold")
    said = told(engine, alarm)
    assert (said["level"], said["severity"]) == (None, "ticket")
    assert (said["budgeted"], said["budget"], said["onset"]) == (
        False,
        "",
        {"status": "undefined", "at_ns": None, "earliest_ns": None, "latest_ns": None},
    )
    assert (alarm.since_ns, alarm.windows, alarm.n) == (START + 5 * SECOND, 2, N)
    assert alarm.features[0].name == "ml.error.ratio" and alarm.features[0].direction == "0.25, above 0.2"
    assert said["settings"] and said["program"] == calidris.__version__


ANSWERED = CodedColumn(("Timeout",), np.full(N, -1, dtype=np.int32))


def likelier(batch: PredictionBatch) -> PredictionBatch:
    assert batch.score is not None
    return replace(batch, score=NumberColumn.of(np.minimum(batch.score.values + 0.2, 1.0)))


@dataclass(frozen=True)
class Truth:
    """What is planted in version 8 beside 7, and what its alarm must say of it."""

    on: str
    direction: str
    change: Change = same
    wrong: float = 0.0
    figures: tuple[str, ...] = ()
    recovers: bool = False


def decided(batch: PredictionBatch) -> PredictionBatch:
    assert batch.score is not None
    return replace(batch, decision=CodedColumn.of(np.where(batch.score.values >= 0.5, "1", "0").tolist()))


@pytest.fixture(scope="module")
def with_decisions() -> Baseline:
    batch = decided(rows(1, 6000, span_s=60))
    outcome = labels(batch, 2).label
    columns = BaselineColumns(batch, outcome, True, delay_s=np.full(len(batch), 5.0))
    return build(columns, Spec(task="binary", positive="1"), window_s=1.0)


BESIDE = {
    "errors": Truth("errors", "failed more often", failing, figures=("calls that failed",), recovers=True),
    "outcomes": Truth("accuracy", "right less often", wrong=0.8, figures=("right decisions",), recovers=True),
    "scores": Truth("score", "", likelier, figures=("mean of score",)),
    "decisions": Truth("decision", "", likelier, figures=("decision 1",)),
    "durations": Truth(
        "duration", "", slow, figures=("median of durations", "duration that 95 % of calls do not exceed")
    ),
}


def side_by_side(
    engine: Engine, journal: Journal, first: int, windows: int, planted: Truth | None
) -> list[list[tuple[PredictionBatch, LabelBatch]]]:
    """Rows of both versions in each window, of 7 first; what was sent."""
    sent = []
    for w in range(first, first + windows):
        begin = START + w * SECOND
        pair = []
        for offset, key in ((0, KEY), (9999, CANARY)):
            batch = replace(rows(100 + w + offset, N, begin, key=key), error=ANSWERED)
            batch = replace(batch, ids=[f"{key.version}-{one}" for one in batch.ids or ()])
            known = labels(batch, w + offset, delay_s=0.1)
            if planted is not None and key == CANARY:
                batch, known = planted.change(batch), turned(known, planted.wrong, w)
            batch = decided(batch)
            pair.append((batch, known))
        sent.append(pair)
        engine.apply(journal.request(*(item for one in pair for item in one), arrival_ns=begin))
        engine.apply(journal.seal(begin + SECOND))
    return sent


def truth_of(figure: str, sent: list[tuple[PredictionBatch, LabelBatch]]) -> float:
    """A figure of raw rows."""
    score = np.concatenate([batch.score.values for batch, _ in sent if batch.score is not None])
    if figure == "mean of score":
        return float(score.mean())
    if figure == "decision 1":
        return float((score >= 0.5).mean())
    if figure == "calls that failed":
        return float(np.concatenate([b.error.codes >= 0 for b, _ in sent if isinstance(b.error, CodedColumn)]).mean())
    if figure == "right decisions":
        outcome = np.concatenate([known.label.values for _, known in sent if isinstance(known.label, NumberColumn)])
        return float(((score >= 0.5) == (outcome > 0.5)).mean())
    durations = np.concatenate([batch.duration_s.values for batch, _ in sent if batch.duration_s is not None])
    return float(np.quantile(durations, 0.5 if figure.startswith("median") else 0.95))


@pytest.mark.parametrize("planted", BESIDE.values(), ids=BESIDE)
def test_a_canary_says_what_moved_in_which_version_from_what_to_what(
    make_engine: MakeEngine, restart: Callable[[Engine], Engine], with_decisions: Baseline, planted: Truth
) -> None:
    base = with_decisions
    canary = {"version": "8", "against": "7", "on": [planted.on], "tolerance": 0.1}
    shares = {"shares": {"versions": 0.5}}
    engine, journal = make_engine(configuration(detect=settings() | shares, canary=canary), base), Journal()
    sent = side_by_side(engine, journal, 0, QUIET, None)
    sent += side_by_side(engine, journal, QUIET, CHANGED, planted)
    aged = HOUR if planted.on == "accuracy" else 0
    if aged:
        engine.apply(journal.seal(START + (QUIET + CHANGED) * SECOND + HOUR))
    alarm = next(a for a in engine.alarms if a.kind == "versions")
    assert (alarm.model, alarm.reference, alarm.severity, alarm.level) == (CANARY, planted.on, "ticket", "strong")
    ((name, direction),) = [(f.name, f.direction) for f in alarm.features]
    assert name == "8" and direction and planted.direction in ("", direction)
    assert alarm.onset is not None and alarm.since_ns == alarm.onset.at_ns
    assert abs(alarm.since_ns - START - QUIET * SECOND) <= 2 * SECOND
    end_ns = alarm.raised_ns - aged
    first, last = ((at - START) // SECOND for at in (alarm.since_ns, end_ns))
    assert (alarm.windows, alarm.n) == (last - first, 2 * N * (last - first))
    said = told(engine, alarm)
    assert (said["budget"], said["budgeted"], said["baseline"]) == ("1 per day", True, base.id)
    assert [moved.figure for moved in alarm.moved] == list(planted.figures)
    for moved in alarm.moved:
        assert (moved.version, moved.against, moved.before_n, moved.after_n) == ("8", "7", *(alarm.n // 2,) * 2)
        was, to = (truth_of(moved.figure, [pair[side] for pair in sent[first:last]]) for side in (0, 1))
        close = 0.12 if moved.unit == "s" else 1e-3  # durations lie in bins
        assert (moved.before, moved.after) == (pytest.approx(was, rel=close), pytest.approx(to, rel=close))
        assert abs(to - was) > 0.05 * abs(was)
    moved = alarm.moved[0]
    assert said["moved"][0] == {  # type: ignore[index]
        "figure": moved.figure, "unit": moved.unit, "version": "8", "against": "7",
        "from": {"value": moved.before, "n": moved.before_n, "status": "ok"},
        "to": {"value": moved.after, "n": moved.after_n, "status": "ok"},
    }  # fmt: skip
    assert restart(engine).alarms == engine.alarms
    back = QUIET + CHANGED + (aged // SECOND)  # labels of windows that were skipped are of age
    side_by_side(engine, journal, back, 40, None)
    if aged:
        engine.apply(journal.seal(START + (back + 40) * SECOND + HOUR))
    (now,) = (a for a in engine.alarms if a.kind == "versions")
    assert (now.recovered_ns > START + back * SECOND) == planted.recovers


def test_a_canary_with_a_baseline_file_of_its_own_is_compared_too(base: Baseline) -> None:
    """Errors, accuracy, decisions and durations are counted alike whatever the file; scores in bins of their own are not compared."""
    other = baseline(windows=50)
    assert other.spec.hash != base.spec.hash
    canary = {"version": "8", "against": "7", "on": ["errors", "duration", "score"]}
    config = configuration(detect=settings() | {"shares": {"versions": 0.5}}, canary=canary)
    engine = Engine(config, lambda key, _: (other if key == CANARY else base, ""))
    journal = Journal()
    side_by_side(engine, journal, 0, QUIET, None)
    assert not [a for a in engine.alarms if a.kind == "versions"]
    sent = side_by_side(engine, journal, QUIET, CHANGED, Truth("errors", "", lambda batch: slow(failing(batch))))
    found = {a.reference: a for a in engine.alarms if a.kind == "versions"}
    assert set(found) == {"errors", "duration"} and len(sent) == CHANGED
    assert [(m.before, m.after) for m in found["errors"].moved] == [(0.0, 0.25)]
    slots = {slot.reference: watch for slot, watch in engine.watchers[CANARY].slots.items() if slot.kind == "versions"}
    assert slots["score"].waits_for == "rows", "that it cannot be compared is told"


def test_settings_have_one_id_whether_defaults_are_written_or_not() -> None:
    (one,), (other,) = configuration().models, configuration(threshold=0.5).models
    (third,) = configuration(detect=settings() | {"tolerance": 0.02}).models
    assert hash_settings(one) == hash_settings(other) != hash_settings(third)
    assert hash_settings(one) == hash_settings(one.model_copy(update={"baseline": "/elsewhere/credit.calidris"}))
