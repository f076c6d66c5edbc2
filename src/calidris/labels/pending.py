"""Predictions that wait for their label: blocks of a fixed number of rows, in order of arrival, sorted by id inside.

::

    add ──► tail (unsorted) ──match──► run 64 rows ─┐ merged when the newer one is at
                                       run 900 rows ┘ least half as long as the older
            open block: runs and tail ── ``block_rows`` reached ──► one sorted chunk; only its marks change from now on

A look-up is one binary search a chunk for a whole batch of labels, and a full block's rows are written to disk once. Blocks
end after a fixed number of rows, so that what is found, evicted and expired depends on the rows and their order alone,
never on when somebody looked or saved.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from calidris.labels.id_hashes import Hashes

FULL_ROWS = 65_536
BLOCKS = 8
"""A full store holds at least so many blocks: one of them goes at a time."""

THINNED_NS = 86_400_000_000_000
"""Labelled rows are remembered for a day at least, to tell a label that comes again from one without a prediction."""

Rows = npt.NDArray[np.void]
Marks = npt.NDArray[np.bool_]


def pending_dtype(slices: int, weighted: bool = False) -> np.dtype[np.void]:
    """One waiting prediction: 34 bytes and two for each slice, and four for its weight where the model has weights.

    ``id`` is the hash of the prediction's id, ``time_ns`` its event time, ``score`` its probability, ``decision`` the hash
    of its class (0: none), ``spec`` the number of the spec its pane has, ``slices`` its rows on the slice axis.
    """
    fields = [("id", "<u8"), ("time_ns", "<i8"), ("score", "<f8"), ("decision", "<u8"), ("spec", "<u2")]
    weight = [("weight", "<f4")] if weighted else []
    return np.dtype([*fields, ("slices", "<i2", (slices,)), *weight])


def with_dtype(rows: Rows, dtype: np.dtype[np.void]) -> Rows:
    """The same rows where there are more or fewer slices, or where rows have weights since: theirs is one."""
    out = np.zeros(len(rows), dtype=dtype)
    for name in ("id", "time_ns", "score", "decision", "spec"):
        out[name] = rows[name]
    out["slices"] = -1
    width = min(out["slices"].shape[1], rows["slices"].shape[1])
    out["slices"][:, :width] = rows["slices"][:, :width]
    if "weight" in (dtype.names or ()):
        out["weight"] = rows["weight"] if "weight" in (rows.dtype.names or ()) else 1.0
    return out


@dataclass(slots=True)
class Chunk:
    """Rows sorted by id, equal ids in order of arrival, and which of them have been labelled.

    ``number`` names the chunk's rows for good: merged chunks get a new one. ``ids`` are the rows' own once more, side by
    side: searching them inside the rows would copy them first (37 against 1 µs for 65 536).
    """

    number: int
    rows: Rows
    used: Marks
    unsaved_rows: bool = True
    unsaved_marks: bool = True
    ids: Hashes = field(init=False)

    def __post_init__(self) -> None:
        self.ids = np.ascontiguousarray(self.rows["id"])


@dataclass(slots=True)
class Match:
    """What n labels found.

    Attributes:
        found: bool[n], labels whose prediction was waiting.
        rows: the predictions of the found ones, in the labels' order.
        repeated: bool[n], labels whose prediction was labelled before.
    """

    found: Marks
    rows: Rows
    repeated: Marks


@dataclass(slots=True)
class PendingPredictions:
    """A bounded store of waiting predictions. The oldest block goes first when it is full; what goes is counted.

    Attributes:
        dtype: of a row, see ``pending_dtype``.
        max_rows: bound on waiting rows; it is kept to an eighth.
        evicted: rows that went unlabelled because the store was full.
        expired: rows that went unlabelled because they waited too long.
    """

    dtype: np.dtype[np.void]
    max_rows: int
    evicted: int = 0
    expired: int = 0
    full: list[Chunk] = field(default_factory=list)
    runs: list[Chunk] = field(default_factory=list)
    next_number: int = 1
    _tail: list[Rows] = field(default_factory=list)
    _open_rows: int = 0

    def __len__(self) -> int:
        return sum(len(c.rows) for c in self.full) + self._open_rows

    @property
    def unlabelled(self) -> int:
        """Rows that still wait."""
        self.settle()
        return sum(int((~chunk.used).sum()) for chunk in self.chunks)

    @property
    def block_rows(self) -> int:
        """Rows of a full block."""
        return min(FULL_ROWS, max(self.max_rows // BLOCKS, 1))

    @property
    def chunks(self) -> list[Chunk]:
        """Full blocks, then the runs of the open one, oldest first."""
        return [*self.full, *self.runs]

    def add(self, rows: Rows) -> None:
        """Let rows wait; O(1) until the next look-up or full block."""
        while len(rows):
            space_left = self.block_rows - self._open_rows
            self._tail.append(rows[:space_left])
            self._open_rows += len(rows[:space_left])
            rows = rows[space_left:]
            if self._open_rows >= self.block_rows:
                self._close_block()
        while len(self) > self.max_rows and self.full:
            self.evicted += int((~self.full.pop(0).used).sum())

    def match(self, ids: Hashes) -> Match:
        """Find and mark the rows that labels name.

        Args:
            ids: n different ids. The newest prediction of an id is the one that is meant.
        """
        self.settle()
        repeated = np.zeros(len(ids), dtype=bool)
        found = np.zeros(len(ids), dtype=bool)
        rows = np.empty(len(ids), dtype=self.dtype)
        for chunk in reversed(self.chunks):
            wanted = np.flatnonzero(~repeated & ~found)
            if not len(wanted):
                break
            place = np.searchsorted(chunk.ids, ids[wanted], side="right") - 1
            hit = (place >= 0) & (chunk.ids[place] == ids[wanted])
            labelled = hit & chunk.used[place]
            repeated[wanted[labelled]] = True
            take = hit & ~labelled
            rows[wanted[take]] = chunk.rows[place[take]]
            found[wanted[take]] = True
            if take.any():
                chunk.used[place[take]] = True
                chunk.unsaved_marks = True
        return Match(found, rows[found], repeated)

    def widen(self, dtype: np.dtype[np.void]) -> None:
        """Let rows have more to them from here on; O(rows), once."""
        if dtype == self.dtype:
            return
        self.dtype = dtype
        self._tail = [with_dtype(rows, dtype) for rows in self._tail]
        for chunk in self.chunks:
            chunk.rows, chunk.unsaved_rows = with_dtype(chunk.rows, dtype), True

    def settle(self) -> None:
        """Sort what was added into runs, each at least twice as long as the next."""
        if self._tail:
            rows = np.concatenate(self._tail)
            self._tail.clear()
            self.runs.append(self._sorted(rows, np.zeros(len(rows), dtype=bool)))
            while len(self.runs) > 1 and 2 * len(self.runs[-1].rows) >= len(self.runs[-2].rows):
                self._merge_runs(2)

    def forget(self, sealed_ns: int, horizon_ns: int) -> bool:
        """What time brings at a seal: rows that waited for ``horizon_ns`` go, labelled ones earlier; whether any did."""
        before = len(self)
        self.expire(sealed_ns - horizon_ns)
        self.thin(sealed_ns - THINNED_NS)
        return len(self) != before

    def expire(self, before_ns: int) -> None:
        """Forget blocks whose newest prediction is older than ``before_ns``, oldest block first."""
        while self.full and _newest_ns(self.full[0].rows) < before_ns:
            self.expired += int((~self.full.pop(0).used).sum())
        self.settle()
        if not self.full and self.runs and max(_newest_ns(run.rows) for run in self.runs) < before_ns:
            self.expired += sum(int((~run.used).sum()) for run in self.runs)
            self.runs.clear()
            self._open_rows = 0

    def thin(self, before_ns: int) -> None:
        """Forget the labelled rows of full blocks that end before ``before_ns``, where they are half of a block or more.

        Without it a model all of whose labels come would hold as many rows as one whose labels never do. Blocks that get small
        are joined, so that there are never many. Called at seals, so that it depends on the journal alone.
        """
        kept: list[Chunk] = []
        for chunk in self.full:
            if 2 * int(np.count_nonzero(chunk.used)) >= len(chunk.rows) and _newest_ns(chunk.rows) < before_ns:
                chunk = Chunk(chunk.number, chunk.rows[~chunk.used], chunk.used[~chunk.used])
            if kept and 2 * (len(kept[-1].rows) + len(chunk.rows)) <= self.block_rows:
                chunk = self._joined([kept.pop(), chunk], chunk.number)
            if len(chunk.rows):
                kept.append(chunk)
        self.full = kept

    def restore(self, chunks: Iterable[Chunk], full: int | None = None) -> None:
        """Take over chunks that a checkpoint kept, oldest first, and how many of them are full blocks.

        Checkpoints from before blocks were thinned do not tell: theirs are as long as a block.
        """
        kept = list(chunks)
        longest = max((i + 1 for i, c in enumerate(kept) if len(c.rows) >= self.block_rows), default=0)
        size = longest if full is None else full
        self.full, self.runs = kept[:size], kept[size:]
        self._open_rows = sum(len(run.rows) for run in self.runs)
        self.next_number = max((c.number for c in kept), default=0) + 1

    def blocks(self) -> list[tuple[Rows, Marks]]:
        """Rows and marks of each block, the open one last: the same however often somebody looked or saved."""
        self.settle()
        open_block = [self._joined(self.runs)] if self.runs else []
        return [*((c.rows, c.used) for c in self.full), *((c.rows, c.used) for c in open_block)]

    def _close_block(self) -> None:
        self.settle()
        self._merge_runs(len(self.runs))
        self.full.append(self.runs.pop())
        self._open_rows = 0

    def _merge_runs(self, last: int) -> None:
        if last > 1:
            self.runs[-last:] = [self._joined(self.runs[-last:])]

    def _joined(self, runs: list[Chunk], number: int | None = None) -> Chunk:
        return self._sorted(np.concatenate([r.rows for r in runs]), np.concatenate([r.used for r in runs]), number)

    def _sorted(self, rows: Rows, used: Marks, number: int | None = None) -> Chunk:
        """One chunk; the next number is the newest of all, so blocks that stay where they are among others keep theirs."""
        order = np.argsort(rows["id"], kind="stable")  # stable: of equal ids the newest stays last
        if number is None:
            number, self.next_number = self.next_number, self.next_number + 1
        return Chunk(number, rows[order], used[order])


def _newest_ns(rows: Rows) -> int:
    return int(rows["time_ns"].max())
