"""Bets learned from the windows before: whatever shape a change has, the next windows are bet on in that shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Mask
from calidris.detect.bets.cells import largest_effect
from calidris.detect.bounds import BALL_ROWS, ball_radius
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.game import SHAPE
from calidris.detect.watched_fields import WatchedFields

MEMORY: tuple[float, ...] = (0.0, 0.8)
"""γ: how much of what was learned a window leaves to the next."""

GROUP = SHAPE
PRIOR_ROWS_PER_CELL = 2.0


class Stake(NamedTuple):
    """What is bet on the next window, decided before it is seen: log-ratios float64[γ, F, K], and which bets are idle."""

    log_ratio: Floats
    idle: Mask


@dataclass(frozen=True, eq=False)
class Learned:
    """Two bets a field, one for each γ, against every distribution within χ-distance ρ of the baseline.

    With r the ratio bet, Cauchy and Schwarz give E[r] <= 1 + ρ·χ(r) for all of them, so that E[e | past] <= 1 holds wherever
    the ball holds the truth (``bounds.ball_radius``: asymptotic, on cells with enough rows; the ratio is 1 elsewhere).
    What was learned is shrunk towards the baseline by the ball's radius: a change inside the ball is not bet on. A bet that is
    idle (ratio 1 everywhere) does not grow either.

    Attributes:
        p: baseline proportions, float64[F, K].
        inside: cells that are coordinates of the ball, bool[F, K].
        rho: the ball's radius, float64[F].
        effect: design effect D, the largest over directions and cells, float64[F].
    """

    p: Floats
    inside: Mask
    rho: Floats
    effect: Floats

    def stake(self, seen: Floats) -> Stake:
        """The bets after rows float64[γ, F, K] were learned; O(F·K)."""
        p = self.p * self.inside
        prior = PRIOR_ROWS_PER_CELL * self.inside.sum(-1)
        mass = p.sum(-1)
        rows = seen.sum(-1)
        # Proportions inside the ball add up to what they add up to in the baseline.
        weight = (mass / np.maximum(prior + rows, 1e-300))[..., None]
        learned = weight * (prior / np.maximum(mass, 1e-300))[:, None] * p + weight * seen
        shift = np.divide(learned - p, p, out=np.zeros_like(learned), where=self.inside)
        chi = np.sqrt((p * shift**2).sum(-1))
        keep = np.maximum(0.0, 1.0 - self.rho / np.maximum(chi, 1e-300))
        log_ratio = np.log1p(keep[..., None] * shift) - np.log1p(self.rho * keep * chi)[..., None]
        return Stake(log_ratio, keep == 0.0)

    def learn(self, seen: Floats, counts: Floats, design: Floats) -> Floats:
        """What is known after a window of counts float64[F, K] whose design effect is float64[F]."""
        fresh = counts * self.inside / design[:, None]
        known: Floats = np.array(MEMORY)[:, None, None] * seen + fresh
        return known

    @property
    def nothing(self) -> Floats:
        """What is known before the first window, float64[γ, F, K]."""
        return np.zeros((len(MEMORY), *self.p.shape))


def make(
    watch: WatchedFields, counts: Floats, p: Floats, alpha: float, windows: Windows | None, tolerance: float
) -> Learned:
    """The learned bets; counts and p float64[F, K] are the baseline's, alpha is each field's chance to miss the truth."""
    total = counts.sum(axis=-1)
    effect = largest_effect(watch, counts, p, windows) if windows else np.ones(len(p))
    inside = watch.real & (counts / effect[:, None] >= BALL_ROWS)
    free = inside.sum(-1) - (inside == watch.real).all(-1)
    return Learned(p, inside, ball_radius(free.astype(np.float64), total / effect, alpha, tolerance), effect)
