"""The evidence of a replay: bets that were laid anew for each day, kept in the places of those of the whole baseline."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect import Game
from calidris.detect.calendar import DAY_NS
from calidris.detect.evidence.verdict import named
from calidris.detect.game import safe_log
from calidris.detect.relations import PairedThings

_DAY_S = DAY_NS // 10**9


class LaidBets:
    """The bets of one game in the places of those of another one, by what they are about and what they say.

    Args:
        whole: whose places are taken.
        game: the bets; those that ``whole`` has not are left out.
    """

    def __init__(self, whole: Game, game: Game) -> None:
        self._game = game
        self._memory = game.nothing
        self._bets = len(whole.owner)
        self._mine, self._theirs = _match(whole, game)
        # A thing's weight times the bet's weight within it.
        about = safe_log(game.field_weight)
        weights = game.log_weight + about[game.owner]
        log_weight = np.full(self._bets, -np.inf)
        log_weight[self._mine] = weights[self._theirs]
        self.log_weight = log_weight

    def play(self, counts: Ints, stratum: int) -> tuple[Floats, Mask]:
        """Log e-values float64[B] and idle bets bool[B] of one window; bets that are not there are idle."""
        played = self._game.play(counts, self._memory, stratum)
        self._memory = played.memory
        log_e = np.zeros(self._bets)
        log_e[self._mine] = played.log_e[self._theirs]
        idle = np.ones(self._bets, dtype=np.bool_)
        idle[self._mine] = played.idle[self._theirs]
        return log_e, idle


def _match(whole: Game, game: Game) -> tuple[Ints, Ints]:
    """Places of the same bets in both."""
    there = {key: place for place, key in enumerate(_keys(game))}
    mine, theirs = [], []
    for place, key in enumerate(_keys(whole)):
        if key in there:
            mine.append(place)
            theirs.append(there[key])
    return np.array(mine, dtype=np.int64), np.array(theirs, dtype=np.int64)


def _keys(game: Game) -> Iterator[tuple[str, str, int]]:
    """Name, direction, and the how-manieth of these, of each bet."""
    seen: Counter[tuple[str, str]] = Counter()
    owners = game.owner.tolist()
    for owner, direction in zip(owners, game.directions):
        name = game.names[owner]
        about = (name, direction)
        yield name, direction, seen[about]
        seen[about] += 1


class ReplayedEvidence:
    """Evidence as a ``Detector`` has it, of bets that change from day to day.

    Attributes:
        game: the bets of the whole baseline.
        windows: how many were judged.
        highest: the most evidence, as a share of what raises an alarm.
        named: what alarms named.
        dates: on which days they came.

    Args:
        game: likewise.
        threshold: evidence that raises an alarm.
    """

    def __init__(self, game: Game, threshold: float) -> None:
        self.game = game
        self.windows = 0
        self.highest = 0.0
        self.named: Counter[str] = Counter()
        self.dates: list[str] = []
        self._log_a = math.log(threshold)
        self._log_r = self._begin()

    def take(
        self,
        laid: LaidBets,
        counts: Ints,
        stratum: int,
        day: int,
    ) -> None:
        """Score one window, of a day since the epoch."""
        log_e, idle = laid.play(counts, stratum)
        if idle.all():
            return
        self.windows += 1
        before = np.where(idle, -np.inf, 0.0)
        grown = np.logaddexp(self._log_r, before)
        self._log_r = log_e + grown
        fields = self._weigh(laid)
        total = float(np.logaddexp.reduce(fields))
        share = total / self._log_a
        self.highest = max(self.highest, share)
        if share >= 1.0:
            self._note(fields, day)

    def _weigh(self, laid: LaidBets) -> Floats:
        """The weighted evidence of each thing, in logs, float64[F]."""
        fields = np.full(len(self.game.names), -np.inf)
        weighted = laid.log_weight + self._log_r
        np.logaddexp.at(fields, self.game.owner, weighted)
        return fields

    def _note(self, fields: Floats, day: int) -> None:
        """One alarm; evidence begins with nothing after it."""
        strongest = named(fields, self._log_a)
        told = PairedThings(self.game).drop_implied(strongest)
        for place in told.tolist():
            name = self.game.names[place]
            self.named[name] += 1
        midnight = datetime.fromtimestamp(day * _DAY_S, UTC)
        self.dates.append(f"{midnight:%Y-%m-%d}")
        self._log_r = self._begin()

    def _begin(self) -> Floats:
        bets = len(self.game.owner)
        return np.full(bets, -np.inf)
