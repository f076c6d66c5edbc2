"""Intervals that stay honest at small n: no figure at 0 or 1 gets an interval of no width."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from calidris.batch import Floats

Z95 = 1.959963984540054
"""Standard normal quantile of 97.5 %: every interval of this package is a two-sided one of 95 %."""


def wilson(successes: npt.ArrayLike, n: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Wilson's score interval of binomial proportions; NaN where n is 0.

    Its coverage is close to 95 % on average over the proportion from about n = 10 on, and it never leaves [0, 1].
    E. B. Wilson, JASA 1927; L. D. Brown, T. T. Cai & A. DasGupta, Statistical Science 2001.

    >>> lower, upper = wilson([0, 8], [10, 10])
    >>> lower.round(3).tolist(), upper.round(3).tolist()
    ([0.0, 0.49], [0.278, 0.943])
    """
    k, rows = np.broadcast_arrays(np.asarray(successes, np.float64), np.asarray(n, np.float64))
    safe = np.where(rows > 0, rows, np.nan)
    share, z2 = k / safe, Z95**2
    centre = (share + z2 / (2 * safe)) / (1 + z2 / safe)
    half = Z95 / (1 + z2 / safe) * np.sqrt(share * (1 - share) / safe + z2 / (4 * safe**2))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def mean_interval(total: float, squares: float, n: int) -> tuple[float, float]:
    """Normal interval of a mean from Σx, Σx² and n: mean ± 1.96 sd/√n; NaN below two rows.

    Trust it from some 30 rows on, less where a few rows carry the sum.
    """
    if n < 2:
        return math.nan, math.nan
    mean = total / n
    # Sums are fixed point: the difference of two equal ones may be a hair below zero.
    variance = max(0.0, (squares - n * mean * mean) / (n - 1))
    half = Z95 * math.sqrt(variance / n)
    return mean - half, mean + half


def auc_interval(auc: float, positives: int, negatives: int) -> tuple[float, float]:
    """Score interval of an area under the ROC curve; keeps its width at 0 and 1. NaN without both classes.

    Solves ``|auc - t| = 1.96 sd(t)`` with Hanley & McNeil's variance at t.
    R. G. Newcombe, Statistics in Medicine 2006 (part 2, method 5); J. A. Hanley & B. J. McNeil, Radiology 1982.
    """
    if positives == 0 or negatives == 0:
        return math.nan, math.nan
    spread = (positives + negatives) / 2 - 1

    def excess(t: float) -> float:
        factor = 1 + spread * ((1 - t) / (2 - t) + t / (1 + t))
        return abs(auc - t) - Z95 * math.sqrt(t * (1 - t) * factor / (positives * negatives))

    return _root(excess, 0.0, auc), _root(excess, 1.0, auc)


def _root(excess: Callable[[float], float], outside: float, inside: float) -> float:
    """Where ``excess`` falls to zero on the way from ``outside`` to ``inside``, by 50 halvings."""
    if excess(outside) <= 0:
        return outside
    for _ in range(50):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if excess(middle) > 0 else (outside, middle)
    return outside
