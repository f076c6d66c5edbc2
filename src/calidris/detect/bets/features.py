"""The table of bets on the binned fields of one model; ``freeze`` makes it from a baseline."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.cells import MISSING_WORD, CellBets
from calidris.detect.bets.learned_shapes import GROUP, MEMORY, Learned, Stake
from calidris.detect.bets.tilts import Tilts
from calidris.detect.evidence.design_effect import at_size
from calidris.detect.evidence.handicap import NONE, Handicap
from calidris.detect.game import Play, log_weights
from calidris.detect.layout import Layout
from calidris.detect.watched_fields import WatchedFields
from calidris.state import Spec


@dataclass(frozen=True, eq=False)
class Bets:
    """B bets of fixed weight on the F watched fields of a model; made by ``freeze``.

    Bets are stored kind by kind: tilts, cells, then the learned ones (γ by γ, field by field).

    Attributes:
        watch: the fields and their rectangle.
        tilts: bets on location and spread.
        cells: bets on single cells.
        learned: bets on the shape of past windows.
        field_weight: weight of each field, float64[F]; adds up to 1.
        window_rows: mean rows of a baseline window, 0 where they are not known.
        design_known: whether the design effects were measured; otherwise they are 1.
        days_depend: whether days of the baseline showed that windows of one day depend on each other.
        identity: 16 bytes of BLAKE2b over all that the bets were made from; equal identities score alike.
        only: directions that carry weight; None for all of them.
        handicap: what the bets give away because the baseline's windows refute them.
        doubted: fields of which the baseline's shares are biased: nothing but missing values carries weight.
        tolerance: √τ, what is no news.
    """

    watch: WatchedFields
    tilts: Tilts
    cells: CellBets
    learned: Learned
    field_weight: Floats
    window_rows: float
    design_known: bool
    identity: bytes

    only: frozenset[str] | None = None
    handicap: Handicap = NONE
    days_depend: bool = False
    doubted: frozenset[str] = frozenset()
    tolerance: float = 0.05

    @property
    def spec(self) -> Spec:
        """The spec whose counts the bets score."""
        return self.watch.spec

    @cached_property
    def layout(self) -> Layout:
        """The counts of a model."""
        return Layout.of(self.spec)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the watched fields, F of them."""
        return tuple(f.name for f in self.watch.fields)

    @cached_property
    def pairs(self) -> dict[str, tuple[str, str]]:
        """Names of the two columns of each watched pair."""
        return {pair.name: pair.columns for _, pair in self.watch.pairs}

    def __len__(self) -> int:
        return len(self.owner)

    @cached_property
    def owner(self) -> Ints:
        """Field of each bet, int64[B]."""
        every = np.arange(len(self.watch.fields), dtype=np.int64)
        return np.concatenate([self.tilts.field, self.cells.field, *([every] * len(MEMORY))])

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened, B texts."""
        return tuple(direction for _, direction in self.labels)

    @cached_property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its field, float64[B].

        A field's groups (location, spread, special cells, levels, shape) share it equally, and so do a group's bets; a
        handicap takes of each bet's part.
        """
        groups = [
            group if self._carries(self.names[field], word) else None
            for field, (group, word) in zip(self.owner.tolist(), self.labels)
        ]
        return log_weights(self.owner, groups, len(self.names)) + self.handicap.log_share

    def _carries(self, name: str, word: str) -> bool:
        """Whether bets of a field in a direction have weight."""
        if name in self.doubted and word != MISSING_WORD:
            return False
        return self.only is None or word in self.only

    @cached_property
    def excess(self) -> Floats:
        """D - 1 of each bet, float64[B]."""
        effects = [self.tilts.effect, self.cells.effect, *([self.learned.effect] * len(MEMORY))]
        return np.concatenate(effects) - 1.0

    def design(self, rows: int) -> Floats:
        """Design effect of each bet in a window of n rows, float64[B]; see ``design.at_size``."""
        return at_size(self.excess, rows, self.window_rows)

    def log_e(self, counts: Floats, stake: Stake, rows: int) -> Floats:
        """Log e-value of every bet for one window, before any handicap, float64[B]; counts float64[F, K]."""
        shape = np.einsum("gfk,fk->gf", stake.log_ratio, counts).ravel()
        raw = np.concatenate([self.tilts.score(counts), self.cells.score(counts), shape])
        log_e: Floats = raw / self.design(rows)
        return log_e

    @property
    def nothing(self) -> Floats:
        """What the learned bets know before the first window."""
        return self.learned.nothing

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[cells], then learn from it."""
        rows, rectangle = self.layout.rows(counts), self.watch.padded(counts).astype(np.float64)
        stake = self.learned.stake(memory)
        idle = np.zeros(len(self), dtype=np.bool_)
        idle[len(self) - stake.idle.size :] = stake.idle.ravel()
        design = at_size(self.learned.effect - 1.0, rows, self.window_rows)
        log_e = self.handicap.paid(self.log_e(rectangle, stake, rows), idle)
        return Play(log_e, idle, self.learned.learn(memory, rectangle, design))

    @cached_property
    def labels(self) -> tuple[tuple[str, str], ...]:
        """Group and direction of each bet."""
        shape = ((GROUP, GROUP),) * (len(MEMORY) * len(self.names))
        return self.tilts.names + self.cells.names + shape
