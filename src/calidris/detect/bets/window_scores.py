"""Whole windows as single observations: for rows that depend on each other so strongly that they cannot be counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints
from calidris.detect.bets.features import Bets
from calidris.detect.bets.freezing import ALL_ROLES, shares
from calidris.detect.evidence.handicap import NONE, Handicap, handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_small
from calidris.detect.game import SHAPE, Play, log_weights
from calidris.detect.layout import Layout, identity
from calidris.detect.watched_fields import WatchedFields
from calidris.state import CountsState, Kind, Role, Spec

QUANTILES: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 0.95)
THETAS: tuple[float, ...] = (0.25, 0.5, 1.0, 2.0)
FEWEST = 50
"""Baseline windows that it takes."""
STRONG = 10.0
"""Design effect above which this detector is worth its slowness."""
_RULES = 2


@dataclass(frozen=True, eq=False)
class WindowScoreBets:
    """Four bets a field; made by ``window_score_bets``, which says what they guarantee.

    Attributes:
        watch: the fields and their rectangle.
        identity: of all that the bets were made from.
        p: baseline proportions, float64[F, K].
        cuts: limits of the score's bins, float64[F, 5].
        log_ratio: what a window in each bin multiplies by, float64[F, 4, 6].
        field_weight: float64[F].
        handicap: what the bets give away because the baseline's windows refute them.
    """

    watch: WatchedFields
    identity: bytes
    p: Floats
    cuts: Floats
    log_ratio: Floats
    field_weight: Floats
    handicap: Handicap = NONE

    @cached_property
    def layout(self) -> Layout:
        """The counts of a model."""
        return Layout.of(self.watch.spec)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the watched fields."""
        return tuple(f.name for f in self.watch.fields)

    @cached_property
    def owner(self) -> Ints:
        """Field of each bet."""
        return np.repeat(np.arange(len(self.p), dtype=np.int64), len(THETAS))

    @property
    def directions(self) -> tuple[str, ...]:
        """A distance has no direction."""
        return (SHAPE,) * len(self.owner)

    @cached_property
    def log_weight(self) -> Floats:
        """The four bets share their field."""
        return log_weights(self.owner, self.directions, len(self.p)) + self.handicap.log_share

    @property
    def nothing(self) -> Floats:
        """These bets learn nothing."""
        return np.zeros(0)

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[cells]: one look-up a field."""
        score = distance(self.watch.padded(counts).astype(np.float64), self.p)
        at = (score[:, None] > self.cuts).sum(-1)
        log_e = self.log_ratio[np.arange(len(at)), :, at].ravel()
        idle = np.zeros(len(log_e), dtype=np.bool_)
        return Play(self.handicap.paid(log_e, idle), idle, memory)


def window_score_bets(
    spec: Spec,
    baseline: CountsState,
    windows: Ints,
    *,
    delta: float = 0.05,
    weights: Mapping[str, float] = MappingProxyType({}),
    roles: Collection[Role] = ALL_ROLES,
    minimum_rows: int = MINIMUM_ROWS,
) -> WindowScoreBets:
    """Bets that windows lie further from the baseline than its own windows did from each other.

    A window's score is the χ²-distance of its histogram; the W scores of the baseline's windows, each against the others,
    are cut at five of their order statistics; a window multiplies by an increasing function r of the bin that its score falls
    in. ``E[r] = r_0 + Σ (r_i - r_{i-1})·P(score > cut_i)``, and an upper bound of that is divided out: the chance to exceed the
    i-th smallest of W scores has a Beta distribution whatever the scores' own is (Wilks 1941).

    Guarantee: for windows that are independent of each other, with probability at least 1 - δ over the baseline (δ shared by
    fields and cuts), E[e | past] <= 1. Rows inside a window may depend on each other in any way, their number may vary, and no
    design effect is needed. Exact but for one thing: a baseline window is scored against the other W - 1, a live one against
    all W. Windows that depend on their neighbours (a daily cycle) are covered by the handicap as far as simulation shows.

    Cost: blind to the direction, and slow: a window can win at most a factor of about W/20. Use it where ``needed`` says so.

    Raises:
        ValueError: fewer than 50 baseline windows.
    """
    # A distance sees all cells at once, and so the margins of a pair: it would tell every change of a column twice.
    roles = frozenset(roles) - {Role.PAIR}
    watch = WatchedFields.of(spec, baseline, roles)
    merged = merge_small(spec, windows, minimum_rows)
    if len(merged) < FEWEST:
        raise ValueError(f"window scores take at least {FEWEST} baseline windows, got {len(merged)}")
    table = watch.padded(merged).astype(np.float64)
    total = table.sum(0)
    others = _proportions(watch, total - table)
    scores = np.sort(np.array([distance(c, p) for c, p in zip(table, others)]), axis=0)
    ranks = np.minimum(np.ceil(np.array(QUANTILES) * len(merged)).astype(np.int64), len(merged))
    alpha = delta / (len(QUANTILES) * max(len(watch.fields), 1))
    # P(score > the r-th smallest of W) ~ Beta(W - r + 1, r), whatever the score's distribution.
    exceed = special.betainccinv(len(merged) - ranks + 1.0, ranks.astype(np.float64), alpha)
    bets = WindowScoreBets(
        watch=watch,
        identity=identity(
            "window scores", _RULES, spec.hash, baseline.array.astype("<i8").tobytes(), windows.astype("<i8").tobytes(),
            (delta, sorted(weights.items()), sorted(roles), minimum_rows),
        ),
        p=_proportions(watch, total),
        cuts=scores[ranks - 1].T,
        log_ratio=np.broadcast_to(_ratios(exceed), (len(watch.fields), len(THETAS), len(QUANTILES) + 1)),
        field_weight=shares(watch, weights),
    )  # fmt: skip
    return replace(bets, handicap=handicap(bets, windows, minimum_rows))


def distance(counts: Floats, p: Floats) -> Floats:
    """χ²-distance ``Σ (c/n - p)²/p`` of histograms float64[F, K], float64[F]."""
    share = counts / np.maximum(counts.sum(-1, keepdims=True), 1.0)
    ratio: Floats = np.divide((share - p) ** 2, p, out=np.zeros_like(p), where=p > 0).sum(-1)
    return ratio


def needed(bets: Bets) -> bool:
    """Whether rows depend on each other so strongly that half of the fields are better watched by window scores.

    Not where windows of a day depend on each other too: what window scores rest on is that windows do not.
    """
    if bets.days_depend:
        return False
    columns = bets.learned.effect[~bets.watch.of_kind(Kind.PAIR)]
    return bool(len(columns)) and float(np.median(columns)) > STRONG


def _proportions(watch: WatchedFields, counts: Floats) -> Floats:
    smoothed: Floats = (counts + 0.5 * watch.real) / (counts + 0.5 * watch.real).sum(-1, keepdims=True)
    return smoothed


def _ratios(exceed: Floats) -> Floats:
    """Logs of exponential tilts of the bin, over the bound of their mean, float64[4, 6]."""
    bound = np.minimum.accumulate(exceed)
    midpoint = np.array([0.25, 0.6, 0.75, 0.85, 0.925, 0.975])
    ratio = np.exp(np.array(THETAS)[:, None] * special.ndtri(midpoint))
    mean = ratio[:, 0] + (np.diff(ratio, axis=1) * bound).sum(-1)
    logs: Floats = np.log(ratio) - np.log(mean)[:, None]
    return logs
