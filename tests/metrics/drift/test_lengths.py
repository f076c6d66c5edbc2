"""Wasserstein and energy distance from the means of cells, against scipy on the raw rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from calidris import semconv
from calidris.baseline.learn import learn_edges
from calidris.batch import ModelKey, NumberColumn, PredictionBatch
from calidris.metrics import Status, drift_readings, drift_table
from calidris.metrics.drift.drift_readings import DriftTable
from calidris.state import CountsState, Field, Kind, MomentsState, Role, Spec

Floats = NDArray[np.float64]
MEASURES = ("wasserstein", "energy")


def spec_of(baseline: Floats) -> Spec:
    return Spec(fields=(Field("x", Role.FEATURE, Kind.NUMERIC, edges=learn_edges(baseline)),))


def counted(spec: Spec, values: Floats) -> tuple[CountsState, MomentsState]:
    batch = PredictionBatch(ModelKey("t", "m", "1"), np.zeros(len(values), np.int64), {"x": NumberColumn.of(values)})
    cells = spec.encode(batch)
    counts, moments = CountsState(spec), MomentsState(spec)
    counts.update(cells)
    moments.update(batch, cells)
    return counts, moments


def table_of(baseline: Floats, window: Floats) -> DriftTable:
    spec = spec_of(baseline)
    (known, before), (seen, now) = counted(spec, baseline), counted(spec, window)
    return drift_table(spec, known, seen, MEASURES, (before, now))


def scipys(baseline: Floats, window: Floats) -> dict[str, float]:
    iqr = np.subtract(*np.quantile(baseline, [0.75, 0.25]))
    length, root = stats.wasserstein_distance(baseline, window), stats.energy_distance(baseline, window)
    return {"wasserstein": length / iqr, "energy": root**2 / iqr}


DISCRETE: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "integers": lambda g, n: g.integers(0, 5, n).astype(float),
    "counts": lambda g, n: g.poisson(3, n).astype(float),
    "yes or no": lambda g, n: (g.random(n) < 0.4).astype(float),
    "prices": lambda g, n: g.choice([0.0, 9.99, 19.99, 49.0, 199.0], n, p=[0.1, 0.3, 0.3, 0.2, 0.1]),
}
SHIFTS: dict[str, Callable[[Floats], Floats]] = {
    "none": lambda x: x,
    "a tenth more": lambda x: x * 1.1,
    "a quarter further": lambda x: x + 0.25,
    "another unit": lambda x: x * 1000,
    "outliers": lambda x: np.r_[np.full(20, 1e4), x[20:]],
}


@pytest.mark.parametrize("shift", list(SHIFTS))
@pytest.mark.parametrize("name", list(DISCRETE))
def test_of_few_values_the_distance_is_scipys(name: str, shift: str) -> None:
    """It read .08 to .17 of it where values moved inside their bins, and .004 of another unit."""
    g = np.random.default_rng(3)
    before, after = DISCRETE[name](g, 20_000), SHIFTS[shift](DISCRETE[name](g, 2000))
    found, right = table_of(before, after), scipys(before, after)
    assert found.values["wasserstein"][0] == pytest.approx(right["wasserstein"], rel=5e-3)
    if shift != "another unit":
        assert found.values["energy"][0] == pytest.approx(right["energy"], rel=6e-2 if shift == "outliers" else 5e-3)
    else:  # beyond the range nobody knows how far rows lie from each other
        assert right["energy"] * 0.99 < found.values["energy"][0] < 2.5 * right["energy"]


SKEWED: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda g, n: g.normal(size=n),
    "amounts": lambda g, n: g.lognormal(0, 1, n),
    "incomes": lambda g, n: g.lognormal(0, 2, n),
    "pareto": lambda g, n: g.pareto(1.5, n),
    "many zeros": lambda g, n: np.where(g.random(n) < 0.4, 0.0, g.lognormal(0, 1, n)),
    "time stamps": lambda g, n: g.uniform(1e9, 1e9 + 1e6, n),
}
MOVED: dict[str, Callable[[Floats], Floats]] = {
    "another unit": lambda x: x * 10,
    "outliers": lambda x: np.r_[np.full(20, 100 * np.abs(x).max()), x[20:]],
    "further": lambda x: x + np.subtract(*np.quantile(x, [0.75, 0.25])),
}


@pytest.mark.parametrize("shift", list(MOVED))
@pytest.mark.parametrize("name", list(SKEWED))
def test_of_skewed_columns_it_is_near_scipys(name: str, shift: str) -> None:
    """It read 6 to 53 times as much, and .01 of outliers."""
    g = np.random.default_rng(4)
    ratios: dict[str, list[float]] = {measure: [] for measure in MEASURES}
    for _ in range(5):
        before, after = SKEWED[name](g, 20_000), MOVED[shift](SKEWED[name](g, 2000))
        found, right = table_of(before, after), scipys(before, after)
        for measure, held in ratios.items():
            held.append(found.values[measure][0] / right[measure])
    assert 0.87 < np.median(ratios["wasserstein"]) < 1.31
    assert 0.87 < np.median(ratios["energy"]) < (2.0 if shift == "another unit" else 1.31)


@pytest.mark.parametrize("name", list(SKEWED))
def test_where_nothing_has_changed_it_is_of_the_size_of_scipys(name: str) -> None:
    """It read 2 to 8 times as much of skewed columns."""
    g = np.random.default_rng(5)
    ratios, expected = [], []
    for _ in range(20):
        before, after = SKEWED[name](g, 20_000), SKEWED[name](g, 2000)
        found, right = table_of(before, after), scipys(before, after)
        ratios.append(found.values["wasserstein"][0] / right["wasserstein"])
        expected.append(found.expected["wasserstein"][0] / found.values["wasserstein"][0])
    assert 0.45 < np.median(ratios) < 1.4
    assert 0.25 < np.median(expected) < 1.4


def test_values_far_beyond_the_range_stand_where_they_are() -> None:
    g = np.random.default_rng(6)
    before = g.normal(size=5000)
    after = np.r_[g.normal(size=990), np.full(5, 1e9), np.full(5, -1e8)]
    found, right = table_of(before, after), scipys(before, after)
    assert found.values["wasserstein"][0] == pytest.approx(right["wasserstein"], rel=2e-2)


def test_the_largest_doubles_stand_on_the_edge() -> None:
    """They are out of range, counted, and in no sum."""
    g = np.random.default_rng(7)
    before = g.normal(size=5000)
    after = np.r_[before[:990], np.full(10, 1.7e308)]
    edge = np.r_[before[:990], np.full(10, before.max())]
    found = table_of(before, after).values["wasserstein"][0]
    assert found == pytest.approx(scipys(before, edge)["wasserstein"], rel=0.4)


def test_rows_that_an_earlier_version_counted_leave_lengths_approximate() -> None:
    g = np.random.default_rng(8)
    before, after = g.lognormal(0, 1, 5000), g.lognormal(0, 1, 500)
    spec = spec_of(before)
    (known, sums), (seen, now) = counted(spec, before), counted(spec, after)
    moments = (sums, now)

    def statuses(moments: tuple[MomentsState, MomentsState] | None) -> dict[str, Status]:
        found = drift_readings(spec, known, seen, window="1h", measures=("psi", *MEASURES), moments=moments)
        return {dict(r.attributes)[semconv.ML_DRIFT_MEASURE]: r.status for r in found}

    assert set(statuses(moments).values()) == {Status.OK}
    rough = {"psi": Status.OK, "wasserstein": Status.APPROXIMATE, "energy": Status.APPROXIMATE}
    earlier = MomentsState.from_bytes(spec, MomentsState(spec, now.array).to_bytes())
    assert earlier.in_cells.count == 0 and np.array_equal(earlier.array, now.array)
    assert statuses(None) == statuses((sums, earlier)) == rough
    earlier.merge(now)
    seen.merge(seen.copy())
    assert statuses((sums, earlier)) == rough
