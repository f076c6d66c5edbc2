"""Measures of drift that need an order and a length: Kolmogorov-Smirnov, Wasserstein and energy on the bins of numeric fields."""

from __future__ import annotations

import math

import numpy as np

from calidris.batch import Floats
from calidris.metrics.drift import lengths
from calidris.metrics.drift.histograms import Pair, dot

_TINY = float(np.finfo(np.float64).tiny)


def kolmogorov_smirnov(pair: Pair) -> Floats:
    """Largest distance of the cumulated shares at the bins' edges, 0 to 1; NaN where the field is not numeric.

    Missing and wrong-typed values stand beyond the largest number. Never above the statistic of the raw values, and
    below it by no more than the largest share of one bin.
    """
    gap = _gap(pair, pair.n, pair.m)
    # Behind all numbers, and behind the wrong-typed values; behind the missing ones both sides are 1.
    end = gap[-1]
    distance = np.maximum(np.abs(gap).max(axis=0), np.abs(end + pair.difference[-2]))
    return np.where(pair.numeric & (pair.n > 0) & (pair.m > 0), distance, np.nan)


def wasserstein(pair: Pair) -> Floats:
    """Wasserstein-1 distance of the numbers in units of the baseline's interquartile range; NaN where there is none.

    ∫ |F_window - F_baseline| dx with the values of each cell, also of those out of range, at their mean on either side. Where means are
    not known values are spread evenly inside a bin and those out of range stand on the outer edge, so that an excursion counts up
    to the edge. Missing and wrong-typed values have no place on the line and are left out.
    """
    if pair.means is not None:
        return lengths.wasserstein(pair) / pair.iqr
    size = _number_gap(pair)
    product = size[:-1] * size[1:]
    np.abs(size, out=size)
    sums = size[:-1] + size[1:]
    # Where the gap changes sign, the two triangles have the area (a² + b²) / 2(|a| + |b|) = sum/2 - |ab|/sum.
    np.minimum(product, 0.0, out=product)
    product *= 2.0
    product /= np.maximum(sums, _TINY)
    sums += product
    return dot(sums, pair.block.widths) / (2 * pair.iqr)


def expected_wasserstein(pair: Pair) -> Floats:
    """Mean of ``wasserstein`` under no change: ∫ √(2 F(1-F) s/π) dx with the pooled F, n and m counting numbers only."""
    if pair.means is not None:
        return lengths.expected_wasserstein(pair) / pair.iqr
    spread = _pooled_line(pair)
    spread *= 1 - spread
    np.sqrt(spread, out=spread)
    area = dot(spread[:-1] + spread[1:], pair.block.widths) / 2
    return area * np.sqrt(_scale(pair) * (2 / math.pi)) / pair.iqr


def energy(pair: Pair) -> Floats:
    """Energy distance of the numbers, 2 ∫ (F_window - F_baseline)² dx, in units of the baseline's interquartile range.

    Values stand as in ``wasserstein``; scipy's ``energy_distance`` is the root of it, times √IQR.
    G. J. Székely & M. L. Rizzo, Journal of Statistical Planning and Inference 2013.
    """
    if pair.means is not None:
        return lengths.energy(pair) / pair.iqr
    gap = _number_gap(pair)
    a, b = gap[:-1], gap[1:]
    # The square of a straight line integrates to (a² + ab + b²)/3 of the width.
    squares = a * a
    squares += a * b
    squares += b * b
    return dot(squares, pair.block.widths) * (2 / 3) / pair.iqr


def expected_energy(pair: Pair) -> Floats:
    """Mean of ``energy`` under no change, exact for counts: 2s/3 Σ width (A(1-A) + A(1-B) + B(1-B)).

    A and B are the pooled F at the ends of a bin, n and m count numbers only.
    """
    if pair.means is not None:
        return lengths.expected_energy(pair) / pair.iqr
    share = _pooled_line(pair)
    beyond = 1 - share
    a, b = share[:-1], share[1:]
    spread = a * beyond[:-1]
    spread += a * beyond[1:]
    spread += b * beyond[1:]
    return dot(spread, pair.block.widths) * (2 / 3) * _scale(pair) / pair.iqr


def _number_gap(pair: Pair) -> Floats:
    """``F_window - F_baseline`` of the numbers at the edges, float64[K_max + 1, F]."""
    return _gap(pair, _numbers(pair.line_window, pair), _numbers(pair.line_baseline, pair))[:-1]


def _gap(pair: Pair, n: Floats, m: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = pair.line_window * (1 / n)
        gap -= pair.line_baseline * (1 / m)
    return gap


def _pooled_line(pair: Pair) -> Floats:
    """F of both sides' numbers taken together at the edges, float64[K_max + 1, F]."""
    rows = _numbers(pair.line_window, pair) + _numbers(pair.line_baseline, pair)
    pooled = pair.line_window[:-1] + pair.line_baseline[:-1]
    pooled *= 1 / rows
    # Rounding may leave a share a hair above 1.
    return np.minimum(pooled, 1.0, out=pooled)


def _scale(pair: Pair) -> Floats:
    """1/n + 1/m, counting numbers only."""
    return 1 / _numbers(pair.line_window, pair) + 1 / _numbers(pair.line_baseline, pair)


def _numbers(line: Floats, pair: Pair) -> Floats:
    """Rows that hold a number, float64[F]; NaN where there are none."""
    return np.where(pair.numeric & (line[-1] > 0), line[-1], np.nan)
