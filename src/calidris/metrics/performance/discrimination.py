"""How well scores part the outcomes, whatever the threshold: ROC AUC, Gini, KS separation, average precision.

Rows of one bin count as tied. For each figure the distance to the one of raw scores has a bound that the bins show, and the
interval is widened by it. Where that alone leaves more than ``WIDEST`` open, nearly all scores lie in one bin, and the order of
those is not known: the figure is not defined.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import digamma

from calidris.batch import Floats
from calidris.metrics.intervals import auc_interval, wilson
from calidris.metrics.performance.confusion import Performance
from calidris.state import Spec
from calidris.state.blocks.scores import N

_TINY = 1e-9

WIDEST = 0.5
"""What bins may leave open of a figure in [0, 1]: a figure of .5 that could be anything is none."""


def roc_auc(bins: Floats, spec: Spec) -> Performance:
    """Area under the ROC curve: the chance that a positive row outscores a negative one, ties counting half.

    Mann & Whitney's statistic with all rows of a bin tied, so it is within ``roc_auc_error`` of the one of raw scores; the
    interval is Newcombe's, widened by that bound on both sides. Not defined without both outcomes, nor where bins leave more than
    ``WIDEST`` open.
    """
    negative, positive = bins[..., N]
    n0, n1 = float(negative.sum()), float(positive.sum())
    if n0 == 0 or n1 == 0:
        return Performance(math.nan, round(n0 + n1))
    below = np.cumsum(negative) - negative
    area = min(float((positive * (below + negative / 2)).sum() / (n0 * n1)), 1.0)
    lower, upper = auc_interval(area, n1, n0)
    error = roc_auc_error(bins)
    if 2 * error > WIDEST:
        return Performance(math.nan, round(n0 + n1))
    return Performance(area, round(n0 + n1), max(0.0, lower - error), min(1.0, upper + error))


def roc_auc_error(bins: Floats) -> float:
    """Largest distance of the binned area from that of the raw scores: ½ Σ P_b N_b / PN, the pairs that share a bin."""
    negative, positive = bins[..., N]
    pairs = negative.sum() * positive.sum()
    return float((negative * positive).sum() / (2 * pairs)) if pairs else math.nan


def gini(bins: Floats, spec: Spec) -> Performance:
    """2 AUC - 1, also called the accuracy ratio: 0 for scores that say nothing, 1 for a perfect order."""
    area = roc_auc(bins, spec)
    return Performance(*(2 * area.value - 1, area.n, 2 * area.lower - 1, 2 * area.upper - 1))


def ks_separation(bins: Floats, spec: Spec) -> Performance:
    """Largest distance between the score distributions of the two outcomes, 0 to 1; not defined without both.

    Read at the edges of bins: never above that of raw scores, below it by at most the largest share of one bin. The
    interval is that bound and the one of Dvoretzky, Kiefer & Wolfowitz with P. Massart's constant (Annals of Probability
    1990) for both outcomes, and so holds at least 95 %, mostly more.
    """
    negative, positive = bins[..., N]
    n0, n1 = negative.sum(), positive.sum()
    if n0 == 0 or n1 == 0:
        return Performance(math.nan, round(n0 + n1))
    value = float(np.abs(np.cumsum(negative) / n0 - np.cumsum(positive) / n1).max())
    half = sum(math.sqrt(math.log(2 / 0.025) / (2 * n)) for n in (n0, n1))
    unseen = float(max((negative / n0).max(), (positive / n1).max()))
    if unseen > WIDEST and 1.0 - value > WIDEST:
        return Performance(math.nan, round(n0 + n1))
    return Performance(value, round(n0 + n1), max(0.0, value - half), min(1.0, value + half + unseen))


def average_precision(bins: Floats, spec: Spec) -> Performance:
    """Area under the precision-recall curve: precision averaged over the positive rows in falling order of score.

    Inside a bin the order of a random draw is assumed (J. Davis & M. Goadrich, ICML 2006); ``average_precision_bounds``
    are those of the best and the worst order. Interval: Wilson's with n the positive rows, in place of the binomial one of
    K. Boyd, K. H. Eng & C. D. Page, ECML PKDD 2013, together with what the prevalence may be, and widened by those bounds. Not defined
    without a positive row. Its level is the prevalence: do not compare it where that differs.
    """
    negative, positive = bins[:, ::-1, N]
    n1 = float(positive.sum())
    if n1 == 0:
        return Performance(math.nan, 0)
    value = float(_precision_sum(positive, negative).sum() / n1)
    worst, best = average_precision_bounds(bins)
    if best - worst > WIDEST:
        return Performance(math.nan, round(n1))
    lower, upper = (float(end) for end in wilson(value * n1, n1))
    rarely, often = (_at_odds(positive, negative, odds) for odds in _odds_ratios(n1, float(negative.sum())))
    below = math.hypot(value - lower, value - rarely) + value - worst
    above = math.hypot(upper - value, often - value) + best - value
    return Performance(value, round(n1), max(0.0, value - below), min(1.0, value + above))


def _odds_ratios(n1: float, n0: float) -> tuple[float, float]:
    """Odds of a positive row at the ends of Wilson's interval of the prevalence, over those of the window."""
    ends = (float(end) for end in wilson(n1, n1 + n0))
    lower, upper = ((end * n0) / max((1 - end) * n1, _TINY) for end in ends)
    return lower, upper


def _at_odds(positive: Floats, negative: Floats, odds: float) -> float:
    """Average precision if positives were so many times as common beside the same negatives."""
    fewer = negative / max(odds, _TINY)
    return float(_precision_sum(positive, fewer).sum() / positive.sum())


def average_precision_bounds(bins: Floats) -> tuple[float, float]:
    """The smallest and the largest average precision that raw scores in these bins may have; NaN without a positive row."""
    negative, positive = bins[:, ::-1, N]
    n1 = float(positive.sum())
    if n1 == 0:
        return math.nan, math.nan
    found, wrong = np.cumsum(positive) - positive, np.cumsum(negative) - negative
    # Best: all positives of a bin before its negatives and tied, so that each has the precision of the last one.
    best = positive * (found + positive) / np.maximum(found + positive + wrong, 1.0)
    # Worst: behind its negatives and not tied: Σ (found + i) / (found + i + wrong) over the positives i = 1 … of the bin.
    wrong = wrong + negative
    worst = positive - wrong * (digamma(found + wrong + positive + 1) - digamma(found + wrong + 1))
    return float(worst.sum() / n1), float(best.sum() / n1)


def _precision_sum(positive: Floats, negative: Floats) -> Floats:
    """Precision summed over the positives of each bin, when its negatives lie evenly between them."""
    found, wrong = np.cumsum(positive) - positive, np.cumsum(negative) - negative
    rate = 1 + negative / np.where(positive > 0, positive, 1.0)
    start = (found + wrong) / rate
    sums: Floats = (positive + (found - start) * (digamma(positive + 1 + start) - digamma(1 + start))) / rate
    return sums
