"""The design effect: how much more real windows vary than independent rows would (Kish 1965).

Users repeat, days differ, rows follow each other: a window of n such rows tells as much as n/D independent ones. D is read
off the baseline's own windows, one value for each direction, because one average over all directions hides the one that
matters (an AR(1) stream: average 4, along the mean 20).

Dividing a log e-value by D is exact for rows that are each repeated D times, keeps any e-value valid for D >= 1 (Jensen),
and is the sub-Gaussian calibration of window means otherwise. That last part is approximate and rests on baseline windows
that show all the variation that is normal, weekends included.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import special

from calidris.batch import Floats, Ints
from calidris.detect.evidence.windows import MINIMUM_ROWS, merge_small
from calidris.detect.watched_fields import WatchedFields

UPPER = 0.10
"""Each D is the upper end of a one-sided 90 % interval."""


class Windows(NamedTuple):
    """The baseline's windows.

    Attributes:
        share: of each window's rows in each cell, float64[W, F, K].
        rows: float64[W].
        strata: how many means the shares were centred on; each costs a degree of freedom.
    """

    share: Floats
    rows: Floats
    strata: int = 1

    @property
    def freedom(self) -> int:
        """Degrees of freedom of the variation between windows."""
        return max(len(self.rows) - self.strata, 1)

    @classmethod
    def of(cls, watch: WatchedFields, counts: Ints, minimum_rows: int = MINIMUM_ROWS) -> Windows:
        """Windows of counts int64[W, cells], small ones merged with the next as a detector does."""
        merged = merge_small(watch.spec, counts, minimum_rows)
        rows = np.array([watch.rows(c) for c in merged], dtype=np.float64)
        return cls(watch.padded(merged) / np.maximum(rows, 1.0)[:, None, None], rows)

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
        pooled = self.pooled
        mean = np.einsum("fk,fdk->fd", pooled, g)
        variance = np.einsum("fk,fdk->fd", pooled, g**2) - mean**2
        return self._upper(np.einsum("wfk,fdk->wfd", self.share, g) - mean, variance)

    def per_cell(self) -> Floats:
        """D of each cell's count, float64[F, K]."""
        pooled = self.pooled
        return self._upper(self.share - pooled, pooled * (1.0 - pooled))

    def _upper(self, deviation: Floats, variance: Floats) -> Floats:
        """At least 1; 1 where the direction never varied."""
        return upper(np.einsum("w,w...->...", self.rows, deviation**2), variance, self.freedom)


def upper(scatter: Floats, variance: Floats, freedom: int) -> Floats:
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
