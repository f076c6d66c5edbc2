"""Blocks of whole days and weeks: how much the windows of one day depend on each other (batch means, Law and Carson 1979).

A storm is eighteen hours of the same weather. Windows of an hour then differ as independent ones would, and come in a row all the
same. What shows it is that means of days differ by more than those of as many independent windows would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask
from calidris.detect.calendar import IN_UTC, Calendar

FEWEST_DAYS = 3
"""Fewer whole days show nothing."""
FEWEST_WEEKS = 6
"""Fewer whole weeks show too little of how weeks differ."""
ENOUGH_DAYS = 10
"""With fewer the upper end of D is several times D, and people are told."""
WEEKS = 3
"""So many days of each day of the week tell a week's own rhythm from days that differ."""
_WEEK = 7
_RHYTHM = 0.001
"""Chance that days without a weekly rhythm are taken to have one: what repeats every week is left to the handicap."""
_NOTHING = 1e-300


class Days(NamedTuple):
    """The days that windows lie in.

    Attributes:
        number: day of each window, since the epoch, int64[W].
        one_in: how many windows each of them stands for, evenly spread over the day.
    """

    number: Ints
    one_in: int = 1

    @classmethod
    def of(cls, starts_ns: Ints, one_in: int = 1, calendar: Calendar = IN_UTC) -> Days:
        """Of windows that begin at these times, ns since the epoch, int64[W]."""
        number = calendar.days(starts_ns)
        return cls(number, one_in)

    def take(self, windows: Ints | slice) -> Days:
        """Of some of the windows."""
        return Days(self.number[windows], self.one_in)

    @property
    def whole(self) -> int:
        """How many whole days there are of at least two windows."""
        blocks = DayBlocks.of(self)
        if blocks is None:
            return 0
        return len(blocks.weekday)


class DayBlocks(NamedTuple):
    """The whole days, or whole weeks, among windows.

    Attributes:
        place: block of each window, int64[W]; -1 where its day is not whole.
        weekday: of each block, int64[B].
        one_in: how many windows each window stands for.
    """

    place: Ints
    weekday: Ints
    one_in: int

    @classmethod
    def of(cls, days: Days) -> DayBlocks | None:
        """None where they show nothing: too few whole days, or windows of a day and longer."""
        number, place, size = np.unique(
            days.number,
            return_inverse=True,
            return_counts=True,
        )
        # A day that has half of the windows of the fullest one: the baseline begins and ends within a day.
        fullest = size.max(initial=0)
        whole = size >= max(fullest / 2, 2)
        if whole.sum() < FEWEST_DAYS:
            return None
        counted = np.cumsum(whole) - 1
        rank = np.where(whole, counted, -1)
        weekday = number[whole] % _WEEK
        return cls(rank[place], weekday, days.one_in)

    @classmethod
    def of_weeks(cls, days: Days) -> DayBlocks | None:
        """Whole weeks in place of days; None where they are fewer than ``FEWEST_WEEKS``."""
        week = days.number // _WEEK
        whole = Days(week, days.one_in)
        blocks = cls.of(whole)
        if blocks is None or len(blocks.weekday) < FEWEST_WEEKS:
            return None
        alike = np.zeros_like(blocks.weekday)
        return blocks._replace(weekday=alike)

    def scatter(self, rows: Floats, deviation: Floats) -> Scatter:
        """How much whole days differ along each direction.

        Args:
            rows: of each window, float64[W].
            deviation: of each window's mean, float64[W, ...].
        """
        sums = self._add_up(rows, deviation)
        alike = np.zeros_like(self.weekday)
        every = _measure(sums, alike)
        each = np.bincount(self.weekday, minlength=_WEEK)
        if each.min() < WEEKS:
            return every
        apart = _measure(sums, self.weekday)
        rhythm = _differ(every, apart)
        squares = np.where(rhythm, apart.squares, every.squares)
        freedom = np.where(rhythm, apart.freedom, every.freedom)
        return Scatter(squares, freedom)

    def _add_up(self, rows: Floats, deviation: Floats) -> _Sums:
        """Sums of each day."""
        used = self.place >= 0
        weighted = np.einsum("w,w...->w...", rows, deviation)
        windows = _Sums(rows[used], weighted[used])
        place = self.place[used]
        return windows.by(place)


class Scatter(NamedTuple):
    """Σ rows·deviation² of blocks along each direction, and its degrees of freedom."""

    squares: Floats
    freedom: Floats


class _Sums(NamedTuple):
    """Rows float64[n], and the sums of what they deviate by, float64[n, ...]."""

    rows: Floats
    totals: Floats

    def by(self, kind: Ints) -> _Sums:
        """The sums of each kind."""
        kinds = int(kind.max()) + 1
        directions = self.totals.shape[1:]
        rows = np.zeros(kinds)
        totals = np.zeros((kinds, *directions))
        np.add.at(rows, kind, self.rows)
        np.add.at(totals, kind, self.totals)
        return _Sums(rows, totals)

    def square(self) -> Floats:
        """Σ total²/rows."""
        weight = 1.0 / np.maximum(self.rows, _NOTHING)
        squares: Floats = np.einsum("b...,b->...", self.totals**2, weight)
        return squares


def _measure(days: _Sums, kind: Ints) -> Scatter:
    """How much days differ from the mean of their kind."""
    kinds = days.by(kind)
    around = days.square() - kinds.square()
    squares = np.maximum(around, 0.0)
    freedom = len(days.rows) - len(kinds.rows)
    every = np.full(around.shape, float(freedom))
    return Scatter(squares, every)


def _differ(every: Scatter, apart: Scatter) -> Mask:
    """Whether kinds of days differ by more than days of one kind do (F-test)."""
    between = every.squares - apart.squares
    kinds = every.freedom - apart.freedom
    within = apart.squares / apart.freedom
    usual = np.maximum(within, _NOTHING)
    ratio = between / kinds / usual
    chance = special.fdtrc(
        kinds,
        apart.freedom,
        np.maximum(ratio, 0.0),
    )
    rhythm: Mask = chance < _RHYTHM
    return rhythm
