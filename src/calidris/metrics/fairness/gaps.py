"""Fairness: do decisions, and their errors, fall alike on groups?

From confusion counts of each group, int64[groups, 2, 2], ``counts[group, truth, decision]``. Each measure compares one rate:

=====================  =======================  =========================================
measure                rate compared            its denominator
=====================  =======================  =========================================
demographic_parity     decided positive         all rows
equal_opportunity      true positive rate       positive outcomes
equalised_odds         that and false positive  positive, and negative outcomes
predictive_parity      precision                positive decisions
accuracy               right decisions          all rows
=====================  =======================  =========================================

No two of the first four can hold together when prevalence differs, unless decisions are perfect: which one matters is for
people to choose (J. Kleinberg, S. Mullainathan & M. Raghavan, ITCS 2017; A. Chouldechova, Big Data 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.metrics.fairness.group_rates import (
    Rates,
    against_rest,
    homogeneity,
    largest_difference,
    mean_differences,
    shrunk,
    single_intervals,
    smallest_ratio,
)
from calidris.metrics.score_bins import Estimate, Significance
from calidris.state.blocks.scores import P2, STATS, N, P

SUPPRESSED_ROWS = 10
"""Groups of fewer rows are withheld: their figures would be about persons."""

MINIMUM_DENOMINATOR = 30
"""A rate of a smaller denominator is ``too_few`` and takes part in no gap."""

TOLERANCE = 0.05
"""Difference of rates that is no news unless the user says otherwise."""


class Verdict(StrEnum):
    """What an interval says about a tolerance."""

    WITHIN = "within"  # all of the interval lies inside the tolerance
    EXCEEDED = "exceeded"  # all of it lies outside
    UNCLEAR = "unclear"  # neither
    NO_VERDICT = "no_verdict"  # the interval is wider than the tolerance, or there is none


class GroupRate(NamedTuple):
    """One rate of one group.

    Attributes:
        n: its denominator.
        rate: the raw rate with Wilson's interval.
        shrunk: the rate drawn towards the mean of all groups.
        gap: the rate less that of all other groups together; intervals of all groups hold together.
        verdict: of the gap against the tolerance.
    """

    n: int
    rate: Estimate
    shrunk: float
    gap: Estimate
    verdict: Verdict


class Gap(NamedTuple):
    """One measure over all groups.

    Attributes:
        n: rows in the denominators that take part.
        groups: groups that take part.
        difference: largest less smallest rate.
        ratio: smallest over largest rate.
        shrunk: largest less smallest of the shrunk rates: what noise does not explain.
        homogeneity: χ² of equal rates.
        verdict: of the difference against the tolerance.
    """

    n: int
    groups: int
    difference: Estimate
    ratio: Estimate
    shrunk: float
    homogeneity: Significance
    verdict: Verdict


RATES: dict[str, Callable[[Ints], Rates]] = {
    "demographic_parity": lambda c: Rates(c[:, :, 1].sum(axis=1), c.sum(axis=(1, 2))),
    "equal_opportunity": lambda c: Rates(c[:, 1, 1], c[:, 1].sum(axis=1)),
    "false_positive_rate": lambda c: Rates(c[:, 0, 1], c[:, 0].sum(axis=1)),
    "predictive_parity": lambda c: Rates(c[:, 1, 1], c[:, :, 1].sum(axis=1)),
    "accuracy": lambda c: Rates(c[:, 0, 0] + c[:, 1, 1], c.sum(axis=(1, 2))),
}
"""Measure to the rate that it compares."""

MEASURES = ("demographic_parity", "equal_opportunity", "equalised_odds", "predictive_parity", "accuracy")
"""Measures of a gap by their name on the wire (``ml.fairness.measure``); ``calibration`` needs scores."""


def withheld(counts: Ints) -> Mask:
    """Groups that are withheld, bool[groups]: those under ``SUPPRESSED_ROWS`` that have a row at all.

    Where exactly one is, the smallest of the others goes with it, or totals would give it away.
    """
    rows = counts.sum(axis=(1, 2))
    hidden: Mask = (rows > 0) & (rows < SUPPRESSED_ROWS)
    if hidden.sum() == 1 and (rows >= SUPPRESSED_ROWS).sum() > 2:
        hidden[np.argmin(np.where(rows >= SUPPRESSED_ROWS, rows, np.iinfo(np.int64).max))] = True
    return hidden


def gap(counts: Ints, measure: str, tolerance: float = TOLERANCE) -> Gap:
    """One measure over all groups that are not withheld and have ``MINIMUM_DENOMINATOR`` rows in the denominator.

    Equalised odds is the larger of the gaps of true and false positive rate, as in fairlearn; its bounds are those of the
    two, each at half the level.

    Args:
        counts: int64[groups, 2, 2], ``counts[group, truth, decision]``.
        measure: one of ``MEASURES``.
        tolerance: difference that is no news.
    """
    shown = counts[~withheld(counts)]
    if measure == "equalised_odds":
        parts = [_gap(RATES[m](shown), tolerance, families=2) for m in ("equal_opportunity", "false_positive_rate")]
        return _worse(parts[0], parts[1], tolerance)
    return _gap(RATES[measure](shown), tolerance)


def _gap(rates: Rates, tolerance: float, families: int = 1) -> Gap:
    kept = Rates(*(x[rates.rows >= MINIMUM_DENOMINATOR] for x in rates))
    difference = largest_difference(kept, families)
    drawn = shrunk(kept).rate
    return Gap(
        n=int(kept.rows.sum()),
        groups=len(kept.rows),
        difference=difference,
        ratio=smallest_ratio(kept),
        shrunk=float(np.ptp(drawn)) if len(drawn) > 1 else math.nan,
        homogeneity=homogeneity(kept),
        verdict=verdict(difference, tolerance),
    )


def _worse(one: Gap, two: Gap, tolerance: float) -> Gap:
    """The larger of two gaps; not defined unless both are."""
    if math.isnan(one.difference.value) or math.isnan(two.difference.value):
        return min(one, two, key=lambda g: g.groups)._replace(
            difference=Estimate(math.nan), ratio=Estimate(math.nan), shrunk=math.nan, verdict=Verdict.NO_VERDICT
        )
    parts = list(zip(one.difference, two.difference))
    difference = Estimate(*(max(pair) for pair in parts))
    ratios = [g.ratio for g in (one, two) if not math.isnan(g.ratio.value)]
    ratio = Estimate(*(min(end) for end in zip(*ratios))) if ratios else Estimate(math.nan)
    worse = one if one.difference.value >= two.difference.value else two
    return worse._replace(
        difference=difference, ratio=ratio, shrunk=max(one.shrunk, two.shrunk), verdict=verdict(difference, tolerance)
    )


def group_rates(counts: Ints, measure: str, tolerance: float = TOLERANCE) -> list[GroupRate | None]:
    """Each group's rate, and its gap to all others together; None where the group is withheld.

    Args:
        counts: int64[groups, 2, 2], ``counts[group, truth, decision]``.
        measure: a name out of ``RATES``.
        tolerance: difference that is no news.
    """
    hidden = withheld(counts)
    shown = np.flatnonzero(~hidden)
    rates = RATES[measure](counts[shown])
    lower, upper = single_intervals(rates)
    drawn, share, (value, below, above) = shrunk(rates).rate, rates.share, against_rest(rates)
    out: list[GroupRate | None] = [None] * len(counts)
    for i, group in enumerate(shown.tolist()):
        rate = Estimate(float(share[i]), float(lower[i]), float(upper[i]))
        apart = Estimate(float(value[i]), float(below[i]), float(above[i]))
        enough = rates.rows[i] >= MINIMUM_DENOMINATOR
        decided = verdict(apart, tolerance) if enough else Verdict.NO_VERDICT
        out[group] = GroupRate(int(rates.rows[i]), rate, float(drawn[i]), apart, decided)
    return out


def calibration_gaps(bins: Sequence[Floats]) -> tuple[Floats, Floats, Ints]:
    """Outcome less score on average in each group, its standard error and its rows, float64 or int64[groups].

    The error is exact, from Σ(y-p)²; NaN below two rows.

    Args:
        bins: float64[2, bins, stats] of each group, as ``ScoresState.bins`` gives them.
    """
    # Every group may be withheld: then there is none.
    sums = np.array([b.sum(axis=1) for b in bins] or np.zeros((0, 2, len(STATS))))
    negative, positive = sums[:, 0], sums[:, 1]
    n = negative[:, N] + positive[:, N]
    squares = negative[:, P2] + positive[:, N] - 2 * positive[:, P] + positive[:, P2]
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (positive[:, N] - negative[:, P] - positive[:, P]) / n
        error = np.sqrt(np.maximum(squares / n - mean**2, 0.0) / (n - 1))
    return mean, np.where(n > 1, error, np.nan), n.astype(np.int64)


def calibration_gap(bins: Sequence[Floats], tolerance: float = TOLERANCE) -> Gap:
    """Largest less smallest of what outcomes exceed scores by, over groups of ``MINIMUM_DENOMINATOR`` rows.

    A group whose scores are too low on average by more than another's is treated as riskier, or less deserving, than it is.
    Bounds hold for all pairs together, for normal means.
    """
    mean, error, n = calibration_gaps(bins)
    kept = n >= MINIMUM_DENOMINATOR
    difference = mean_differences(mean[kept], error[kept])
    return Gap(
        n=int(n[kept].sum()),
        groups=int(kept.sum()),
        difference=difference,
        ratio=Estimate(math.nan),
        shrunk=math.nan,
        homogeneity=Significance(math.nan, math.nan),
        verdict=verdict(difference, tolerance),
    )


def verdict(estimate: Estimate, tolerance: float) -> Verdict:
    """What the interval of a difference says about a tolerance.

    >>> verdict(Estimate(0.02, -0.01, 0.04), 0.05).value, verdict(Estimate(0.2, 0.01, 0.4), 0.05).value
    ('within', 'no_verdict')
    """
    value, lower, upper = estimate
    if math.isnan(value) or math.isnan(lower) or math.isnan(upper) or (upper - lower) / 2 > tolerance:
        return Verdict.NO_VERDICT
    if -tolerance <= lower and upper <= tolerance:
        return Verdict.WITHIN
    return Verdict.EXCEEDED if lower > tolerance or upper < -tolerance else Verdict.UNCLEAR
