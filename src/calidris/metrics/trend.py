"""Trend: how fast a figure moves, from its readings over days."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import stdtrit

from calidris import semconv
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.score_bins import Estimate

WINDOWS_DAYS = (7, 28)
"""Spans that a trend is given over."""

MINIMUM_POINTS = 5
"""Points that a slope needs: three degrees of freedom are the least that say anything about its error."""

TELLING_POINTS = 8
"""Points from which on neighbours say how alike they are."""

UNTOLD_LIKENESS = 0.6
"""Of fewer points that scatter more than their errors allow: the interval holds the truth in 92 % where the likeness is .8."""

SURE_POINTS = 14
"""Points from which on the error of the likeness is added to it."""

LIKENESS_ERRORS = 1.5
"""Standard errors that are added to the likeness seen: at what was seen the interval held the truth in 76 to 84 % of series like .8."""

LARGEST_LIKENESS = 0.9

_DAY_S = 86_400.0


class Point(NamedTuple):
    """One figure: when, what, and its standard error (half of its 95 % interval over 1.96)."""

    time_s: float
    value: float
    error: float


def slope(points: Sequence[Point]) -> Estimate:
    """Change a day: weighted least squares, each point by one over its squared error.

    Where points scatter more than their errors allow, the slope's error grows by the square root of χ² over its degrees
    (R. T. Birge, Physical Review 1932), and by √((1+r)/(1-r)) because neighbours may deviate alike with correlation r: of eight points
    and more at most as seen and ``LIKENESS_ERRORS`` beyond, of fewer ``UNTOLD_LIKENESS``. Student's t with two degrees less than points.
    Simulated in docs/statistics.md, also where the level wanders. Points of overlapping windows are not independent: pass windows side by
    side. NaN below ``MINIMUM_POINTS`` or where all are of one time.

    >>> slope([Point(86_400.0 * d, 0.9 - 0.01 * d, 0.005) for d in range(7)]).value.__round__(6)
    -0.01
    """
    if len(points) < MINIMUM_POINTS:
        return Estimate(math.nan)
    time, value, error = (np.array(column, np.float64) for column in zip(*sorted(points)))
    # A figure that claims to be exact may not take all of the weight.
    error = np.maximum(error, max(float(np.median(error)) / 10, 1e-12))
    weight = error**-2
    day = (time - np.average(time, weights=weight)) / _DAY_S
    spread = float((weight * day**2).sum())
    if not spread > 1e-12 * float(weight.sum()):
        return Estimate(math.nan)
    change = float((weight * day * value).sum() / spread)
    scaled = (value - np.average(value, weights=weight) - change * day) / error
    degrees = len(points) - 2
    half = math.sqrt(_inflation(scaled, degrees) / spread) * float(stdtrit(degrees, 0.975))
    return Estimate(change, change - half, change + half)


def _inflation(scaled: np.typing.NDArray[np.float64], degrees: int) -> float:
    """What the slope's variance grows by: excess scatter, and likeness of neighbours."""
    squares = float((scaled**2).sum())
    scatter = max(1.0, squares / degrees)
    if scatter == 1.0:
        return scatter
    likeness = _likeness(scaled, squares)
    return scatter * (1 + likeness) / (1 - likeness)


def _likeness(scaled: np.typing.NDArray[np.float64], squares: float) -> float:
    """Correlation of neighbours that deviations may have; a few days cannot tell a level that wanders from one that moves."""
    n = len(scaled)
    if n < TELLING_POINTS:
        return UNTOLD_LIKENESS
    # Fitting the line takes about (2 + 4r)/n off the correlation of neighbours.
    seen = (float((scaled[1:] * scaled[:-1]).sum()) / squares + 2 / n) / (1 - 4 / n)
    # Of a week or two that correction alone is as large as the error.
    unsure = LIKENESS_ERRORS / math.sqrt(n) if n >= SURE_POINTS else 0.0
    return min(max(seen + unsure, 0.0), LARGEST_LIKENESS)


def trend_readings(
    points: Sequence[Point],
    measure: str,
    now_s: float,
    *,
    days: Sequence[int] = WINDOWS_DAYS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.trend`` of one figure over the last 7 and 28 days: change a day; n is the points.

    ``too_few`` below ``MINIMUM_POINTS``, and ``partial`` where they reach back over less than half of the span.

    Args:
        points: the figure of windows side by side.
        measure: its name.
        now_s: where the span ends.
        days: spans.
        labels: further attributes.
    """
    out = []
    for span in days:
        inside = [p for p in points if now_s - span * _DAY_S <= p.time_s <= now_s]
        value, lower, upper = slope(inside)
        reach = max((now_s - p.time_s for p in inside), default=0.0)
        status = Status.TOO_FEW if len(inside) < MINIMUM_POINTS else Status.OK
        status = Status.PARTIAL if status is Status.OK and reach < span * _DAY_S / 2 else status
        attributes = {**labels, semconv.ML_TREND_MEASURE: measure}
        metric, n, window = semconv.METRIC_ML_PERFORMANCE_TREND, len(inside), f"{span}d"
        out.append(
            reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)
        )
    return out
