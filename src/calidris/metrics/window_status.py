"""Whether what a window shows can be taken as it stands: one rule, whose answer every figure of the window carries.

A figure that has a graver status of its own keeps that: see :meth:`calidris.metrics.base.Reading.marked`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from calidris import semconv
from calidris.metrics.base import Reading, Status, gravest, reading, share_reading

LATE_SHARE = 0.05
"""Where as many of its rows came after their step was closed, nobody saw the window as it is shown now while it was new."""


class WindowContents(NamedTuple):
    """What a window is made of.

    Attributes:
        rows: rows that its figures are of.
        late: those among them that came after their step was closed.
        others: rows of the same time that are counted by another spec, and of which its figures know nothing.
        full: whether all of it was watched, and is closed.
        stale: whether its model has fallen silent since.
    """

    rows: int
    late: int = 0
    others: int = 0
    full: bool = True
    stale: bool = False

    @property
    def status(self) -> Status:
        """The gravest of what holds.

        >>> WindowContents(rows=100, late=4).status.value, WindowContents(rows=100, late=5).status.value
        ('ok', 'partial')
        """
        return gravest(self._doubts())

    def _doubts(self) -> Iterator[Status]:
        if not self.full or self._many_late:
            yield Status.PARTIAL
        if self.stale:
            yield Status.STALE
        if self.others:
            yield Status.MIXED_BASELINE

    @property
    def _many_late(self) -> bool:
        return self.late > 0 and self.late >= LATE_SHARE * self.rows

    def readings(self, window: str) -> list[Reading]:
        """The status as a series, and the share of late rows with Wilson's interval."""
        about = {semconv.ML_MONITORING_STATE: self.status.value}
        state = reading(semconv.METRIC_ML_WINDOW_STATUS, 1.0, self.rows, window=window, attributes=about)
        late = share_reading(semconv.METRIC_ML_WINDOW_LATE, self.late, self.rows, window)
        return [state, late]
