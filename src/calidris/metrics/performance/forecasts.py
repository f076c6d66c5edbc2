"""Calibration of a regression that says how sure it is: coverage of its quantiles, PIT histogram, CRPS.

The inputs are plain sums over labelled rows, so windows merge by adding them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import chdtrc

from calidris.batch import Floats, Ints
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import Performance, proportion
from calidris.metrics.score_bins import Estimate, Significance


def quantile_coverage(at_or_below: int, n: int) -> Performance:
    """Share of truths at or below a predicted quantile, Wilson interval: calibrated where it holds the quantile's level."""
    return proportion(at_or_below, n)


def interval_coverage(inside: int, n: int) -> Performance:
    """Share of truths inside a predicted interval, Wilson interval: calibrated where it holds the interval's level."""
    return proportion(inside, n)


def pit_test(counts: Ints) -> Significance:
    """χ² of a histogram of F(truth) against the uniform one, with K-1 degrees; NaN without rows.

    PIT values of a calibrated forecast are uniform: a hump says too wide, a bowl too narrow, a slope biased. One window
    only: what alerts on many is the detector on the same counts. A. P. Dawid, JRSS A 1984; F. X. Diebold, T. A. Gunther &
    A. S. Tay, International Economic Review 1998.

    Args:
        counts: rows in each of K equal parts of [0, 1], int64[K].
    """
    n, k = int(counts.sum()), len(counts)
    if n == 0 or k < 2:
        return Significance(math.nan, math.nan)
    statistic = float(((counts - n / k) ** 2).sum() * k / n)
    return Significance(statistic, float(chdtrc(k - 1, statistic)))


def pit_distance(counts: Ints) -> Estimate:
    """Σ (q - 1/K)² K less its mean when calibrated, (K-1)/n: about 0 for a calibrated forecast at every n.

    It is χ²/n without its bias. The interval holds each distance d that is within 1.96 √(2(K-1)/n² + 4d/n) of it.
    """
    test, n, k = pit_test(counts), int(counts.sum()), len(counts)
    if math.isnan(test.statistic):
        return Estimate(math.nan)
    value = (test.statistic - (k - 1)) / n
    noise, growth = Z95**2 * 2 * (k - 1) / n**2, Z95**2 * 4 / n
    half = math.sqrt(max(noise + growth * value + growth**2 / 4, 0.0))
    centre = value + growth / 2
    return Estimate(value, min(value, centre - half), centre + half)


def pinball(truth: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """Pinball loss of each row and quantile, float64[n, L]: (level - [truth < quantile]) (truth - quantile).

    Args:
        truth: float64[n].
        quantiles: float64[n, L].
        levels: float64[L], inside (0, 1) and ascending.

    >>> pinball([1.0, 3.0], [[2.0], [2.0]], [0.9]).round(3).tolist()
    [[0.1], [0.9]]
    """
    error = np.asarray(truth, np.float64)[:, None] - np.asarray(quantiles, np.float64)
    loss: Floats = error * (np.asarray(levels, np.float64) - (error < 0))
    return loss


def crps_rows(truth: npt.ArrayLike, quantiles: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """CRPS of each row from its quantiles, float64[n]: 2 ∫ pinball over the level, by the midpoint rule.

    Each level stands for the levels nearer to it than to another one, so any grid will do; with even levels
    (i - ½)/L it is (2/L) Σ pinball. With nineteen it is within 2 % for a normal forecast. J. E. Matheson & R. L. Winkler,
    Management Science 1976; T. Gneiting & A. E. Raftery, JASA 2007.
    """
    at = np.asarray(levels, np.float64)
    if not (len(at) and (np.diff(at) > 0).all() and at[0] > 0 and at[-1] < 1):
        raise ValueError("levels ascend inside (0, 1)")
    ends = np.concatenate([[0.0], (at[1:] + at[:-1]) / 2, [1.0]])
    rows: Floats = 2 * pinball(truth, quantiles, at) @ np.diff(ends)
    return rows
