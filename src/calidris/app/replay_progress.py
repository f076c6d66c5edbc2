"""How far the replay at the start is, for the log, ``/readyz`` and ``calidris status``."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from calidris import semconv
from calidris.app.logs import UNLIMITED

_logger = logging.getLogger(__name__)
_MB = 1e6
_SHOW_AFTER_S = 1.0
"""A guess of the time left is worth nothing before."""


class Progress:
    """Counts records read back; written by one thread, read by any.

    Args:
        records: how many there are to read.
        clock_s: a clock that never goes back, in seconds.

    >>> now = iter([0.0, 10.0, 10.0])
    >>> progress = Progress(2000, lambda: next(now))
    >>> for _ in range(500):
    ...     progress.add(1000)
    >>> print(progress)
    500 of 2,000 records, 0.5 MB, about 30 s left
    """

    def __init__(self, records: int, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.records = records
        self.done = 0
        self.done_bytes = 0
        self._clock_s = clock_s
        self._begun_s = clock_s()
        self._ended_s: float | None = None

    def add(self, size_bytes: int) -> None:
        """Count one record."""
        self.done += 1
        self.done_bytes += size_bytes

    def end(self) -> None:
        """Stop the clock: everything was read, or the replay was cut short."""
        self._ended_s = self._clock_s()

    @property
    def spent_s(self) -> float:
        """How long it has taken so far."""
        return (self._clock_s() if self._ended_s is None else self._ended_s) - self._begun_s

    @property
    def left_s(self) -> float | None:
        """How much longer it will take at this rate; None while nobody can tell."""
        spent_s = self.spent_s
        if not self.done or spent_s < _SHOW_AFTER_S:
            return None
        return spent_s * max(self.records - self.done, 0) / self.done

    def __str__(self) -> str:
        left_s = self.left_s
        left = "" if left_s is None else f", about {left_s:.0f} s left"
        return f"{self.done:,} of {self.records:,} records, {self.done_bytes / _MB:,.1f} MB{left}"

    def as_json(self) -> dict[str, Any]:
        """As ``/readyz`` and ``/v1/status`` tell it."""
        return {"records": self.records, "done": self.done, "bytes": self.done_bytes, "left_s": self.left_s}

    def health(self) -> dict[str, float]:
        """As metrics."""
        return {
            semconv.METRIC_CALIDRIS_REPLAY_RECORDS.name: float(self.done),
            semconv.METRIC_CALIDRIS_REPLAY_DURATION.name: self.spent_s,
        }


@contextmanager
def reported(progress: Progress, every_s: float = 5.0) -> Iterator[None]:
    """Log how far it is every few seconds, while what is inside runs; short work says nothing."""
    ended = threading.Event()

    def report() -> None:
        while not ended.wait(every_s):
            _logger.info("reading the journal back: %s", progress, extra=UNLIMITED)

    thread = threading.Thread(target=report, name="calidris-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
