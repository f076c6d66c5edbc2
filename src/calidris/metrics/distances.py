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
from calidris.metrics.histograms import Pair, total
from calidris.metrics.intervals import Z95
from calidris.metrics.number_line import expected_wasserstein, kolmogorov_smirnov, wasserstein

KOLMOGOROV_MEAN = math.sqrt(math.pi / 2) * math.log(2.0)
"""Mean of Kolmogorov's distribution."""


def psi(pair: Pair) -> Floats:
    """Population stability index, Σ (q-p) ln(q/p) on smoothed shares: Jeffreys' divergence, in nats.

    Under no change it is s times a χ² of K-1 degrees: 0.2 is far out at n = 5000 and ordinary at n = 50 (B. Yurdakul,
    2018). The half a row added to each cell keeps empty ones finite without a floor that would set the result.
    """
    return total((pair.smooth_q - pair.smooth_p) * pair.log_ratio)


def psi_debiased(pair: Pair) -> Floats:
    """PSI less the mean of its sampling noise (delta method), so about 0 under no change at every n; may be negative.

    PSI - (1/2n) Σ (1-q)(1+p/q) - (1/2m) Σ (1-p)(1+q/p), each sum being K - 2 + Σ p/q, or Σ q/p.
    """
    # No cell has a ratio of 1, which is taken off again.
    known = pair.cells - 2 - (len(pair.ratio) - pair.cells)
    window = (known + total(pair.inverse_ratio)) / (2 * pair.n)
    baseline = (known + total(pair.ratio)) / (2 * pair.m)
    return psi(pair) - window - baseline


def psi_half_width(pair: Pair) -> Floats:
    """Half of a 95 % interval around ``psi_debiased``: the noise of no change (2(K-1)s²) and the delta method's variance.

    The delta method's variance is estimated 4(K-1)s² too high near no change; that much is taken off.
    """
    window = _variance(pair.smooth_q, pair.log_ratio + 1 - pair.inverse_ratio)
    baseline = _variance(pair.smooth_p, 1 - pair.ratio - pair.log_ratio)
    delta = window / pair.n + baseline / pair.m
    noise = (pair.cells - 1) * pair.s**2
    return Z95 * np.sqrt(np.maximum(2 * noise, delta - 2 * noise))


def kl(pair: Pair) -> Floats:
    """Kullback-Leibler divergence of the window from the baseline, Σ q ln(q/p) on smoothed shares, in nats."""
    return total(pair.smooth_q * pair.log_ratio)


def js(pair: Pair) -> Floats:
    """Jensen-Shannon divergence, ½ KL(p‖M) + ½ KL(q‖M) with M = (p+q)/2, in nats: 0 to ln 2 (J. Lin, 1991)."""
    middle = (pair.p + pair.q) / 2 + pair.unseen
    return 0.5 * (total(_entropy_part(pair.p, middle)) + total(_entropy_part(pair.q, middle)))


def hellinger(pair: Pair) -> Floats:
    """Hellinger distance, √(½ Σ (√p-√q)²): 0 to 1."""
    return np.sqrt(0.5 * total((np.sqrt(pair.p) - np.sqrt(pair.q)) ** 2))


def total_variation(pair: Pair) -> Floats:
    """Total variation, ½ Σ |p-q|: the share of rows that would have to move; 0 to 1."""
    return 0.5 * total(np.abs(pair.difference))


def chi2(pair: Pair) -> Floats:
    """Pearson's two-sample statistic with K-1 degrees. Not an effect size: it grows with n at equal distance."""
    return total(pair.difference**2 / (pair.pooled + pair.unseen)) / pair.s


def _entropy_part(share: Floats, middle: Floats) -> Floats:
    # 0 ln 0 = 0: an empty cell may carry any finite logarithm.
    part: Floats = share * np.log(share / middle + (share == 0))
    return part


def _variance(weights: Floats, values: Floats) -> Floats:
    weighted = weights * values
    return total(weighted * values) - total(weighted) ** 2


def _degrees(factor: float) -> Callable[[Pair], Floats]:
    """Mean under no change of a measure that is ``factor * s`` times a χ² of K-1 degrees."""
    return lambda pair: factor * pair.s * (pair.cells - 1)


def _expected_hellinger(pair: Pair) -> Floats:
    # The root of s/8 times a χ² of d degrees has the mean of a χ of d degrees; d = 0 is exactly 0.
    d = np.maximum(pair.cells - 1, 1.0)
    chi = math.sqrt(2.0) * np.exp(gammaln((d + 1) / 2) - gammaln(d / 2))
    return np.where(pair.cells > 1, np.sqrt(pair.s / 8) * chi, 0.0 * pair.s)


def _expected_total_variation(pair: Pair) -> Floats:
    return total(np.sqrt(pair.pooled * (1 - pair.pooled))) * np.sqrt(pair.s / (2 * math.pi))


class Measure(NamedTuple):
    """A measure, what it reads on average under no change, and half of its 95 % interval where one is known."""

    value: Callable[[Pair], Floats]
    expected: Callable[[Pair], Floats]
    half_width: Callable[[Pair], Floats] | None = None


MEASURES: dict[str, Measure] = {
    "psi": Measure(psi, _degrees(1.0)),
    "psi_debiased": Measure(psi_debiased, _degrees(0.0), psi_half_width),
    "kl": Measure(kl, _degrees(0.5)),
    "js": Measure(js, _degrees(0.125)),
    "hellinger": Measure(hellinger, _expected_hellinger),
    "total_variation": Measure(total_variation, _expected_total_variation),
    "chi2": Measure(chi2, lambda pair: pair.cells - 1 + 0.0 * pair.s),
    # The mean of a continuous variable's statistic: on bins the truth is lower.
    "ks": Measure(kolmogorov_smirnov, lambda pair: np.where(pair.numeric, KOLMOGOROV_MEAN * np.sqrt(pair.s), np.nan)),
    "wasserstein": Measure(wasserstein, expected_wasserstein),
}
"""Every measure by its name on the wire (``ml.drift.measure``)."""
