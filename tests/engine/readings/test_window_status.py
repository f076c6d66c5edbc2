"""Figures of windows with rows that came late, of models that fell silent, and of two baselines, at the engine's door."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, HOUR, KEY, MINUTE, base_of, draw, engine_of

from calidris import semconv
from calidris.api.json_shapes import readings_json, status_json
from calidris.batch import PredictionBatch
from calidris.engine.build_snapshot import snapshot
from calidris.engine.readings.detail import detailed_readings
from calidris.engine.snapshot import ModelSnapshot, Snapshot
from calidris.metrics.base import Reading, Status

STANDING = (semconv.METRIC_ML_WINDOW_STATUS, semconv.METRIC_ML_WINDOW_LATE)


def is_of_rows(reading: Reading) -> bool:
    """Not what detectors said, nor the status itself."""
    return reading.metric not in STANDING and not reading.metric.name.startswith("ml.detection.")


def statuses(model: ModelSnapshot, window: str) -> set[Status]:
    """Of every figure of a window that has a value."""
    found = (*model.readings, *detailed_readings(model))
    return {r.status for r in found if r.window == window and is_of_rows(r) and r.value is not None}


def window_of(taken: Snapshot, window: str) -> dict[str, object]:
    (found,) = [w for w in status_json(taken, ready=True, health={})["models"][0]["windows"] if w["window"] == window]
    return dict(found)


def sent(seed: int, n: int, start_ns: int = BEGIN) -> PredictionBatch:
    batch = draw("binary", seed, n, start_ns).batch
    return replace(batch, ids=[f"{seed}-{i}" for i in range(n)])


def labelled(seed: int, n: int, start_ns: int = BEGIN):  # type: ignore[no-untyped-def]
    return replace(draw("binary", seed, n, start_ns).labels(), ids=[f"{seed}-{i}" for i in range(n)])


@pytest.mark.parametrize(
    ("late", "right"), [(0, Status.OK), (10, Status.OK), (20, Status.PARTIAL), (1660, Status.PARTIAL)]
)
def test_rows_that_come_after_the_seal_are_said_on_every_figure(late: int, right: Status) -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    for item in (sent(1, 340), labelled(1, 340)):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    before = snapshot(engine, 0)
    assert statuses(before.models[0], "1m") == {Status.OK}
    if late:
        for item in (sent(2, late), labelled(2, late)):
            engine.apply(journal.request(item, arrival_ns=BEGIN + MINUTE))
    taken = snapshot(engine, 0, before)
    model = taken.models[0]
    assert statuses(model, "1m") == {right}
    (share,) = [r for r in model.readings if r.metric is semconv.METRIC_ML_WINDOW_LATE and r.window == "1m"]
    assert share.n == 340 + late and share.value == pytest.approx(late / (340 + late))
    assert window_of(taken, "1m") | {"status": right.value, "late": late} == window_of(taken, "1m")
    # As a scrape has it, and as what is made anew says.
    assert {r.status for r in model.readings} == {r.status for r in snapshot(engine, 0).models[0].readings}


def test_a_silent_models_windows_are_old_and_say_so_until_it_speaks_again() -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    for item in (sent(1, 300), labelled(1, 300)):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    first = snapshot(engine, 0)
    assert statuses(first.models[0], "1m") == {Status.OK}
    engine.apply(journal.seal(BEGIN + 5 * MINUTE))
    second = snapshot(engine, 0, first)
    assert second.models[0].status is Status.STALE
    assert statuses(second.models[0], "1m") == {Status.STALE}
    values = [[r.value for r in s.models[0].readings if is_of_rows(r)] for s in (first, second)]
    assert values[0] == values[1], "the figures stand"
    engine.apply(journal.request(sent(3, 300, BEGIN + 5 * MINUTE), arrival_ns=BEGIN + 5 * MINUTE))
    third = snapshot(engine, 0, second)
    assert third.models[0].status is not Status.STALE
    assert Status.STALE not in statuses(third.models[0], "1m")


def test_a_window_of_two_baselines_says_so_in_every_figure_of_labels_of_age_too() -> None:
    engine, journal = engine_of("binary", base_of("binary"), detect={"windows": ["1m"], "label_age": "1h"}), Journal()
    for item in (sent(1, 300), labelled(1, 300)):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    model = engine.models[KEY]
    # As a promotion does: from here on rows are counted by another spec.
    model.specs.append(replace(model.spec, threshold=0.4))
    model.baseline = None
    for item in (sent(2, 300), labelled(2, 300)):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    taken = snapshot(engine, 0).models[0]
    assert statuses(taken, "1m") == {Status.MIXED_BASELINE}
    assert np.all([w.counts.count == 300 for w in taken.windows])
    # An hour later the same minute is the newest one whose labels are of age.
    engine.apply(journal.seal(BEGIN + HOUR + MINUTE))
    aged = [
        r for r in snapshot(engine, 0).models[0].readings
        if dict(r.attributes).get(semconv.ML_LABEL_MATURITY) == semconv.ML_LABEL_MATURITY_FIXED_AGE
        and r.window == "1m" and r.value is not None
    ]  # fmt: skip
    assert aged and {r.status for r in aged} == {Status.MIXED_BASELINE}


def test_the_words_are_those_of_the_list() -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    engine.apply(journal.request(sent(1, 300), arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    told = {one["status"] for one in readings_json(snapshot(engine, 0).models[0])}
    assert told <= {status.value for status in Status}
