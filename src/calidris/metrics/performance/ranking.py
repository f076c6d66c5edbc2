"""Ranking: NDCG@k and the mean reciprocal rank, from the relevance of what each query was shown.

A query is one observation. Sums over queries add up, so windows merge; a query without anything relevant defines no figure
and is left out, and n says how many were there.
"""

from __future__ import annotations

import math
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from calidris.batch import Floats
from calidris.metrics.intervals import mean_interval
from calidris.metrics.performance.confusion import Performance


class QuerySums(NamedTuple):
    """Σ, Σ² and number of per-query figures in [0, 1]; sums of parts add up."""

    total: float
    squares: float
    n: int

    @classmethod
    def of(cls, estimates: Floats) -> Self:
        """The sums of some queries; NaN is a query without a figure."""
        known = estimates[~np.isnan(estimates)]
        return cls(float(known.sum()), float((known**2).sum()), len(known))

    def plus(self, other: Self) -> Self:
        """The sums of both."""
        return type(self)(self.total + other.total, self.squares + other.squares, self.n + other.n)

    def mean(self) -> Performance:
        """Mean over queries ± 1.96 sd/√n, inside [0, 1]; queries of one user are not independent, which widens it."""
        if self.n == 0:
            return Performance(math.nan, 0)
        lower, upper = mean_interval(self.total, self.squares, self.n)
        return Performance(self.total / self.n, self.n, _inside(lower), _inside(upper))


def ndcg(relevance: npt.ArrayLike, k: int | None = None) -> Floats:
    """Normalised discounted cumulative gain of each query, float64[queries]: 1 is the best order of what was shown.

    Σ relevance_i / log₂(i+1) over the first k places, divided by the same of the rows sorted by relevance. Gains are linear
    as in scikit-learn: pass ``2**relevance - 1`` for the other custom. NaN where nothing is relevant.
    K. Järvelin & J. Kekäläinen, ACM TOIS 2002.

    Args:
        relevance: float64[queries, places], at least 0, in the order shown; NaN past the end of a shorter list.
        k: places that count; all where None.

    >>> ndcg([[3, 2, 0], [0, 2, 3]]).round(3).tolist()
    [1.0, 0.648]
    """
    gains = _gains(relevance)
    discount = 1 / np.log2(np.arange(gains.shape[1]) + 2.0)
    discount[k if k is not None else len(discount) :] = 0.0
    best = -np.sort(-gains, axis=1) @ discount
    out: Floats = np.where(best > 0, (gains @ discount) / np.where(best > 0, best, 1.0), np.nan)
    return out


def reciprocal_rank(relevance: npt.ArrayLike, threshold: float = 0.0) -> Floats:
    """One over the place of the first row above ``threshold``, float64[queries]; NaN where there is none.

    E. M. Voorhees, TREC-8 1999, counts such queries as 0: replace NaN by 0 for that.

    >>> reciprocal_rank([[0, 1, 0], [1, 0, 1], [0, 0, 0]]).tolist()
    [0.5, 1.0, nan]
    """
    hit = _gains(relevance) > threshold
    return (
        np.where(hit.any(axis=1), 1 / (hit.argmax(axis=1) + 1.0), np.nan) if hit.shape[1] else np.full(len(hit), np.nan)
    )


def _gains(relevance: npt.ArrayLike) -> Floats:
    table = np.atleast_2d(np.asarray(relevance, np.float64))
    if (table < 0).any():
        raise ValueError("a relevance is not negative")
    return np.nan_to_num(table, nan=0.0)


def _inside(bound: float) -> float:
    return bound if math.isnan(bound) else min(max(bound, 0.0), 1.0)
