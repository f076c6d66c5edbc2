"""Data quality, latency and errors against plain numpy on the raw rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from calidris import semconv
from calidris.batch import CodedColumn, Column, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics import Reading, Status, error_reading, latency_readings, quality_readings, rows_reading
from calidris.state import CountsState, Field, Kind, Role, Spec
from calidris.state.spec import DURATION_EDGES

KEY = ModelKey("t", "m", "1")
FIELDS = (
    Field("age", Role.FEATURE, Kind.NUMERIC, edges=(0.0, 50.0, 100.0)),
    Field("country", Role.FEATURE, Kind.CATEGORICAL, levels=("NL", "BE")),
    Field("note", Role.FEATURE, Kind.PRESENCE),
    Field("score", Role.SCORE, Kind.NUMERIC, edges=(0.0, 1.0)),
)


def counted(spec: Spec, n: int, features: dict[str, Column] | None = None, **columns: object) -> CountsState:
    state = CountsState(spec)
    state.update(spec.encode(PredictionBatch(KEY, np.zeros(n, np.int64), features or {}, **columns)))
    return state


def ratios(found: list[Reading]) -> dict[tuple[str, str], float | None]:
    names = [dict(r.attributes) for r in found]
    return {(a[semconv.ML_FEATURE_NAME], a[semconv.ML_DATA_QUALITY_KIND]): r.value for a, r in zip(names, found)}


def test_each_fault_is_a_share_of_all_rows() -> None:
    spec = Spec(fields=FIELDS)
    features: dict[str, Column] = {
        "age": NumberColumn.of([1.0, float("nan"), float("inf"), -1.0, 101.0, 102.0, 0.0, 100.0]),
        "country": CodedColumn.of(["NL", "BE", "FR", "", None, "NL", "NL", "NL"]),
        "note": CodedColumn.of(["x", "y", None, None, None, None, "z", ""]),
    }
    # The baseline has all its rows in the levels that it keeps: whatever else comes is new.
    assert ratios(quality_readings(spec, counted(spec, 8, features), "1h", baseline=CountsState(spec))) == {
        ("age", "missing"): 2 / 8,
        ("age", "out_of_range"): 3 / 8,
        ("age", "type_violation"): 0.0,
        ("country", "missing"): 1 / 8,
        ("country", "unseen"): 2 / 8,
        ("note", "missing"): 4 / 8,
    }


def test_strings_in_a_number_field_are_type_violations_and_an_absent_column_is_missing() -> None:
    spec = Spec(fields=FIELDS)
    found = ratios(quality_readings(spec, counted(spec, 2, {"age": CodedColumn.of(["1", None])}), "1h"))
    assert (found["age", "type_violation"], found["age", "missing"]) == (0.5, 0.5)
    assert found["country", "missing"] == found["note", "missing"] == 1.0


def test_intervals_and_choice_of_kinds() -> None:
    spec = Spec(fields=FIELDS)
    (r,) = quality_readings(spec, counted(spec, 40), "5m", kinds=["out_of_range"])
    assert (r.metric, r.value, r.n, r.window) == (semconv.METRIC_ML_DATA_QUALITY_RATIO, 0.0, 40, "5m")
    assert r.lower == 0.0
    assert r.upper == pytest.approx(0.0876, abs=1e-4)


def test_no_rows() -> None:
    spec = Spec(fields=FIELDS)
    empty = CountsState(spec)
    assert {r.status for r in quality_readings(spec, empty, "1h")} == {Status.TOO_FEW}
    assert {r.status for r in latency_readings(spec, empty, "1h")} == {Status.TOO_FEW}
    assert error_reading(spec, empty, "1h").status is Status.TOO_FEW
    rows = rows_reading(empty, "1h")
    assert (rows.value, rows.n, rows.status) == (0.0, 0, Status.OK)


def latencies(seconds: NDArray[np.float64]) -> dict[str, Reading]:
    spec = Spec()
    state = counted(spec, len(seconds), duration_s=NumberColumn.of(seconds))
    return {dict(r.attributes)[semconv.ML_LATENCY_QUANTILE]: r for r in latency_readings(spec, state, "1h")}


@pytest.mark.parametrize("sigma", [0.01, 0.5, 2.0])
@pytest.mark.parametrize("n", [100, 20_000])
def test_quantiles_are_numpys_within_a_bin(sigma: float, n: int) -> None:
    seconds = np.random.default_rng(15).lognormal(-4, sigma, n)
    for level, r in latencies(seconds).items():
        raw = np.quantile(seconds, float(level), method="inverted_cdf")
        assert r.value is not None
        assert abs(np.log(r.value / raw)) <= np.log(10) / 20 + 1e-9  # the width of a bin
        assert r.n == n
        assert r.lower is None or r.lower <= r.value


def test_quantiles_of_a_smooth_distribution_are_close() -> None:
    seconds = np.random.default_rng(16).lognormal(-4, 0.5, 50_000)
    for level, r in latencies(seconds).items():
        assert r.value == pytest.approx(np.quantile(seconds, float(level)), rel=0.02)


Draw = Callable[[np.random.Generator, int], NDArray[np.float64]]

DURATIONS: dict[str, Draw] = {
    "smooth": lambda g, n: g.lognormal(np.log(0.02), 0.5, n),
    "rounded to milliseconds": lambda g, n: np.round(g.lognormal(np.log(0.004), 0.3, n), 3),
    "100 ms and little jitter": lambda g, n: g.normal(0.1, 0.002, n),
    "time-outs in one of twenty": lambda g, n: np.where(g.random(n) < 0.05, 5.0, g.lognormal(np.log(0.02), 0.5, n)),
    "four of five from a cache": lambda g, n: np.where(
        g.random(n) < 0.8, g.normal(5e-4, 5e-6, n), g.lognormal(np.log(0.05), 0.4, n)
    ),
}


@pytest.mark.parametrize("n", [500, 5000])
@pytest.mark.parametrize("kind", DURATIONS)
def test_the_interval_of_a_quantile_covers_the_truth(kind: str, n: int) -> None:
    """Whatever durations look like; an end that is open holds everything."""
    g, draw = np.random.default_rng(17), DURATIONS[kind]
    many = draw(g, 1_000_000)
    truth = {level: np.quantile(many, float(level), method="inverted_cdf") for level in ("0.5", "0.95", "0.99")}
    inside = dict.fromkeys(truth, 0)
    for _ in range(200):
        for level, r in latencies(draw(g, n)).items():
            over = r.upper is None or truth[level] <= r.upper
            under = r.lower is None or r.lower <= truth[level]
            inside[level] += int(over and under)
    assert min(inside.values()) >= 0.93 * 200, inside


def test_quantiles_beyond_the_edges_are_bounded_on_one_side_only() -> None:
    slow = latencies(np.full(200, 3600.0))["0.99"]
    assert (slow.value, slow.lower, slow.upper, slow.status) == (
        DURATION_EDGES[-1],
        DURATION_EDGES[-1],
        None,
        Status.OK,
    )
    fast = latencies(np.zeros(200))["0.5"]
    assert (fast.value, fast.lower, fast.upper) == (DURATION_EDGES[0], None, DURATION_EDGES[0])


@pytest.mark.parametrize(
    ("n", "few"), [(1, {"0.5", "0.95", "0.99"}), (2, {"0.95", "0.99"}), (20, {"0.99"}), (100, set())]
)
def test_a_quantile_needs_a_row_beyond_it(n: int, few: set[str]) -> None:
    found = latencies(np.full(n, 0.01))
    assert {level for level, r in found.items() if r.status is Status.TOO_FEW} == few


def test_rows_without_a_duration_do_not_count() -> None:
    seconds = np.r_[np.full(100, 0.02), np.full(50, np.nan)]
    assert {r.n for r in latencies(seconds).values()} == {100}


def test_linear_interpolation_where_an_edge_is_zero() -> None:
    f = Field(semconv.ML_PREDICTION_DURATION, Role.DURATION, Kind.NUMERIC, edges=(0.0, 1.0, 2.0))
    spec = Spec(fields=(f,))
    state = counted(spec, 4, duration_s=NumberColumn.of([0.2, 0.4, 0.6, 0.8]))
    assert latency_readings(spec, state, "1h", quantiles=["0.5"])[0].value == 0.5


def test_error_ratio_is_the_share_of_rows_with_an_error() -> None:
    spec = Spec()
    state = counted(spec, 50, error=CodedColumn.of(["ValueError"] * 3 + ["Timeout"] * 2 + [None] * 45))
    r = error_reading(spec, state, "1h")
    assert (r.metric, r.value, r.n) == (semconv.METRIC_ML_ERROR_RATIO, 0.1, 50)
    assert error_reading(spec, counted(spec, 50), "1h").value == 0.0
