"""The bets on losses: frozen ones on all of them, and beside those on 0/1 losses others that live windows teach."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.bets.linear import SCALE, LinearBets
from calidris.detect.bets.taught_rates import Rows, TaughtRate
from calidris.detect.evidence.handicap import NONE, Handicap
from calidris.detect.game import Play, log_weights
from calidris.detect.layout import Layout

TAUGHT: Final = "taught"
"""Group of those bets: they have half of their loss's weight."""


class Taught(NamedTuple):
    """The taught bets on one loss: which thing it is, and the cell of its rows; that of its sum is the next."""

    thing: int
    cell: int
    rate: TaughtRate

    def rows_of(self, counts: Ints) -> Rows:
        """A window's rows of the loss."""
        begin = self.cell
        total, wrong = counts[begin : begin + 2].tolist()
        return Rows(
            float(total),
            wrong / SCALE,
        )

    def play(self, counts: Ints, memory: Floats) -> Play:
        """Score one window, then learn from it; ``memory`` is what windows before it taught."""
        window = self.rows_of(counts)
        taught = Rows(*memory.tolist())
        bets = len(self.rate.shifts)
        idle = np.full(bets, not window.total)
        if not window.total:
            nothing = np.zeros(bets)
            return Play(nothing, idle, memory)
        log_e = self.rate.log_e(window, taught)
        learned = self.rate.learn(window, taught)
        known = np.array(learned)
        return Play(log_e, idle, known)


@dataclass(frozen=True, eq=False)
class LossBets:
    """Frozen bets, then the taught ones.

    Attributes:
        frozen: on each loss.
        taught: on 0/1 losses.
        handicap: what all of them give away because the baseline's windows refute them.
        former: identity of the frozen bets of versions that had no others.
        margin: rises of the mean up to this are no news.
    """

    frozen: LinearBets
    taught: tuple[Taught, ...]
    handicap: Handicap = NONE
    former: bytes = b""
    margin: float = 0.0

    def __len__(self) -> int:
        return len(self.owner)

    @property
    def layout(self) -> Layout:
        """Of the counts."""
        return self.frozen.layout

    @property
    def identity(self) -> bytes:
        """Of all that the bets were made from."""
        return self.frozen.identity

    @property
    def before(self) -> LinearBets:
        """The game of those versions: evidence that it had goes on as that of the frozen bets, which come first."""
        return replace(self.frozen, identity=self.former)

    @property
    def names(self) -> tuple[str, ...]:
        """The losses."""
        return self.frozen.names

    @property
    def field_weight(self) -> Floats:
        """Of each loss."""
        return self.frozen.field_weight

    @property
    def design_known(self) -> bool:
        """Whether D was measured; otherwise it is 1."""
        return self.frozen.design_known

    @cached_property
    def owner(self) -> Ints:
        """Loss of each bet."""
        things: list[int] = []
        for one in self.taught:
            bets = len(one.rate.shifts)
            things += [one.thing] * bets
        taught = np.array(things, dtype=np.int64)
        frozen = self.frozen.owner
        return np.concatenate([frozen, taught])

    @cached_property
    def directions(self) -> tuple[str, ...]:
        """What each bet says has happened."""
        word = self.frozen.directions[:1]
        return self.frozen.directions + word * self._taught_bets

    @cached_property
    def log_weight(self) -> Floats:
        """Log weight of each bet within its loss."""
        groups = [*self.frozen.groups, *[TAUGHT] * self._taught_bets]
        losses = len(self.names)
        weights = log_weights(self.owner, groups, losses)
        return weights + self.handicap.log_share

    @property
    def _taught_bets(self) -> int:
        bets = 0
        for one in self.taught:
            bets += len(one.rate.shifts)
        return bets

    @property
    def nothing(self) -> Floats:
        """Effective rows of live windows, and how many of them were wrong, of each taught loss."""
        return np.zeros(2 * len(self.taught))

    def stratum(self, start_ns: int) -> int:
        """Every window may be merged with the next."""
        return 0

    def play(self, counts: Ints, memory: Floats, stratum: int = 0) -> Play:
        """Score one window of counts int64[cells], then learn from it."""
        nothing = self.frozen.nothing
        plays = [self.frozen.play(counts, nothing)]
        for at, one in enumerate(self.taught):
            begin = 2 * at
            taught = memory[begin : begin + 2]
            play = one.play(counts, taught)
            plays.append(play)
        logs, idles, learned = map(np.concatenate, zip(*plays))
        paid = self.handicap.paid(logs, idles)
        return Play(paid, idles, learned)
