"""Figures of a day of rows against the rows themselves, and the trend through them without and with a change."""

from __future__ import annotations

import numpy as np
import pytest

from calidris import semconv
from calidris.batch import CodedColumn, Ints, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics.day_figures import OF_ROWS, DayFigure, day_figures
from calidris.metrics.trend import Point, slope
from calidris.state import CountsState, Field, Kind, Role, Spec

EDGES = tuple(np.linspace(-3.0, 3.0, 11).tolist())
SPEC = Spec(
    fields=(
        Field("a", Role.FEATURE, Kind.NUMERIC, edges=EDGES),
        Field("b", Role.FEATURE, Kind.NUMERIC, edges=EDGES),
        Field("c", Role.FEATURE, Kind.CATEGORICAL, levels=("x", "y")),
        Field(semconv.ML_PREDICTION_SCORE, Role.SCORE, Kind.NUMERIC, edges=tuple(np.linspace(0, 1, 11).tolist())),
    )
)
ROWS = 2_000


def counted(
    g: np.random.Generator, n: int = ROWS, shift: float = 0.0, slower: float = 1.0, failing: float = 0.02
) -> tuple[CountsState, Ints, Ints]:
    """Counts of n rows, and the durations and failures behind them."""
    a = g.normal(shift, 1, n)
    duration = slower * g.lognormal(-4, 0.5, n)
    failed = g.random(n) < failing
    batch = PredictionBatch(
        ModelKey("default", "credit", "7"),
        np.zeros(n, np.int64),
        {
            "a": NumberColumn.of(a),
            "b": NumberColumn.of(g.normal(0, 1, n)),
            "c": CodedColumn.of(g.choice(["x", "y"], n).tolist()),
        },
        score=NumberColumn.of(1 / (1 + np.exp(-a))),
        duration_s=NumberColumn.of(duration),
        error=CodedColumn.of(np.where(failed, "timeout", None).tolist()),
    )
    state = CountsState(SPEC)
    state.update(SPEC.encode(batch))
    return state, duration, failed


def of_measure(found: list[DayFigure], measure: str) -> DayFigure:
    return next(figure for figure in found if figure.measure == measure)


def test_figures_are_those_of_the_rows() -> None:
    g = np.random.default_rng(1)
    base, _, _ = counted(g, 50_000)
    day, duration, failed = counted(g, shift=0.5)
    found = list(day_figures(day, base))
    assert tuple(figure.measure for figure in found) == OF_ROWS
    assert of_measure(found, "error_ratio").value == failed.mean()
    # A bin of a duration is 12 % wide.
    assert of_measure(found, "latency_p95").value == pytest.approx(np.quantile(duration, 0.95), rel=0.03)
    p, q = (state.array[SPEC.offsets[SPEC.index(Role.FEATURE, "a")] :][:14] for state in (base, day))
    p, q = (x[(p + q) > 0] for x in (p, q))
    shares = [(x + 0.5) / (x.sum() + 0.5 * len(x)) for x in (p, q)]
    psi = float(((shares[1] - shares[0]) * np.log(shares[1] / shares[0])).sum())
    # Two of three features did not move, and read about 0.
    assert of_measure(found, "feature_drift").value == pytest.approx(psi / 3, abs=0.004)
    assert of_measure(found, "prediction_drift").value > 0.1


def test_what_is_not_known_is_not_a_figure() -> None:
    g = np.random.default_rng(2)
    few, _, _ = counted(g, 20)
    assert not list(day_figures(few, None)) and not list(day_figures(few, few))
    without, _, _ = counted(g)
    assert {f.measure for f in day_figures(without, None)} == {"error_ratio", "latency_p95"}
    empty = CountsState(SPEC)
    assert not list(day_figures(empty, empty))


def points(g: np.random.Generator, days: int, **a_day: float) -> dict[str, list[Point]]:
    """Figures of some days against one baseline, by measure; what changes is added, or multiplied, each day."""
    base, _, _ = counted(g, 20_000)
    out: dict[str, list[Point]] = {measure: [] for measure in OF_ROWS}
    for day in range(days):
        state, _, _ = counted(
            g,
            500,
            shift=a_day.get("shift", 0.0) * day,
            slower=(1 + a_day.get("slower", 0.0)) ** day,
            failing=0.02 + a_day.get("failing", 0.0) * day,
        )
        for measure, value, error in day_figures(state, base):
            out[measure].append(Point(86_400.0 * day, value, error))
    return out


def test_intervals_of_no_trend_hold_0() -> None:
    """60 fortnights without a change: at least 52 of each measure (a chance of 1 in 100,000 at 95 %) have 0 in the slope's interval."""
    g = np.random.default_rng(3)
    streams = [points(g, 14) for _ in range(60)]
    held = {m: sum(s.lower <= 0 <= s.upper for s in (slope(stream[m]) for stream in streams)) for m in OF_ROWS}
    print(held)
    assert min(held.values()) >= 52


@pytest.mark.parametrize(
    ("measure", "a_day"),
    [
        ("error_ratio", {"failing": 0.004}),
        ("latency_p95", {"slower": 0.03}),
        ("feature_drift", {"shift": 0.03}),
        ("prediction_drift", {"shift": 0.03}),
    ],
)
def test_a_slow_change_is_a_trend(measure: str, a_day: dict[str, float]) -> None:
    g = np.random.default_rng(4)
    assert slope(points(g, 28, **a_day)[measure]).lower > 0
