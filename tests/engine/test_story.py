"""The engine at its own door: what is counted, what alarms, what a restart or a replay gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, labels, rows

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, LabelBatch, ModelKey, NumberColumn
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.commands import Command
from calidris.engine.core import Engine
from calidris.engine.detectors.slot import slot_bytes
from calidris.engine.inbox import Received
from calidris.metrics.base import Status
from calidris.state import CountsState, ScoresState

Restart = Callable[[Engine], Engine]
DUPLICATE = semconv.METRIC_CALIDRIS_RECEIVER_REQUESTS_DUPLICATE.name
LATE = semconv.METRIC_CALIDRIS_RECEIVER_ROWS_LATE.name
UNMATCHED = semconv.METRIC_CALIDRIS_LABELS_UNMATCHED.name


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


def story(windows: int, change_at: int, n: int = 100, labelled: bool = True) -> Journal:
    """Windows of one second with their labels one window later, sealed one by one; ages shift at ``change_at``."""
    journal = Journal()
    before = None
    for w in range(windows):
        batch = rows(100 + w, n, START + w * SECOND, shift=12.0 if w >= change_at else 0.0)
        journal.request(batch)
        if labelled and before is not None:
            journal.request(labels(before, w))
        before = batch
        journal.seal(START + (w + 1) * SECOND)
    return journal


def fed(engine: Engine, records: list[Received]) -> Engine:
    for record in records:
        engine.apply(record)
    return engine


def test_quiet_windows_raise_nothing_and_a_shift_is_named_with_its_begin(
    make_engine: MakeEngine, base: Baseline
) -> None:
    engine = fed(make_engine(base=base), story(60, change_at=40).records)
    (alarm,) = engine.alarms
    assert alarm.features[0].name == "age" and alarm.features[0].direction == "mean up"
    assert alarm.since_ns == START + 40 * SECOND and alarm.raised_ns == START + (40 + alarm.windows) * SECOND
    assert (alarm.windows, alarm.n) == (1, 100) and alarm.evidence >= 1
    assert alarm.trace_ids == (f"{140:032x}",)
    assert engine.latched == {1}


def test_replay_is_equal_to_the_bit(make_engine: MakeEngine, base: Baseline) -> None:
    records = story(30, change_at=20).records
    assert digest(fed(make_engine(base=base), records)) == digest(fed(make_engine(base=base), records))


@pytest.mark.parametrize("base_of", ["file", "untimed", "none"])
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cut=st.integers(1, 88))
def test_a_restart_at_any_record_changes_nothing(
    make_engine: MakeEngine, restart: Restart, base: Baseline, base_of: str, cut: int
) -> None:
    given_base = {"file": base, "untimed": baseline(timed=False), "none": None}[base_of]
    records = story(30, change_at=20).records
    straight = fed(make_engine(base=given_base), records)
    broken = fed(restart(fed(make_engine(base=given_base), records[:cut])), records[cut:])
    assert digest(broken) == digest(straight)
    assert [a.id for a in broken.alarms] == [a.id for a in straight.alarms]


def test_counts_and_scores_equal_those_of_the_raw_rows(make_engine: MakeEngine, base: Baseline) -> None:
    engine = fed(make_engine(base=base), story(10, change_at=99).records)
    counts, scores = CountsState(base.spec), ScoresState(base.spec)
    for w in range(10):
        batch = rows(100 + w, 100, START + w * SECOND)
        counts.update(base.spec.encode(batch))
        if w < 9:
            assert batch.score is not None
            outcome = labels(batch, w + 1).label
            assert isinstance(outcome, NumberColumn)
            scores.update(batch.score.values, outcome.values.astype(np.int64), np.full(100, 5.0))
    window = next(w for w in snapshot(engine, START).models[0].windows if w.window == "10s")
    assert window.counts == counts
    assert window.scores == scores


def test_a_retried_request_counts_once_also_after_a_restart(
    make_engine: MakeEngine, restart: Restart, base: Baseline
) -> None:
    journal, same = Journal(), bytes(range(16))
    first = journal.request(rows(1, 50), digest=same)
    again = journal.request(rows(1, 50), digest=same)
    third = journal.request(rows(1, 50), digest=same)
    engine = restart(fed(make_engine(base=base), [first, again]))
    fed(engine, [third])
    assert engine.models[KEY].rows == 50
    assert engine.counters[DUPLICATE][""] == 2


def test_late_rows_are_shown_and_counted_but_never_scored(make_engine: MakeEngine, base: Baseline) -> None:
    journal = story(5, change_at=99, labelled=False)
    engine = fed(make_engine(base=base), journal.records)
    before = [slot_bytes(w) for w in engine.watchers[KEY].slots.values()]
    fed(engine, [journal.request(rows(7, 80, START, shift=500.0)), journal.seal(START + 5 * SECOND)])
    assert [slot_bytes(w) for w in engine.watchers[KEY].slots.values()] == before
    assert engine.counters[LATE][""] == 80
    assert engine.models[KEY].rows == 580 and not engine.alarms


def test_silence_is_no_evidence(make_engine: MakeEngine, base: Baseline) -> None:
    journal = story(5, change_at=99, labelled=False)
    engine = fed(make_engine(base=base), journal.records)
    before = [slot_bytes(w) for w in engine.watchers[KEY].slots.values()]
    year = [journal.seal(START + w * 3600 * SECOND) for w in range(1, 8760)]
    fed(engine, year)
    assert [slot_bytes(w) for w in engine.watchers[KEY].slots.values()] == before and not engine.alarms
    assert snapshot(engine, START).models[0].status is Status.STALE


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_labels_join_as_a_dictionary_would(make_engine: MakeEngine, base: Baseline, data: st.DataObject) -> None:
    """Before, after, twice, unknown: the first label of a prediction counts, and every other one has its reason."""
    batches = [rows(s, 20, START + s * SECOND) for s in range(3)]
    known = [i for b in batches for i in b.ids or ()]
    named = data.draw(st.lists(st.sampled_from([*known, "x-1", "x-2"]), max_size=60))
    requests: list[object] = [*batches]
    for start in range(0, len(named), 7):
        ids = named[start : start + 7]
        times = np.full(len(ids), START, dtype=np.int64)
        requests.append(LabelBatch("default", "credit", ids, CodedColumn.of(["1"] * len(ids)), times))
    order = data.draw(st.permutations(requests))
    journal = Journal()
    engine = fed(make_engine(base=base), [journal.request(item) for item in order])  # type: ignore[arg-type]
    distinct = set(named) & set(known)
    waiting = sum(len(early) for early in engine.early.values())
    assert engine.models[KEY].labels == len(distinct)
    assert waiting == len(set(named) - set(known))
    assert engine.counters[UNMATCHED]["repeated"] == len(named) - len(distinct) - waiting


def test_without_times_nothing_alarms_until_the_spread_is_learned(make_engine: MakeEngine) -> None:
    engine = fed(make_engine(base=baseline(timed=False)), story(20, change_at=5).records)
    model = snapshot(engine, START).models[0]
    assert model.status is Status.LEARNING and "--time" in model.status_detail
    assert not engine.alarms


def test_a_model_that_nobody_configured_is_watched_and_never_alarms(make_engine: MakeEngine) -> None:
    engine, key, journal = make_engine(), ModelKey("default", "stranger", "1"), Journal()
    seen = []
    for w in range(80):
        batch = rows(w, 60, START + w * 300 * SECOND, key=key, shift=40.0 if w > 40 else 0.0)
        fed(engine, [journal.request(batch), journal.seal(START + (w + 1) * 300 * SECOND)])
        seen.append(snapshot(engine, START).models[0])
    assert seen[0].status is Status.NO_BASELINE and "of 500 rows" in seen[0].status_detail
    assert seen[-1].status is Status.PROVISIONAL and not engine.alarms
    names = {r.metric.name for r in seen[0].readings if r.value is not None}
    assert {"ml.window.rows", "ml.error.ratio", "ml.latency.duration", "ml.data_quality.ratio"} <= names


def test_models_beyond_the_cap_are_counted_and_left_out(base: Baseline) -> None:
    config = configuration()
    capped = config.model_copy(update={"limits": config.limits.model_copy(update={"models": 1})})
    engine, journal = Engine(capped, lambda *_: (None, "")), Journal()
    strangers = [replace_name("other"), replace_name("another"), KEY]  # a configured model always has room
    fed(engine, [journal.request(rows(n, n, key=key)) for n, key in enumerate(strangers, 7)])
    assert [*engine.models] == [replace_name("other"), KEY]
    assert engine.counters[semconv.METRIC_CALIDRIS_MODELS_OVERFLOW.name] == {"models": 8}


def replace_name(name: str) -> ModelKey:
    return KEY._replace(name=name)


def test_a_cleared_alarm_can_be_raised_again(make_engine: MakeEngine, base: Baseline) -> None:
    journal = story(25, change_at=20, labelled=False)
    engine = fed(make_engine(base=base), journal.records)
    engine.execute(Command(1, "ack", "ada", "", START))
    assert engine.latched == {1}
    engine.execute(Command(1, "clear", "ada", "sensor replaced", START))
    engine.execute(Command(1, "clear", "bob", "too late", START))
    assert not engine.latched and [o.by for o in engine.commands] == ["ada", "ada"]
    for w in range(25, 28):
        batch = replace(rows(w, 100, START + w * SECOND, shift=12.0))
        fed(engine, [journal.request(batch), journal.seal(START + (w + 1) * SECOND)])
    assert [a.id for a in engine.alarms] == [1, 2] and engine.latched == {2}


def test_totals_remember_since_when_they_count(make_engine: MakeEngine, restart: Restart, base: Baseline) -> None:
    journal = Journal()
    engine = fed(make_engine(base=base), [journal.request(rows(1, 10), arrival_ns=START + 5)])
    fed(engine, [journal.request(rows(2, 10), arrival_ns=START + 9)])
    assert snapshot(restart(engine), START).began_ns == START + 5
