"""Rates of groups side by side: shrunk, each against all the others, and whether they differ at all."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import chdtrc, ndtri

from calidris.batch import Floats, Ints
from calidris.metrics.intervals import difference_interval, newcombe, ratio_interval, wilson
from calidris.metrics.score_bins import Estimate, Significance


class Rates(NamedTuple):
    """Rows of some kind in each group, and how many of them count; float64 or int64[groups] each."""

    successes: Ints | Floats
    rows: Ints | Floats

    @property
    def share(self) -> Floats:
        """Raw rate of each group; NaN without rows."""
        rows = np.asarray(self.rows, np.float64)
        share: Floats = np.asarray(self.successes, np.float64) / np.where(rows > 0, rows, np.nan)
        return share


class Shrinkage(NamedTuple):
    """Rates drawn towards their mean by as much as their spread is noise.

    Attributes:
        rate: (k + κμ) / (n + κ) of each group, float64[groups].
        mean: μ, the mean rate.
        strength: κ, the rows that the mean is worth; infinite where nothing but noise is seen.
    """

    rate: Floats
    mean: float
    strength: float


def shrunk(rates: Rates) -> Shrinkage:
    """Rates of a beta-binomial model fitted by moments; the largest of them is not the noisiest one any more.

    κ solves for the spread that is left between groups when binomial noise is taken off. J. C. Kleinman, JASA 1973.

    >>> shrunk(Rates(np.array([1, 50]), np.array([2, 100]))).rate.round(3).tolist()
    [0.5, 0.5]
    """
    k, n = np.asarray(rates.successes, np.float64), np.asarray(rates.rows, np.float64)
    total = n.sum()
    if total == 0:
        return Shrinkage(np.full(len(n), math.nan), math.nan, math.inf)
    mean = float(k.sum() / total)
    share = np.where(n > 0, k / np.where(n > 0, n, 1.0), mean)
    # E Σ n (share - mean)² = mean (1 - mean) ((groups - 1) + ρ (total - Σn²/total - (groups - 1)))
    groups = float((n > 0).sum())
    spread, binomial = float((n * (share - mean) ** 2).sum()), mean * (1 - mean)
    variance_left = float(total - (n**2).sum() / total - (groups - 1))
    likeness = (spread / binomial - (groups - 1)) / variance_left if binomial > 0 and variance_left > 0 else 0.0
    likeness = min(max(likeness, 0.0), 1.0)
    if likeness == 0.0:
        return Shrinkage(np.full(len(n), mean), mean, math.inf)
    strength = 1 / likeness - 1
    return Shrinkage((k + strength * mean) / np.maximum(n + strength, 1e-300), mean, strength)


def against_rest(rates: Rates, comparisons: int | None = None) -> tuple[Floats, Floats, Floats]:
    """Rate of each group less that of all others together, with Newcombe's interval; float64[groups] each.

    All intervals hold together at the 95 % level: that of each is 1 - 5 % over ``comparisons``, by default the groups
    that have rows on both sides.
    """
    k, n = np.asarray(rates.successes, np.float64), np.asarray(rates.rows, np.float64)
    others_k, others_n = k.sum() - k, n.sum() - n
    compared = int(((n > 0) & (others_n > 0)).sum()) if comparisons is None else comparisons
    lower, upper = newcombe(k, n, others_k, others_n, simultaneous_z(compared))
    return Rates(k, n).share - Rates(others_k, others_n).share, lower, upper


def largest_difference(rates: Rates, families: int = 1) -> Estimate:
    """Largest less smallest rate, with bounds that hold for all pairs of groups together at the 95 % level.

    Of two groups it is Newcombe's interval of their difference. Of more, the difference is biased upwards, for the extremes
    are picked after looking: the lower bound is the largest that any pair supports, 0 where none does.

    Args:
        rates: the groups; those without rows are left out.
        families: sets of pairs whose bounds are to hold together.
    """
    share, first, second = _pairs(rates)
    if len(share) < 2:
        return Estimate(math.nan)
    (k1, n1), (k2, n2) = first, second
    lower, upper = newcombe(k1, n1, k2, n2, simultaneous_z(families * len(k1)))
    return _spanning(float(share.max() - share.min()), lower, upper)


def _spanning(value: float, lower: Floats, upper: Floats) -> Estimate:
    """Bounds of the largest difference from those of each pair, whose sign is either."""
    low, high = max(float(lower.max()), float((-upper).max()), 0.0), max(float(upper.max()), float((-lower).max()))
    # Of equal groups rounding may put the value a hair out of its bounds.
    return Estimate(value, min(low, value), max(high, value))


def smallest_ratio(rates: Rates) -> Estimate:
    """Smallest over largest rate, with bounds that hold for all pairs together at the 95 % level; NaN where all are 0."""
    share, first, second = _pairs(rates)
    if len(share) < 2 or share.max() == 0:
        return Estimate(math.nan)
    (k1, n1), (k2, n2) = first, second
    z = simultaneous_z(len(k1))
    ends = [ratio_interval(k1, n1, k2, n2, z), ratio_interval(k2, n2, k1, n1, z)]
    value = float(share.min() / share.max())
    lower, upper = (float(min(end[i].min() for end in ends)) for i in (0, 1))
    return Estimate(value, min(lower, value), max(min(upper, 1.0), value))


def homogeneity(rates: Rates) -> Significance:
    """Pearson's χ² of equal rates over the groups that have rows, with one degree less than groups.

    One look at one window. Needs a handful of expected rows of both kinds in most groups.
    """
    k, n = (np.asarray(x, np.float64)[np.asarray(rates.rows) > 0] for x in rates)
    mean = k.sum() / n.sum() if len(n) else 0.0
    if len(n) < 2 or not 0 < mean < 1:
        return Significance(math.nan, math.nan)
    statistic = float(((k - n * mean) ** 2 / (n * mean * (1 - mean))).sum())
    return Significance(statistic, float(chdtrc(len(n) - 1, statistic)))


def between_spread(rates: Rates) -> float:
    """Standard deviation of the true rates between groups that binomial noise does not explain (beta-binomial moments)."""
    found = shrunk(rates)
    if math.isnan(found.mean):
        return math.nan
    return math.sqrt(found.mean * (1 - found.mean) / (found.strength + 1)) if math.isfinite(found.strength) else 0.0


def mean_differences(mean: Floats, error: Floats) -> Estimate:
    """Largest less smallest of some normal means with standard errors, bounds for all pairs together."""
    i, j = np.triu_indices(len(mean), 1)
    if not len(i):
        return Estimate(math.nan)
    z = simultaneous_z(len(i))
    lower, upper = difference_interval(
        mean[i],
        (mean[i] - z * error[i], mean[i] + z * error[i]),
        mean[j],
        (mean[j] - z * error[j], mean[j] + z * error[j]),
    )
    return _spanning(float(np.ptp(mean)), lower, upper)


def simultaneous_z(comparisons: int) -> float:
    """Normal quantile at which that many two-sided intervals hold together at the 95 % level (Bonferroni).

    >>> round(simultaneous_z(1), 4), round(simultaneous_z(10), 4)
    (1.96, 2.807)
    """
    return float(-ndtri(0.025 / max(comparisons, 1)))


def _pairs(rates: Rates) -> tuple[Floats, tuple[Floats, Floats], tuple[Floats, Floats]]:
    """Rates of the groups with rows, and successes and rows of the first and second of each pair of them."""
    k, n = (np.asarray(x, np.float64)[np.asarray(rates.rows) > 0] for x in rates)
    i, j = np.triu_indices(len(n), 1)
    return k / n, (k[i], n[i]), (k[j], n[j])


def single_intervals(rates: Rates) -> tuple[Floats, Floats]:
    """Wilson's interval of each group's raw rate, float64[groups] each; NaN without rows."""
    return wilson(rates.successes, rates.rows)
