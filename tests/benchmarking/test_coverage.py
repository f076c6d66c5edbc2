"""The quick form of `make bench-coverage`: nothing that claims to be "ok" is too sure of itself, and nothing that has an interval is left out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benchmarks.coverage import page, suite
from benchmarks.coverage.config import BEGIN, END, OPEN, QUICK, marker, placed
from benchmarks.coverage.tally import Figure, Tallies, Tally, figure_of
from tests.engine.conftest import Journal
from tests.engine.readings.test_late_labels import STEP, WINDOWS, run
from tests.engine.readings.test_readings import BEGIN as START_NS
from tests.engine.readings.test_readings import MINUTE, Raw, base_of, draw, engine_of, shown

from calidris import semconv
from calidris.batch import CodedColumn, NumberColumn
from calidris.engine.readings.detail import detailed_readings
from calidris.engine.snapshot import ModelSnapshot
from calidris.export.points import BY_NAME
from calidris.metrics.base import Reading, Status, reading

PAGE = (Path(__file__).parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
pytestmark = pytest.mark.timeout(600)  # a slow machine simulates as much as a fast one

BY_CHANCE = 1e-5
"""Of a cell that holds 90 %: one in a hundred runs of all cells would have one so low, and seeds are fixed."""


@pytest.fixture(scope="module")
def quick() -> Tallies:
    return suite.run(QUICK)


def test_no_figure_that_is_ok_holds_the_truth_in_less_than_nine_of_ten(quick: Tallies) -> None:
    too_sure = {cell.figure for cell in page.under(quick, chance=BY_CHANCE)}
    assert too_sure <= OPEN


def with_bounds(model: ModelSnapshot) -> Iterator[Figure]:
    for r in (*model.readings, *detailed_readings(model)):
        if r.lower is not None or r.upper is not None:
            yield figure_of(r, model.task)


def everything(raw: Raw) -> Raw:
    """The same rows with a duration, failed calls, a missing and a wrong value, and columns that came and went."""
    n, batch = len(raw.truth), raw.batch
    features = dict(batch.features)
    features["new"] = NumberColumn.of(np.ones(n))
    features.pop("y")
    object.__setattr__(batch, "features", features)
    object.__setattr__(batch, "duration_s", NumberColumn.of(np.linspace(0.01, 0.2, n)))
    object.__setattr__(batch, "error", CodedColumn(("timeout",), np.where(np.arange(n) % 50, -1, 0).astype(np.int32)))
    return raw


@pytest.fixture(scope="module")
def exported() -> set[Figure]:
    """Every kind of interval that engines of three tasks give."""
    found: set[Figure] = set()
    for task in ("binary", "multiclass", "regression"):
        fairness = {} if task != "regression" else {"fairness": None}
        engine, journal = engine_of(task, base_of(task), **fairness), Journal()
        raw = everything(draw(task, 5, 2000))
        for item in (raw.batch, raw.labels()):
            engine.apply(journal.request(item, arrival_ns=START_NS))
        engine.apply(journal.seal(START_NS + MINUTE))
        found |= set(with_bounds(shown(engine)))
    late = engine_of("binary", base_of("binary"), **WINDOWS)
    run(late, 36)
    assert STEP
    return found | set(with_bounds(shown(late)))


def test_every_interval_of_an_engine_is_in_the_table(exported: set[Figure], quick: Tallies) -> None:
    """A new measure with an interval comes with its coverage."""
    measured = {cell.figure for cell in quick}
    assert not exported - measured
    of_metrics = {figure.metric for figure in exported}
    assert len(exported) > 60, sorted(exported)
    assert {semconv.METRIC_ML_LABEL_DELAY.name, semconv.METRIC_ML_FAIRNESS_GAP.name} <= of_metrics


def test_every_metric_with_bounds_is_in_the_table(quick: Tallies) -> None:
    bounded = {name.removesuffix(".lower") for name in BY_NAME if name.endswith(".lower")}
    assert bounded <= {cell.figure.metric for cell in quick}


WITHOUT = {
    "ml.window.rows",
    "ml.window.status",
    "ml.monitoring.status",
    "ml.monitoring.batch",
}
"""Gauges that are counts and states: none is an estimate. So is everything of detection."""


def test_every_gauge_has_its_coverage_or_is_no_estimate(quick: Tallies) -> None:
    gauges = {
        m.name for m in semconv.METRICS
        if m.name.startswith("ml.") and m.instrument == "gauge" and not m.name.endswith((".lower", ".upper"))
        and not m.name.startswith("ml.detection.")
    }  # fmt: skip
    assert gauges - WITHOUT == {cell.figure.metric for cell in quick}


def test_the_table_was_made_with_the_one_configuration_and_has_every_figure(quick: Tallies) -> None:
    assert marker() in PAGE
    table = PAGE.split(BEGIN)[1].split(END)[0]
    for metric in {cell.figure.metric for cell in quick}:
        part = table.split(f"#### `{metric}`")[1].split("####")[0]
        rows = set(re.findall(r"^\| (.+?) \| ", part, re.MULTILINE))
        assert {cell.figure.name for cell in quick if cell.figure.metric == metric} <= rows


def test_a_page_without_its_markers_is_not_written() -> None:
    assert placed(PAGE, "new table").count("new table") == 1
    with pytest.raises(ValueError, match="one begin and one end marker"):
        placed("no markers", "table")


def a_share(lower: float, upper: float, status: Status = Status.OK) -> Reading:
    return reading(semconv.METRIC_ML_ERROR_RATIO, 0.2, 10, window="1h", lower=lower, upper=upper, status=status)


def test_only_what_is_ok_makes_a_claim() -> None:
    tally = Tally()
    for found in (
        a_share(0.1, 0.3),
        a_share(0.15, 0.25),
        a_share(0.0, 0.01 + 0.2, Status.PARTIAL),
        a_share(0.1, np.nan),
    ):
        tally.add(found, 0.27)
    assert (tally.trials, tally.ok, tally.held) == (4, 3, 2)
    assert tally.below_by_chance(0.9) == pytest.approx(1 - 0.9**3)
