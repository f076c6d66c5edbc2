"""Two samples without a baseline: the e-value that "both have nearly the same rate" can never win in the mean against."""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats

_STEPS = 50


def projected(q_a: Floats, q_b: Floats, n_a: Floats, n_b: Floats, gap: float, *, beyond: bool) -> tuple[Floats, Floats]:
    """The point of the null nearest to (q_a, q_b): minimum of ``n_a·kl(q_a, θ_a) + n_b·kl(q_b, θ_b)``, for q_a > q_b.

    The null is ``|θ_a - θ_b| <= gap``; with ``beyond`` it is ``θ_a - θ_b >= gap``, for recovery. Either way the minimum lies on
    ``θ_a = θ_b + gap``, where the derivative along that line has one root between q_b and q_a - gap: bisection. A point that
    lies in the null already is its own projection.
    """
    if gap == 0.0 and not beyond:
        common = (n_a * q_a + n_b * q_b) / (n_a + n_b)
        return common, common
    low, high = np.minimum(q_b, q_a - gap), np.maximum(q_b, q_a - gap)
    low, high = np.clip(low, 1e-12, 1.0 - gap - 1e-12), np.clip(high, 1e-12, 1.0 - gap - 1e-12)
    for _ in range(_STEPS):
        t = 0.5 * (low + high)
        slope = n_a * (q_a - t - gap) / ((t + gap) * (1.0 - t - gap)) + n_b * (q_b - t) / (t * (1.0 - t))
        low, high = np.where(slope > 0, t, low), np.where(slope > 0, high, t)
    t = 0.5 * (low + high)
    free = (q_a - q_b >= gap) if beyond else (q_a - q_b <= gap)
    return np.where(free, q_a, t + gap), np.where(free, q_b, t)


def log_e(q: Floats, theta: Floats, hits: Floats, rows: Floats) -> Floats:
    """``hits·log(q/θ) + (rows-hits)·log((1-q)/(1-θ))``: one sample's part."""
    logs: Floats = hits * (np.log(q) - np.log(theta)) + (rows - hits) * (np.log1p(-q) - np.log1p(-theta))
    return logs
