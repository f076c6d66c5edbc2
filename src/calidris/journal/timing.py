"""How long something takes: how often, all together, and the longest of late."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

RECENT_S = 60.0


class Timing:
    """Counts and times what runs inside ``measure``. Thread-safe; a few hundred bytes for ever.

    A maximum since the start says nothing after a day, so ``longest_s`` is of the last one to two minutes: two slots,
    the older of which is forgotten when the newer one is a minute old.

    Args:
        clock_s: a clock that never goes back, in seconds.

    >>> now = iter([0.0, 0.5, 70.0, 70.1, 200.0])
    >>> timing = Timing(lambda: next(now))
    >>> for _ in range(2):
    ...     with timing.measure():
    ...         pass
    >>> timing.count, round(timing.total_s, 3), round(timing.last_s, 3)
    (2, 0.6, 0.1)
    >>> timing.longest_s
    0.0
    """

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._clock_s = clock_s
        self._lock = threading.Lock()  # guards all fields below
        self._slot = 0
        self._longest_s = (0.0, 0.0)  # in the slot before, and in this one
        self.count = 0
        self.total_s = 0.0
        self.last_s = 0.0

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Time what is inside; what fails is timed too."""
        begun_s = self._clock_s()
        try:
            yield
        finally:
            self._add(begun_s, self._clock_s())

    @property
    def longest_s(self) -> float:
        """The longest of the last one to two minutes; 0 where there was none."""
        with self._lock:
            self._turn(self._clock_s())
            return max(self._longest_s)

    def _add(self, begun_s: float, ended_s: float) -> None:
        with self._lock:
            self._turn(ended_s)
            self.last_s = ended_s - begun_s
            self.count += 1
            self.total_s += self.last_s
            self._longest_s = (self._longest_s[0], max(self._longest_s[1], self.last_s))

    def _turn(self, now_s: float) -> None:
        slot = int(now_s // RECENT_S)
        if slot != self._slot:
            self._longest_s = (self._longest_s[1] if slot == self._slot + 1 else 0.0, 0.0)
            self._slot = slot
