"""Measures that are made when somebody asks: the same as on raw rows, made once, and anew when labels come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from threading import Barrier, Thread
from unittest.mock import patch

import numpy as np
import pytest
from sklearn import metrics as sk
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, MINUTE, base_of, draw, engine_of

from calidris import semconv
from calidris.engine.build_snapshot import snapshot
from calidris.engine.readings import detail
from calidris.engine.snapshot import MadeOnce, ModelSnapshot, Snapshot
from calidris.metrics.base import Reading, Status


@pytest.fixture
def made() -> Iterator[list[str]]:
    """Names of windows whose measures were computed."""
    names: list[str] = []
    honest = detail._of_labels

    def watched(labels: object, window: object) -> tuple[Reading, ...]:
        names.append(window.window)  # type: ignore[attr-defined]
        return honest(labels, window)  # type: ignore[arg-type]

    with patch.object(detail, "_of_labels", watched):
        yield names


def asked(taken: Snapshot) -> list[Reading]:
    return list(detail.detailed_readings(taken.models[0]))


def test_who_asks_again_of_what_did_not_change_gets_what_there_is(made: list[str]) -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 21, 800)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    first = snapshot(engine, 0)
    figures = asked(first)
    assert made == ["1m", "1h"], "once a window"
    assert asked(first) == figures and len(made) == 2

    # Rows without labels are counted into a window that is shown; the labels of both are what they were.
    late = replace(draw("binary", 22, 50).batch, ids=None)
    engine.apply(journal.request(late, arrival_ns=BEGIN + MINUTE))
    second = snapshot(engine, 0, first)
    assert second.models[0].windows[0].counts.count == 850
    assert [r.value for r in asked(second)] == [r.value for r in figures] and len(made) == 2
    assert {r.status for r in asked(second) if r.window == "1m"} == {Status.PARTIAL}, "50 of 850 came late"

    more = draw("binary", 23, 400)
    ids = [f"x{i}" for i in range(400)]
    for item in (replace(more.batch, ids=ids), replace(more.labels(), ids=ids)):
        engine.apply(journal.request(item, arrival_ns=BEGIN + MINUTE))
    third = snapshot(engine, 0, second)
    known = asked(third)
    assert made == ["1m", "1h"] * 2, "labels came: both anew"
    assert known == asked(snapshot(engine, 0)) and known != figures
    assert [r.value for r in asked(second)] == [r.value for r in figures], (
        "a reader of the older snapshot still has its own"
    )


def test_what_is_kept_is_what_the_rows_say() -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 24, 3000)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    taken = snapshot(engine, 0)
    asked(taken)
    right = sk.matthews_corrcoef(raw.truth, raw.predicted == "1")
    (mcc,) = [r for r in asked(taken) if r.window == "1m" and (semconv.ML_PERFORMANCE_MEASURE, "mcc") in r.attributes]
    assert mcc.value == pytest.approx(right)


def test_a_status_is_that_of_the_snapshot_not_of_who_asked_first(made: list[str]) -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 25, 500)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    taken = snapshot(engine, 0)
    model = taken.models[0]
    asked(taken)
    refuted: ModelSnapshot = replace(model, status=Status.UNDEFINED)
    assert {r.value for r in detail.detailed_readings(refuted)} == {None}
    again = [r for r in asked(taken) if r.window == "1m"]
    assert {r.status for r in again} >= {Status.OK} and len(made) == 2


def test_many_who_ask_at_once_wait_for_one(made: list[str]) -> None:
    engine, journal = engine_of("binary", base_of("binary")), Journal()
    raw = draw("binary", 26, 500)
    for item in (raw.batch, raw.labels()):
        engine.apply(journal.request(item, arrival_ns=BEGIN))
    engine.apply(journal.seal(BEGIN + MINUTE))
    taken, start, found = snapshot(engine, 0), Barrier(8), list[list[Reading]]()

    def ask() -> None:
        start.wait()
        found.append(asked(taken))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["1h", "1m"] and all(answer == found[0] for answer in found)


def test_what_fails_once_is_made_when_it_is_asked_for_again() -> None:
    kept, source = MadeOnce(), np.empty(0)

    def fail() -> tuple[Reading, ...]:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        kept.get(source, fail)
    assert kept.get(source, lambda: ()) == ()
