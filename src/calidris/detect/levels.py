"""Two levels of evidence in one budget: strong, of a change that matters, and early, of one that is small yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Final

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.game import Game, Play
from calidris.detect.layout import Layout, identity

EARLY_WEIGHT: Final = 2 / 3
"""Of the weight; the strong level has the rest. Strong evidence grows so fast that a third delays it least."""


class Level(StrEnum):
    """How much of a change the evidence of an alarm is of."""

    STRONG = "strong"
    EARLY = "early"


@dataclass(frozen=True, eq=False)
class TwoLevels:
    """Bets at a wide and at a narrow tolerance, which share the weight.

    Guarantee: the weights add up to at most 1, so that the bound of the ``Detector`` (A windows to an alarm) holds for both levels
    together, where nothing moves beyond the early tolerance. The strong level has a third of the weight and must reach A by
    itself, so that it takes 3·A windows in the mean to a false strong alarm, wherever nothing moves beyond the strong tolerance and
    whatever the early level says there.

    Cost: twice that of one level a window, and a float more a bet. What windows teach is the same at both and is kept once.

    Attributes:
        strong: the bets at the wide tolerance.
        early: those at the narrow one, of the same things in the same windows.
    """

    strong: Game
    early: Game

    @property
    def layout(self) -> Layout:
        """Of the counts."""
        return self.strong.layout

    @cached_property
    def identity(self) -> bytes:
        """Of both."""
        return identity("levels", self.strong.identity, self.early.identity)

    @property
    def before(self) -> Game:
        """The game of versions that knew one level: its bets come first."""
        return self.strong

    @property
    def names(self) -> tuple[str, ...]:
        """The things."""
        return self.strong.names

    @property
    def pairs(self) -> Mapping[str, tuple[str, str]]:
        """Names of the two columns of each thing that is a pair."""
        found: Mapping[str, tuple[str, str]] = getattr(
            self.strong,
            "pairs",
            {},
        )
        return found

    @cached_property
    def owner(self) -> Ints:
        """Thing of each bet; strong ones first."""
        return np.concatenate([self.strong.owner, self.early.owner])

    @property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened."""
        return (*self.strong.directions, *self.early.directions)

    @cached_property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its thing, the level's share in it."""
        strong = self.strong.log_weight + np.log(1.0 - EARLY_WEIGHT)
        early = self.early.log_weight + np.log(EARLY_WEIGHT)
        return np.concatenate([strong, early])

    @property
    def field_weight(self) -> Floats:
        """Weight of each thing."""
        return self.strong.field_weight

    @property
    def nothing(self) -> Floats:
        """The memory before the first window."""
        return self.strong.nothing

    @cached_property
    def is_early(self) -> Mask:
        """Which bets are of the early level, bool[B]."""
        begin = len(self.strong.owner)
        places = np.arange(len(self.owner))
        early: Mask = places >= begin
        return early

    def stratum(self, start_ns: int) -> int:
        """As one level has it."""
        return self.strong.stratum(start_ns)

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[cells], then learn from it."""
        strong = self.strong.play(counts, memory, stratum)
        # What windows teach depends on the design effect, which has no tolerance: one memory serves both.
        early = self.early.play(counts, memory, stratum)
        log_e = np.concatenate([strong.log_e, early.log_e])
        idle = np.concatenate([strong.idle, early.idle])
        return Play(log_e, idle, strong.memory)


def game_of(game: Game, level: str) -> Game:
    """The bets of one level; the game itself where it has only one.

    >>> from calidris.detect import Loss, loss_bets
    >>> bets = loss_bets([Loss.zero_one("accuracy")], np.array([5000, 500 * 2**30]))
    >>> game_of(bets, Level.EARLY) is bets
    True
    """
    if not isinstance(game, TwoLevels):
        return game
    return game.early if level == Level.EARLY else game.strong
