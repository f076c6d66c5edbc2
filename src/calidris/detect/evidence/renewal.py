"""While an alarm stands: what it does not name goes on by itself, and renews it."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Self

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.evidence.weighing import Weighing, total_of
from calidris.detect.game import WORSE, Game, Play, is_part
from calidris.detect.relations import PairedThings, find_things
from calidris.errors import CorruptState


class Renewal:
    """Plays the bets on with those set aside that standing alarms name; at A the others renew the alarm.

    Each alarm takes at least A out of the evidence (``set_aside``), which is what the bound in ``Detector`` needs.

    Args:
        bets: the game.
        weighing: of its bets.
    """

    def __init__(self, bets: Game, weighing: Weighing) -> None:
        self._bets = bets
        self._weighing = weighing
        self._pairs = PairedThings(bets)
        self._aside: Mask = np.zeros(len(bets.names), dtype=np.bool_)
        self._log_r: Floats = np.full(len(bets.owner), -np.inf)
        self._memory: Floats = bets.nothing
        self._begun = False

    @classmethod
    def after(
        cls,
        bets: Game,
        weighing: Weighing,
        log_r: Floats,
        memory: Floats,
    ) -> Self:
        """Go on with the evidence log_r float64[B] that raised an alarm; nothing is set aside yet."""
        self = cls(bets, weighing)
        self._log_r = log_r.copy()
        self._memory = memory
        self._begun = True
        return self

    @classmethod
    def of_names(
        cls,
        bets: Game,
        weighing: Weighing,
        names: Collection[str],
    ) -> Self:
        """Begin with what an alarm named that an earlier version raised: of the others it kept no evidence."""
        self = cls(bets, weighing)
        self._aside = self._find(names)
        return self

    @property
    def log_r(self) -> Floats:
        """Evidence of each bet, float64[B]; minus infinity where it is set aside."""
        return self._log_r

    def play(self, counts: Ints, stratum: int) -> Play:
        """Score one window of counts int64[cells] with the bets that are not set aside."""
        before = self._memory
        play = self._bets.play(counts, before, stratum)
        entry = np.where(play.idle, -np.inf, 0.0)
        earlier = np.logaddexp(self._log_r, entry)
        log_r = play.log_e + earlier
        away = self._aside[self._bets.owner]
        # What persists must not add up again: its alarm stands already.
        self._log_r = np.where(away, -np.inf, log_r)
        self._memory = play.memory
        self._begun = True
        return play

    def set_aside(self, names: Collection[str], log_threshold: float) -> None:
        """Take what an alarm names out of the evidence, and of the others what is missing to A.

        An alarm names things that have A together, but for one: where many have a little each, it names the strongest alone. The
        others are scaled down then, so that no evidence speaks twice.
        """
        fields = self._weighing.weigh(self._log_r)
        going = self._find(names)
        taken = total_of(fields[going])
        total = total_of(fields)
        kept = _log_rest(total, taken, log_threshold)
        rest = self._log_r + kept
        away = going[self._bets.owner]
        self._aside |= going
        self._begun = True
        self._log_r = np.where(away, -np.inf, rest)

    def let_back(self, names: Collection[str]) -> None:
        """What an alarm named that somebody cleared is watched again, from nothing."""
        coming = self._find(names)
        self._aside = self._pairs.add_implied(self._aside & ~coming)

    def _find(self, names: Collection[str]) -> Mask:
        """The things of these names, and what would say it again: relations of those that are columns, and corners of what all rows have."""
        losses = self._find_losses(names)
        asked = [name for name in self._bets.names if name in names or is_part(name, losses)]
        things = find_things(self._bets.names, asked)
        return self._pairs.add_implied(things)

    def _find_losses(self, names: Collection[str]) -> set[str]:
        """Those of the names that are losses: a feature may be called like a part of another one, and is none."""
        said = zip(self._bets.owner.tolist(), self._bets.directions)
        lost = {self._bets.names[thing] for thing, word in said if word == WORSE}
        return lost.intersection(names)

    def to_bytes(self) -> bytes:
        """Exact bytes; none where it holds nothing that the names of the alarm do not tell."""
        if not self._begun:
            return b""
        floats = np.concatenate([self._log_r, self._memory.ravel()])
        return self._aside.tobytes() + floats.astype("<f8").tobytes()

    @classmethod
    def from_bytes(
        cls,
        bets: Game,
        weighing: Weighing,
        data: bytes,
    ) -> Self:
        """What ``to_bytes`` wrote.

        Raises:
            CorruptState: not such bytes.
        """
        self = cls(bets, weighing)
        things = len(self._aside)
        laid = len(self._log_r)
        numbers = laid + self._memory.size
        if len(data) != things + 8 * numbers:
            raise CorruptState(f"a renewal of {laid} bets is not {len(data)} bytes")
        self._aside = np.frombuffer(
            data,
            np.bool_,
            things,
        ).copy()
        rest = np.frombuffer(
            data,
            "<f8",
            offset=things,
        )
        self._take(rest.astype(np.float64))
        return self

    def _take(self, numbers: Floats) -> None:
        """The evidence, then the memory."""
        laid = len(self._log_r)
        shape = self._memory.shape
        self._log_r = numbers[:laid]
        self._memory = numbers[laid:].reshape(shape)
        self._begun = True


def _log_rest(total: float, taken: float, threshold: float) -> float:
    """Log of the share that the others keep, where ``taken`` of ``total`` goes and A goes at least; all of them logs.

    >>> round(math.exp(_log_rest(math.log(150), math.log(60), math.log(100))), 2)
    0.56
    """
    if taken >= threshold or total <= taken:
        return 0.0
    if total <= threshold:
        return -math.inf
    whole = math.exp(total)
    kept = whole - math.exp(threshold)
    before = whole - math.exp(taken)
    return math.log(kept / before)
