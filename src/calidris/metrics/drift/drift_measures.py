"""The measures of drift, each a function of a ``Pair`` to float64[F]; NaN where it is not defined.

Notation: p, q shares of a cell in the baseline (m rows) and in the window (n rows), K cells, s = 1/n + 1/m. Means under
"no change" are first order in s: n times the shares should be a handful at least in most cells.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln

from calidris.batch import Floats
from calidris.metrics.drift.histograms import Pair, dot, total
from calidris.metrics.drift.ordered_measures import (
    energy,
    expected_energy,
    expected_wasserstein,
    kolmogorov_smirnov,
    wasserstein,
)
from calidris.metrics.intervals import Z95, Bounds

KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2.0)
"""Mean of Kolmogorov's distribution."""

CHANGED_NOISE = 0.2
"""Share of the noise of no change that a change may add to it: at two rows a level it read .1 too much, simulated."""

LARGEST_GROWTH = 12.0
"""Of the variance of PSI with PSI, in 1/n + 1/m: three times that of a small change."""

_TINY = float(np.finfo(np.float64).tiny)


def psi(pair: Pair) -> Floats:
    """Population stability index, Σ (q-p) ln(q/p) on smoothed shares: Jeffreys' divergence, in nats.

    Under no change it is s times a χ² of K-1 degrees: 0.2 is far out at n = 5000 and ordinary at n = 50 (B. Yurdakul,
    2018). The half a row added to each cell keeps empty ones finite without a floor that would set the result.
    Of one feature between two periods the same figure is called CSI, characteristic stability index.
    """
    # Equal shares may leave a rounding error below zero.
    return np.maximum(pair.smoothed.q_log - pair.smoothed.p_log, 0.0)


def psi_debiased(pair: Pair) -> Floats:
    """PSI less what it reads on average where nothing has changed, so about 0 then at every n; may be negative."""
    return psi(pair) - pair.psi_noise.mean


def psi_bounds(pair: Pair) -> Bounds:
    """95 % interval around ``psi_debiased``: each PSI that the figure is within 1.96 standard deviations of, were it the true one.

    Their variance is that of no change and about 4 d s more at a true PSI of d, so a figure near 0 reaches far up: read off at the figure
    itself, it held a small change of two levels in 66 % of windows of 100 rows.
    """
    value, noise, growth = psi_debiased(pair), pair.psi_noise.variance, _psi_growth(pair)
    shift = Z95**2 * growth / 2
    # (value - d)² = 1.96² (noise + growth d), solved for d.
    half = np.sqrt(np.maximum(Z95**2 * (noise + growth * value) + shift**2, 0.0))
    lower = value + shift - half - CHANGED_NOISE * (pair.cells - 1) * pair.s
    return np.minimum(lower, value), np.maximum(value + shift + half, value)


def psi_error(pair: Pair) -> Floats:
    """Standard error of ``psi_debiased``: its standard deviation if the figure were the true one."""
    return np.sqrt(pair.psi_noise.variance + _psi_growth(pair) * np.maximum(psi_debiased(pair), 0.0))


def _psi_growth(pair: Pair) -> Floats:
    """How fast the variance of PSI grows with PSI: 4 s where it is small, and by the delta method where it is not.

    With r = q/p the delta method takes the variance of ln r + 1 - 1/r over q, and that of 1 - r - ln r over p; both are
    expanded into sums that are there already. It is estimated 4(K-1)s² too high near no change; that much is taken off.
    """
    sums = pair.smoothed
    jeffreys = sums.q_log - sums.p_log
    window = sums.q_log2 + sums.p_inverse - 1 + 2 * jeffreys - sums.q_log**2
    baseline = sums.p_log2 + sums.q_ratio - 1 + 2 * jeffreys - sums.p_log**2
    more = window / pair.n + baseline / pair.m - 4 * (pair.cells - 1) * pair.s**2
    # A change as small as its noise says nothing of how its variance grows.
    known = np.maximum(psi_debiased(pair), (pair.cells - 1) * pair.s)
    return np.clip(more / np.maximum(known, _TINY), 4 * pair.s, LARGEST_GROWTH * pair.s)


def kl(pair: Pair) -> Floats:
    """Kullback-Leibler divergence of the window from the baseline, Σ q ln(q/p) on smoothed shares, in nats."""
    return np.maximum(pair.smoothed.q_log, 0.0)


def js(pair: Pair) -> Floats:
    """Jensen-Shannon divergence, ½ KL(p‖M) + ½ KL(q‖M) with M = (p+q)/2, in nats: 0 to ln 2 (J. Lin, 1991).

    With t = (q-p)/(q+p) a side's share is M(1±t), so it is ½ Σ M ((1-t) ln(1-t) + (1+t) ln(1+t)).
    """
    middle = pair.p + pair.q
    t = pair.difference / np.maximum(middle, _TINY)
    parts = _x_log_x(1 - t)
    parts += _x_log_x(1 + t)
    return np.maximum(0.25 * dot(middle, parts), 0.0)


def hellinger(pair: Pair) -> Floats:
    """Hellinger distance, √(½ Σ (√p-√q)²): 0 to 1."""
    gap = np.sqrt(pair.p)
    gap -= np.sqrt(pair.q)
    return np.sqrt(0.5 * dot(gap, gap))


def total_variation(pair: Pair) -> Floats:
    """Total variation, ½ Σ |p-q|: the share of rows that would have to move; 0 to 1."""
    return 0.5 * total(np.abs(pair.difference))


def chi2(pair: Pair) -> Floats:
    """Pearson's two-sample statistic with K-1 degrees. Not an effect size: it grows with n at equal distance."""
    scaled = pair.difference / np.maximum(pair.both, 0.5)
    return dot(scaled, pair.difference) * (pair.n + pair.m) / pair.s


def g(pair: Pair) -> Floats:
    """G, the two-sample likelihood ratio 2 Σ count ln(share / pooled share) with K-1 degrees; no effect size either.

    S. S. Wilks, Annals of Mathematical Statistics 1938. Prefer χ² where cells hold less than five rows.
    """
    rows = pair.n + pair.m
    window = _count_log(pair.window, pair.n) + _count_log(pair.baseline, pair.m) - _count_log(pair.both, rows)
    return np.maximum(2 * window, 0.0) + 0.0 * pair.s


def _count_log(counts: Floats, rows: Floats) -> Floats:
    """Σ count ln(count / rows)."""
    return dot(counts, np.log(np.maximum(counts, 1.0))) - rows * np.log(np.maximum(rows, 1.0))


def _x_log_x(x: Floats) -> Floats:
    # 0 ln 0 = 0: an empty cell may carry any finite logarithm.
    log = np.log(np.maximum(x, _TINY))
    log *= x
    return log


def _degrees(factor: float) -> Callable[[Pair], Floats]:
    """Mean under no change of a measure that is ``factor * s`` times a χ² of K-1 degrees."""
    return lambda pair: factor * pair.s * (pair.cells - 1)


def _expected_hellinger(pair: Pair) -> Floats:
    # The root of s/8 times a χ² of d degrees has the mean of a χ of d degrees; d = 0 is exactly 0.
    d = np.maximum(pair.cells - 1, 1.0)
    chi = math.sqrt(2.0) * np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return np.where(pair.cells > 1, np.sqrt(pair.s / 8) * chi, 0.0 * pair.s)


def _expected_total_variation(pair: Pair) -> Floats:
    pooled = pair.both * (1 / (pair.n + pair.m))
    # Rounding may leave a share a hair above 1.
    pooled *= np.maximum(1 - pooled, 0.0)
    return total(np.sqrt(pooled, out=pooled)) * np.sqrt(pair.s / (2 * math.pi))


class Measure(NamedTuple):
    """A measure, what it reads on average under no change, its 95 % interval where one is known, and its standard error."""

    value: Callable[[Pair], Floats]
    expected: Callable[[Pair], Floats]
    bounds: Callable[[Pair], Bounds] | None = None
    error: Callable[[Pair], Floats] | None = None


LENGTHS = frozenset({"wasserstein", "energy"})
"""Measures of how far values have moved."""

MEASURES: dict[str, Measure] = {
    "psi": Measure(psi, _degrees(1.0)),
    "psi_debiased": Measure(psi_debiased, _degrees(0.0), psi_bounds, psi_error),
    "kl": Measure(kl, _degrees(0.5)),
    "js": Measure(js, _degrees(0.125)),
    "hellinger": Measure(hellinger, _expected_hellinger),
    "total_variation": Measure(total_variation, _expected_total_variation),
    "chi2": Measure(chi2, lambda pair: pair.cells - 1 + 0.0 * pair.s),
    "g": Measure(g, lambda pair: pair.cells - 1 + 0.0 * pair.s),
    # The mean of a continuous variable's statistic: on bins the truth is lower.
    "ks": Measure(kolmogorov_smirnov, lambda pair: np.where(pair.numeric, KOLMOGOROV_MEAN * np.sqrt(pair.s), np.nan)),
    "wasserstein": Measure(wasserstein, expected_wasserstein),
    "energy": Measure(energy, expected_energy),
}
"""Every measure by its name on the wire (``ml.drift.measure``)."""
