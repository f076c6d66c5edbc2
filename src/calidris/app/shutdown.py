"""Ending within a deadline: each part is asked to stop, and none that hangs keeps the others from stopping."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping

_LEAST_S = 1.0
"""For a step that comes after one that hung."""

_logger = logging.getLogger(__name__)


class Ending:
    """One deadline over several steps.

    Attributes:
        hung: steps that did not end in their time; their threads may still run, so the process must be ended by force.

    Args:
        drain_s: time for all that may take long; it begins with ``begin``.
        grace_s: time beside it for what ends a step: the checkpoint, the last push, closing files.
        clock_s: a clock that never goes back, in seconds.
    """

    def __init__(self, drain_s: float, grace_s: float = 10.0, clock_s: Callable[[], float] = time.monotonic) -> None:
        self.hung: list[str] = []
        self._drain_s = drain_s
        self._grace_s = grace_s
        self._clock_s = clock_s
        self._until_s: float | None = None

    def begin(self) -> None:
        """Start the clock; later calls change nothing."""
        if self._until_s is None:
            self._until_s = self._clock_s() + self._drain_s

    @property
    def left_s(self) -> float:
        """What is left of the deadline, never below 0; all of it before ``begin``."""
        return self._drain_s if self._until_s is None else max(self._until_s - self._clock_s(), 0.0)

    def step(self, name: str, stop: Callable[[], object]) -> None:
        """Stop a part in a thread of its own; give up on it after the deadline and its grace. What it raises is logged."""
        self.together({name: stop})

    def together(self, parts: Mapping[str, Callable[[], object]]) -> None:
        """Stop several parts at the same time, each as ``step`` does."""
        self.begin()
        threads = {name: self._start(name, stop) for name, stop in parts.items()}
        for name, thread in threads.items():
            thread.join(max(self._ends_s() - self._clock_s(), _LEAST_S))
            if thread.is_alive():
                self.hung.append(name)
                _logger.error("stopping: %s did not end in time", name)

    def _start(self, name: str, stop: Callable[[], object]) -> threading.Thread:
        def run() -> None:
            try:
                stop()
            except Exception:
                _logger.exception("stopping: %s failed", name)

        thread = threading.Thread(target=run, name=f"calidris-stop-{name}", daemon=True)
        thread.start()
        return thread

    def _ends_s(self) -> float:
        assert self._until_s is not None, "begun"
        return self._until_s + self._grace_s
