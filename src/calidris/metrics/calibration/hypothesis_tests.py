"""Tests of calibration for one window, and the ratio of observed to expected outcomes.

A p-value speaks of one window that was chosen before looking. Over a stream of windows one in twenty is below 0.05 with
nothing wrong: what alerts is the evidence of ``calidris.detect``, never these.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import chdtrc, ndtr

from calidris.batch import Floats
from calidris.metrics.intervals import wilson
from calidris.metrics.score_bins import Estimate, Groups, Significance, equal_mass, fine, labelled
from calidris.state import Spec
from calidris.state.blocks.scores import BRIER2, P2, N, P

HOSMER_LEMESHOW_GROUPS = 10
_UNDEFINED = Significance(math.nan, math.nan)


def spiegelhalter(bins: Floats) -> Significance:
    """Spiegelhalter's Z: how far the Brier score is from its mean if scores were calibrated, in standard deviations.

    Σ(y-p)(1-2p) / √Σ(1-2p)²p(1-p), standard normal. The numerator is exact. The denominator needs Σp³, which the state does
    not keep: it is taken from each bin's mean and variance as if the scores of a bin were symmetric, which is within 2 % of
    the raw one and mostly within 0.1 %. Blind to errors that cancel, and no test of scores all at one half.
    D. J. Spiegelhalter, Statistics in Medicine 1986.
    """
    negative, positive = bins.sum(axis=1)
    total, total2 = negative[P] + positive[P], negative[P2] + positive[P2]
    numerator = positive[N] - total - 2 * positive[P] + 2 * total2
    cubes, fourths = _higher_sums(bins)
    variance = total - 5 * total2 + 8 * cubes - 4 * fourths
    if variance <= 1e-9 * max(labelled(bins), 1):
        return _UNDEFINED
    z = float(numerator / math.sqrt(variance))
    return Significance(z, float(2 * ndtr(-abs(z))))


def _higher_sums(bins: Floats) -> tuple[float, float]:
    """Σp³ and Σp⁴; the second follows from the first, because Σ(y-p)⁴ is kept."""
    rows = np.where(bins[..., N] > 0, bins[..., N], 1.0)
    mean = bins[..., P] / rows
    spread = np.maximum(bins[..., P2] / rows - mean**2, 0.0)
    cubes = bins[..., N] * (mean**3 + 3 * mean * spread)
    below, above = bins[0], bins[1]
    # (1-p)⁴ = 1 - 4p + 6p² - 4p³ + p⁴
    fourths = below[:, BRIER2] + above[:, BRIER2] - above[:, N] + 4 * above[:, P] - 6 * above[:, P2] + 4 * cubes[1]
    return float(cubes.sum()), float(fourths.sum())


def hosmer_lemeshow(bins: Floats) -> Significance:
    """Σ over ten groups of equal rows of n (ȳ-p̄)² / p̄(1-p̄), χ² with as many degrees as groups.

    One degree a group, not two less, because the model was not fitted on these rows. Shown because people ask for it: it
    depends on the groups, and at large n it rejects every model. Needs a handful of expected outcomes a group.
    D. W. Hosmer & S. Lemeshow, Communications in Statistics 1980.
    """
    groups = equal_mass(bins, HOSMER_LEMESHOW_GROUPS)
    variance = groups.score * (1 - groups.score)
    if not len(groups.rows) or (variance <= 0).any():
        return _UNDEFINED
    statistic = float((groups.rows * groups.gap**2 / variance).sum())
    return Significance(statistic, float(chdtrc(len(groups.rows), statistic)))


def cumulative_ks(bins: Floats) -> Significance:
    """Largest |Σ (y-p)| / n over all rows below a score: 0 is calibrated, and no choice of groups enters.

    Read at the edges of the bins, so never above that of the raw rows and below it by at most half the share of one bin.
    The p-value is that of the largest distance of a Brownian motion from its start, and a little large for the same reason.
    I. Arrieta-Ibarra, P. Gujral, J. Tannen, M. Tygert & C. Xu, "Metrics of calibration for probabilistic predictions",
    JMLR 2022.
    """
    path, spread = _path(bins)
    statistic = float(np.abs(path).max())
    return Significance(statistic, brownian_maximum(statistic / spread)) if spread > 0 else _UNDEFINED


def cumulative_kuiper(bins: Floats) -> Significance:
    """Range of Σ (y-p) / n over all rows below a score, start included: the largest |Σ (y-p)| / n of any score interval.

    As ``cumulative_ks``, with the range of a Brownian motion (W. Feller, Annals of Mathematical Statistics 1951).
    """
    path, spread = _path(bins)
    statistic = float(np.ptp(path))
    return Significance(statistic, brownian_range(statistic / spread)) if spread > 0 else _UNDEFINED


def _path(bins: Floats) -> tuple[Floats, float]:
    """Cumulated (y-p)/n from 0 on, and its standard deviation at the end if scores are calibrated."""
    groups: Groups = fine(bins)
    n = max(groups.n, 1.0)
    path = np.concatenate([[0.0], np.cumsum(-groups.rows * groups.gap) / n])
    variance = float(bins[..., P].sum() - bins[..., P2].sum())
    return path, math.sqrt(max(variance, 0.0)) / n


def brownian_maximum(x: float) -> float:
    """P(max |B(t)| over [0, 1] > x).

    >>> round(brownian_maximum(2.2414), 4)
    0.05
    """
    if x < 0.3:  # the chance is above 1 - 2e-5 there
        return 1.0
    odd, sign = 2 * np.arange(30) + 1, (-1.0) ** np.arange(30)
    if x > 1:  # each of the two series is fast where the other is not
        return float(4 * (sign * ndtr(-odd * x)).sum())
    return float(1 - 4 / math.pi * (sign / odd * np.exp(-((odd * math.pi / x) ** 2) / 8)).sum())


def brownian_range(x: float) -> float:
    """P(max B - min B over [0, 1] > x).

    >>> round(brownian_range(2.4977), 4)
    0.05
    """
    if x < 0.5:  # the chance is above 1 - 1e-6 there
        return 1.0
    k = np.arange(1, 61)
    return float(np.clip(8 * ((-1.0) ** (k - 1) * k * ndtr(-k * x)).sum(), 0.0, 1.0))


def observed_to_expected(bins: Floats, spec: Spec) -> Estimate:
    """Positive outcomes over the sum of scores: above 1 the scores are too low on average.

    Its interval is Wilson's for the outcome over the mean score, so it has a width at 0. Not defined where all scores are 0.
    """
    n, expected = labelled(bins), float(bins[..., P].sum())
    if n == 0 or expected <= 0:
        return Estimate(math.nan)
    positives = float(bins[1, :, N].sum())
    lower, upper = wilson(positives, n)
    return Estimate(positives / expected, float(lower) * n / expected, float(upper) * n / expected)
