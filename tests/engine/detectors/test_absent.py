"""A feature that no live row ever had is absent and raises nothing; one that was there and goes is a change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from tests.engine.conftest import KEY, SECOND, START, Journal, MakeEngine, baseline, configuration, rows

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import CodedColumn, Column, NumberColumn, PredictionBatch
from calidris.engine.build_snapshot import snapshot
from calidris.engine.checkpoint.digest import digest
from calidris.engine.core import Engine

Restart = Callable[[Engine], Engine]
NAN = float("nan")


@pytest.fixture(scope="module")
def base() -> Baseline:
    return baseline()


def without(batch: PredictionBatch, *names: str) -> PredictionBatch:
    return replace(batch, features={name: column for name, column in batch.features.items() if name not in names})


def empty(batch: PredictionBatch) -> PredictionBatch:
    """As the SDK sends a feature that is declared and that the rows do not have."""
    return replace(batch, features={**batch.features, "country": NumberColumn.of([NAN] * len(batch))})


def usual(batch: PredictionBatch) -> PredictionBatch:
    return batch


def lacking(batch: PredictionBatch) -> PredictionBatch:
    return without(batch, "country")


def traffic(changes: Sequence[Callable[[PredictionBatch], PredictionBatch]], version: str = "7") -> Journal:
    """A window of 100 rows for each change."""
    journal = Journal()
    for number, change in enumerate(changes):
        begin_ns = START + number * SECOND
        batch = rows(100 + number, 100, begin_ns, key=KEY._replace(version=version))
        journal.request(change(batch))
        journal.seal(begin_ns + SECOND)
    return journal


def apply(engine: Engine, journal: Journal) -> Engine:
    for record in journal.records:
        engine.apply(record)
    return engine


def named(engine: Engine) -> set[str]:
    return {feature.name for alarm in engine.alarms for feature in alarm.features}


def absent(engine: Engine) -> set[str]:
    """Features that the quality kind says are wholly absent from the last window."""
    found = set()
    for model in snapshot(engine, 0).models:
        for reading in model.readings:
            carried = dict(reading.attributes)
            kind = carried.get(semconv.ML_DATA_QUALITY_KIND)
            if reading.window == "1s" and kind == "absent" and reading.value == 1.0:
                found.add(str(carried[semconv.ML_FEATURE_NAME]))
    return found


def drift_of(engine: Engine, name: str) -> list[float | None]:
    """Values of every drift figure of a feature in windows of a second."""
    found = []
    for model in snapshot(engine, 0).models:
        for reading in model.readings:
            about = reading.attributes
            is_drift = reading.metric is semconv.METRIC_ML_DRIFT_SCORE
            if is_drift and reading.window == "1s" and (semconv.ML_FEATURE_NAME, name) in about:
                found.append(reading.value)
    return found


@pytest.mark.parametrize("change", [lacking, empty])
def test_it_has_no_figure_of_drift_and_no_limit_is_held_against_it(
    make_engine: MakeEngine, base: Baseline, change: Callable[[PredictionBatch], PredictionBatch]
) -> None:
    limit = {"figure": "ml.drift.score", "attributes": {"ml.drift.measure": "psi"}, "above": 3.0}
    detect = {"windows": ["1s"], "false_alarms": "1 per day", "thresholds": [limit]}
    engine = apply(make_engine(configuration(detect=detect), base), traffic([change] * 5))
    assert engine.alarms == []
    values = drift_of(engine, "country")
    assert values
    assert set(values) == {None}
    assert all(value is not None for value in drift_of(engine, "age"))
    gone = apply(make_engine(configuration(detect=detect), base), traffic([usual] * 3 + [change] * 3))
    assert "threshold" in {alarm.kind for alarm in gone.alarms}, "one that was there and goes has moved"


@pytest.mark.parametrize("change", [lacking, empty])
def test_a_column_that_never_came_is_absent_and_no_change(
    make_engine: MakeEngine, base: Baseline, change: Callable[[PredictionBatch], PredictionBatch]
) -> None:
    engine = apply(make_engine(base=base), traffic([change] * 25))
    assert not engine.alarms
    assert absent(engine) == {"country"}


@pytest.mark.parametrize("change", [lacking, empty])
def test_a_column_that_was_there_and_goes_is_a_change(
    make_engine: MakeEngine, base: Baseline, change: Callable[[PredictionBatch], PredictionBatch]
) -> None:
    engine = apply(make_engine(base=base), traffic([usual] * 5 + [change] * 10))
    assert "country" in named(engine)
    assert absent(engine) == {"country"}


def half(batch: PredictionBatch) -> PredictionBatch:
    """The column begins to come in the middle of a window."""
    column = batch.features["country"]
    assert isinstance(column, CodedColumn)
    texts = [None] * 50 + column.strings()[50:]
    return replace(batch, features={**batch.features, "country": CodedColumn.of(texts)})


def strange(batch: PredictionBatch) -> PredictionBatch:
    return replace(batch, features={**batch.features, "country": CodedColumn.of(["XX"] * len(batch))})


def test_a_column_that_begins_to_come_is_watched_from_its_first_whole_window_on(
    make_engine: MakeEngine, base: Baseline
) -> None:
    begun = [lacking] * 10 + [half]
    assert not apply(make_engine(base=base), traffic([*begun, *[usual] * 15])).alarms
    assert named(apply(make_engine(base=base), traffic([*begun, *[strange] * 5]))) == {"country"}


def test_a_version_that_lacks_what_another_one_had_has_lost_it(make_engine: MakeEngine, base: Baseline) -> None:
    engine = apply(make_engine(base=base), traffic([usual] * 5))
    journal = traffic([lacking] * 15, "8")
    for record in journal.records:
        engine.apply(replace(record, seq=record.seq + 100, digest=b"8" + record.digest))
    assert "country" in named(engine)


@pytest.mark.parametrize("cut", [3, 22, 24])
def test_a_restart_and_a_replay_know_what_never_came(
    make_engine: MakeEngine, base: Baseline, restart: Restart, cut: int
) -> None:
    journal = traffic([lacking] * 11 + [half] + [usual] * 3 + [lacking] * 5)
    plain = apply(make_engine(base=base), journal)
    engine = make_engine(base=base)
    for number, record in enumerate(journal.records):
        engine = restart(engine) if number == cut else engine
        engine.apply(record)
    assert digest(engine) == digest(plain)
    assert "country" in named(engine)


def test_a_checkpoint_that_does_not_tell_watches_everything(
    make_engine: MakeEngine, base: Baseline, monkeypatch: pytest.MonkeyPatch, restart: Restart
) -> None:
    engine = apply(make_engine(base=base), traffic([lacking] * 3))
    monkeypatch.setattr("calidris.engine.panes.arrivals.Arrivals.to_json", lambda self: {})
    (model,) = restart(engine).models.values()
    assert model.arrivals.untold and model.absent_in(START) == []


def test_empty_texts_are_missing_whoever_sends_them(make_engine: MakeEngine, base: Baseline) -> None:
    def blank(batch: PredictionBatch) -> PredictionBatch:
        column = batch.features["country"]
        assert isinstance(column, CodedColumn)
        return replace(batch, features={**batch.features, "country": CodedColumn.of(["", *column.strings()[1:]])})

    engine = apply(make_engine(base=base), traffic([blank]))
    (model,) = engine.models.values()
    (counts,) = (pane.counts for _, pane in model.panes_in(START, START + SECOND))
    at = next(at for at, name in model.spec.sent_features if name == "country")
    field = model.spec.fields[at]
    assert counts.field(at)[field.ordered :].tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("stated", "column", "cells"),
    [
        ("number", CodedColumn.of(["40", "x", "41.5"]), (2, 1, 0)),
        ("text", NumberColumn.of([40.0, 41.5, NAN]), (0, 1, 2)),
    ],
)
def test_live_rows_get_the_type_that_is_stated(
    make_engine: MakeEngine, base: Baseline, stated: str, column: Column, cells: tuple[int, int, int]
) -> None:
    """Of three rows, how many are in the bins of a number, missing, and of another type."""
    engine = make_engine(configuration(types={"age": stated}), base)
    journal = Journal()
    batch = rows(1, 3)
    journal.request(replace(batch, features={**batch.features, "age": column}))
    (model,) = apply(engine, journal).models.values()
    (counts,) = (pane.counts for _, pane in model.panes_in(START, START + SECOND))
    at = next(at for at, name in model.spec.sent_features if name == "age")
    found = counts.field(at).tolist()
    ordered = model.spec.fields[at].ordered
    assert (sum(found[:ordered]), found[ordered], found[ordered + 1]) == cells
