"""Predictions that wait for their label: sorted chunks of fixed-size rows, merged as they grow.

::

    add ──► tail (unsorted) ──match──► chunk 64 rows ─┐ merged when the newer one is at
                                       chunk 900 rows ┘ least half as long as the older
                                       chunk 65 536 rows   full: its rows never change again
                                       chunk 65 536 rows   only its ``used`` marks do

A look-up is one binary search a chunk for a whole batch of labels. A full chunk's rows are written to disk once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from calidris.labels.keys import Hashes

FULL_ROWS = 65_536
Rows = npt.NDArray[np.void]
Marks = npt.NDArray[np.bool_]


def pending_dtype(slices: int) -> np.dtype[np.void]:
    """One waiting prediction: 34 bytes and two for each slice.

    ``id`` is the hash of the prediction's id, ``time_ns`` its event time, ``score`` its probability, ``decision`` the hash
    of its class (0: none), ``spec`` the number of the spec its pane has, ``slices`` its rows on the slice axis.
    """
    fields = [("id", "<u8"), ("time_ns", "<i8"), ("score", "<f8"), ("decision", "<u8"), ("spec", "<u2")]
    return np.dtype([*fields, ("slices", "<i2", (slices,))])


@dataclass(slots=True)
class Chunk:
    """Rows sorted by id, and which of them have been labelled.

    ``number`` names the chunk's rows for good: merged chunks get a new one.
    """

    number: int
    rows: Rows
    used: Marks
    unsaved_rows: bool = True
    unsaved_marks: bool = True


@dataclass(slots=True)
class Match:
    """What n labels found.

    Attributes:
        found: bool[n], labels whose prediction was waiting.
        rows: the predictions of the found ones, in the labels' order.
        repeated: bool[n], labels whose prediction was labelled before, or by another label of the same batch.
    """

    found: Marks
    rows: Rows
    repeated: Marks


@dataclass(slots=True)
class PendingPredictions:
    """A bounded store of waiting predictions. The oldest chunk goes first when it is full; what goes is counted.

    Attributes:
        dtype: of a row, see ``pending_dtype``.
        max_rows: bound on waiting rows.
        evicted: rows that went unlabelled because the store was full.
        expired: rows that went unlabelled because they waited too long.
    """

    dtype: np.dtype[np.void]
    max_rows: int
    chunks: list[Chunk] = field(default_factory=list)
    next_number: int = 1
    evicted: int = 0
    expired: int = 0
    _tail: list[Rows] = field(default_factory=list)

    def __len__(self) -> int:
        return sum(len(c.rows) for c in self.chunks) + sum(len(r) for r in self._tail)

    def add(self, rows: Rows) -> None:
        """Let rows wait; O(1) until the next look-up."""
        if len(rows):
            self._tail.append(rows)

    def match(self, ids: Hashes) -> Match:
        """Find and mark the rows that labels name; the first label of a prediction counts, further ones are repeated."""
        self.settle()
        _, first = np.unique(ids, return_index=True)
        repeated = np.ones(len(ids), dtype=bool)
        repeated[first] = False
        found = np.zeros(len(ids), dtype=bool)
        rows = np.empty(len(ids), dtype=self.dtype)
        for chunk in reversed(self.chunks):  # the newest prediction of an id is the one that is meant
            wanted = np.flatnonzero(~repeated & ~found)
            if not len(wanted):
                break
            place = np.minimum(np.searchsorted(chunk.rows["id"], ids[wanted]), len(chunk.rows) - 1)
            hit = chunk.rows["id"][place] == ids[wanted]
            labelled = hit & chunk.used[place]
            repeated[wanted[labelled]] = True
            take = hit & ~labelled
            rows[wanted[take]] = chunk.rows[place[take]]
            found[wanted[take]] = True
            if take.any():
                chunk.used[place[take]] = True
                chunk.unsaved_marks = True
        return Match(found, rows[found], repeated)

    def settle(self) -> None:
        """Sort what was added into chunks and keep the bound."""
        if self._tail:
            rows = np.concatenate(self._tail)
            self._tail.clear()
            for start in range(0, len(rows), FULL_ROWS):
                self._append(rows[start : start + FULL_ROWS])
        while len(self) > self.max_rows and len(self.chunks) > 1:
            self.evicted += int((~self.chunks.pop(0).used).sum())

    def expire(self, before_ns: int) -> None:
        """Forget chunks whose newest prediction is older than ``before_ns``."""
        self.settle()
        while self.chunks and int(self.chunks[0].rows["time_ns"].max()) < before_ns:
            self.expired += int((~self.chunks.pop(0).used).sum())

    def restore(self, chunks: Iterable[Chunk]) -> None:
        """Take over chunks that a checkpoint kept, oldest first."""
        self.chunks = list(chunks)
        self.next_number = max((c.number for c in self.chunks), default=0) + 1

    def _append(self, rows: Rows) -> None:
        self.chunks.append(self._sorted(rows, np.zeros(len(rows), dtype=bool)))
        while len(self.chunks) > 1:
            older, newer = self.chunks[-2:]
            together = len(older.rows) + len(newer.rows)
            if 2 * len(newer.rows) < len(older.rows) or together > FULL_ROWS:
                break
            merged = np.concatenate([older.rows, newer.rows]), np.concatenate([older.used, newer.used])
            self.chunks[-2:] = [self._sorted(*merged)]

    def _sorted(self, rows: Rows, used: Marks) -> Chunk:
        order = np.argsort(rows["id"], kind="stable")
        self.next_number += 1
        return Chunk(self.next_number - 1, rows[order], used[order])
