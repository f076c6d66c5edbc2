"""Bets against a reference that moves: the hour of the week, or the last day."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Literal

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.bets.features import Bets
from calidris.detect.bets.freezing import ALL_ROLES, freeze, lay
from calidris.detect.calendar import HOUR_NS, HOURS
from calidris.detect.evidence.design_effect import Windows
from calidris.detect.evidence.handicap import FEWEST, NONE, Handicap, settled
from calidris.detect.evidence.windows import MINIMUM_ROWS, Carry, merge_small
from calidris.detect.game import SHAPE, Play, log_weights
from calidris.detect.layout import Layout, identity
from calidris.detect.references import References
from calidris.state import CountsState, Role, Spec

_RULES = 2

Which = Literal["hour_of_week", "decayed"]


class SeasonalBets:
    """The frozen baseline's bets, laid anew for each window against ``References``; learned shapes excepted.

    A window is scored against its own reference, and each bet keeps one R over all of them: e-values of different references
    multiply. A bet that a reference cannot make is idle.

    What is claimed: given a reference whose rows were drawn as the window's are (R1: whose hour's shares were drawn around its
    day's hour as the κ says), E[e | past] <= 1 with probability at least 1 - δ over *that reference's* rows. As references are
    made anew all the time, no bound of the mean time between false alarms follows; ``docs/detection.md`` has measured ones. The
    frozen baseline, whose bound is proven, must be watched beside it: these references absorb slow drift.

    R1 is laid for windows of one hour of the week at a time: a small window waits only for the rest of its own hour, and is
    dropped when the next one begins.

    Cost: ``freeze`` once an hour (R1) or a window (R2): about 30 ms for 100 fields.

    Args:
        spec: of the model version.
        baseline: the frozen one; says which fields are watched, and with which bets.
        windows: its own windows, int64[W, cells].
        starts_ns: their begins, int64[W].
        references: the state; ``learn`` each window after it was scored.
        which: R1 or R2.
        delta: chance that one reference's rows mislead.
        tolerance: in standard deviations, as for ``freeze``.
        weights: importance of fields by name.
        roles: columns that may be watched.
        minimum_rows: smallest window that is scored by itself.
    """

    def __init__(
        self,
        spec: Spec,
        baseline: CountsState,
        windows: Ints,
        starts_ns: Ints,
        references: References,
        which: Which = "hour_of_week",
        *,
        delta: float = 0.05,
        tolerance: float = 0.05,
        weights: Mapping[str, float] = MappingProxyType({}),
        roles: Collection[Role] = ALL_ROLES,
        minimum_rows: int = MINIMUM_ROWS,
    ) -> None:
        self.anchor = freeze(
            spec, baseline, windows, delta=delta, tolerance=tolerance, weights=weights, roles=roles,
            minimum_rows=minimum_rows,
        )  # fmt: skip
        self.references = references
        self.which = which
        self._delta, self._tolerance = delta, tolerance
        self._deviation = self._deviations(windows, starts_ns, minimum_rows)
        self._laid: tuple[tuple[int, int], Bets, Ints, Ints] | None = None
        self._handicap = NONE
        if which == "decayed":
            self._handicap = self._replayed(windows[-HOURS:], starts_ns[-HOURS:], minimum_rows)

    def _replayed(self, windows: Ints, starts_ns: Ints, minimum_rows: int) -> Handicap:
        """``handicap`` against a reference that learns on the way: the last windows of the baseline, at most a week of hours."""
        live, carry = self.references, Carry(self.layout, minimum_rows)
        plays: list[tuple[Floats, Mask]] = []
        self.references = References(live.spec, live.window_s, live.half_life_s)
        for start, counts in zip(starts_ns.tolist(), windows):
            merged = carry.add(counts)
            if merged is not None:
                plays.append(self.play(merged, self.nothing, 0)[:2])
            self.references.learn(start, counts)
        self.references, self._laid = live, None
        return settled(lambda: plays) if len(plays) >= FEWEST else NONE

    def _deviations(self, windows: Ints, starts_ns: Ints, minimum_rows: int) -> Windows | None:
        """How windows differ from others of their kind: of the hour of the week, else of the day, else all."""
        watch = self.anchor.watch
        hours = self.references.calendar.hours_of_week(starts_ns)
        for strata in (HOURS, 24, 1) if self.which == "hour_of_week" else (1,):
            kind = hours % strata
            merged = [merge_small(watch.spec, windows[kind == s], minimum_rows) for s in range(strata)]
            many = [Windows.of(watch, m, minimum_rows) for m in merged if len(m) >= 2]
            if many and sum(len(m.rows) for m in many) >= 3 * len(many) and len(many) >= 0.5 * strata:
                deviation = np.concatenate([m.share - m.pooled for m in many])
                return Windows(deviation, np.concatenate([m.rows for m in many]), len(many))
        return None

    @property
    def layout(self) -> Layout:
        """The counts of a model."""
        return self.anchor.layout

    @cached_property
    def identity(self) -> bytes:
        """Of the frozen parts; the references' own state has its own bytes."""
        clock = () if self.references.calendar.is_utc else (self.references.calendar.zone,)
        return identity("seasonal", _RULES, self.anchor.identity, self.which, self.references.half_life_s, *clock)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the watched fields."""
        return self.anchor.names

    @property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Names of the two columns of each watched pair."""
        return self.anchor.pairs

    @property
    def owner(self) -> Ints:
        """Field of each bet, as of the frozen baseline's."""
        return self.anchor.owner

    @property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened."""
        return self.anchor.directions

    @cached_property
    def log_weight(self) -> Floats:
        """As of the frozen baseline's, without the learned shapes."""
        groups = [None if group == SHAPE else group for group, _ in self.anchor.labels]
        return log_weights(self.owner, groups, len(self.names)) + self._handicap.log_share

    @property
    def field_weight(self) -> Floats:
        """As of the frozen baseline's."""
        return self.anchor.field_weight

    @property
    def design_known(self) -> bool:
        """Whether the design effects were measured."""
        return self._deviation is not None

    @property
    def nothing(self) -> Floats:
        """What was learned is in the references."""
        return np.zeros(0)

    def stratum(self, start_ns: int) -> int:
        """The hour since the epoch (R1); windows of different hours are not merged."""
        return start_ns // HOUR_NS if self.which == "hour_of_week" else 0

    def play(self, counts: Ints, memory: Floats, stratum: int) -> Play:
        """Score one window of counts int64[cells] against its reference."""
        log_e, idle = np.zeros(len(self.anchor)), np.ones(len(self.anchor), dtype=np.bool_)
        laid = self._bets(stratum)
        if laid is not None:
            bets, mine, theirs = laid
            rows, rectangle = self.layout.rows(counts), bets.watch.padded(counts).astype(np.float64)
            stake = bets.learned.stake(bets.learned.nothing)
            log_e[mine] = bets.log_e(rectangle, stake, rows)[theirs]
            idle[mine] = False
        return Play(self._handicap.paid(log_e, idle), idle, memory)

    def _bets(self, stratum: int) -> tuple[Bets, Ints, Ints] | None:
        """The bets against the reference, and which of them is which of the frozen baseline's."""
        key = (stratum, self.references.version if self.which == "decayed" else 0)
        if self._laid is None or self._laid[0] != key:
            hourly = self.which == "hour_of_week"
            found = self.references.seasonal(stratum * HOUR_NS) if hourly else self.references.decayed()
            if found is None or found.count < MINIMUM_ROWS:
                return None
            bets = lay(self.anchor.watch, found, self._spread(found), delta=self._delta, tolerance=self._tolerance)
            self._laid = (key, bets, *_matched(self.anchor, bets))
        return self._laid[1:]

    def _spread(self, found: CountsState) -> Windows | None:
        if self._deviation is None:
            return None
        counts = self.anchor.watch.padded(found.array).astype(np.float64)
        share = counts / np.maximum(counts.sum(-1, keepdims=True), 1.0)
        return self._deviation._replace(share=self._deviation.share + share)


def _matched(anchor: Bets, bets: Bets) -> tuple[Ints, Ints]:
    """Positions of the same bets in both, learned shapes left out."""
    there = {key: i for i, key in enumerate(_keys(bets))}
    pairs = [(i, there[key]) for i, key in enumerate(_keys(anchor)) if key in there and key[1] != SHAPE]
    both = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    return both[:, 0], both[:, 1]


def _keys(bets: Bets) -> list[tuple[int, str, str, int]]:
    """Field, group, direction, and the how-manieth of these."""
    seen: Counter[tuple[int, str, str]] = Counter()
    out = []
    for field, (group, word) in zip(bets.owner.tolist(), bets.labels):
        out.append((field, group, word, seen[field, group, word]))
        seen[field, group, word] += 1
    return out
