"""Bets that the mean of a bounded loss rose above what the baseline allows: accuracy, Brier, error rate.

A loss is what a prediction cost, between 0 and 1, counted in bins of known range. Accuracy is the mean of a 0/1 loss; Brier, a
clipped absolute error or a pinball loss take values in between, and are counted in bins so that little is lost by knowing only
each bin's rows and sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.linear import SCALE, LinearBets, Spread
from calidris.detect.bets.loss_game import LossBets, Taught
from calidris.detect.bets.taught_rates import Rows, TaughtRate
from calidris.detect.bounds import cell_upper
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.handicap import handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.game import WHERE
from calidris.detect.layout import Layout, identity
from calidris.state import CountsState, LossesState, Role, Spec
from calidris.state import Loss as CountedLoss
from calidris.state.blocks.losses import LOSS_BINS


@dataclass(frozen=True, slots=True)
class Loss:
    """One loss and the bins that it is counted in; every row is in exactly one bin.

    Attributes:
        name: what an alarm calls it.
        low: smallest loss a row of each bin can have, K numbers from 0 to 1.
        high: the largest.
        binary: whether it is 0 or 1 and nothing in between.
    """

    name: str
    low: tuple[float, ...] = (0.0,)
    high: tuple[float, ...] = (1.0,)
    binary: bool = False

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not all(0.0 <= a <= b <= 1.0 for a, b in zip(self.low, self.high)):
            raise ValueError(f"loss {self.name!r}: bins must lie between 0 and 1, each with its low end first")
        if self.binary and (self.low, self.high) != ((0.0,), (1.0,)):
            raise ValueError(f"loss {self.name!r}: a 0/1 loss has the one bin from 0 to 1")

    @classmethod
    def zero_one(cls, name: str) -> Loss:
        """A loss that is 0 or 1: its rows and their sum say all."""
        return cls(name, binary=True)

    @classmethod
    def binned(cls, name: str, edges: Sequence[float]) -> Loss:
        """A loss counted in the bins between K+1 ascending edges from 0 to 1."""
        return cls(name, tuple(map(float, edges[:-1])), tuple(map(float, edges[1:])))

    @property
    def bins(self) -> int:
        """K."""
        return len(self.low)

    def counts(self, losses: Floats) -> Ints:
        """Bins of raw losses float64[n] as int64[2K]: rows of each bin, then their sums in units of 2^-30.

        >>> Loss.zero_one("wrong").counts(np.array([0.0, 1.0, 1.0])).tolist()
        [3, 2147483648]
        """
        at = np.clip(np.searchsorted(self.low, losses, side="right") - 1, 0, self.bins - 1)
        out = np.zeros((2, self.bins), dtype=np.int64)
        np.add.at(out[0], at, 1)
        np.add.at(out[1], at, np.rint(losses * SCALE).astype(np.int64))
        return out.ravel()


def layout_of(losses: Sequence[Loss]) -> Layout:
    """One loss after the other, ``[rows of its bins | sums of its bins]``; the first one's rows are the window's rows."""
    if not losses:
        raise ValueError("there is no loss to watch")
    name = identity("losses", [(loss.name, loss.low, loss.high, loss.binary) for loss in losses])
    return Layout(2 * sum(loss.bins for loss in losses), losses[0].bins, name)


def parts(losses: Sequence[Loss], counts: Ints) -> list[tuple[Ints, Floats]]:
    """Rows int64[..., K] and sums float64[..., K] of each loss, of counts int64[..., cells]."""
    ends = np.cumsum([2 * loss.bins for loss in losses])
    blocks = np.split(counts, ends[:-1], axis=-1)
    return [(b[..., : loss.bins], b[..., loss.bins :] / SCALE) for loss, b in zip(losses, blocks)]


@dataclass(frozen=True, slots=True)
class Known:
    """What the baseline's bins say of a loss: n rows, their mean, and bounds of the variance of one row.

    A loss in ``[a, b]`` has ``x² <= (a+b)x - ab`` (the chord of x²), and Jensen bounds it from below by bin means.
    """

    rows: float
    mean: float
    variance_upper: float
    variance_lower: float

    @classmethod
    def of(cls, loss: Loss, rows: Ints, sums: Floats) -> Known:
        """From rows int64[K] and sums float64[K]."""
        n = float(rows.sum())
        if n == 0.0:
            return cls(0.0, 0.0, 0.25, 0.0)
        low, high, mean = np.array(loss.low), np.array(loss.high), float(sums.sum() / n)
        chord = float(((low + high) * sums - low * high * rows).sum() / n) - mean**2
        between = float(np.divide(sums**2, rows, out=np.zeros_like(sums), where=rows > 0).sum() / n) - mean**2
        return cls(n, mean, max(chord, 0.0), max(chord if loss.binary else between, 0.0))

    def upper(self, loss: Loss, effect: float, alpha: float) -> float:
        """Upper bound of the mean, which independent rows exceed with probability at most alpha; m/D effective rows.

        Clopper and Pearson (1934), exact, for a 0/1 loss; the empirical Bernstein bound of Maurer and Pontil (2009),
        valid at any size, for the others. The variance in it is an upper bound of the sample's own.
        """
        m = self.rows / effect
        if m <= 1.0:
            return 1.0
        if loss.binary:
            return float(cell_upper(np.array(self.mean * m), np.array(m), np.array(alpha), 0.0))
        log = np.log(2.0 / alpha)
        variance = self.variance_upper * m / (m - 1.0)
        return float(min(self.mean + np.sqrt(2.0 * variance * log / m) + 7.0 * log / (3.0 * (m - 1.0)), 1.0))


def mirrored(loss: Loss) -> Loss:
    """The same bins of ``1 - loss``."""
    return Loss(loss.name, tuple(1.0 - b for b in loss.high), tuple(1.0 - a for a in loss.low), loss.binary)


def allowed(loss: Loss, known: Known, effect: float, alpha: float, tolerance: float, margin: float) -> float:
    """θ0: the largest mean that is no news. The tolerance is in standard deviations of the loss, the margin absolute."""
    theta = known.upper(loss, effect, alpha)
    deviation = np.sqrt(theta * (1.0 - theta)) if loss.binary else np.sqrt(known.variance_upper)
    return float(min(theta + tolerance * deviation + margin, 1.0))


_UNIT = 1 << 30


ERRORS = Loss.zero_one("errors")


def error_counts(counts: CountsState) -> Ints:
    """Calls and failed calls, for ``ERRORS``: int64[2]."""
    i = counts.spec.index(Role.ERROR)
    cells = counts.field(i if i is not None else 0)
    return np.array([cells.sum(), (cells.sum() - cells[0]) * _UNIT], dtype=np.int64)


NAMES = {"error": "accuracy", "brier": "brier", "absolute_error": "absolute error"}
"""Counted losses that are watched, and what an alarm calls them. Squared errors are left out: a few rows carry them."""


def watched_losses(spec: Spec) -> tuple[Loss, ...]:
    """The losses of a spec that a detector can watch."""
    return tuple(watched_loss(loss) for loss in spec.losses if loss.name in NAMES)


def watched_loss(loss: CountedLoss, part: str = "") -> Loss:
    """How a counted loss is watched; ``part`` ends the name where it is of some rows only."""
    name = NAMES[loss.name] + part
    return (
        Loss.zero_one(name)
        if loss.name == "error"
        else Loss.binned(name, np.linspace(0.0, 1.0, LOSS_BINS + 1).tolist())
    )


def loss_counts(state: LossesState, delay: int, slice_row: int = 0) -> Ints:
    """Rows and sums of ``watched_losses``, int64[cells] of ``layout_of(watched_losses(spec))``."""
    cells = state.array[slice_row, : delay + 1].sum(axis=0)[:, :LOSS_BINS]
    parts = [
        cells[i].sum(axis=0) if loss.name == "error" else cells[i].T.ravel()
        for i, loss in enumerate(state.spec.losses)
        if loss.name in NAMES
    ]
    out: Ints = np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
    return out


SHIFTS: tuple[float, ...] = (0.03, 0.06, 0.12, 0.25, 0.5, 1.0)
"""Alternatives: the mean lies this many standard deviations of the loss above θ0."""
_MOST = 0.95
_RULES = 3
_FORMER_RULES = 2
"""Of the versions that had frozen bets alone."""

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
    former_tolerance: float | None = None,
    days: Days | None = None,
    doubts: Sequence[float] | None = None,
) -> LinearBets | LossBets:
    """Bets on the means of losses (Waudby-Smith and Ramdas 2024, by betting; Hoeffding 1963 for the sums).

    A row of loss x multiplies bet λ > 0 by ``1 + λ(x - θ0)``. Its mean is at most 1 wherever ``E[x | past] <= θ0``, whatever
    the distribution of x. What is scored instead is, in each bin, the chord of the concave ``log(1 + λ(x - θ0))`` between the
    bin's ends: never more than the row's own log, so that E[e | past] <= 1 holds for what is scored too, and linear in the
    bin's rows and sum. For a 0/1 loss nothing is lost.

    Guarantee: with probability at least 1 - δ over the baseline's sample (δ shared by the losses, equally unless ``doubts`` says else), for rows that are
    independent given the past: E[e | past] <= 1 in every window in which each loss has mean at most θ0. θ0 is an upper bound
    of the baseline's mean (Clopper-Pearson for 0/1, empirical Bernstein else: both exact, not asymptotic) plus ``tolerance``
    standard deviations plus ``margin``. With windows, design effects D divide the evidence and the baseline's rows; that
    part is approximate (``evidence/design_effect.py``).

    Half of the weight of a 0/1 loss goes to bets that live windows teach, whose guarantee is one on average over the baseline
    (`TaughtRate`); only where worse is bet on.

    ``side="better"`` tells of improvement: the same about ``1 - loss``. It is news, not an alarm: keep it out of the budget.
    ``side="recovered"`` swaps the roles: E[e | past] <= 1 while each loss has mean at least θ0; for ``Recovery``.

    Cost: 6 bets a loss. The window's vector is ``layout_of(losses)``; ``loss_counts`` and ``error_counts`` make it from the states.

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
        former_tolerance: the ``tolerance`` by which an earlier version made these bets, where it was another one: their evidence goes on.
        days: that the windows lie in; without them windows are taken as independent of each other.
        doubts: the part of ``delta`` that each loss has, adding up to 1; even parts unless given.

    >>> wrong = Loss.zero_one("accuracy")
    >>> bets = loss_bets([wrong], np.array([5000, 500 * 2**30]))
    >>> bets.names, bets.directions[0], len(bets)
    (('accuracy',), 'worse', 12)
    """
    if not 0.0 < delta < 1.0 or not 0.0 <= tolerance < 1.0 or not 0.0 <= margin < 1.0:
        raise ValueError(f"delta {delta}, tolerance {tolerance} or margin {margin} is out of range")
    layout = layout_of(losses)
    spread = Spread.of(layout, windows, minimum_rows, days)
    alphas = [delta / len(losses)] * len(losses) if doubts is None else [delta * part for part in doubts]
    rules = [_Rule(alpha, tolerance, margin, side) for alpha in alphas]
    limits = [_Limit.of(losses, i, baseline, spread, rule) for i, rule in enumerate(rules)]
    importance = np.array([weights.get(x.loss.name, 1.0) if x.theta < 1.0 and x.known.rows else 0.0 for x in limits])
    per_loss = [x.coefficients(layout) for x in limits]
    raw = None if windows is None else windows.astype("<i8").tobytes()
    settings: tuple[object, ...] = (delta, tolerance, margin, sorted(weights.items()), side, minimum_rows)
    settings += () if doubts is None else (tuple(doubts),)
    made_of = layout.identity, baseline.astype("<i8").tobytes(), raw
    bets = LinearBets(
        layout=layout,
        identity=identity("loss", _RULES, *made_of, settings),
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
    if side != "worse":
        return bets
    then = settings if former_tolerance is None else (delta, former_tolerance, 0.0, *settings[3:])
    former = identity("loss", _FORMER_RULES, *made_of, then)
    game = LossBets(bets, tuple(_taught(limits, spread, rules[0])), former=former, margin=margin)
    return replace(game, handicap=handicap(game, windows, minimum_rows))


def _taught(limits: Sequence[_Limit], spread: Spread | None, rule: _Rule) -> Iterator[Taught]:
    """The taught bets on the 0/1 losses of which the baseline has rows."""
    for thing, limit in enumerate(limits):
        # Of a loss between 0 and 1 a rate is no law: its rows are no coin tosses.
        if not limit.loss.binary or not limit.known.rows:
            continue
        known = limit.known
        margin = rule.tolerance * float(np.sqrt(known.variance_upper)) + rule.margin
        rows = known.rows / limit.effect
        # In many corners they would take longer than all the rest, but where the null has a closed form. What is learned is one at both
        # levels, so that such a rate learns and bets on nothing.
        shifts = () if WHERE in limit.loss.name and margin else SHIFTS
        rate = TaughtRate(
            shifts, margin, Rows(rows, rows * known.mean), limit.effect, spread.mean_rows if spread else 0.0
        )
        yield Taught(thing, limit.start, rate)


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
