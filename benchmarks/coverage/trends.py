"""Slopes over days of a headline figure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris.metrics.intervals import Z95, share_interval
from calidris.metrics.trend import Point, trend_readings

DAY_S = 86_400.0
NOW = 28


def of_days(name: str, *, slope: float, wander: float = 0.0, likeness: float = 0.0) -> Case:
    """28 days of n labelled rows each; the level moves by ``slope`` a day, and wanders besides."""

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        level, points = wander * g.normal(), []
        for day in range(NOW):
            chance = float(np.clip(0.85 + slope * (day - NOW / 2) + level, 0.0, 1.0))
            right = int(g.binomial(n, chance))
            lower, upper = share_interval(right, n)
            points.append(Point((day + 0.5) * DAY_S, right / n, (upper - lower) / (2 * Z95)))
            level = likeness * level + wander * np.sqrt(1 - likeness**2) * g.normal()
        for reading in trend_readings(points, "accuracy", NOW * DAY_S):
            yield Trial(figure_of(reading), reading, slope)

    return Case(name, read)


def cases() -> Iterator[Case]:
    yield of_days("days are independent", slope=0.0)
    yield of_days("falls by a point in five days", slope=-0.002)
    yield of_days("level wanders, like .5 a day", slope=0.0, wander=0.03, likeness=0.5)
    yield of_days("level wanders, like .8 a day", slope=0.0, wander=0.03, likeness=0.8)
