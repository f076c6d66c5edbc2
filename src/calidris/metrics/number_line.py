"""Measures of drift that need an order and a length: Kolmogorov-Smirnov and Wasserstein on the bins of numeric fields."""

from __future__ import annotations

import math

import numpy as np

from calidris.batch import Floats
from calidris.metrics.histograms import Pair, cumulated, total


def kolmogorov_smirnov(pair: Pair) -> Floats:
    """Largest distance of the cumulated shares at the bins' edges, 0 to 1; NaN where the field is not numeric.

    Missing and wrong-typed values stand beyond the largest number. Never above the statistic of the raw values, and
    below it by no more than the largest share of one bin.
    """
    distance = np.abs(cumulated(pair.difference)).max(axis=0)
    return np.where(pair.numeric, distance, np.nan)


def wasserstein(pair: Pair) -> Floats:
    """Wasserstein-1 distance of the numbers in units of the baseline's interquartile range; NaN where there is none.

    ∫ |F_window - F_baseline| dx with values spread evenly inside a bin and those out of range standing on the outer edge,
    so an excursion counts up to the edge. Missing and wrong-typed values have no place on the line and are left out.
    Spreading moves no value further than its bin is wide.
    """
    n, m = _numbers(pair.line_window, pair), _numbers(pair.line_baseline, pair)
    gap = pair.line_window[:-1] / n - pair.line_baseline[:-1] / m
    area = total(_twice_mean_absolute(gap) * pair.block.widths) / 2
    return area / pair.iqr


def expected_wasserstein(pair: Pair) -> Floats:
    """Mean of ``wasserstein`` under no change: ∫ √(2 F(1-F) s/π) dx with the pooled F, n and m counting numbers only."""
    n, m = _numbers(pair.line_window, pair), _numbers(pair.line_baseline, pair)
    pooled = (pair.line_window[:-1] + pair.line_baseline[:-1]) / (n + m)
    # Rounding may leave a share a hair above 1.
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 0.0))
    area = total((spread[:-1] + spread[1:]) * pair.block.widths) / 2
    return area * np.sqrt((1 / n + 1 / m) * (2 / math.pi)) / pair.iqr


def _numbers(line: Floats, pair: Pair) -> Floats:
    """Rows that hold a number, float64[F]; NaN where there are none."""
    return np.where(pair.numeric & (line[-1] > 0), line[-1], np.nan)


def _twice_mean_absolute(x: Floats) -> Floats:
    """Twice the mean of |x| on the straight way from each row to the next."""
    size = np.abs(x)
    sums: Floats = size[:-1] + size[1:]
    # Where x changes sign, the two triangles have the area (a² + b²) / 2(|a| + |b|) = sum/2 - |ab|/sum.
    crossing = np.minimum(x[:-1] * x[1:], 0.0)
    crossing *= 2.0
    crossing /= sums + (sums == 0)
    sums += crossing
    return sums
