"""When did it begin? Page's sum of every bet, and the window in which it last left zero."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

import numpy as np

from calidris.batch import Floats, Ints, Mask
from calidris.detect.game import Play
from calidris.errors import CorruptState

UNKNOWN: Final = -1
"""The begin of a sum of which the first windows were not noted."""
NEAR: Final = float(np.log(10.0))
"""Bets whose sum is less than this below the strongest one say together when it began."""

_LEAST: Final = float(np.finfo(np.float64).tiny)
"""A bet whose sum is less has gained nothing."""
_BEGIN, _WINDOWS, _ROWS = range(3)
"""What is noted of the window in which a sum leaves zero: its begin, and how many windows and rows came before it."""


class Onset(NamedTuple):
    """When a change began, as its own evidence has it.

    Attributes:
        at_ns: begin of the window, ns since the epoch.
        earliest_ns: the earliest that any of the strong bets says.
        latest_ns: the latest. No share of the truth is promised to lie between the two.
        windows: windows scored from ``at_ns`` on.
        rows: rows in them.
    """

    at_ns: int
    earliest_ns: int
    latest_ns: int
    windows: int
    rows: int


class PageSums:
    """Says when a change began: the sums of Page (1954), one for each bet.

    Each bet keeps ``P <- max(P + log e, 0)``. The window in which P last left zero is where the likelihood of "this bet's change
    begins here" is largest, over all places so far. It is an estimate: simulated errors are in ``docs/detection.md``, nothing is
    promised. The alarm does not rest on it.

    Sums of a detector that an earlier version saved begin with the log of its evidence, which is never less than the sum would
    be, and at a time that is not known: they are known again once they have come to zero.

    Cost: O(bets) a window; four numbers a bet.

    Args:
        bets: B, how many.
    """

    def __init__(self, bets: int) -> None:
        self._sums: Floats = np.zeros(bets)
        self._marks: Ints = np.zeros((3, bets), dtype=np.int64)
        self._so_far: Ints = np.zeros(3, dtype=np.int64)
        self._told = True

    @classmethod
    def continue_unknown(cls, log_r: Floats) -> Self:
        """Sums of bets whose evidence log_r float64[B] came from windows that nobody noted."""
        bets = len(log_r)
        self = cls(bets)
        self._sums = np.maximum(log_r, 0.0)
        self._marks[_BEGIN] = UNKNOWN
        self._told = False
        return self

    def __len__(self) -> int:
        return len(self._sums)

    def add(
        self,
        play: Play,
        start_ns: int,
        rows: int,
    ) -> None:
        """Take the outcome of one window, which begins at ``start_ns``."""
        laid = ~play.idle
        at_zero = self._sums <= 0.0
        leaves = laid & at_zero
        self._so_far[_BEGIN] = start_ns
        # The windows and rows of before it.
        self._marks[:, leaves] = self._so_far[:, None]
        self._so_far[_WINDOWS] += 1
        self._so_far[_ROWS] += rows
        grown = self._sums + play.log_e
        kept = np.maximum(grown, 0.0)
        self._sums = np.where(
            laid,
            kept,
            self._sums,
        )
        self._told = True

    def find_onset(self, bets: Mask) -> Onset | None:
        """When what some bets bool[B] are about began; None where none of them gained, or it is not known."""
        sums = np.where(bets, self._sums, 0.0)
        strongest = sums.max(initial=0.0)
        if strongest <= 0.0:
            return None
        least = max(strongest - NEAR, _LEAST)
        near = sums >= least
        marks = self._marks[:, near]
        if (marks[_BEGIN] == UNKNOWN).any():
            return None
        weights = np.exp(sums[near] - strongest)
        return self._read_onset(marks, weights)

    def _read_onset(self, marks: Ints, weights: Floats) -> Onset:
        """What the marks int64[3, N] of the strong bets say together."""
        begins = marks[_BEGIN]
        middle = _find_median(begins, weights)
        mark = marks[:, middle]
        since = self._so_far - mark
        return Onset(
            at_ns=int(mark[_BEGIN]),
            earliest_ns=int(begins.min()),
            latest_ns=int(begins.max()),
            windows=int(since[_WINDOWS]),
            rows=int(since[_ROWS]),
        )

    def forget(self, bets: Mask) -> None:
        """Begin some bets anew."""
        self._sums[bets] = 0.0

    def take_over(self, other: PageSums, bets: Mask) -> None:
        """Go on with another detector's sums of some bets; windows are counted on from there."""
        moved = self._so_far - other._so_far
        moved[_BEGIN] = 0
        marks = other._marks + moved[:, None]
        self._sums = np.where(
            bets,
            other._sums,
            self._sums,
        )
        self._marks = np.where(
            bets,
            marks,
            self._marks,
        )
        self._told = True

    def to_bytes(self) -> bytes:
        """Exact bytes; none while it knows nothing that the evidence does not tell."""
        if not self._told:
            return b""
        sums = self._sums.astype("<f8")
        so_far = self._so_far.astype("<i8")
        marks = self._marks.astype("<i8")
        parts = (so_far, sums, marks)
        return b"".join(part.tobytes() for part in parts)

    @classmethod
    def from_bytes(cls, log_r: Floats, data: bytes) -> Self:
        """What ``to_bytes`` wrote of bets with the evidence log_r float64[B].

        Raises:
            CorruptState: not such bytes.
        """
        if not data:
            return cls.continue_unknown(log_r)
        bets = len(log_r)
        if len(data) != 8 * (3 + 4 * bets):
            raise CorruptState(f"Page's sums of {bets} bets are not {len(data)} bytes")
        numbers = np.frombuffer(data, "<i8")
        ends = [3, 3 + bets]
        so_far, sums, marks = np.split(numbers, ends)
        self = cls(bets)
        self._so_far = so_far.astype(np.int64)
        self._sums = sums.view("<f8").astype(np.float64)
        self._marks = marks.astype(np.int64).reshape(3, bets)
        return self


def _find_median(begins: Ints, weights: Floats) -> int:
    """The place of the weighted median.

    >>> _find_median(np.array([30, 10, 20]), np.array([0.2, 0.2, 1.0]))
    2
    """
    order = np.argsort(begins, kind="stable")
    below = np.cumsum(weights[order])
    middle = np.searchsorted(below, below[-1] / 2)
    return int(order[middle])
