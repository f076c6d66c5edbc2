"""Bets that the baseline's own windows refute are laid lower: what the design effect cannot see, runs of unusual windows."""

from __future__ import annotations

import math

import numpy as np

from calidris.batch import Floats, Ints
from calidris.detect.game import Game
from calidris.detect.windows import MINIMUM_ROWS, merge_small

FEWEST = 30
"""Fewer windows than these show no runs."""
ORDINARY = 10.0
"""A run is ordinary as long as its evidence is below the number of windows (at least a week of hours) over this."""
_WEEK = 168


def tempering(game: Game, windows: Ints | None, minimum_rows: int = MINIMUM_ROWS) -> Floats:
    """What to divide each bet's log e-value by, at least 1: float64[B].

    The design effect knows how much windows vary, not that unusual ones come in a row: a weekend is 48 hours on the same
    side. The game is played over the baseline's W windows, where nothing changed; a bet whose best run of windows,
    ``max Σ log e`` from any window to any later one, is above ``c = log(max(W, 168)/10)`` is divided by so much that it is c.
    Valid bets pass c now and then, as independent rows at 50 a window do; they are then laid a little lower than need be.

    Dividing a log e-value by a number above 1 keeps it valid (Jensen); that what was refuted is valid afterwards is an
    approximation, as the design effect is. Cost: W windows scored once.
    """
    merged = (
        merge_small(game.layout, windows, minimum_rows) if windows is not None else np.zeros((0, 0), dtype=np.int64)
    )
    runs, memory = Runs(len(game.owner)), game.nothing
    for counts in merged:
        log_e, _, memory = game.play(counts, memory, 0)
        runs.add(log_e)
    return runs.factor


class Runs:
    """The best run of windows of each of B bets."""

    def __init__(self, bets: int) -> None:
        self._best, self._run, self._windows = np.zeros(bets), np.zeros(bets), 0

    def add(self, log_e: Floats) -> None:
        """One more window."""
        self._run = np.maximum(self._run + log_e, 0.0)
        self._best = np.maximum(self._best, self._run)
        self._windows += 1

    @property
    def factor(self) -> Floats:
        """What to divide each bet's log e-value by, float64[B]; 1 where there were too few windows."""
        if self._windows < FEWEST:
            return np.ones(len(self._best))
        factor: Floats = np.maximum(self._best / math.log(max(self._windows, _WEEK) / ORDINARY), 1.0)
        return factor
