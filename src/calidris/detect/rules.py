"""Fixed thresholds on a figure, for people who must have them. Off unless written; never counted in the budget."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """A figure above (or below) a limit, for so many windows running.

    No statement is made about false alarms: a fixed limit fires by chance as often as the sample size pleases (PSI > 0.2 at 50
    rows: on six windows in ten without any change). What it raises is marked ``budgeted = False`` wherever it is shown.

    Attributes:
        figure: name of the reading, with its attributes, as the configuration writes it.
        limit: beyond this is an alarm.
        above: whether too much is the trouble, or too little.
        windows: so many windows in a row.
        minimum_rows: a window with fewer rows counts for nothing, neither way.
    """

    figure: str
    limit: float
    above: bool = True
    windows: int = 1
    minimum_rows: int = 30
    budgeted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.limit) or self.windows < 1 or self.minimum_rows < 1:
            raise ValueError(f"{self.figure!r}: a rule needs a finite limit, and at least one window and one row")

    def beyond(self, value: float) -> bool:
        """Whether a value is on the wrong side of the limit."""
        return value > self.limit if self.above else value < self.limit

    def run(self, before: int, value: float | None, rows: int) -> int:
        """Windows in a row beyond the limit, after one more of which ``before`` were: it fires at ``windows``.

        A figure that is not known (None) and a window with too few rows leave the run as it was.

        >>> rule = ThresholdRule("ml.drift.score", 0.2, windows=2)
        >>> rule.run(1, 0.3, 500) >= rule.windows, rule.run(1, 0.1, 500), rule.run(1, None, 0)
        (True, 0, 1)
        """
        if value is None or not math.isfinite(value) or rows < self.minimum_rows:
            return before
        return before + 1 if self.beyond(value) else 0

    def fires(self, run: int) -> bool:
        """Whether a run is long enough."""
        return run >= self.windows
