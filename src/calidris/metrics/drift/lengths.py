"""Wasserstein and energy distance: how far values have moved, from the mean of each side's values in each cell.

Each side is a row of points, one a cell, and the distances are those between such points: to the last digit where a cell holds one value,
or where all rows moved. Between values inside one cell they see the difference of the means alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Mask
from calidris.metrics.drift.histograms import Pair, cumulated, dot


class Steps(NamedTuple):
    """F_window - F_baseline along the line, which steps at each point of a side; float64[K_max + 2, F] each.

    Attributes:
        before: the gap before each cell.
        inside: between its two points.
        behind: behind it.
        first: the nearer of its points.
        last: the farther one.
    """

    before: Floats
    inside: Floats
    behind: Floats
    first: Floats
    last: Floats

    @classmethod
    def of(cls, pair: Pair) -> Steps:
        """The steps of fields with means; NaN where a side has no number."""
        p, q = _shares(pair.baseline, pair), _shares(pair.window, pair)
        known, seen = _points(pair)
        first, last = _order(np.minimum(known, seen), np.maximum(known, seen))
        behind = cumulated(q - p)
        before = behind - (q - p)
        inside = before + np.where(known < seen, -p, q)
        return cls(before, inside, behind, first, last)

    @property
    def width(self) -> Floats:
        """How far the two points of each cell are apart."""
        return self.last - self.first

    @property
    def way(self) -> Floats:
        """How far it is behind each cell but the last to the next one's first point."""
        return np.maximum(self.first[1:] - self.last[:-1], 0.0)


def wasserstein(pair: Pair) -> Floats:
    """∫ |F_window - F_baseline| dx, float64[F], in the unit of the values."""
    steps = Steps.of(pair)
    return dot(np.abs(steps.inside), steps.width) + dot(np.abs(steps.behind[:-1]), steps.way)


def energy(pair: Pair) -> Floats:
    """2 ∫ (F_window - F_baseline)² dx, float64[F].

    A bin of many values is no point here: the square of a gap that only a part of its rows makes would be that of all of them.
    Its gap runs from the one edge to the other as a parabola, with the area that the means tell.
    """
    steps, bins = Steps.of(pair), Bins.of(pair)
    curved = bins.are_many(pair)
    squares = steps.inside**2 * steps.width
    for found, inner in (
        (squares, _curve(pair, steps, bins)),
        (steps.first, bins.low),
        (steps.last, bins.high),
    ):
        np.copyto(found[1:-1], inner, where=curved)
    between = dot(steps.behind[:-1] ** 2, steps.way)
    area: Floats = squares.sum(axis=0) + between
    return 2 * area


class Bins(NamedTuple):
    """Where the rows of each bin lie, float64[K_max, F].

    Attributes:
        low: from there on.
        high: to there.
        known: mean of the baseline's; of the window's, where it has none.
        seen: likewise of the window's.
    """

    low: Floats
    high: Floats
    known: Floats
    seen: Floats

    @classmethod
    def of(cls, pair: Pair) -> Bins:
        """From edge to edge, or three times as far from one of them as the means, if that is less."""
        left, right = pair.block.edges[:-1], pair.block.edges[1:]
        known, seen = (np.maximum(mean[1:-1], left) for mean in _points(pair))
        from_left = np.maximum(known, seen) - left
        from_right = right - np.minimum(known, seen)
        # The last bin of a long tail is wide, and nearly empty but for its begin.
        high = np.minimum(right, left + 3 * from_left)
        low = np.maximum(left, right - 3 * from_right)
        return cls(low, high, known, seen)

    def are_many(self, pair: Pair) -> Mask:
        """Bins that hold rows of more than one value, as far as can be told."""
        met = pair.both[1:-3] > 0
        return met & ~pair.single & (self.width > 0)

    @property
    def width(self) -> Floats:
        """How far it is from ``low`` to ``high``; not above 0 in padding."""
        return self.high - self.low


def _curve(pair: Pair, steps: Steps, bins: Bins) -> Floats:
    """Integral of the square of each bin's gap, float64[K_max, F]: of a + (c - a) u + 6 b u (1 - u), u from 0 to 1."""
    a, c = steps.before[1:-1], steps.behind[1:-1]
    safe = np.where(bins.width > 0, bins.width, 1.0)
    bulge = a - (a + c) / 2 + _moved(pair, bins) / safe
    straight = (a * a + a * c + c * c) / 3
    return safe * (straight + bulge * (a + c) + 1.2 * bulge * bulge)


def _moved(pair: Pair, bins: Bins) -> Floats:
    """Area that the rows of each bin alone make. Whatever lies where: the area below a side's F is that of its mean."""
    q = _shares(pair.window, pair)[1:-1]
    p = _shares(pair.baseline, pair)[1:-1]
    return q * (bins.high - bins.seen) - p * (bins.high - bins.known)


def expected_wasserstein(pair: Pair) -> Floats:
    """Mean of ``wasserstein`` under no change, but for what cells hide: ∫ √(2 F(1-F) s/π) dx with the pooled F."""
    share, way, scale = _pooled(pair)
    spread = np.sqrt(np.maximum(share * (1 - share), 0.0))
    return dot(spread, way) * np.sqrt(scale * (2 / math.pi))


def expected_energy(pair: Pair) -> Floats:
    """Mean of ``energy`` under no change, likewise: 2 s ∫ F(1-F) dx."""
    share, way, scale = _pooled(pair)
    return 2 * dot(share * (1 - share), way) * scale


def _pooled(pair: Pair) -> tuple[Floats, Floats, Floats]:
    """F of both sides together behind each cell but the last, the way to the next one's mean, and 1/n + 1/m."""
    n, m = _numbers(pair.window, pair), _numbers(pair.baseline, pair)
    share = cumulated(pair.both[:-2] / (n + m))
    points = _pooled_points(pair)
    first, last = _order(points, points)
    way = np.maximum(first[1:] - last[:-1], 0.0)
    return np.minimum(share[:-1], 1.0), way, 1 / n + 1 / m


def _pooled_points(pair: Pair) -> Floats:
    """Mean of both sides' rows of each cell, -inf where there are none."""
    rows = pair.both[:-2]
    known, seen = _points(pair)
    weight = pair.window[:-2] / np.maximum(rows, 1.0)
    apart = np.where(rows > 0, seen, 0.0) - np.where(rows > 0, known, 0.0)
    points: Floats = known + weight * apart
    return points


def _points(pair: Pair) -> tuple[Floats, Floats]:
    """Where each side's rows of a cell stand, -inf where neither has any; a side without stands with the other."""
    assert pair.means is not None
    there, here = pair.baseline[:-2] > 0, pair.window[:-2] > 0
    known, seen = pair.means.baseline[:-2], pair.means.window[:-2]
    other = np.where(here, seen, -np.inf)
    return np.where(there, known, other), np.where(here, seen, np.where(there, known, -np.inf))


def _order(first: Floats, last: Floats) -> tuple[Floats, Floats]:
    """The points of each cell with empty ones where the one before ends, so that nothing lies between."""
    met = np.where(first > -np.inf, first, np.inf).min(axis=0)
    begin = np.where(met < np.inf, met, 0.0)
    last = np.maximum.accumulate(np.maximum(last, begin))
    first = np.where(first > -np.inf, first, last)
    return np.minimum(np.maximum(first, begin), last), last


def _shares(rows: Floats, pair: Pair) -> Floats:
    return rows[:-2] / _numbers(rows, pair)


def _numbers(rows: Floats, pair: Pair) -> Floats:
    """Rows that hold a number, float64[F]; NaN where there are none."""
    found = rows[:-2].sum(axis=0)
    return np.where(pair.numeric & (found > 0), found, np.nan)
