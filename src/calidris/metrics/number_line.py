"""Measures of drift that need an order and a length: Kolmogorov-Smirnov and Wasserstein on the bins of numeric fields."""

from __future__ import annotations

import math

import numpy as np

from calidris.batch import Floats
from calidris.metrics.histograms import Pair, total


def kolmogorov_smirnov(pair: Pair) -> Floats:
    """Largest distance of the cumulated shares at the bins' edges, 0 to 1; NaN where the field is not numeric.

    Missing and wrong-typed values stand beyond the largest number. Never above the statistic of the raw values, and
    below it by no more than the largest share of one bin.
    """
    distance = np.abs(np.cumsum(pair.difference, axis=0)).max(axis=0)
    return np.where(pair.numeric, distance, np.nan)


def wasserstein(pair: Pair) -> Floats:
    """Wasserstein-1 distance of the numbers in units of the baseline's interquartile range; NaN where there is none.

    ∫ |F_window - F_baseline| dx with values spread evenly inside a bin and those out of range standing on the outer edge,
    so an excursion counts up to the edge. Missing and wrong-typed values have no place on the line and are left out.
    Spreading moves no value further than its bin is wide.
    """
    n, m = _numbers(pair.line_window, pair), _numbers(pair.line_baseline, pair)
    gap = pair.line_window[:-1] / n - pair.line_baseline[:-1] / m
    area = total(_mean_absolute(gap) * pair.block.widths)
    return area / interquartile_range(pair)


def expected_wasserstein(pair: Pair) -> Floats:
    """Mean of ``wasserstein`` under no change: ∫ √(2 F(1-F) s/π) dx with the pooled F, n and m counting numbers only."""
    n, m = _numbers(pair.line_window, pair), _numbers(pair.line_baseline, pair)
    pooled = (pair.line_window[:-1] + pair.line_baseline[:-1]) / (n + m)
    # Rounding may leave a share a hair above 1.
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 0.0))
    area = total((spread[:-1] + spread[1:]) * pair.block.widths) / 2
    return area * np.sqrt((1 / n + 1 / m) * (2 / math.pi)) / interquartile_range(pair)


def interquartile_range(pair: Pair) -> Floats:
    """Distance of the quartiles of the baseline's numbers, interpolated inside bins, float64[F].

    NaN without numbers, and where half of them are one value: a bin as wide as the rounding of its edges is no scale.
    """
    m = _numbers(pair.line_baseline, pair)
    iqr = _quantile(pair, 0.75 * m) - _quantile(pair, 0.25 * m)
    edges = pair.block.edges
    rounding = np.maximum(1e-12 * np.maximum(np.abs(edges[0]), np.abs(edges[-1])), np.finfo(np.float64).tiny)
    return np.where(iqr > rounding, iqr, np.nan)


def _numbers(line: Floats, pair: Pair) -> Floats:
    """Rows that hold a number, float64[F]; NaN where there are none."""
    return np.where(pair.numeric, _positive(line[-1]), np.nan)


def _positive(values: Floats) -> Floats:
    return np.where(values > 0, values, np.nan)


def _mean_absolute(x: Floats) -> Floats:
    """Mean of |x| on the straight way from each row to the next."""
    size = np.abs(x)
    sums = size[:-1] + size[1:]
    # Where x changes sign, the two triangles have the area (a² + b²) / 2(|a| + |b|) = sum/2 - |ab|/sum.
    crossing = np.minimum(x[:-1] * x[1:], 0.0)
    mean: Floats = sums / 2 + crossing / (sums + (sums == 0))
    return mean


def _quantile(pair: Pair, target: Floats) -> Floats:
    """The point that ``target`` baseline rows lie at or below, float64[F]: an outer edge, or inside a bin."""
    line = pair.line_baseline[:-1]
    # How many edges have too few rows below them: none is on the first edge, all of them over the last.
    right = np.minimum((line < target).sum(axis=0), len(line) - 1)
    left = np.maximum(right - 1, 0)
    columns = np.arange(line.shape[1])
    start, stop = line[left, columns], line[right, columns]
    part = (target - start) / np.where(stop > start, stop - start, np.inf)
    a, b = pair.block.edges[left, columns], pair.block.edges[right, columns]
    point: Floats = a + np.clip(part, 0.0, 1.0) * (b - a)
    return point
