"""How far the truth may be from the baseline's sample: what makes an e-value valid although the baseline is finite.

Three kinds of bound, each one-sided at a stated level α, each on an effective sample of m/D rows (D: design effect):

* one cell: Clopper & Pearson (1934), exact for independent rows, also where the baseline never saw the cell;
* the mean of a fixed function of the cells: normal, with Hall's (1992) term for skewness. Second-order accurate, not
  exact: simulated at α = 0.00125 and m = 500, 2000, 5000 it misses between 0.6 and 1.2 times α (the plain normal bound up
  to 1.9 times). The empirical Bernstein bound of Maurer and Pontil (2009) is exact, but 2.0, 1.65 and 1.5 times as wide
  there, and detection pays for every bit of it;
* the whole histogram at once, for a bet that was learned: Pearson's χ² ball (Scheffé 1953), asymptotic, used on cells
  of at least ``BALL_ROWS`` effective rows only. Simulated: misses 0.7 to 1.4 times α = 0.025; at α = 0.00025 up to 2
  times from m = 2000 on and up to 4 times at m = 500.

The tolerance ε (√τ) widens each by the largest effect of a change of χ-distance ε: ``sqrt(Σ(p'-p)²/p) <= ε``. By Cauchy and
Schwarz it moves the mean of g by at most ε·sd(g), hence one cell by at most ε·sqrt(p(1-p)).
"""

from __future__ import annotations

import numpy as np
from scipy import special

from calidris.batch import Floats

BALL_ROWS = 20.0
"""Effective baseline rows that a cell needs to be a coordinate of the ball."""


def cell_upper(rows: Floats, total: Floats, alpha: Floats, tolerance: float) -> Floats:
    """Upper bound of the probability of a cell that holds ``rows`` of ``total`` baseline rows, tolerance included.

    Exact for independent rows: holds with probability at least ``1 - alpha`` whatever the probability is.

    >>> float(cell_upper(np.array(0.0), np.array(300.0), np.array(0.05), 0.0))  # the rule of three: 3 in 300
    0.00993
    """
    upper = np.where(rows < total, special.betainccinv(rows + 1.0, np.maximum(total - rows, 1e-300), alpha), 1.0)
    widened: Floats = np.minimum(upper + tolerance * np.sqrt(upper * (1.0 - upper)), 1.0)
    return widened


def cell_lower(rows: Floats, total: Floats, alpha: Floats, tolerance: float) -> Floats:
    """Lower bound of the probability of a cell, tolerance included: ``cell_upper`` of all other cells, mirrored."""
    lower: Floats = 1.0 - cell_upper(total - rows, total, alpha, tolerance)
    return lower


def mean_radius(skewness: Floats, total: Floats, alpha: Floats, tolerance: float) -> Floats:
    """Upper bound of a mean over the truth, in standard deviations above its mean over the baseline.

    Args:
        skewness: of the function over the baseline.
        total: effective baseline rows, m/D.
        alpha: chance that the bound fails.
        tolerance: ε.
    """
    z = special.ndtri(1.0 - alpha)
    hall = np.maximum(skewness, 0.0) * (2.0 * z * z + 1.0) / (6.0 * np.sqrt(total))
    radius: Floats = (z + hall) / np.sqrt(total) + tolerance
    return radius


def ball_radius(freedom: Floats, total: Floats, alpha: Floats | float, tolerance: float) -> Floats:
    """Radius, in χ-distance, of the ball around the baseline's histogram that holds the truth.

    Args:
        freedom: coordinates that can vary.
        total: effective baseline rows, m/D.
        alpha: chance that the truth is outside.
        tolerance: ε.
    """
    quantile = special.chdtri(np.maximum(freedom, 1.0), alpha)
    radius: Floats = np.sqrt(quantile / total) + tolerance
    return radius
