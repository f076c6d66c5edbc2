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
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, LabelBatch, NumberColumn, PredictionBatch
from calidris.engine.alarms.provenance import hash_settings
from calidris.engine.build_snapshot import snapshot
from calidris.engine.core import Engine
from calidris.engine.snapshot import Alarm

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
    assert (said["budget"], said["budgeted"], said["baseline"]) == ("1 per day", True, base.id)
    (model,) = engine.models.values()
    assert (said["program"], said["settings"]) == (calidris.__version__, hash_settings(model.config))
    assert said["onset"] == {
        "status": "ok", "at_ns": alarm.onset.at_ns, "earliest_ns": alarm.onset.earliest_ns, "latest_ns": alarm.onset.latest_ns
    }  # fmt: skip


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
    assert (said["budgeted"], said["budget"], said["onset"]) == (
        False,
        "",
        {"status": "undefined", "at_ns": None, "earliest_ns": None, "latest_ns": None},
    )
    assert (alarm.since_ns, alarm.windows, alarm.n) == (START + 5 * SECOND, 2, N)
    assert alarm.features[0].name == "ml.error.ratio" and alarm.features[0].direction == "0.25, above 0.2"
    assert said["settings"] and said["program"] == calidris.__version__


def test_a_canary_says_which_version_did_what(make_engine: MakeEngine, base: Baseline) -> None:
    canary = {"version": "8", "against": "7", "on": ["errors"]}
    engine, journal = make_engine(configuration(detect=settings(), canary=canary), base), Journal()
    for w in range(QUIET + CHANGED):
        begin = START + w * SECOND
        here, there = (rows(100 + w + k, N, begin, key=key) for k, key in ((0, KEY), (9999, CANARY)))
        fine = CodedColumn(("Timeout",), np.full(N, -1, dtype=np.int32))
        here, there = replace(here, error=fine), replace(there, error=fine)
        engine.apply(journal.request(here, failing(there) if w >= QUIET else there, arrival_ns=begin))
        engine.apply(journal.seal(begin + SECOND))
    alarm = next(a for a in engine.alarms if a.kind == "versions")
    assert (alarm.model, alarm.reference) == (CANARY, "errors")
    assert [(f.name, f.direction) for f in alarm.features] == [("8", "failed more often")]
    assert alarm.onset is not None and abs(alarm.onset.at_ns - START - QUIET * SECOND) <= 2 * SECOND


def test_settings_have_one_id_whether_defaults_are_written_or_not() -> None:
    (one,), (other,) = configuration().models, configuration(threshold=0.5).models
    (third,) = configuration(detect=settings() | {"tolerance": 0.02}).models
    assert hash_settings(one) == hash_settings(other) != hash_settings(third)
    assert hash_settings(one) == hash_settings(one.model_copy(update={"baseline": "/elsewhere/credit.calidris"}))
