"""Distances of scores from outcomes: ECE in its many forms, its de-biased estimates, and the worst bin.

All of them but the de-biased ones are biased upwards by noise: about √(2/π) Σ √(n_b ȳ(1-ȳ))/n where scores are calibrated.
They are figures to look at beside their n, and none of them may alert.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from calidris.batch import Floats
from calidris.metrics.intervals import wilson
from calidris.metrics.score_bins import Figure, Groups, equal_mass, tenths
from calidris.state import Spec

EQUAL_MASS_GROUPS = 10
"""Groups of ``ece_equal_mass``."""

MCE_MINIMUM = 30
"""Rows below which a tenth has no say in ``mce``: the largest of noisy figures is the noisiest."""


class ReliabilityBin(NamedTuple):
    """Labelled rows with a score in one tenth of the unit interval; ``lower`` and ``upper`` are Wilson's for the outcome."""

    n: int
    mean_score: float
    mean_outcome: float
    lower: float
    upper: float


def ece(bins: Floats, spec: Spec) -> Figure:
    """Expected calibration error: mean distance of score from outcome over ten bins of equal width, weighted by rows.

    Exact, because every tenth is an edge; a score on an edge belongs to the bin above it, and 1.0 to the last. Never
    compare it between unequal n. M. P. Naeini, G. F. Cooper & M. Hauskrecht, AAAI 2015.
    """
    return Figure(_l1(tenths(bins, spec)))


def ece_equal_mass(bins: Floats, spec: Spec) -> Figure:
    """ECE over about ten groups of equal rows, which is less biased than equal width where scores crowd together.

    Score bins are never cut, so groups are as equal as the bins allow. R. Roelofs et al., AISTATS 2022.
    """
    return Figure(_l1(equal_mass(bins, EQUAL_MASS_GROUPS)))


def ece_sweep(bins: Floats, spec: Spec) -> Figure:
    """ECE over as many groups of equal rows as keep the outcome rising with the score.

    Groups are added one at a time up to the first fall, and score bins are never cut. R. Roelofs, N. Cain, J. Shlens &
    M. C. Mozer, "Mitigating bias in calibration error estimation", AISTATS 2022.
    """
    kept = equal_mass(bins, 1)
    for count in range(2, bins.shape[1] + 1):
        finer = equal_mass(bins, count)
        if (np.diff(finer.outcome) < 0).any():
            break
        kept = finer
    return Figure(_l1(kept))


def ece_debiased(bins: Floats, spec: Spec) -> Figure:
    """ECE less the part of its bias that the bins can show: 41 % of it where scores are calibrated, near all where not.

    2 ECE - Σ (n_b/n) E|N(d_b, s_b²)| with d the distance and s² = ȳ(1-ȳ)/n_b; may be negative. A. Kumar, P. Liang & T. Ma,
    NeurIPS 2019, whose normal draws have this closed form.
    """
    groups = tenths(bins, spec)
    if not len(groups.rows):
        return Figure(math.nan)
    d, s = np.abs(groups.gap), np.sqrt(_outcome_variance(groups) / groups.rows)
    z = d / np.where(s > 0, s, np.inf)
    folded = s * math.sqrt(2 / math.pi) * np.exp(-z * z / 2) + d * np.where(s > 0, 1 - 2 * ndtr(-z), 1.0)
    return Figure(float((groups.rows * (2 * d - folded)).sum() / groups.n))


def ece_squared_debiased(bins: Floats, spec: Spec) -> Figure:
    """Mean squared distance over the tenths, without bias: Σ (n_b/n) (d_b² - ȳ(1-ȳ)/(n_b - 1)).

    0 on average for calibrated scores at every n, and so the one to average over windows; may be negative. Tenths of one
    row count as 0. J. Bröcker, Climate Dynamics 2012; C. A. T. Ferro & T. E. Fricker, QJRMS 2012; Kumar et al. 2019.
    """
    groups = tenths(bins, spec)
    if not len(groups.rows):
        return Figure(math.nan)
    noise = _outcome_variance(groups) / np.maximum(groups.rows - 1, 1)
    return Figure(float((groups.rows * (groups.gap**2 - noise))[groups.rows > 1].sum() / groups.n))


def mce(bins: Floats, spec: Spec) -> Figure:
    """Maximum calibration error: the largest distance among tenths of at least ``MCE_MINIMUM`` rows.

    Not defined without such a tenth. The largest of several noisy distances is biased upwards more than their mean.
    M. P. Naeini, G. F. Cooper & M. Hauskrecht, AAAI 2015.
    """
    groups = tenths(bins, spec)
    distance = np.abs(groups.gap)[groups.rows >= MCE_MINIMUM]
    return Figure(float(distance.max()) if len(distance) else math.nan)


def reliability(bins: Floats, spec: Spec) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram in tenths; bins without rows are left out."""
    rows, score, outcome = tenths(bins, spec)
    lower, upper = wilson(np.rint(outcome * rows), rows)
    columns = (rows.astype(np.int64), score, outcome, lower, upper)
    return tuple(ReliabilityBin(*row) for row in zip(*(column.tolist() for column in columns)))


def _l1(groups: Groups) -> float:
    return float((groups.rows * np.abs(groups.gap)).sum() / groups.n) if len(groups.rows) else math.nan


def _outcome_variance(groups: Groups) -> Floats:
    return np.maximum(groups.outcome * (1 - groups.outcome), 0.0)
