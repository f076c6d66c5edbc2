"""From the evidence of single bets to that of the things that they are about, and to the names of an alarm."""

from __future__ import annotations

import numpy as np

from calidris.batch import Floats, Mask
from calidris.detect.evidence.verdict import Change, named
from calidris.detect.game import EITHER, SHAPE, Game, safe_log
from calidris.detect.relations import RELATION, PairedThings, find_things

_SHAPE_MARGIN = 0.5


class Weighing:
    """Weighs the bets of one game. It has no state.

    Args:
        bets: the game.
    """

    def __init__(self, bets: Game) -> None:
        self._bets = bets
        self._order = np.argsort(bets.owner, kind="stable")
        owners = bets.owner[self._order]
        found = np.unique(
            owners,
            return_index=True,
        )
        self._owners, self._starts = found
        self._log_field_weight = safe_log(bets.field_weight)
        self._log_weight = bets.log_weight
        self._weighs = self._log_weight > -np.inf
        self._pairs = PairedThings(bets)

    def weigh(self, log_r: Floats) -> Floats:
        """``log(w_f·R_f)`` of each thing, float64[F], from log R float64[B]: never leaves the logs, so never overflows."""
        things = len(self._bets.names)
        fields = np.full(things, -np.inf)
        weighted = self._log_weight + log_r
        ordered = weighted[self._order]
        if len(ordered):
            sums = np.logaddexp.reduceat(ordered, self._starts)
            fields[self._owners] = sums
        return fields + self._log_field_weight

    def name(
        self,
        log_r: Floats,
        fields: Floats,
        log_threshold: float,
    ) -> tuple[Change, ...]:
        """The things that an alarm names, strongest first, from the evidence of bets float64[B] and of things float64[F]."""
        shares = find_shares(fields, log_threshold)
        strongest = self._pairs.drop_implied(named(fields, log_threshold))
        changes = []
        for thing in strongest.tolist():
            name = self._bets.names[thing]
            direction = self._find_direction(log_r, thing)
            if direction == SHAPE and thing in self._pairs.places:
                direction = RELATION
            share = float(shares[thing])
            changes.append(Change(name, direction, share))
        return tuple(changes)

    def find_bets(self, changes: tuple[Change, ...]) -> Mask:
        """The bets on what an alarm names that have a weight, bool[B]."""
        names = {change.field for change in changes}
        things = find_things(self._bets.names, names)
        about = things[self._bets.owner]
        return about & self._weighs

    def _find_direction(self, log_r: Floats, thing: int) -> str:
        """The direction with the most evidence; "shape" only where no plain direction has half of its logs."""
        about = self._bets.owner == thing
        (mine,) = np.nonzero(about & self._weighs)
        heaviest = self._log_weight[mine].max()
        evidence = log_r + self._log_weight - heaviest
        shapes: list[float] = []
        plain: dict[float, str] = {}
        for bet in mine.tolist():
            direction = self._bets.directions[bet]
            logs = float(evidence[bet])
            if direction == SHAPE:
                shapes.append(logs)
            elif direction != EITHER:
                plain.setdefault(logs, direction)
        return _choose_direction(plain, shapes)


def _choose_direction(plain: dict[float, str], shapes: list[float]) -> str:
    """The plain direction with the most logs, where it has half of the best shape's."""
    best = max(plain, default=-np.inf)
    most = max(shapes, default=-np.inf)
    if not plain or best < _SHAPE_MARGIN * most:
        return SHAPE
    return plain[best]


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
