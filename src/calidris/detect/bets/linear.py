"""Bets whose log e-value is linear in a window's counts: one small matrix product a window."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.evidence.day_blocks import Days
from calidris.detect.evidence.design_effect import Longer, at_size, larger, longer_blocks
from calidris.detect.evidence.handicap import NONE, Handicap
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_with_ends
from calidris.detect.game import Play, log_weights
from calidris.detect.layout import Layout

SCALE = 2.0**30
"""Sums of real numbers are counted in units of 2^-30, as the score states do."""


@dataclass(frozen=True, eq=False)
class LinearBets:
    """B bets with ``log e = coefficient · counts / D``. The function that made them proves E[e | past] <= 1.

    A thing without rows in a window is idle in it. Sums are rounded to 2^-30 a row, which moves the mean of e by less than
    1e-8 a row and is not counted.

    Attributes:
        layout: of the counts.
        identity: of all that the bets were made from.
        names: F things.
        owner: thing of each bet, int64[B].
        groups: group of each bet; groups share a thing's weight equally.
        directions: what each bet says has happened.
        coefficient: float64[B, cells].
        heads: cells that hold the rows of each thing, one ``slice`` each.
        field_weight: float64[F].
        effect: D of each bet, float64[B].
        window_rows: mean rows of a baseline window, 0 where they are not known.
        design_known: whether D was measured; otherwise it is 1.
        handicap: what the bets give away because the baseline's windows refute them.
    """

    layout: Layout
    identity: bytes
    names: tuple[str, ...]
    owner: Ints
    groups: tuple[str, ...]
    directions: tuple[str, ...]
    coefficient: Floats
    heads: tuple[slice, ...]
    field_weight: Floats
    effect: Floats
    window_rows: float = 0.0
    design_known: bool = False
    handicap: Handicap = NONE

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its thing, float64[B]."""
        return log_weights(self.owner, self.groups, len(self.names)) + self.handicap.log_share

    @property
    def nothing(self) -> Floats:
        """These bets learn nothing."""
        return np.zeros(0)

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[cells]."""
        design = at_size(self.effect - 1.0, self.layout.rows(counts), self.window_rows)
        log_e = np.einsum("bc,c->b", self.coefficient, counts.astype(np.float64)) / design
        empty = np.array([not counts[head].any() for head in self.heads], dtype=np.bool_)
        idle = empty[self.owner]
        return Play(self.handicap.paid(log_e, idle), idle, memory)

    def of(self, things: tuple[str, ...]) -> LinearBets:
        """The bets on some of the things alone, which share the weight equally; for recovery."""
        kept = [self.names.index(name) for name in things]
        bets = np.nonzero(np.isin(self.owner, kept))[0]
        return replace(
            self,
            names=tuple(self.names[i] for i in kept),
            owner=np.array([kept.index(i) for i in self.owner[bets].tolist()], dtype=np.int64),
            groups=tuple(self.groups[b] for b in bets),
            directions=tuple(self.directions[b] for b in bets),
            coefficient=self.coefficient[bets],
            heads=tuple(self.heads[i] for i in kept),
            field_weight=np.full(len(kept), 1.0 / len(kept)),
            effect=self.effect[bets],
            handicap=self.handicap.of(bets, len(self)),
        )


@dataclass(frozen=True, slots=True)
class Spread:
    """What the baseline's windows show of the variation between windows.

    Attributes:
        windows: counts int64[W, cells], small ones merged.
        rows: of each window, float64[W].
        days: that they lie in; None where that is not known.
    """

    windows: Ints
    rows: Floats
    days: Days | None = None

    @classmethod
    def of(
        cls, layout: Layout, windows: Ints | None, minimum_rows: int = MINIMUM_ROWS, days: Days | None = None
    ) -> Spread | None:
        """None where there are too few windows to see any variation."""
        if windows is None:
            return None
        merged, ends = merge_with_ends(layout, windows, minimum_rows)
        rows = np.array([layout.rows(c) for c in merged], dtype=np.float64)
        return cls(merged, rows, days and days.take(ends)) if len(merged) >= 2 else None

    def effect(self, rows: Floats, total: Floats, variance: float) -> float:
        """D of a sum over rows that has mean 0 over all windows; float64[W] each, variance that of one row."""
        used = rows > 0
        if used.sum() < 2:
            return 1.0
        rows, deviation, freedom = rows[used], total[used] / rows[used], int(used.sum()) - 1
        longer: tuple[Longer, ...] = ()
        if self.days is not None:
            longer = longer_blocks(rows, deviation[:, None], freedom, self.days.take(np.nonzero(used)[0]))
        return float(larger(rows, deviation, np.array(variance), freedom, longer))

    @property
    def mean_rows(self) -> float:
        """Mean rows of a window."""
        return float(self.rows.mean())
