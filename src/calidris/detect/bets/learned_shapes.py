"""Bets learned from the windows before: whatever shape a change has, the next windows are bet on in that shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.cells import largest_effect
from calidris.detect.bounds import BALL_ROWS, ball_radius
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.game import SHAPE
from calidris.detect.relations import remove_margins
from calidris.detect.watched_fields import WatchedFields

MEMORY: tuple[float, ...] = (0.0, 0.8)
"""γ: how much of what was learned a window leaves to the next."""

GROUP = SHAPE
PRIOR_ROWS_PER_CELL = 2.0


class Relations(NamedTuple):
    """The pairs among the fields: of what was learned of them only that is bet on which is orthogonal to the margins.

    What is left has mean 0 under the baseline as the whole had, and lies in a space of fewer dimensions, so that the ball's bound
    holds for it with fewer degrees of freedom (Scheffé's bound of all functions in a space).

    Attributes:
        rows: of the pairs, int64[P].
        freedom: dimensions of what is left, int64[P].
        keep: ``relations.remove_margins`` of each pair, float64[P, K, K].
    """

    rows: Ints
    freedom: Ints
    keep: Floats

    @classmethod
    def of(cls, watch: WatchedFields, p: Floats, inside: Mask) -> Relations:
        """Of the pairs that are watched."""
        pairs, size = watch.pairs, p.shape[1]
        keep = np.zeros((len(pairs), size, size))
        for matrix, (row, pair) in zip(keep, pairs):
            cells = pair.field.ordered
            matrix[:cells, :cells] = remove_margins(p[row, :cells], pair.shape, inside[row, :cells])
        rows = np.array([row for row, _ in pairs], dtype=np.int64)
        # The trace of a projection is its rank.
        freedom = np.rint(np.trace(keep, axis1=1, axis2=2)).astype(np.int64)
        return cls(rows, freedom, keep)

    def purify(self, shift: Floats) -> None:
        """Take the margins out of relative shifts float64[γ, F, K] of the pairs; none may take more than there is of a cell."""
        if not len(self.rows):
            return
        pure = np.einsum("pjk,gpk->gpj", self.keep, shift[:, self.rows])
        lowest = -pure.min(axis=-1, keepdims=True)
        shift[:, self.rows] = pure * np.minimum(1.0, _MOST_TAKEN / np.maximum(lowest, 1e-300))


_MOST_TAKEN = 0.95


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
        relations: what keeps the bets on pairs off the margins.
    """

    p: Floats
    inside: Mask
    rho: Floats
    effect: Floats
    relations: Relations

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
        self.relations.purify(shift)
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
    watch: WatchedFields, counts: Floats, p: Floats, alpha: Floats, windows: Windows | None, tolerance: float
) -> Learned:
    """The learned bets; counts and p float64[F, K] are the baseline's, alpha float64[F] each field's chance to miss the truth."""
    total = counts.sum(axis=-1)
    effect = largest_effect(watch, counts, p, windows) if windows else np.ones(len(p))
    inside = watch.real & (counts / effect[:, None] >= BALL_ROWS)
    free = inside.sum(-1) - (inside == watch.real).all(-1)
    relations = Relations.of(watch, p, inside)
    free[relations.rows] = relations.freedom
    radius = ball_radius(free.astype(np.float64), total / effect, alpha, tolerance)
    return Learned(p, inside, radius, effect, relations)
