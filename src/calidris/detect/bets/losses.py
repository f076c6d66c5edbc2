"""Bets that the mean of a bounded loss rose above what the baseline allows: accuracy, Brier, error rate, slow calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.linear import SCALE, LinearBets, Spread
from calidris.detect.bets.loss import Known, Loss, allowed, layout_of, mirrored, parts
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.handicap import handicap
from calidris.detect.layout import Layout, identity

SHIFTS: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""Alternatives: the mean lies this many standard deviations of the loss above θ0."""
_MOST = 0.95
_RULES = 2

Side = Literal["worse", "better", "recovered"]


def loss_bets(
    losses: Sequence[Loss],
    baseline: Ints,
    windows: Ints | None = None,
    *,
    delta: float = 0.05,
    tolerance: float = 0.05,
    margin: float = 0.0,
    weights: Mapping[str, float] = MappingProxyType({}),
    side: Side = "worse",
    minimum_rows: int = MINIMUM_ROWS,
) -> LinearBets:
    """Bets on the means of losses (Waudby-Smith and Ramdas 2024, by betting; Hoeffding 1963 for the sums).

    A row of loss x multiplies bet λ > 0 by ``1 + λ(x - θ0)``. Its mean is at most 1 wherever ``E[x | past] <= θ0``, whatever
    the distribution of x. What is scored instead is, in each bin, the chord of the concave ``log(1 + λ(x - θ0))`` between the
    bin's ends: never more than the row's own log, so that E[e | past] <= 1 holds for what is scored too, and linear in the
    bin's rows and sum. For a 0/1 loss nothing is lost.

    Guarantee: with probability at least 1 - δ over the baseline's sample (δ shared equally by the losses), for rows that are
    independent given the past: E[e | past] <= 1 in every window in which each loss has mean at most θ0. θ0 is an upper bound
    of the baseline's mean (Clopper-Pearson for 0/1, empirical Bernstein else: both exact, not asymptotic) plus ``tolerance``
    standard deviations plus ``margin``. With windows, design effects D divide the evidence and the baseline's rows; that
    part is approximate (``design``).

    ``side="better"`` tells of improvement: the same about ``1 - loss``. It is news, not an alarm: keep it out of the budget.
    ``side="recovered"`` swaps the roles: E[e | past] <= 1 while each loss has mean at least θ0; for ``Recovery``.

    Cost: 6 bets a loss. The window's vector is ``layout_of(losses)``; ``feeds`` makes it from the states.

    Args:
        losses: what to watch; they share the rows of the first.
        baseline: counts int64[cells] of the baseline's rows. A loss without baseline rows is not watched.
        windows: counts int64[W, cells] of the baseline's own windows (or of the first live ones), or None.
        delta: chance that the baseline's sample misleads.
        tolerance: changes of the mean up to this many standard deviations of the loss are no news.
        margin: changes up to this much are no news either; 0.01 is one percentage point of accuracy.
        weights: importance of losses by name.
        side: what to bet on.
        minimum_rows: baseline windows with fewer rows are merged with the next.

    >>> wrong = Loss.zero_one("accuracy")
    >>> bets = loss_bets([wrong], np.array([5000, 500 * 2**30]))
    >>> bets.names, bets.directions[0], len(bets)
    (('accuracy',), 'worse', 6)
    """
    if not 0.0 < delta < 1.0 or not 0.0 <= tolerance < 1.0 or not 0.0 <= margin < 1.0:
        raise ValueError(f"delta {delta}, tolerance {tolerance} or margin {margin} is out of range")
    layout = layout_of(losses)
    spread = Spread.of(layout, windows, minimum_rows)
    rule = _Rule(delta / len(losses), tolerance, margin, side)
    limits = [_Limit.of(losses, i, baseline, spread, rule) for i in range(len(losses))]
    importance = np.array([weights.get(x.loss.name, 1.0) if x.theta < 1.0 and x.known.rows else 0.0 for x in limits])
    per_loss = [x.coefficients(layout) for x in limits]
    raw = None if windows is None else windows.astype("<i8").tobytes()
    settings = (delta, tolerance, margin, sorted(weights.items()), side, minimum_rows)
    bets = LinearBets(
        layout=layout,
        identity=identity("loss", _RULES, layout.identity, baseline.astype("<i8").tobytes(), raw, settings),
        names=tuple(loss.name for loss in losses),
        owner=np.repeat(np.arange(len(losses), dtype=np.int64), len(SHIFTS)),
        groups=(side,) * (len(losses) * len(SHIFTS)),
        directions=(side,) * (len(losses) * len(SHIFTS)),
        coefficient=np.concatenate(per_loss),
        heads=tuple(slice(x.start, x.start + x.loss.bins) for x in limits),
        field_weight=importance / max(float(importance.sum()), 1e-300),
        effect=np.repeat([x.effect for x in limits], len(SHIFTS)),
        window_rows=spread.mean_rows if spread else 0.0,
        design_known=spread is not None,
    )
    return replace(bets, handicap=handicap(bets, windows if side == "worse" else None, minimum_rows))


class _Rule(NamedTuple):
    alpha: float
    tolerance: float
    margin: float
    side: Side


class _Limit(NamedTuple):
    """One loss, where its cells begin, its D and the θ0 of the side that is bet on."""

    loss: Loss
    known: Known
    start: int
    effect: float
    theta: float
    side: Side

    @classmethod
    def of(cls, losses: Sequence[Loss], i: int, baseline: Ints, spread: Spread | None, rule: _Rule) -> _Limit:
        loss, (rows, sums) = losses[i], parts(losses, baseline)[i]
        known = Known.of(loss, rows, sums)
        effect = _effect(losses, i, known, spread)
        if rule.side == "better":
            loss_there, known_there = mirrored(loss), Known.of(mirrored(loss), rows, rows - sums)
        else:
            loss_there, known_there = loss, known
        theta = allowed(loss_there, known_there, effect, rule.alpha, rule.tolerance, rule.margin)
        return cls(loss, known, 2 * sum(other.bins for other in losses[:i]), effect, theta, rule.side)

    def stakes(self) -> Floats:
        """λ of each bet: the best one for its alternative, and never so large that one row could lose all."""
        limit = self.theta if self.side != "recovered" else 1.0 - self.theta
        variance = limit * (1.0 - limit) if self.loss.binary else self.known.variance_upper
        shift = np.array(SHIFTS) * np.sqrt(variance)
        best = shift / max(variance, 1e-12) if self.loss.binary else shift / np.maximum(variance + shift**2, 1e-12)
        stake: Floats = np.minimum(best, _MOST / max(limit, 1e-12))
        return stake if self.theta < 1.0 else np.zeros(len(SHIFTS))

    def coefficients(self, layout: Layout) -> Floats:
        """Coefficients of each bet, float64[6, cells]."""
        low, high, theta = np.array(self.loss.low), np.array(self.loss.high), self.theta
        sign = 1.0 if self.side == "worse" else -1.0
        theta = 1.0 - theta if self.side == "better" else theta
        stake = sign * self.stakes()[:, None]
        at_low, at_high = np.log1p(stake * (low - theta)), np.log1p(stake * (high - theta))
        width = high - low
        slope = np.divide(at_high - at_low, width, out=np.zeros_like(at_low), where=width > 0)
        out = np.zeros((len(SHIFTS), layout.cells))
        end = self.start + self.loss.bins
        out[:, self.start : end] = at_low - slope * low
        out[:, end : end + self.loss.bins] = slope / SCALE
        return out


def _effect(losses: Sequence[Loss], i: int, known: Known, spread: Spread | None) -> float:
    """D of the loss's mean; the variance of a row is bounded from below, which makes D larger, not smaller."""
    if spread is None:
        return 1.0
    rows, sums = parts(losses, spread.windows)[i]
    n, total = rows.sum(-1).astype(np.float64), sums.sum(-1)
    mean = total.sum() / max(n.sum(), 1.0)
    return spread.effect(n, total - n * mean, known.variance_lower)
