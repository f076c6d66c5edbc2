"""Figures of two sides that took turns: ratios to a floor, their change, and how certain that is."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Timing:
    """What one side measured of one path in one turn: nanoseconds of a call, and of the floor beside it."""

    call_ns: float
    floor_ns: float

    @classmethod
    def summarize(cls, calls_ns: Sequence[float], floors_ns: Sequence[float]) -> Timing:
        """Take the mean of the calls, and the best floor.

        The floor does the same each time, so whatever is above the least was disturbed.
        """
        return cls(statistics.fmean(calls_ns), min(floors_ns))

    @property
    def ratio(self) -> float:
        """How many times the floor a call took."""
        return self.call_ns / self.floor_ns


@dataclass(frozen=True, slots=True)
class Turn:
    """One path measured by both sides, one right after the other."""

    before: Timing
    after: Timing


@dataclass(frozen=True, slots=True)
class Run:
    """One path in one run.

    Attributes:
        before: ratio of a call to its floor, median over turns.
        after: the same.
        change: of the ratio; 0.01 is one percent more.
    """

    before: float
    after: float
    change: float

    @classmethod
    def summarize(cls, turns: Sequence[Turn]) -> Run:
        """Take medians over turns.

        The change is by how much calls got longer, over by how much floors did. Both are taken between neighbours in
        time, which a busy machine disturbs alike; and apart, so that a turn's poor floor does not spoil its calls.
        """
        calls = [turn.after.call_ns / turn.before.call_ns for turn in turns]
        floors = [turn.after.floor_ns / turn.before.floor_ns for turn in turns]
        return cls(
            before=statistics.median(turn.before.ratio for turn in turns),
            after=statistics.median(turn.after.ratio for turn in turns),
            change=statistics.median(calls) / statistics.median(floors) - 1,
        )


@dataclass(frozen=True, slots=True)
class Result:
    """One path over all runs.

    Attributes:
        before: ratio of a call to its floor, median over runs.
        after: the same.
        change: of the ratio, median over runs.
        interval: of ``change``, by the sign test; None for fewer than six runs.
        met: whether ``change`` is at most what it may be.
    """

    before: float
    after: float
    change: float
    interval: tuple[float, float] | None
    met: bool

    @classmethod
    def summarize(cls, runs: Sequence[Run], must: float) -> Result:
        """Take medians over runs; ``must`` is the most that the change may be."""
        changes = [run.change for run in runs]
        change = statistics.median(changes)
        return cls(
            before=statistics.median(run.before for run in runs),
            after=statistics.median(run.after for run in runs),
            change=change,
            interval=find_interval(changes),
            met=change <= must,
        )


def find_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Find where the median lies that the values were drawn around, whatever their distribution.

    From the k-th smallest to the k-th largest of them; None where even all of them are too few to be certain.

    >>> find_interval([0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.5])
    (0.2, 0.8)
    >>> find_interval([0.1, 0.2])
    """
    k = find_rank(len(values))
    if not k:
        return None
    ordered = sorted(values)
    return ordered[k - 1], ordered[-k]


def find_rank(n: int) -> int:
    """Find the greatest k whose interval still has ``CONFIDENCE``; 0 if none has.

    >>> find_rank(5), find_rank(6), find_rank(9)
    (0, 1, 2)
    """
    k = 0
    while compute_coverage(n, k + 1) >= CONFIDENCE:
        k += 1
    return k


def compute_coverage(n: int, k: int) -> float:
    """Compute how probably the median lies between the k-th smallest and the k-th largest of n values.

    >>> round(compute_coverage(9, 2), 3)
    0.961
    """
    # Fewer than k of n fair coins fall on one side: then the median lies outside.
    outside = sum(math.comb(n, i) for i in range(k))
    return 1 - 2 * outside / 2**n
