"""A day's errors, latency and drift at the engine's door: the same whatever the seals, after a restart, and on a new baseline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.engine.conftest import Journal
from tests.engine.readings.test_readings import BEGIN, HOUR, KEY, base_of, draw, engine_of

from calidris.engine.core import Engine
from calidris.engine.panes.days import DAY_NS, DayPoint
from calidris.engine.readings.day_trend import day_trend_readings
from calidris.metrics.day_figures import OF_BASELINE, OF_ROWS
from calidris.metrics.latency import error_reading
from calidris.state import CountsState

START = BEGIN // DAY_NS * DAY_NS + DAY_NS
TOLD = set(OF_ROWS) - {"latency_p95"}
"""These rows come without durations."""
CONFIG = {"windows": ["6h"], "detect": {"windows": ["6h"], "label_age": "1h"}, "intersections": []}


def watch(
    seal_every: int, days: int = 8, restart: Callable[[Engine], Engine] | None = None, journal: Journal | None = None
) -> Engine:
    """Days of four bursts each, sealed after every so many of them; started anew after each seal where ``restart`` is given."""
    engine, journal = engine_of("binary", base_of("binary"), **CONFIG), journal or Journal()
    for step in range(4 * days):
        begin = START + step * 6 * HOUR
        engine.apply(journal.request(draw("binary", 300 + step, 100 + step, begin, 6 * HOUR).batch, arrival_ns=begin))
        if step % seal_every == seal_every - 1:
            engine.apply(journal.seal(begin + 7 * HOUR + 1))
            engine = engine if restart is None else restart(engine)
    return engine


def of_rows(engine: Engine) -> list[DayPoint]:
    return [point for point in engine.models[KEY].days.points if point.measure in OF_ROWS]


def test_days_are_the_same_whatever_the_seals() -> None:
    found = [of_rows(watch(seal_every, days=9)) for seal_every in (1, 3, 36)]
    assert found[0] == found[1] == found[2]
    assert len({point.time_s for point in found[0]}) == 9 and {point.measure for point in found[0]} == TOLD


def test_a_day_counts_its_own_rows() -> None:
    """The first day's figure is that of the four bursts in it, labelled or not."""
    engine = watch(1)
    model = engine.models[KEY]
    counts = CountsState(model.spec)
    for step in range(4):
        batch = draw("binary", 300 + step, 100 + step, START + step * 6 * HOUR, 6 * HOUR).batch
        counts.update(model.spec.encode(batch))
    point = next(p for p in of_rows(engine) if p.measure == "error_ratio")
    assert point.time_s == (START + DAY_NS / 2) / 1e9
    assert point.value == error_reading(model.spec, counts, "1d").value


def test_a_day_outlives_a_restart(restart: Callable[[Engine], Engine]) -> None:
    assert of_rows(watch(1, days=3, restart=restart)) == of_rows(watch(1, days=3))


def test_no_labels_are_needed_for_a_trend() -> None:
    engine = watch(1)
    readings = day_trend_readings(engine.models[KEY].days, START + 8 * DAY_NS)
    of_week = {dict(r.attributes)["ml.trend.measure"]: r for r in readings if r.window == "7d"}
    assert set(of_week) == TOLD
    # Each day has 1600 rows more than the one before, and nothing else.
    assert all(r.value is not None and r.lower < 0 < r.upper for r in of_week.values())


@pytest.mark.parametrize("same", [True, False])
def test_drift_from_another_baseline_is_another_figure(same: bool) -> None:
    journal = Journal()
    engine = watch(1, days=3, journal=journal)
    model = engine.models[KEY]
    assert model.baseline is not None
    if not same:
        model.baseline = replace(model.baseline, name="another", set_apart=1)
    before = {p for p in of_rows(engine) if p.measure in OF_BASELINE}
    begin = START + 12 * 6 * HOUR
    for step in range(5):
        at = begin + step * 6 * HOUR
        engine.apply(journal.request(draw("binary", 900 + step, 200, at, 6 * HOUR).batch, arrival_ns=at))
        engine.apply(journal.seal(at + 7 * HOUR + 1))
    after = {p for p in of_rows(engine) if p.measure in OF_BASELINE}
    assert (before <= after) is same and after
