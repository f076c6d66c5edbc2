"""Two groups, two versions, a canary: bets that their rates differ, against each other and without a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.projection import log_e, projected
from calidris.detect.evidence.design_effect import at_size
from calidris.detect.game import SHAPE, Play, log_weights
from calidris.detect.handicap import NONE, Handicap
from calidris.detect.layout import Layout

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
            out += [("gap", more if gap > 0 else less) for gap in GAPS] + [("own", SHAPE)]
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
