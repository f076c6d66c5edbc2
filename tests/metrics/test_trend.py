"""Trends against statsmodels and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm

from calidris.metrics import Status
from calidris.metrics.trend import Point, slope, trend_readings

DAY = 86_400.0


def series(n: int, change: float, g: np.random.Generator, error: float = 0.01) -> list[Point]:
    return [Point(DAY * i, 0.9 + change * i + error * g.normal(), error) for i in range(n)]


def test_slope_is_that_of_weighted_least_squares() -> None:
    g = np.random.default_rng(1)
    errors = g.uniform(0.005, 0.02, 20)
    points = [Point(DAY * i, 0.9 - 0.002 * i + e * g.normal(), e) for i, e in enumerate(errors.tolist())]
    x = sm.add_constant(np.array([p.time_s for p in points]) / DAY)
    fit = sm.WLS([p.value for p in points], x, weights=[p.error**-2 for p in points]).fit()
    got = slope(points)
    assert got.value == pytest.approx(fit.params[1], rel=1e-9)
    shuffled = [points[i] for i in g.permutation(20)]
    assert slope(shuffled) == pytest.approx(got)


@pytest.mark.parametrize(("n", "extra"), [(7, 0.0), (28, 0.0), (28, 0.03)])
def test_the_interval_covers_the_truth(n: int, extra: float) -> None:
    """500 series, also with scatter that the errors do not tell of: 93 % and more."""
    g = np.random.default_rng(2)
    found = [slope([p._replace(value=p.value + extra * g.normal()) for p in series(n, 0.001, g)]) for _ in range(500)]
    assert np.mean([f.lower <= 0.001 <= f.upper for f in found]) >= 0.93


@pytest.mark.parametrize(("days", "likeness"), [(28, 0.5), (28, 0.8), (7, 0.5), (7, 0.8)])
def test_a_level_that_wanders_widens_the_interval(days: int, likeness: float) -> None:
    g = np.random.default_rng(3)
    inside = []
    for _ in range(300):
        level, points = 0.02 * g.normal(), []
        for i in range(days):
            level = likeness * level + 0.02 * math.sqrt(1 - likeness**2) * g.normal()
            points.append(Point(DAY * i, level, 0.005))
        f = slope(points)
        inside.append(f.lower <= 0 <= f.upper)
    assert np.mean(inside) >= 0.9


def test_what_has_no_slope() -> None:
    assert math.isnan(slope([]).value)
    assert math.isnan(slope(series(4, 0.0, np.random.default_rng(4))).value)
    assert math.isnan(slope([Point(5.0, 0.1 * i, 0.01) for i in range(9)]).value)
    exact = slope([Point(DAY * i, 1.0 + i, 0.0) for i in range(9)])
    assert exact.value == pytest.approx(1.0)


def test_trend_readings_say_how_far_they_reach() -> None:
    points = series(15, -0.01, np.random.default_rng(5))
    week, month = trend_readings(points, "accuracy", 14 * DAY, labels={"country": "NL"})
    assert (week.n, week.status, week.window) == (8, Status.OK, "7d")
    assert (month.n, month.status) == (15, Status.OK)
    assert week.upper is not None
    assert week.upper < 0
    assert dict(month.attributes) == {"country": "NL", "ml.trend.measure": "accuracy"}
    short = trend_readings(points[-6:], "accuracy", 14 * DAY)
    assert [r.status for r in short] == [Status.OK, Status.PARTIAL]
    assert {r.status for r in trend_readings([], "accuracy", 0.0)} == {Status.TOO_FEW}
