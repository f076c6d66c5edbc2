"""Distances of scores from outcomes: ECE in its many forms, its de-biased estimates, the worst bin, and smooth ECE.

All of them but the de-biased ones are biased upwards by noise: about √(2/π) Σ √(n_b ȳ(1-ȳ))/n where scores are calibrated.
They are figures to look at beside their n, and none of them may alert.

Smooth ECE has no bins that a reader could have chosen otherwise: J. Błasiok & P. Nakkiran, "Smooth ECE: Principled reliability
diagrams via kernel smoothing", ICLR 2024 (arXiv 2309.12236).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.fft import dct
from scipy.special import ndtr

from calidris.batch import Floats
from calidris.metrics.intervals import wilson
from calidris.metrics.score_bins import Estimate, Groups, equal_mass, labelled, tenths
from calidris.state import Spec
from calidris.state.blocks.scores import P2, N, P

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


def ece(bins: Floats, spec: Spec) -> Estimate:
    """Expected calibration error: mean distance of score from outcome over ten bins of equal width, weighted by rows.

    Exact, because every tenth is an edge; a score on an edge belongs to the bin above it, and 1.0 to the last. Never
    compare it between unequal n. M. P. Naeini, G. F. Cooper & M. Hauskrecht, AAAI 2015.
    """
    return Estimate(_l1(tenths(bins, spec)))


def ece_equal_mass(bins: Floats, spec: Spec) -> Estimate:
    """ECE over about ten groups of equal rows, which is less biased than equal width where scores crowd together.

    Score bins are never cut, so groups are as equal as the bins allow. R. Roelofs et al., AISTATS 2022.
    """
    return Estimate(_l1(equal_mass(bins, EQUAL_MASS_GROUPS)))


def ece_sweep(bins: Floats, spec: Spec) -> Estimate:
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
    return Estimate(_l1(kept))


def ece_debiased(bins: Floats, spec: Spec) -> Estimate:
    """ECE less the part of its bias that the bins can show: 41 % of it where scores are calibrated, near all where not.

    2 ECE - Σ (n_b/n) E|N(d_b, s_b²)| with d the distance and s² = ȳ(1-ȳ)/n_b; may be negative. A. Kumar, P. Liang & T. Ma,
    NeurIPS 2019, whose normal draws have this closed form.
    """
    groups = tenths(bins, spec)
    if not len(groups.rows):
        return Estimate(math.nan)
    d, s = np.abs(groups.gap), np.sqrt(_outcome_variance(groups) / groups.rows)
    z = d / np.where(s > 0, s, np.inf)
    folded = s * math.sqrt(2 / math.pi) * np.exp(-z * z / 2) + d * np.where(s > 0, 1 - 2 * ndtr(-z), 1.0)
    return Estimate(float((groups.rows * (2 * d - folded)).sum() / groups.n))


def ece_squared_debiased(bins: Floats, spec: Spec) -> Estimate:
    """Mean squared distance over the tenths, without bias: Σ (n_b/n) (d_b² - ȳ(1-ȳ)/(n_b - 1)).

    0 on average for calibrated scores at every n, and so the one to average over windows; may be negative. Tenths of one
    row count as 0. J. Bröcker, Climate Dynamics 2012; C. A. T. Ferro & T. E. Fricker, QJRMS 2012; Kumar et al. 2019.
    """
    groups = tenths(bins, spec)
    if not len(groups.rows):
        return Estimate(math.nan)
    noise = _outcome_variance(groups) / np.maximum(groups.rows - 1, 1)
    return Estimate(float((groups.rows * (groups.gap**2 - noise))[groups.rows > 1].sum() / groups.n))


def mce(bins: Floats, spec: Spec) -> Estimate:
    """Maximum calibration error: the largest distance among tenths of at least ``MCE_MINIMUM`` rows.

    Not defined without such a tenth. The largest of several noisy distances is biased upwards more than their mean.
    M. P. Naeini, G. F. Cooper & M. Hauskrecht, AAAI 2015.
    """
    groups = tenths(bins, spec)
    distance = np.abs(groups.gap)[groups.rows >= MCE_MINIMUM]
    return Estimate(float(distance.max()) if len(distance) else math.nan)


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


GRID = 2048
"""Steps of the unit interval: half the smallest bandwidth."""

POINTS = 33
"""Points that the rows of a bin are spread over."""

HALVINGS = 10
SMALLEST = 0.001
"""The bandwidth is searched by ten halvings and not below this, as the authors' ``relplot`` does."""


def smooth_ece(bins: Floats, spec: Spec) -> Estimate:
    """∫ |smoothed (score - outcome)|, with the Gaussian bandwidth σ at which it equals σ.

    The kernel reflects at 0 and 1 and ends at ±½, as in the authors' ``relplot``. The scores of a bin and outcome are spread
    evenly with their own mean and variance: within 0.002 of the definition on raw rows from 200 rows on, 0.005 at 50, and
    within 0.002 of ``relplot.smECE`` where scores stay 0.002 from 0 and 1, at which its grid loses half of the rows.
    Biased upwards by noise, like every ECE, but it moves continuously with the scores. Cost: 1 ms.
    """
    if labelled(bins) == 0:
        return Estimate(math.nan)
    waves = _cosines(_residuals(bins))
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if middle < SMALLEST or middle < _size(waves, middle):
            low = middle
        else:
            high = middle
    return Estimate(_size(waves, high))


def _residuals(bins: Floats) -> Floats:
    """Score less outcome as a share of rows, at each grid point: float64[GRID + 1]."""
    outcome, b = np.nonzero(bins[..., N] > 0)
    rows, scores, squares = (bins[outcome, b, stat] for stat in (N, P, P2))
    mean = scores / rows
    half = np.sqrt(3 * np.maximum(squares / rows - mean**2, 0.0))  # of the even spread with that variance
    steps = (2 * np.arange(POINTS) + 1) / POINTS - 1
    place = np.clip(mean[:, None] + half[:, None] * steps, 0.0, 1.0).ravel() * GRID
    mass = np.repeat((scores - outcome * rows) / (labelled(bins) * POINTS), POINTS)
    left = np.minimum(place.astype(np.int64), GRID - 1)
    part = place - left
    sums = np.bincount(np.r_[left, left + 1], np.r_[mass * (1 - part), mass * part], GRID + 1)
    return sums.astype(np.float64)


def _cosines(density: Floats) -> Floats:
    """Σ density(x) cos(πkx) over the grid points, float64[GRID + 1]."""
    half = density / 2
    half[[0, -1]] = density[[0, -1]]
    waves: Floats = dct(half, type=1)
    return waves


def _size(waves: Floats, bandwidth: float) -> float:
    """∫ |density| after smoothing: a kernel that reflects at both ends only damps each cosine."""
    x = np.arange(GRID + 1) / GRID
    kernel = np.where(x <= 0.5, np.exp(-((x / bandwidth) ** 2) / 2), 0.0)
    damping = dct(kernel, type=1)  # on the circle of twice the interval, where the kernel is even
    size = np.abs(dct(waves * damping / damping[0], type=1))
    return float((size.sum() - (size[0] + size[-1]) / 2) / GRID)
