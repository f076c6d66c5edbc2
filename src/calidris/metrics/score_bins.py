"""Labelled scores by bin: the groups that figures of calibration and performance are read from.

Everywhere ``bins`` is float64[2, bins, stats] as ``ScoresState.bins`` gives it: outcome, score bin, and the sums of
``calidris.state.blocks.scores.STATS``.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.state import Spec
from calidris.state.blocks.scores import N, P

_TENTHS = np.arange(1, 10) / 10


class Estimate(NamedTuple):
    """A value with its 95 % interval; NaN where there is none."""

    value: float
    lower: float = math.nan
    upper: float = math.nan


class Significance(NamedTuple):
    """A statistic and the probability of one at least as far out if the scores were calibrated; NaN where undefined."""

    statistic: float
    p_value: float


class Groups(NamedTuple):
    """Rows, mean score and share of positive outcomes of some groups of scores, in ascending order; none is empty."""

    rows: Floats
    score: Floats
    outcome: Floats

    @property
    def n(self) -> float:
        """Rows of all groups."""
        return float(self.rows.sum())

    @property
    def gap(self) -> Floats:
        """Mean score less share of positive outcomes."""
        return self.score - self.outcome


def labelled(bins: Floats) -> float:
    """Labelled rows; a whole number but where rows carry weights."""
    return float(bins[..., N].sum())


def fine(bins: Floats) -> Groups:
    """The score bins themselves."""
    return grouped(bins, np.arange(bins.shape[1]))


def tenths(bins: Floats, spec: Spec) -> Groups:
    """Ten groups of equal width, exact because every tenth is an edge of the bins.

    A score on an edge belongs to the group above it, and 1.0 to the last.
    """
    return grouped(bins, _tenth_of_bin(spec))


def equal_mass(bins: Floats, groups: int) -> Groups:
    """At most ``groups`` groups of about equal rows: each bin goes whole where the middle of its rows belongs."""
    rows = bins[..., N].sum(axis=0)
    middle = np.cumsum(rows) - rows / 2
    into = np.minimum(np.floor(middle * groups / max(rows.sum(), 1.0)), groups - 1)
    return grouped(bins, into.astype(np.int64))


def grouped(bins: Floats, into: Ints) -> Groups:
    """Bins taken together, ``into[b]`` being the group of bin b."""
    sums = (bins[..., N].sum(axis=0), bins[..., P].sum(axis=0), bins[1, :, N])
    rows, scores, outcomes = (np.bincount(into, weights=values) for values in sums)
    full = rows > 0
    held: Floats = rows[full].astype(np.float64)
    return Groups(held, scores[full] / held, outcomes[full] / held)


@lru_cache(maxsize=64)
def _tenth_of_bin(spec: Spec) -> Ints:
    """The tenth that each score bin lies in, int64[bins], by its lower edge."""
    starts = np.concatenate([[-np.inf], spec.score_edges])
    return np.searchsorted(_TENTHS, starts, side="right").astype(np.int64)
