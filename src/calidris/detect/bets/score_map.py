"""The baseline's own map from scores to outcomes, with its error: the null of ``reliability_bets``."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints
from calidris.detect.bets.linear import SCALE

GROUPS = 10
GROUP_ROWS = 50.0
GROUP_EVENTS = 10.0
"""A group of scores has at least so many rows, and expects at least so many outcomes of either kind."""


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """``g(p) = σ(logit p + h)``, with one offset h for each group of neighbouring score bins.

    A step map in logits: the identity where the baseline was calibrated. Groups are cut by scores alone, never by outcomes.

    Attributes:
        offset: h of each bin, float64[bins].
        group: group of each bin, int64[bins].
        information: inverse variance of each group's h, float64[G].
        rows: the baseline's rows in each bin, divided by D, float64[bins].
        logit: ``logit g`` at the mean score of the baseline's rows in each bin, float64[bins].
    """

    offset: Floats
    group: Ints
    information: Floats
    rows: Floats
    logit: Floats

    @classmethod
    def fit(cls, counts: Ints, effect: float) -> ScoreMap:
        """From ``feeds.calibration_counts`` of the baseline, int64[4·bins].

        Raises:
            ValueError: not even one group of scores has rows and expected outcomes enough.
        """
        zero, one, _, _ = counts.reshape(4, -1).astype(np.float64)
        n, score = zero + one, scores(counts)
        group = _groups(n, score)
        size = int(group.max()) + 1
        positives = np.bincount(group, one, size)
        total = np.bincount(group, n, size)
        aim = np.clip(positives, 0.5, np.maximum(total - 0.5, 0.5))
        h = np.zeros(size)
        for _ in range(50):
            g = special.expit(special.logit(score) + h[group])
            slope = np.maximum(np.bincount(group, n * g * (1.0 - g), size), 1e-9)
            h += np.clip((aim - np.bincount(group, n * g, size)) / slope, -1.0, 1.0)
        logit = special.logit(score) + h[group]
        g = special.expit(logit)
        information = np.bincount(group, n * g * (1.0 - g), size) / effect
        return cls(h[group], group, np.maximum(information, 1e-9), n / effect, logit)

    def pulled(self, pull: Floats) -> Floats:
        """Sums over each group, in standard deviations of its h: float64[G]."""
        sums: Floats = np.bincount(self.group, pull, len(self.information)) / np.sqrt(self.information)
        return sums


def scores(counts: Ints) -> Floats:
    """Mean score of each bin, both classes together, float64[bins]; one half where there are no rows."""
    zero, one, sum_zero, sum_one = counts.reshape(4, -1).astype(np.float64)
    n = zero + one
    mean = np.divide((sum_zero + sum_one) / SCALE, n, out=np.full(len(n), 0.5), where=n > 0)
    clipped: Floats = np.clip(mean, 1e-6, 1.0 - 1e-6)
    return clipped


def _groups(n: Floats, score: Floats) -> Ints:
    """Neighbouring bins in groups of about a tenth of the rows, each with enough expected outcomes of either kind."""
    group, current = np.zeros(len(n), dtype=np.int64), 0
    held = np.zeros(3)
    needed = np.array([max(n.sum() / GROUPS, GROUP_ROWS), GROUP_EVENTS, GROUP_EVENTS])
    for k in range(len(n)):
        group[k] = current
        held += n[k] * np.array([1.0, score[k], 1.0 - score[k]])
        if (held >= needed - 1e-9).all():
            current, held = current + 1, np.zeros(3)
    if current == 0:
        raise ValueError(
            f"{n.sum():.0f} labelled baseline rows are too few for a map of scores: it takes {GROUP_ROWS:.0f} rows and "
            f"{GROUP_EVENTS:.0f} expected outcomes of either kind; compare with the scores themselves (calibration_bets)"
        )
    group[group == current] = current - 1  # what is left at the end joins the last full group
    return group
