"""Two groups, two versions, a canary: bets that their rates differ, against each other and without a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.detect.evidence.design_effect import at_size, upper
from calidris.detect.evidence.handicap import NONE, Handicap, handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS
from calidris.detect.game import EITHER, SHAPE, Play, log_weights
from calidris.detect.layout import Layout, identity
from calidris.state import GroupsState, Spec

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


GAPS: tuple[float, ...] = (-1.2, -0.6, -0.3, -0.15, 0.15, 0.3, 0.6, 1.2)
"""Alternatives: the rates lie this far apart, in logits, beyond the tolerance."""
SHORT, LONG = 0.8, 0.95
"""γ: what a window leaves to the next of the two samples' own rates, and of their common rate."""
BACK: tuple[float, ...] = (0.0, 0.5)
"""Alternatives of recovery: the gap is this share of the tolerance."""
_PENDING, _COMMON, _OWN = slice(0, 2), 2, slice(3, 5)


class _Stake(NamedTuple):
    """What is bet on one event in one window: rates float64[bets], and which bets are laid."""

    q_a: Floats
    q_b: Floats
    laid: Mask


@dataclass(frozen=True, eq=False)
class GroupBets:
    """Bets on P pairs of samples, each by E events; made by ``group_bets``, which says what they guarantee.

    A pair is a group and the rest (all other groups together), or two versions. An event is a set of categories: each one
    of them, for ordered categories each "at most this one", and, for more than two, the set that the pair's past windows
    differ in most.

    The memory of a pair is float64[5, K]: rows of either side that wait for the other to have enough, the common past, and
    either side's own.

    Attributes:
        layout: ``[group, category]``.
        identity: of all that the bets were made from.
        names: what an alarm calls each pair.
        groups: how many there are.
        events: bool[E, K].
        words: what more of each event in the group is called, and less.
        tolerance: gap of rates that is no news.
        effect: D of each pair, float64[P].
        window_rows: mean rows of the windows that D was read from, 0 where there were none.
        handicap: what the bets give away because the baseline's windows refute them.
        back: the direction of the alarm that is to be recovered from, or None.
        minimum_rows: rows that either side needs.
    """

    layout: Layout
    identity: bytes
    names: tuple[str, ...]
    groups: int
    events: Mask
    words: tuple[tuple[str, str], ...]
    tolerance: float
    effect: Floats
    window_rows: float
    back: str | None
    minimum_rows: int
    handicap: Handicap = NONE

    @cached_property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Group and direction of the bets on one pair."""
        if self.back is not None:
            return (("recovered", "recovered"),) * len(BACK)
        out = []
        for more, less in self.words:
            learned = SHAPE if self.events.shape[1] > 2 else EITHER
            out += [("gap", more if gap > 0 else less) for gap in GAPS] + [("own", learned)]
        return (*out, ("own", SHAPE)) if self.events.shape[1] > 2 else tuple(out)

    @cached_property
    def owner(self) -> Ints:
        """Pair of each bet, int64[B]."""
        return np.repeat(np.arange(len(self.names), dtype=np.int64), len(self.labels))

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened."""
        return tuple(word for _, word in self.labels) * len(self.names)

    @cached_property
    def log_weight(self) -> Floats:
        """Fixed gaps and learned ones share a pair's weight."""
        groups = [group for group, _ in self.labels] * len(self.names)
        return log_weights(self.owner, groups, len(self.names)) + self.handicap.log_share

    @property
    def field_weight(self) -> Floats:
        """Pairs weigh alike."""
        return np.full(len(self.names), 1.0 / len(self.names))

    @property
    def design_known(self) -> bool:
        """Whether D was measured; otherwise it is 1."""
        return self.window_rows > 0.0

    @property
    def nothing(self) -> Floats:
        """The memory before the first window, float64[P, 5, K]."""
        return np.zeros((len(self.names), 5, self.events.shape[1]))

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[groups·K]; a pair waits until both of its sides have rows enough."""
        table = counts.reshape(self.groups, -1).astype(np.float64)
        memory = memory.copy()
        logs, idle = (
            np.zeros((len(self.names), len(self.labels))),
            np.ones((len(self.names), len(self.labels)), np.bool_),
        )
        for pair in range(len(self.names)):
            mine = memory[pair]
            mine[0] += table[pair]
            mine[1] += table.sum(0) - table[pair]
            if mine[_PENDING].sum(-1).min() < self.minimum_rows:
                continue
            effect = float(at_size(self.effect[pair] - 1.0, int(mine[_PENDING].sum()), self.window_rows))
            logs[pair], idle[pair] = self._pair(mine, effect)
            mine[_COMMON] = LONG * mine[_COMMON] + mine[_PENDING].sum(0)
            mine[_OWN] = SHORT * mine[_OWN] + mine[_PENDING]
            mine[_PENDING] = 0.0
        return Play(self.handicap.paid(logs.ravel(), idle.ravel()), idle.ravel(), memory)

    def _pair(self, mine: Floats, effect: float) -> tuple[Floats, Mask]:
        """Log e of each bet on one pair, and which were not laid."""
        rows = mine[_PENDING].sum(-1)
        events, stakes = zip(*self._stakes(mine, rows))
        hits = [np.outer(mine[_PENDING] @ e.astype(np.float64), np.ones(len(s.laid))) for e, s in zip(events, stakes)]
        every = _Stake(*(np.concatenate(part) for part in zip(*stakes)))  # one bisection for all events
        logs = self._scored(every, np.concatenate(hits, axis=1), rows)
        return np.where(every.laid, logs, 0.0) / effect, ~every.laid

    def _stakes(self, mine: Floats, rows: Floats) -> list[tuple[Mask, _Stake]]:
        """The bets on each event, from what was known before the window."""
        out = [(event, self._stake(mine, rows, event)) for event in self.events]
        if self.back is not None or self.events.shape[1] == 2:
            return out
        own = mine[_OWN] / np.maximum(mine[_OWN].sum(-1, keepdims=True), 1.0)
        learned = own[0] > own[1]
        both = self._stake(mine, rows, learned)
        return [*out, (learned, _Stake(both.q_a[-1:], both.q_b[-1:], both.laid[-1:]))]

    def _stake(self, mine: Floats, rows: Floats, event: Mask) -> _Stake:
        total = mine[_COMMON].sum()
        common = (mine[_COMMON][event].sum() + 0.5) / (total + 1.0)
        if self.back is not None:
            step = np.array(BACK) * self.tolerance * (1.0 if self.back == self.words[0][0] else -1.0)
            q_a, q_b = common + step * rows[1] / rows.sum(), common - step * rows[0] / rows.sum()
            return _Stake(_inside(q_a), _inside(q_b), np.full(len(step), total > 0))
        logit = special.logit(common)
        share = rows / rows.sum()
        wide = np.array(GAPS) + np.sign(GAPS) * self.tolerance / max(common * (1.0 - common), 0.01)
        own = (mine[_OWN] @ event.astype(np.float64) + 2.0 * common) / (mine[_OWN].sum(-1) + 2.0)
        q_a = np.append(special.expit(logit + wide * share[1]), own[0])
        q_b = np.append(special.expit(logit - wide * share[0]), own[1])
        return _Stake(_inside(q_a), _inside(q_b), (total > 0) & (np.abs(q_a - q_b) > self.tolerance))

    def _scored(self, stake: _Stake, hits: Floats, rows: Floats) -> Floats:
        down = (stake.q_a < stake.q_b) if self.back is None else np.full(len(stake.q_a), self.back != self.words[0][0])
        high, low = np.where(down, stake.q_b, stake.q_a), np.where(down, stake.q_a, stake.q_b)
        n_high, n_low = np.where(down, rows[1], rows[0]), np.where(down, rows[0], rows[1])
        k_high, k_low = np.where(down, hits[1], hits[0]), np.where(down, hits[0], hits[1])
        theta = projected(high, low, n_high, n_low, self.tolerance, beyond=self.back is not None)
        return log_e(high, theta[0], k_high, n_high) + log_e(low, theta[1], k_low, n_low)


def _inside(rate: Floats) -> Floats:
    clipped: Floats = np.clip(rate, 1e-6, 1.0 - 1e-6)
    return clipped


def level_names(spec: Spec, attribute: str) -> tuple[str, ...]:
    """Names of the rows that feeds of groups have: the levels of a slice, and the rest of it."""
    found = next((s for s in spec.slices if s.name == attribute), None)
    if found is None:
        raise ValueError(f"{attribute!r} is no slice of this model; it has {[s.name for s in spec.slices]}")
    return (*found.levels, "(other)")


NO, YES = 0, 1


def group_counts(state: GroupsState, attribute: str, measure: str, delay: int) -> Ints:
    """Rows of each level of a slice, and of the other levels, by no and yes; int64[2·(levels + 1)].

    Args:
        state: of a binary task.
        attribute: the slice.
        measure: what "yes" is: ``demographic_parity`` decided positive, of all rows; ``equal_opportunity`` decided positive,
            of positive outcomes; ``false_positive_rate`` likewise of negative ones; ``accuracy`` decided right, of all rows.
            Rows without a decision are left out.
        delay: last bucket whose labels count.
    """
    start = state.spec.axis.starts[[s.name for s in state.spec.slices].index(attribute)]
    levels = len(level_names(state.spec, attribute))
    confusion = state.array[start : start + levels, : delay + 1].sum(axis=1)[..., :2]  # level, truth, decision
    if measure == "accuracy":
        right = confusion[:, NO, NO] + confusion[:, YES, YES]
        split = np.stack([confusion.sum(axis=(1, 2)) - right, right], axis=1)
    else:
        of: Sequence[int] = {"equal_opportunity": (YES,), "false_positive_rate": (NO,)}.get(measure, (NO, YES))
        split = confusion[:, of].sum(axis=1)
    out: Ints = split.ravel()
    return out


_RULES = 2


def group_bets(
    groups: Sequence[str],
    categories: Sequence[str] = ("no", "yes"),
    windows: Ints | None = None,
    *,
    tolerance: float = 0.05,
    ordered: bool = False,
    recovered: str | None = None,
    minimum_rows: int = MINIMUM_ROWS,
) -> GroupBets:
    """Bets that groups of rows differ in how often something happens (Turner, Ly and Grünwald 2024).

    With a pair's hits k and rows n on either side, and rates q that were chosen before the window,
    ``e = Π (q/θ)^k·((1-q)/(1-θ))^(n-k)`` over both sides, where θ = (θ_a, θ_b) is the point of the null that minimises
    ``n_a·kl(q_a, θ_a) + n_b·kl(q_b, θ_b)``. The null is ``|rate_a - rate_b| <= tolerance``. Without a tolerance θ is the common
    rate ``(n_a·q_a + n_b·q_b)/n``.

    Guarantee, exact: for rows that are independent given the past and the numbers of rows, E[e | past, n_a, n_b] <= 1 in
    every window in which the two rates differ by at most the tolerance, whatever they are and however they move from
    window to window. It needs no baseline. It needs that how many rows a side has does not depend on their outcomes.

    Proof. A row of side a with rate r multiplies in the mean by ``1 + (r - θ_a)·s_a``, with ``s = (q - θ)/(θ(1 - θ))``. By the
    inequality of the means the product over all rows is at most the n-th power of ``1 + (n_a(r_a-θ_a)s_a + n_b(r_b-θ_b)s_b)/n``,
    r_a and r_b being the sides' mean rates. As the null is convex and θ the minimum over it, the derivative of what is
    minimised is not negative on the way from θ to r in the null; and that derivative is the bracket's sum with the other sign.

    For more than two categories each event ("category is x", "at most x" where they are ordered, and the set in which the
    pair differed most so far) is a pair of rates of its own; the null is that the two distributions are within ``tolerance``
    in total variation.

    Windows give each pair's design effect, which divides the evidence; that part is approximate.
    ``recovered`` swaps the roles, for ``Recovery`` on two categories: the null is then ``rate_a - rate_b >= tolerance`` if the
    alarm said "yes more often", and so on.

    Cost: 9 bets an event and pair, by a bisection over all of them.

    Args:
        groups: names of the G groups; for two, one pair (the first against the second); for more, each against the rest.
        categories: names of the K outcomes. The window's vector is int64[G, K], flattened.
        windows: int64[W, G·K] in which all was well, or None.
        tolerance: gap of rates that is no news; 0.05 is five percentage points.
        ordered: whether categories have an order.
        recovered: the direction of the alarm, for ``Recovery``.
        minimum_rows: rows that either side of a pair needs; until then they wait.

    >>> bets = group_bets(["f", "m"], ["rejected", "granted"])
    >>> bets.names, bets.directions[0], len(bets.owner)
    (('f',), 'granted less often', 9)
    """
    _check(groups, categories, tolerance, recovered)
    g, k = len(groups), len(categories)
    events = np.eye(k, dtype=np.bool_)[1:] if k == 2 else np.eye(k, dtype=np.bool_)
    words = [(f"{c} more often", f"{c} less often") for c in (categories[1:] if k == 2 else categories)]
    if ordered and k > 3:
        events = np.concatenate([events, np.tri(k, dtype=np.bool_)[1:-2]])
        words += [(f"at most {c} more often", f"at most {c} less often") for c in categories[1:-2]]
    raw = None if windows is None else windows.astype("<i8").tobytes()
    settings = (tuple(groups), tuple(categories), tolerance, ordered, recovered, minimum_rows)
    name = identity("groups", _RULES, raw, settings)
    pairs = tuple(groups[:1] if g == 2 else groups)
    table = None if windows is None else windows.reshape(len(windows), g, k).astype(np.float64)
    effect = np.array([_effect(table, i, events, minimum_rows) for i in range(len(pairs))])
    layout = Layout(g * k, g * k, identity("groups", tuple(groups), tuple(categories)))
    rows = 0.0 if table is None or len(table) < 2 else float(table.sum((1, 2)).mean())
    bets = GroupBets(layout, name, pairs, g, events, tuple(words), tolerance, effect, rows, recovered, minimum_rows)
    return replace(bets, handicap=handicap(bets, None if recovered else windows, minimum_rows))


def _check(groups: Sequence[str], categories: Sequence[str], tolerance: float, recovered: str | None) -> None:
    if len(groups) < 2 or len(categories) < 2:
        raise ValueError(f"it takes two groups and two categories, got {list(groups)} and {list(categories)}")
    if not 0.0 <= tolerance < 0.5:
        raise ValueError(f"the tolerance must be at least 0 and below one half, got {tolerance}")
    if recovered is not None and len(categories) != 2:
        raise ValueError("recovery is known for two categories; of more, watch one against the rest")


def _effect(table: Floats | None, i: int, events: Mask, minimum_rows: int) -> float:
    """D of the difference between a group and the rest, the largest over events; 1 where windows are too few."""
    if table is None:
        return 1.0
    sides = np.stack([table[:, i], table.sum(1) - table[:, i]], axis=1)
    sides = sides[(sides.sum(-1) >= minimum_rows).all(-1)]
    if len(sides) < 2:
        return 1.0
    rows = sides.sum(-1)
    rate = np.einsum("wsk,ek->wse", sides, events.astype(np.float64)) / rows[..., None]
    common = np.einsum("wse,ws->e", rate, rows) / rows.sum()
    difference = rate[:, 0] - rate[:, 1]
    exact = 1.0 / (1.0 / rows).sum(-1)
    mean = (difference * exact[:, None]).sum(0) / exact.sum()
    scatter = (exact[:, None] * (difference - mean) ** 2).sum(0)
    return float(upper(scatter, common * (1.0 - common), len(sides) - 1).max())
