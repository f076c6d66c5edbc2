"""Labels that come late, and late by class: what may be said of a window whose labels are not all in.

The state is the reporting triangle: cohorts of predictions by the time of the *prediction*, labels by how long they took ::

                 ≤1h  ≤6h  ≤1d  ≤3d        age of the cohort
    monday        12   30   41   17        4 days: four buckets complete
    wednesday     11   28   (9)             20 hours: two complete, the third still filling

- ``fixed_age`` takes labels up to one delay from cohorts that are older: biased where delay depends on the class, but by the
  same amount in every cohort, so windows compare. This is what alerts.
- ``delay_adjusted`` takes what is in and weighs each class by how much of it is in by now: right on average, wider.
- ``complete`` takes rows that are old enough for nearly all labels.

A label that never comes is in none of them: they speak of the rows that get one. Rows that are labelled because of their
score (declined applicants never are) are no delay, and no weight mends that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from calidris.batch import Floats
from calidris.state import ScoresState
from calidris.state.blocks.scores import DELAY_EDGES_S, SCALE, N

SMALLEST_REPORTED = 0.1
"""Share of a class's labels that must be in: below it a weight would be above ten and the figure is refused."""

NEARLY_ALL = 0.99
"""Share of each class's labels that makes a cohort complete."""

ENOUGH_LABELS = 300
"""Labels of each class without one late that say so: with none in 300 it is under 1 % with 95 % confidence (rule of three)."""


class Cohort(NamedTuple):
    """Predictions of one stretch of time and what is known of them.

    Attributes:
        age_s: seconds since its last prediction.
        rows: predictions, labelled or not.
        scores: sums over labelled rows, float64[2, delays, bins, stats].
    """

    age_s: float
    rows: int
    scores: Floats

    @classmethod
    def of(cls, age_s: float, rows: int, state: ScoresState, slice_row: int = 0) -> Self:
        """The cohort of one slice of a state."""
        return cls(age_s, rows, state.array[slice_row] / SCALE)

    @property
    def complete(self) -> int:
        """Delay buckets that can get no further label."""
        return int(np.searchsorted(DELAY_EDGES_S, self.age_s, side="right"))


class Matured(NamedTuple):
    """Labelled scores that may be read together: float64[2, bins, stats], and the predictions they are of."""

    bins: Floats
    rows: int

    @property
    def labelled(self) -> int:
        """Rows with a label."""
        return int(self.bins[..., N].sum())


class Reporting(NamedTuple):
    """How much of each class's labels is in after each delay bucket, of those that come within the last one.

    The last one is the longest that some cohort is old enough for. Until there are cohorts of thirty days, "all labels" means
    those of a shorter delay, and figures that are adjusted by it speak of rows labelled that soon.

    Attributes:
        share: float64[2, buckets], rising to 1; NaN before a bucket that no cohort tells about.
        variance: of the logarithm of each share.
    """

    share: Floats
    variance: Floats

    def nearly_all(
        self,
        share: float = NEARLY_ALL,
        outcomes: Sequence[int] = (0, 1),
    ) -> int | None:
        """The first bucket after which ``share`` of the labels of each class are in, or None."""
        of_classes = self.share[list(outcomes)]
        enough = np.flatnonzero((of_classes >= share).all(axis=0))
        return int(enough[0]) if len(enough) else None


class Adjusted(NamedTuple):
    """Labelled scores weighted for what is still to come.

    Attributes:
        bins: float64[2, bins, stats], scaled to as many rows as those of the less labelled class are worth (L. Kish, "Survey Sampling",
            1965).
        labelled: labels that are in.
        smallest: smallest share of a class's labels that is in, over the cohorts.
        variance: of the logarithm of each class's weight, float64[2].
    """

    bins: Floats
    labelled: int
    smallest: float
    variance: Floats


def fixed_age(cohorts: Sequence[Cohort], bucket: int) -> Matured:
    """Labels that took at most ``DELAY_EDGES_S[bucket]``, of cohorts that are older than that.

    Comparable over time whatever the delays, as long as the delays themselves do not change.
    """
    old = [c for c in cohorts if c.complete > bucket]
    return Matured(_total(cohorts, [c.scores[:, : bucket + 1].sum(axis=1) for c in old]), sum(c.rows for c in old))


def find_settled_age_s(
    cohorts: Sequence[Cohort],
    known: Reporting,
    outcomes: Sequence[int] = (0, 1),
) -> float | None:
    """Age from which rows count as complete: 99 % of the labels of each class are in. None where nobody can say so.

    What is not watched for longer than that cannot be said to be over: after the longest delay watched all labels are in by
    construction. So it takes one longer delay, and labels enough that none of them coming late means something.

    Args:
        cohorts: predictions of some stretches of time.
        known: how soon labels come, of the same cohorts.
        outcomes: classes that labels have; a regression has one of them only.
    """
    settled = known.nearly_all(outcomes=outcomes)
    longest = known.share.shape[1] - 1
    if settled is None or settled >= longest:
        return None
    watched = [c.scores[..., N].sum(axis=(1, 2)) for c in cohorts if c.complete > settled + 1]
    labels = np.sum(watched, axis=0)[list(outcomes)]
    return DELAY_EDGES_S[settled] if labels.min() >= ENOUGH_LABELS else None


def reporting(cohorts: Sequence[Cohort]) -> Reporting:
    """The delay distribution of each class by the reverse-time Kaplan-Meier estimate, from complete cells only.

    A cohort of age a has only shown delays below a (right truncation). Going down from the longest delay, the labels of bucket
    d as a share of those up to d, over cohorts that are old enough, are the hazard h_d, and what is in after d is
    G(d) = Π over j > d of (1 - h_j); its logarithm has variance Σ h/((1-h) labels) (Greenwood). This is the chain ladder of
    insurance. S. W. Lagakos, L. M. Barraj & V. De Gruttola, Biometrika 1988.
    """
    buckets = max((c.complete for c in cohorts), default=0)
    buckets = min(buckets, len(DELAY_EDGES_S))
    log_share, variance = np.zeros((2, buckets)), np.zeros((2, buckets))
    for d in range(buckets - 1, 0, -1):
        old = [c.scores[:, : d + 1, :, N].sum(axis=2) for c in cohorts if c.complete > d]
        labels = np.sum(old, axis=0)
        upto = labels.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            hazard = labels[:, d] / upto
            log_share[:, d - 1] = log_share[:, d] + np.log1p(-hazard)
            variance[:, d - 1] = variance[:, d] + hazard / ((1 - hazard) * upto)
    share = np.exp(log_share)
    return Reporting(np.where(share > 0, share, np.nan), np.where(share > 0, variance, np.nan))


def delay_adjusted(cohorts: Sequence[Cohort], known: Reporting) -> Adjusted | None:
    """Labels that are in, each weighted by one over the share of its class that is in at its cohort's age.

    Horvitz & Thompson's weights, normalised by every figure that reads the bins (Hájek). Only complete buckets are used. Right
    where a label's delay depends on its class and on nothing else about the row.

    Args:
        cohorts: the window.
        known: delays, from these and older cohorts.

    Returns:
        None where less than a tenth of a class's labels is in for some cohort, where its delays are not known, or without
        labels.
    """
    parts, squares, labelled, smallest, variance = [], np.zeros(2), 0.0, 1.0, np.zeros(2)
    for cohort in cohorts:
        last = min(cohort.complete, known.share.shape[1]) - 1
        if last < 0:
            return None
        share = known.share[:, last]
        if not (share >= SMALLEST_REPORTED).all():
            return None
        bins = cohort.scores[:, : last + 1].sum(axis=1)
        rows = bins[..., N].sum(axis=1)
        parts.append(bins / share[:, None, None])
        squares, labelled = squares + rows / share**2, labelled + float(rows.sum())
        smallest, variance = min(smallest, float(share.min())), np.maximum(variance, known.variance[:, last])
    if not labelled:
        return None
    bins = _total(cohorts, parts)
    return Adjusted(bins * _worth(bins[..., N].sum(axis=1), squares), int(labelled), smallest, variance)


def _worth(weights: Floats, squares: Floats) -> float:
    """Rows that a weighted one is worth: Kish's (Σw)² / Σw² over the Σw that are in the bins, of the class where it is least.

    Of both classes together the common one decides, and figures of the rare one, which has fewer labels in, claim to know too much:
    recall held the truth in 79 % of windows at 1 % positives.
    """
    there = squares > 0
    return float((weights[there] / squares[there]).min())


def _total(cohorts: Sequence[Cohort], parts: Sequence[Floats]) -> Floats:
    if parts:
        total: Floats = np.sum(parts, axis=0)
        return total
    return np.zeros(np.delete(cohorts[0].scores.shape, 1)) if cohorts else np.zeros((2, 1, len(SCALE)))
