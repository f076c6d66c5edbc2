"""Calibration slope and intercept: the logistic line that would put the scores right.

D. R. Cox, Biometrika 1958; how to read them: B. Van Calster et al., "Calibration: the Achilles heel of predictive
analytics", BMC Medicine 2019.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit

from calidris.batch import Floats
from calidris.metrics.intervals import Z95
from calidris.metrics.score_bins import Estimate, Groups
from calidris.state import Spec
from calidris.state.blocks.scores import P2, SMALLEST_P, N, P

ITERATIONS = 50
_CONVERGED = 1e-10


def slope(bins: Floats, spec: Spec) -> Estimate:
    """B of ``logit P(y=1) = a + b logit(score)``: 1 is calibrated, below 1 the scores are too extreme.

    Fitted by Newton's method (IRLS) to each bin and outcome, on two scores with the mean and the variance of its rows:
    within a twentieth of a standard error of the fit to raw rows. Interval ± 1.96 standard errors. Not defined with one
    outcome or one score only, where the scores part the outcomes without an overlap, for then the best slope is infinite,
    and where a tenth of the positives lies in the lowest bin (under 0.0001) or of the negatives in the highest, because the
    logits inside those two are not known.
    """
    fit = _line(bins)
    return Estimate(math.nan) if fit is None else _wald(fit[0][1], fit[1][1, 1])


def intercept(bins: Floats, spec: Spec) -> Estimate:
    """A of ``logit P(y=1) = a + b logit(score)``, fitted with ``slope``; hard to read unless the slope is 1."""
    fit = _line(bins)
    return Estimate(math.nan) if fit is None else _wald(fit[0][0], fit[1][0, 0])


def in_the_large(bins: Floats, spec: Spec) -> Estimate:
    """A of ``logit P(y=1) = a + logit(score)``: 0 is calibrated on average, above 0 the scores are too low.

    Interval ± 1.96 standard errors of the sandwich: scores that are too extreme leave more spread about that line than it
    has itself (H. White, Econometrica 1982). Not defined with one outcome only.
    """
    groups = points(bins)
    offset = _logit(groups.score)
    fit = _newton(groups, np.ones((len(groups.rows), 1)), offset)
    if fit is None:
        return Estimate(math.nan)
    value, inverse = fit[0][0], fit[1][0, 0]
    left = groups.outcome - expit(value + offset)
    spread = float((groups.rows * left * left).sum())
    return _wald(value, inverse * spread * inverse * groups.n / (groups.n - 1))


def points(bins: Floats) -> Groups:
    """Each bin and outcome as two scores with the mean and the variance of its rows, half of them on each; ascending."""
    outcome, b = np.nonzero(bins[..., N] > 0)
    rows, mean = bins[outcome, b, N], bins[outcome, b, P] / bins[outcome, b, N]
    spread = np.sqrt(np.maximum(bins[outcome, b, P2] / rows - mean**2, 0.0))
    spread = np.minimum(spread, np.minimum(mean, 1 - mean))
    score = np.concatenate([mean - spread, mean + spread])
    order = np.argsort(score, kind="stable")
    return Groups(np.tile(rows / 2, 2)[order], score[order], np.tile(outcome.astype(np.float64), 2)[order])


def _line(bins: Floats) -> tuple[Floats, Floats] | None:
    groups = points(bins)
    x = _logit(groups.score)
    if len(x) < 2 or np.ptp(x) < 1e-9 or _parted(groups) or _out_of_sight(bins):
        return None
    return _newton(groups, np.stack([np.ones_like(x), x], axis=1), np.zeros_like(x))


def _out_of_sight(bins: Floats) -> bool:
    """Whether a tenth of an outcome lies in the outermost bin against it."""
    negative, positive = bins[..., N]
    return bool(positive[0] > 0.1 * positive.sum() or negative[-1] > 0.1 * negative.sum())


def _parted(groups: Groups) -> bool:
    """Whether one score parts the outcomes: every positive at or above it, every negative at or below it, or reversed."""
    with_positive, with_negative = np.flatnonzero(groups.outcome > 0), np.flatnonzero(groups.outcome < 1)
    if not len(with_positive) or not len(with_negative):
        return True
    return bool(with_positive[0] >= with_negative[-1] or with_negative[0] >= with_positive[-1])


def _newton(groups: Groups, design: Floats, offset: Floats) -> tuple[Floats, Floats] | None:
    """Coefficients of a binomial regression and their covariance; None where there is no finite maximum."""
    rate = float((groups.rows * groups.outcome).sum() / groups.n) if len(groups.rows) else 0.0
    if not 0.0 < rate < 1.0:
        return None
    beta = np.zeros(design.shape[1])
    for _ in range(ITERATIONS):
        mean = expit(design @ beta + offset)
        weight = groups.rows * np.maximum(mean * (1 - mean), 1e-12)
        information = design.T @ (weight[:, None] * design)
        step = np.linalg.solve(information, design.T @ (groups.rows * (groups.outcome - mean)))
        # A far start could overshoot into a flat end of the curve; two units of the logit at a time never does.
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(design @ step).max()), 1e-300))
        if float(np.abs(step).max()) < _CONVERGED:
            return beta, np.linalg.inv(information)
    return None


def _logit(score: Floats) -> Floats:
    clipped: Floats = logit(np.clip(score, SMALLEST_P, 1 - SMALLEST_P))
    return clipped


def _wald(value: float, variance: float) -> Estimate:
    half = Z95 * math.sqrt(max(float(variance), 0.0))
    return Estimate(float(value), float(value) - half, float(value) + half)
