"""Blocks of whole days: how much the windows of one day depend on each other (batch means, Law and Carson 1979).

A storm is eighteen hours of the same weather. Windows of an hour then differ as independent ones would, and come in a row all the
same. What shows it is that means of days differ by more than those of as many independent windows would.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints, Mask

DAY_NS = 86_400_000_000_000
FEWEST_DAYS = 3
"""Fewer whole days show nothing."""
ENOUGH_DAYS = 10
"""With fewer the upper end of D is several times D, and people are told."""
WEEKS = 3
"""So many days of each day of the week tell a week's own rhythm from days that differ."""
_WEEK = 7
_RHYTHM = 0.001
"""Chance that days without a weekly rhythm are taken to have one: what repeats every week is left to the handicap."""


class Days(NamedTuple):
    """The days that windows lie in.

    Attributes:
        number: day of each window, since the epoch in UTC, int64[W].
        one_in: how many windows each of them stands for, evenly spread over the day.
    """

    number: Ints
    one_in: int = 1

    @classmethod
    def of(cls, starts_ns: Ints, one_in: int = 1) -> Days:
        """Of windows that begin at these times, ns since the epoch, int64[W]."""
        return cls(starts_ns // DAY_NS, one_in)

    def take(self, windows: Ints | slice) -> Days:
        """Of some of the windows."""
        return Days(self.number[windows], self.one_in)

    @property
    def whole(self) -> int:
        """How many whole days there are of at least two windows."""
        blocks = DayBlocks.of(self)
        return 0 if blocks is None else len(blocks.weekday)


def told(days: Days | None) -> tuple[object, ...]:
    """Days as plain values, for the identity of what was made from them."""
    return () if days is None else (days.number.tolist(), days.one_in)


class DayBlocks(NamedTuple):
    """The whole days among windows.

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
        number, place, size = np.unique(days.number, return_inverse=True, return_counts=True)
        # A day that has half of the windows of the fullest one: the baseline begins and ends within a day.
        whole = size >= max(size.max(initial=0) / 2, 2)
        if whole.sum() < FEWEST_DAYS:
            return None
        rank = np.where(whole, np.cumsum(whole) - 1, -1)
        return cls(rank[place], number[whole] % _WEEK, days.one_in)

    def scatter(self, rows: Floats, deviation: Floats) -> tuple[Floats, Floats]:
        """Σ rows·deviation² of whole days along each direction, and its degrees of freedom.

        Args:
            rows: of each window, float64[W].
            deviation: of each window's mean, float64[W, ...].
        """
        used = self.place >= 0
        sums = _sum_by(self.place[used], rows[used], deviation[used], len(self.weekday))
        every = _Scatter.of(*sums, np.zeros_like(self.weekday))
        if np.bincount(self.weekday, minlength=_WEEK).min() < WEEKS:
            return every.within, every.freedom
        apart = _Scatter.of(*sums, self.weekday)
        rhythm = apart.explains(every)
        return np.where(rhythm, apart.within, every.within), np.where(rhythm, apart.freedom, every.freedom)


class _Scatter(NamedTuple):
    """Scatter of blocks around the means of their kinds, and its degrees of freedom."""

    within: Floats
    freedom: Floats

    @classmethod
    def of(cls, rows: Floats, totals: Floats, kind: Ints) -> _Scatter:
        kinds = int(kind.max()) + 1
        kind_rows = np.bincount(kind, rows, minlength=kinds).astype(np.float64)
        kind_totals = np.zeros((kinds, *totals.shape[1:]))
        np.add.at(kind_totals, kind, totals)
        around: Floats = _squares(rows, totals) - _squares(kind_rows, kind_totals)
        freedom = len(rows) - kinds
        return cls(np.maximum(around, 0.0), np.full(around.shape, float(freedom)))

    def explains(self, every: _Scatter) -> Mask:
        """Whether the kinds differ by more than blocks of one kind do."""
        between, more = every.within - self.within, every.freedom - self.freedom
        share = between / more / np.maximum(self.within / self.freedom, 1e-300)
        differ: Mask = special.fdtrc(more, self.freedom, np.maximum(share, 0.0)) < _RHYTHM
        return differ


def _sum_by(place: Ints, rows: Floats, deviation: Floats, blocks: int) -> tuple[Floats, Floats]:
    """Rows float64[B] and sums float64[B, ...] of blocks."""
    totals = np.zeros((blocks, *deviation.shape[1:]))
    np.add.at(totals, place, rows.reshape(-1, *[1] * (deviation.ndim - 1)) * deviation)
    return np.bincount(place, rows, minlength=blocks).astype(np.float64), totals


def _squares(rows: Floats, totals: Floats) -> Floats:
    """Σ total²/rows over blocks."""
    squares: Floats = np.einsum("b...,b->...", totals**2, 1.0 / np.maximum(rows, 1e-300))
    return squares
