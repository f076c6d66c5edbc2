"""Which time it is, for closing windows: the wall clock, unless it jumped and what arrives does not agree with it.

A window that was closed stays closed. Were the clock wrong by a month for a minute, every row of that month would be late
and nothing would be watched: so a clock that leaps is believed only when events say so too.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

JUMP_NS: Final = 60 * 10**9
"""The wire lets senders' clocks be wrong by as much; smaller steps are followed at once."""

DRIFT: Final = 0.5
"""Drift is followed up to half a second a second: no clock that is being put right runs so fast, but one that stands does."""

_logger = logging.getLogger(__name__)


class BelievedTime:
    """The wall clock, checked against one that cannot be set. For one thread.

    After a jump it goes on from before the jump, by the steady clock, until the wall clock is back or an event lies nearer
    to the new time than to the old one: so it is after a machine slept, or when a wrong clock was put right. Where all
    senders share the wrong clock nobody can tell.

    Attributes:
        jumped: true while the wall clock is not believed.

    Args:
        clock_ns: the wall clock, ns since the epoch.
        steady_ns: a clock that is never set, ns since any moment.

    Example:
        >>> wall, steady = [10**18], [0]
        >>> believed = BelievedTime(lambda: wall[0], lambda: steady[0])
        >>> wall[0], steady[0] = 2 * 10**18, 5
        >>> believed.now_ns(), believed.jumped
        (1000000000000000005, True)
        >>> believed.saw(2 * 10**18 - 100)
        >>> believed.now_ns(), believed.jumped
        (2000000000000000000, False)
    """

    def __init__(self, clock_ns: Callable[[], int], steady_ns: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock_ns = clock_ns
        self._steady_ns = steady_ns
        self._offset_ns = self._expected_ns = clock_ns() - steady_ns()
        self._asked_ns = steady_ns()
        self.jumped = False

    def now_ns(self) -> int:
        """The time that windows close by, ns since the epoch."""
        wall_ns, steady_ns = self._clock_ns(), self._steady_ns()
        jump_ns = self._beyond_drift_ns(wall_ns - steady_ns, steady_ns)
        jumped = abs(jump_ns) > JUMP_NS
        if jumped and not self.jumped:
            _logger.warning("engine: the clock jumped by %+.0f s: windows close as if it had not", jump_ns / 1e9)
        if self.jumped and not jumped:
            _logger.info("engine: the clock is believed again")
        self.jumped = jumped
        if not jumped:
            self._offset_ns = wall_ns - steady_ns
        return steady_ns + self._offset_ns

    def _beyond_drift_ns(self, offset_ns: int, steady_ns: int) -> int:
        """How far the wall clock is from where drift can have taken it."""
        if not self.jumped:
            # No more than a jump at a time: after a long stop of this process a leap would pass for drift.
            most_ns = min(round((steady_ns - self._asked_ns) * DRIFT), JUMP_NS)
            self._expected_ns += min(max(offset_ns - self._expected_ns, -most_ns), most_ns)
        self._asked_ns = steady_ns
        return offset_ns - self._expected_ns

    @property
    def offset_s(self) -> float:
        """Seconds that the wall clock is ahead of what is believed; 0 while it is believed. From any thread."""
        return (self._clock_ns() - self._steady_ns() - self._offset_ns) / 1e9 if self.jumped else 0.0

    def saw(self, event_ns: int) -> None:
        """Hear of an event that arrived just now; it may speak for the wall clock."""
        wall_ns, steady_ns = self._clock_ns(), self._steady_ns()
        if abs(event_ns - wall_ns) < abs(event_ns - steady_ns - self._offset_ns):
            self._offset_ns = self._expected_ns = wall_ns - steady_ns
