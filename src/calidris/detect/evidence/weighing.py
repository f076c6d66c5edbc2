"""From the evidence of single bets to that of the things that they are about, and to the names of an alarm."""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Mask
from calidris.detect.evidence.verdict import Change, named
from calidris.detect.game import SHAPE, Game, safe_log

_SHAPE_MARGIN = 0.5


class Weighing:
    """Weighs the bets of one game. It has no state.

    Args:
        bets: the game.
    """

    def __init__(self, bets: Game) -> None:
        self._bets = bets
        self._order = np.argsort(bets.owner, kind="stable")
        self._owners, self._starts = np.unique(bets.owner[self._order], return_index=True)
        self._log_field_weight = safe_log(bets.field_weight)
        self._log_weight = bets.log_weight

    def weigh(self, log_r: Floats) -> Floats:
        """``log(w_f·R_f)`` of each thing, float64[F], from log R float64[B]: never leaves the logs, so never overflows."""
        fields = np.full(len(self._bets.names), -np.inf)
        weighted = (self._log_weight + log_r)[self._order]
        if len(weighted):
            fields[self._owners] = np.logaddexp.reduceat(weighted, self._starts)
        return fields + self._log_field_weight

    def name(
        self,
        log_r: Floats,
        fields: Floats,
        log_threshold: float,
    ) -> tuple[Change, ...]:
        """The things that an alarm names, strongest first, from the evidence of bets float64[B] and of things float64[F]."""
        shares = find_shares(fields, log_threshold)
        changes = []
        for thing in named(fields, log_threshold).tolist():
            name = self._bets.names[thing]
            direction = self._find_direction(log_r, thing)
            changes.append(Change(name, direction, float(shares[thing])))
        return tuple(changes)

    def find_bets(self, changes: tuple[Change, ...]) -> Mask:
        """The bets on what an alarm names that have a weight, bool[B]."""
        names = {change.field for change in changes}
        things = np.array([name in names for name in self._bets.names], dtype=np.bool_)
        weighs = self._log_weight > -np.inf
        return things[self._bets.owner] & weighs

    def _find_direction(self, log_r: Floats, thing: int) -> str:
        """The direction with the most evidence; "shape" only where no plain direction has half of its logs."""
        own = (self._bets.owner == thing) & (self._log_weight > -np.inf)
        mine: list[int] = np.nonzero(own)[0].tolist()
        plain = [b for b in mine if self._bets.directions[b] != SHAPE]
        evidence = log_r + self._log_weight - float(self._log_weight[mine].max())
        best = max(plain, key=lambda b: float(evidence[b]), default=None)
        if best is None or float(evidence[best]) < _SHAPE_MARGIN * float(evidence[mine].max()):
            return SHAPE
        return self._bets.directions[best]


def find_shares(fields: Floats, log_threshold: float) -> Floats:
    """The evidence of each thing as a share of what alarms by itself, in logs: float64[F]."""
    shares: Floats = np.maximum(fields / log_threshold, 0.0)
    return shares


def total_of(fields: Floats) -> float:
    """Log of the sum of all things' evidence.

    >>> round(float(np.exp(total_of(np.log([2.0, 6.0])))), 3)
    8.0
    """
    return float(np.logaddexp.reduce(fields))
