"""The design effect: how much more real windows vary than independent rows would (Kish 1965).

Users repeat, days differ, rows follow each other: a window of n such rows tells as much as n/D independent ones. D is read
off the baseline's own windows, one value for each direction, because one average over all directions hides the one that
matters (an AR(1) stream: average 4, along the mean 20).

D is the largest of three: of blocks of one window, of whole days, and of whole weeks where these show that they differ by more than
their days explain (``evidence/day_blocks.py``).

Dividing a log e-value by D is exact for rows that are each repeated D times, keeps any e-value valid for D >= 1 (Jensen),
and is the sub-Gaussian calibration of window means otherwise. That last part is approximate and rests on baseline windows
that show all the variation that is normal, weekends included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints
from calidris.detect.evidence.day_blocks import DayBlocks, Days, Scatter
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_with_ends
from calidris.detect.watched_fields import WatchedFields
from calidris.state import Kind

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
        longer: their whole days, and whole weeks where these matter.
    """

    share: Floats
    rows: Floats
    strata: int = 1
    longer: tuple[Longer, ...] = ()

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
        return made if days is None else made._replace(longer=made._find_longer(watch, days.take(ends)))

    def alone(self) -> Windows:
        """The same windows without their days."""
        return self._replace(longer=())

    @property
    def depend(self) -> bool:
        """Whether days or weeks show that windows depend on each other."""
        return any(one.sure for one in self.longer)

    def _find_longer(self, watch: WatchedFields, days: Days) -> tuple[Longer, ...]:
        """What days show along location, spread and the cells that are common enough to be about normal in a day."""
        pooled = self.pooled
        g, _ = watch.directions(pooled)
        rows_a_day = self.rows.sum() / max(len(np.unique(days.number)), 1)
        often = watch.real & (pooled * rows_a_day >= _ROWS_A_DAY)
        # Cells of pairs say of their columns again what these say, and many directions hide what one shows.
        often &= ~watch.of_kind(Kind.PAIR)[:, None]
        along = self._along(g)[0].reshape(len(self.rows), -1)
        return longer_blocks(
            self.rows, np.concatenate([along, (self.share - pooled)[:, often]], axis=1), self.freedom, days
        )

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
        """D along directions g float64[F, d, K]: float64[F, d].

        Where days differ all directions of a field take the largest: a mean that moves for days moves the spread by its square,
        seldom and by much, which a few days do not show.
        """
        effect = self._upper(*self._along(g))
        return np.broadcast_to(effect.max(-1, keepdims=True), effect.shape) if self.depend else effect

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
        return larger(self.rows, deviation, variance, self.freedom, self.longer)


class Longer(NamedTuple):
    """Blocks longer than a window, and whether they show for certain that what is in one depends on each other."""

    blocks: DayBlocks
    sure: bool


def longer_blocks(rows: Floats, deviation: Floats, freedom: int, days: Days) -> tuple[Longer, ...]:
    """Days, and weeks where they differ by more than their days explain.

    Args:
        rows: of each window, float64[W].
        deviation: of each window's mean from that of all along n directions, float64[W, n].
        freedom: of the variation between windows.
        days: that the windows lie in.
    """
    blocks, weeks = DayBlocks.of(days), DayBlocks.of_weeks(days)
    if blocks is None:
        return ()
    single = Scatter(_squares(rows, deviation), np.array(float(freedom)))
    each = blocks.scatter(rows, deviation)
    found = [Longer(blocks, _surely(single, each))]
    if weeks is not None and _surely(each if found[0].sure else single, weeks.scatter(rows, deviation)):
        found.append(Longer(weeks, True))
    return tuple(found)


def _surely(shorter: Scatter, longer: Scatter) -> bool:
    """Whether longer blocks differ by more than as many independent shorter ones would (F-tests, taken together by Simes 1986)."""
    usual = shorter.squares / shorter.freedom
    varies = usual > 0.0
    ratio = (longer.squares / longer.freedom)[varies] / usual[varies]
    free = (np.broadcast_to(part.freedom, usual.shape)[varies] for part in (longer, shorter))
    chances = np.sort(special.fdtrc(*free, ratio))
    # Directions depend on each other; the ranked chances say more than the smallest one.
    return bool((chances * len(chances) < SURE * np.arange(1, len(chances) + 1)).any())


def _squares(rows: Floats, deviation: Floats) -> Floats:
    squares: Floats = np.einsum("w,w...->...", rows, deviation**2)
    return squares


def larger(rows: Floats, deviation: Floats, variance: Floats, freedom: int, longer: tuple[Longer, ...] = ()) -> Floats:
    """The largest D, of windows and of longer blocks; ``variance`` is that of a row.

    Of windows it is an upper end. Of longer blocks too where they are ``sure``; else their D as it was found: it is 1 in the mean
    where windows are independent, and its upper end (seven days: 2.7 times as much) would be paid by everybody for nothing.
    """
    effect = upper(_squares(rows, deviation), variance, freedom)
    largest = effect
    for blocks, sure in longer:
        scatter, free = blocks.scatter(rows, deviation)
        found = scatter if sure else scatter * special.chdtri(free, 1.0 - UPPER) / free
        more = np.maximum(upper(found, variance, free) - effect, 0.0)
        # Of blocks seen in part only what goes through the whole of them grows with the windows that were not seen.
        largest = np.maximum(largest, effect + more * blocks.one_in)
    return largest


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
