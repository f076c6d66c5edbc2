"""Bets that a number moved: its location or its spread, tilted exponentially over the ordered bins; and so the relation of a pair."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bounds import mean_radius
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.relations import GROUP as RELATION_GROUP
from calidris.detect.relations import WORDS as RELATION_WORDS
from calidris.detect.watched_fields import WatchedFields
from calidris.state import Kind

THETAS: tuple[float, ...] = (-0.4, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.4)
"""Tilts in standard deviations. Small ones are needed: under slack ρ the best bet on a shift μ is θ = μ - ρ."""
SMALL_THETAS: tuple[float, ...] = (-0.08, -0.04, 0.04, 0.08)
"""Where larger shifts have bets of their own: fewer bets share the weight, so that each needs less evidence."""

DIRECTIONS = 2
"""Location and spread."""
WORDS = (("mean down", "mean up"), ("spread narrower", "spread wider"))
GROUPS = ("location", "spread")


@dataclass(frozen=True, eq=False)
class Tilts:
    """T bets ``q = p·exp(θg)/norm`` with g a standardised rank (location), its square (spread) or a pair's relation, 0 on special cells.

    The log e-value of a window with counts c is ``c · log_ratio`` (before the design effect divides it). Its ratio r = q/p
    is divided by ``1 + ρ·χ(q)``, an upper bound of the mean of r over the truth (``bounds.mean_radius``), hence
    E[e | past] <= 1 wherever that bound holds.

    Attributes:
        field: row of the rectangle, int64[T].
        log_ratio: ``log(q/p) - log(1 + ρχ)`` per cell, float64[T, K].
        effect: design effect D, float64[T].
        names: group and direction of each bet.
    """

    field: Ints
    log_ratio: Floats
    effect: Floats
    names: tuple[tuple[str, str], ...]

    def score(self, counts: Floats) -> Floats:
        """Log e-values of counts float64[F, K], design effect not yet divided out: float64[T]."""
        logs: Floats = np.einsum("tk,tk->t", self.log_ratio, counts[self.field])
        return logs


def make(
    watch: WatchedFields,
    p: Floats,
    m: int,
    alpha: Floats,
    windows: Windows | None,
    tolerance: float,
    thetas: tuple[float, ...] = THETAS,
) -> Tilts:
    """The tilts of the numeric fields and pairs; p float64[F, K] the baseline's proportions of m rows, alpha float64[F] a bound."""
    g, varies = watch.directions(p)
    effect = windows.along(g) if windows else np.ones(g.shape[:2])
    ratio = np.exp(np.array(thetas)[:, None] * g[:, :, None, :])
    ratio /= np.einsum("fk,fdjk->fdj", p, ratio)[..., None]
    chi, skewness = _moments(p, ratio)
    rho = mean_radius(skewness, m / effect[..., None], alpha[:, None, None], tolerance)
    log_ratio = np.log(ratio) - np.log1p(rho * chi)[..., None]
    tilted = watch.of_kind(Kind.NUMERIC) | watch.of_kind(Kind.PAIR)
    keep = np.broadcast_to((varies & tilted[:, None])[..., None], chi.shape)
    owner = _Owner(*(i.astype(np.int64) for i in np.nonzero(keep)))
    pairs = {row for row, _ in watch.pairs}
    names = tuple(
        (RELATION_GROUP, RELATION_WORDS[thetas[j] > 0]) if f in pairs else (GROUPS[d], WORDS[d][thetas[j] > 0])
        for f, d, j in zip(owner.field.tolist(), owner.direction, owner.theta)
    )
    return Tilts(owner.field, log_ratio[keep], effect[owner.field, owner.direction], names)


class _Owner(NamedTuple):
    field: Ints
    direction: Ints
    theta: Ints


def _moments(p: Floats, ratio: Floats) -> tuple[Floats, Floats]:
    """Standard deviation χ and skewness under p of ratios float64[F, d, j, K] of mean 1."""
    centred = ratio - 1.0
    chi = np.sqrt(np.einsum("fk,fdjk->fdj", p, centred**2))
    third = np.einsum("fk,fdjk->fdj", p, centred**3)
    return chi, np.divide(third, chi**3, out=np.zeros_like(third), where=chi > 1e-12)
