"""What a bet must give away where the baseline's own windows refute it: runs and cycles that the design effect cannot see."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_small
from calidris.detect.game import Game

FEWEST = 30
"""Fewer baseline windows than these show no runs."""
LOSS = 1.0
"""Over all of the baseline's windows together a bet must lose at least this much, in logs."""
ORDINARY, WEEK = 10.0, 168
"""Evidence R that a bet may have reached in a baseline of so many windows, or fewer, at its full weight.

With more windows it is more in proportion: R of a valid bet exceeds x somewhere in W windows with chance at most W/x."""

Plays = Callable[[], Iterable[tuple[Floats, Mask]]]


class Handicap(NamedTuple):
    """A charge and a share for each bet; the default takes nothing.

    Both keep every e-value valid, exactly and whatever they are, as long as they are fixed before the first live window:
    ``exp(log e - charge) <= e``, and weights that add up to at most 1 may only get smaller. They cost delay, never validity.

    Attributes:
        charge: logs that a bet pays in each window in which it is laid, float64[B], at least 0.
        log_share: log of the share of its weight that it keeps, float64[B], at most 0. What it loses goes to nobody.
    """

    charge: Floats | float = 0.0
    log_share: Floats | float = 0.0

    def paid(self, log_e: Floats, idle: Mask) -> Floats:
        """Log e-values float64[B] after the charge; an idle bet pays nothing."""
        rest: Floats = log_e - np.where(idle, 0.0, self.charge)
        return rest

    def of(self, bets: Ints, total: int) -> Handicap:
        """The handicap of some of ``total`` bets."""
        return Handicap(*(np.broadcast_to(part, total)[bets] for part in self))


NONE = Handicap()


def handicap(game: Game, windows: Ints | None, minimum_rows: int = MINIMUM_ROWS) -> Handicap:
    """What the bets of a game must give away, from the baseline's own windows int64[W, cells], in which nothing changed.

    The design effect knows how much windows vary, not that unusual ones come in a row: a weekend is 48 hours on the same side,
    and a bet that learns from the last hours wins in all of them. So the game is played over the baseline's W windows, and

    * a bet that did not lose ``LOSS`` over all of them is charged so much a window that it does: what gains on the whole of a
      quiet baseline would gain again every week, and no weight could outlast it;
    * a bet whose evidence R, charged, came to more than ``ORDINARY`` (a week of hours; in proportion for more windows) keeps
      only ``ORDINARY / max R`` of its weight.

    That the handicapped bets are valid is exact (``Handicap``) if the bets were. That they stay below the threshold in a cycle
    that the baseline shows is what simulation says (``docs/detection.md``); of a cycle that it does not show nothing is known.
    Valid bets pass ``ORDINARY`` now and then, at 50 rows a window more often; they lose a little delay for nothing.

    Cost: W windows scored twice. Nothing is taken where there are fewer than 30 of them.
    """
    merged = merge_small(game.layout, windows, minimum_rows) if windows is not None else ()

    def plays() -> Iterator[tuple[Floats, Mask]]:
        memory = game.nothing
        for counts in merged:
            log_e, idle, memory = game.play(counts, memory, 0)
            yield log_e, idle

    return settled(plays) if len(merged) >= FEWEST else NONE


def settled(plays: Plays) -> Handicap:
    """The handicap after a quiet history: log e-values float64[B] and idle bets bool[B] of each window, gone through twice."""
    total, laid, windows = np.zeros(()), np.zeros(()), 0
    for log_e, idle in plays():
        total, laid, windows = total + np.where(idle, 0.0, log_e), laid + ~idle, windows + 1
    charge = np.maximum((total + LOSS) / np.maximum(laid, 1.0), 0.0) * (laid > 0.0)
    ordinary = ORDINARY * max(windows, WEEK) / WEEK
    return Handicap(charge, np.minimum(math.log(ordinary) - _highest(plays, charge), 0.0))


def _highest(plays: Plays, charge: Floats) -> Floats:
    """The highest log R of each bet, as a ``Detector`` would have it."""
    log_r = np.full_like(charge, -np.inf)
    highest = log_r
    for log_e, idle in plays():
        log_r = Handicap(charge).paid(log_e, idle) + np.logaddexp(log_r, np.where(idle, -np.inf, 0.0))
        highest = np.maximum(highest, log_r)
    return highest
