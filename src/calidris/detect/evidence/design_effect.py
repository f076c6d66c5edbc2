"""The design effect: how much more real windows vary than independent rows would (Kish 1965).

Users repeat, days differ, rows follow each other: a window of n such rows tells as much as n/D independent ones. D is read
off the baseline's own windows, one value for each direction, because one average over all directions hides the one that
matters (an AR(1) stream: average 4, along the mean 20).

D is the larger of two: of blocks of one window, and of blocks of a whole day where days show that their windows depend on each
other (``evidence/day_blocks.py``).

Dividing a log e-value by D is exact for rows that are each repeated D times, keeps any e-value valid for D >= 1 (Jensen),
and is the sub-Gaussian calibration of window means otherwise. That last part is approximate and rests on baseline windows
that show all the variation that is normal, weekends included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints
from calidris.detect.evidence.day_blocks import DayBlocks, Days
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_with_ends
from calidris.detect.watched_fields import WatchedFields, directions

UPPER = 0.10
"""Each D is the upper end of a one-sided 90 % interval."""
SURE = 0.01
"""Chance that days of independent windows are taken for days whose windows depend on each other, over all directions together.

What holds for one column of a day holds for the others: a storm is in the traffic. So one test serves all, and it finds what
a column of rare values could not show by itself."""
_ROWS_A_DAY = 20.0
"""Rows that a cell needs in a day for its share to be about normal, as the test takes it."""


class Windows(NamedTuple):
    """The baseline's windows.

    Attributes:
        share: of each window's rows in each cell, float64[W, F, K].
        rows: float64[W].
        strata: how many means the shares were centred on; each costs a degree of freedom.
        blocks: their whole days; None where those are not known or too few.
        depend: whether days show that their windows depend on each other.
    """

    share: Floats
    rows: Floats
    strata: int = 1
    blocks: DayBlocks | None = None
    depend: bool = False

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variation between windows."""
        return max(len(self.rows) - self.strata, 1)

    @classmethod
    def of(
        cls, watch: WatchedFields, counts: Ints, minimum_rows: int = MINIMUM_ROWS, days: Days | None = None
    ) -> Windows:
        """Windows of counts int64[W, cells], small ones merged with the next as a detector does."""
        merged, ends = merge_with_ends(watch.spec, counts, minimum_rows)
        rows = np.array([watch.rows(c) for c in merged], dtype=np.float64)
        made = cls(watch.padded(merged) / np.maximum(rows, 1.0)[:, None, None], rows)
        blocks = DayBlocks.of(days.take(ends)) if days is not None and len(ends) else None
        return made._replace(blocks=blocks, depend=blocks is not None and made._dependent(watch, blocks))

    def alone(self) -> Windows:
        """The same windows without their days."""
        return self._replace(blocks=None, depend=False)

    def _dependent(self, watch: WatchedFields, blocks: DayBlocks) -> bool:
        """Whether days differ by more than as many independent windows would."""
        pooled = self.pooled
        g, _ = directions(pooled, watch.ordered)
        often = watch.real & (pooled * self.rows.sum() >= _ROWS_A_DAY * len(blocks.weekday))
        deviations = (self._along(g)[0], self.share - pooled)
        chances = [depend(self.rows, deviation, self.freedom, blocks) for deviation in deviations]
        tested = np.concatenate([chances[0].ravel(), chances[1][often]])
        return bool(len(tested)) and _together(tested) < SURE

    @property
    def known(self) -> bool:
        """Whether there are enough windows to see any variation."""
        return len(self.rows) > self.strata

    @property
    def pooled(self) -> Floats:
        """Cell probabilities of all windows together, float64[F, K]."""
        pooled: Floats = np.einsum("wfk,w->fk", self.share, self.rows / max(self.rows.sum(), 1.0))
        return pooled

    def along(self, g: Floats) -> Floats:
        """D along directions g float64[F, d, K]: float64[F, d]."""
        return self._upper(*self._along(g))

    def _along(self, g: Floats) -> tuple[Floats, Floats]:
        """How far each window's mean of g lies from that of all, float64[W, F, d], and the variance of a row."""
        pooled = self.pooled
        mean = np.einsum("fk,fdk->fd", pooled, g)
        variance = np.einsum("fk,fdk->fd", pooled, g**2) - mean**2
        return np.einsum("wfk,fdk->wfd", self.share, g) - mean, variance

    def per_cell(self) -> Floats:
        """D of each cell's count, float64[F, K]."""
        pooled = self.pooled
        return self._upper(self.share - pooled, pooled * (1.0 - pooled))

    def _upper(self, deviation: Floats, variance: Floats) -> Floats:
        """At least 1; 1 where the direction never varied."""
        return larger(self.rows, deviation, variance, self.freedom, self.blocks, self.depend)


def _together(chances: Floats) -> float:
    """One chance for all directions, which depend on each other (Simes 1986): more than the smallest one says."""
    ranked = np.sort(chances)
    return float((ranked * len(ranked) / np.arange(1, len(ranked) + 1)).min())


def depend(rows: Floats, deviation: Floats, freedom: int, blocks: DayBlocks) -> Floats:
    """The chance that days of independent windows differ by as much as these along each direction (F-test).

    Args:
        rows: of each window, float64[W].
        deviation: of each window's mean from that of all, float64[W, ...].
        freedom: of the variation between windows.
        blocks: their days.
    """
    of_days, free_days = blocks.scatter(rows, deviation)
    single = np.einsum("w,w...->...", rows, deviation**2)
    ratio = (of_days / free_days) / np.maximum(single / freedom, 1e-300)
    chance: Floats = np.where(single > 0.0, special.fdtrc(free_days, freedom, ratio), 1.0)
    return chance


def larger(
    rows: Floats, deviation: Floats, variance: Floats, freedom: int, blocks: DayBlocks | None, depend: bool
) -> Floats:
    """The larger D, of windows and of days; ``variance`` is that of a row.

    Of windows it is an upper end. Of days too where they ``depend``; else their D as it was found: it is 1 in the mean where
    windows are independent, and its upper end (seven days: 2.7 times as much) would be paid by everybody for nothing.
    """
    single = np.einsum("w,w...->...", rows, deviation**2)
    effect = upper(single, variance, freedom)
    if blocks is None:
        return effect
    scatter, free = blocks.scatter(rows, deviation)
    found = scatter if depend else scatter * special.chdtri(free, 1.0 - UPPER) / free
    of_days = upper(found, variance, free)
    # Of days seen in part only the part that goes through the whole day grows with the windows that were not seen.
    whole: Floats = effect + np.maximum(of_days - effect, 0.0) * blocks.one_in
    return whole


def upper(scatter: Floats, variance: Floats, freedom: float | Floats) -> Floats:
    """The upper end of D: scatter (Σ rows·deviation²) over the variance of a row, at least 1; 1 where nothing varies."""
    ratio = np.divide(scatter, variance, out=np.zeros_like(scatter), where=variance > 1e-12)
    effect: Floats = np.maximum(ratio / special.chdtri(freedom, 1.0 - UPPER), 1.0)
    return effect


def at_size(excess: Floats, rows: int, window_rows: float) -> Floats:
    """D of windows of n rows, from D - 1 of baseline windows of n̄ rows (0: unknown).

    What makes whole windows differ (a wobble of the mean) counts for more in a larger window, ``1 + n·σ²``; what
    repeats rows does not depend on n. Baseline windows cannot tell the two apart, so the larger is taken when a window
    is larger than they were: ``1 + (D-1)·max(1, n/n̄)``.
    """
    effect: Floats = 1.0 + excess * max(1.0, rows / window_rows if window_rows else 1.0)
    return effect
