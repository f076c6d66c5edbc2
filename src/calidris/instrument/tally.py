"""Counts that may be added to from anywhere: by several threads, and by a signal handler in the midst of an addition."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Tally(Generic[Key]):
    """Sums by key. `add` never waits for anybody and loses nothing.

    ``counts[key] += n`` is three steps, and Python runs signal handlers and other threads between them. A lock would make
    the steps one, but a handler that interrupts its own thread inside the lock would wait for itself for ever. So each
    amount goes into a queue, by one step that nothing divides, and whoever finds nobody at it moves the queue to the sums.

    >>> tally = Tally()
    >>> tally.add("apples", 2)
    >>> tally.add("apples")
    >>> tally.sums()
    {'apples': 3}
    """

    def __init__(self) -> None:
        self._queued: deque[tuple[Key, int]] = deque()
        self._sums: Counter[Key] = Counter()
        self._moving = threading.Lock()

    def add(self, key: Key, amount: int = 1) -> None:
        """Add to the sum of a key; some 0.5 µs."""
        self._queued.append((key, amount))
        self._move()

    def sums(self) -> dict[Key, int]:
        """All sums so far."""
        self._move()
        return dict(self._sums)

    def get(self, key: Key) -> int:
        """One sum, 0 for a key never added to."""
        self._move()
        return self._sums[key]

    def __contains__(self, key: object) -> bool:
        return key in self._sums

    def __len__(self) -> int:
        return len(self._sums)

    def _move(self) -> None:
        # The condition is looked at again after the lock is let go: an amount that came in between was left to us.
        while self._queued:
            is_mine = self._moving.acquire(blocking=False)
            if not is_mine:
                return
            try:
                self._empty()
            finally:
                self._moving.release()

    def _empty(self) -> None:
        while self._queued:
            key, amount = self._queued.popleft()
            self._sums[key] += amount
