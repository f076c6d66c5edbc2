"""Counts that may be added to from anywhere: by several threads, and by a signal handler in the midst of an addition."""

from __future__ import annotations

import io
import os
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

MOST = 1 << 32
"""Added at once: what claims to have more rows lies, and a position has an end."""


class Tally(Generic[Key]):
    """Sums by key. `add` waits for nobody and loses nothing, whoever interrupts it.

    ``counts[key] += n`` is three steps, and Python runs signal handlers and other threads between them. A lock would make
    the steps one, but a handler that interrupts its own thread inside the lock would wait for itself for ever, and one that
    raises there would leave it locked. To move the position of a file in memory is one step that nothing divides, because
    all of it happens in C: the position is the sum.

    >>> tally = Tally()
    >>> tally.add("apples", 2)
    >>> tally.add("apples")
    >>> tally.sums()
    {'apples': 3}
    """

    def __init__(self) -> None:
        self._cells: dict[Key, io.BytesIO] = {}

    def add(self, key: Key, amount: int = 1) -> None:
        """Add to the sum of a key, which never becomes negative; some 0.1 µs."""
        cell = self._cells.get(key)
        if cell is None:
            new = io.BytesIO()
            cell = self._cells.setdefault(key, new)
        amount = min(amount, MOST)
        cell.seek(amount, os.SEEK_CUR)

    def sums(self) -> dict[Key, int]:
        """All sums so far."""
        sums = {}
        cells = self._cells.copy()
        for key, cell in cells.items():
            sums[key] = cell.tell()
        return sums

    def get(self, key: Key) -> int:
        """One sum, 0 for a key never added to."""
        cell = self._cells.get(key)
        if cell is None:
            return 0
        return cell.tell()

    def __contains__(self, key: object) -> bool:
        return key in self._cells

    def __len__(self) -> int:
        return len(self._cells)
