"""Predictions that wait for their label: blocks of a fixed number of rows, in order of arrival, sorted by id inside.

::

    add ──► tail (unsorted) ──match──► run 64 rows ─┐ merged when the newer one is at
                                       run 900 rows ┘ least half as long as the older
            open block: runs and tail ── ``block_rows`` reached ──► one sorted chunk; only its marks change from now on

A look-up is one binary search a chunk for a whole batch of labels, and a full block's rows are written to disk once. Blocks
end after a fixed number of rows, so that what is found, evicted and expired depends on the rows and their order alone,
never on when somebody looked or saved.

A labelled row stays with what its label said (``labels/held.py``), so that a newer one can take its place. Where rows must go,
labelled ones go first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from calidris.batch import Ints
from calidris.labels.held import KNOWN, Held, held_dtype
from calidris.labels.id_hashes import Hashes

FULL_ROWS = 65_536
BLOCKS = 8
"""A full store holds at least so many blocks: one of them goes at a time."""

_BESIDE = 10
"""Of a row in memory, beside the row itself and its label: its id once more, and whether it has a label and that is saved."""

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


def row_bytes(slices: int, task: str) -> int:
    """What a row takes in memory, whether it waits or has its label.

    >>> row_bytes(0, "binary"), row_bytes(2, "regression")
    (54, 65)
    """
    return pending_dtype(slices).itemsize + held_dtype(task).itemsize + _BESIDE


@dataclass(slots=True)
class Chunk:
    """Rows sorted by id, equal ids in order of arrival, which of them have been labelled, and how.

    ``number`` names the chunk's rows for good: merged chunks get a new one. ``ids`` are the rows' own once more, side by
    side: searching them inside the rows would copy them first (37 against 1 µs for 65 536).
    ``held`` is one label a row, of no meaning where there is none; ``unsaved`` says which of them no checkpoint has.
    """

    number: int
    rows: Rows
    used: Marks
    held: Held
    unsaved_rows: bool = True
    unsaved_marks: bool = True
    unsaved: Marks = field(init=False)
    ids: Hashes = field(init=False)

    def __post_init__(self) -> None:
        self.ids = np.ascontiguousarray(self.rows["id"])
        self.unsaved = np.zeros(len(self.rows), dtype=bool)

    def hold(self, places: Ints, labels: Held) -> None:
        """Keep labels of some rows."""
        self.used[places] = True
        self.held[places] = labels
        self.unsaved[places] = True
        self.unsaved_marks = True

    def mark_saved(self) -> None:
        """Note that a checkpoint has all of it."""
        self.unsaved_rows = self.unsaved_marks = False
        self.unsaved[:] = False

    def without_labelled(self) -> Chunk:
        """The same but for its labelled rows."""
        left = ~self.used
        return Chunk(self.number, self.rows[left], self.used[left], self.held[left])


@dataclass(slots=True)
class Match:
    """What n labels found.

    Attributes:
        found: bool[n], labels whose prediction is there.
        rows: the m predictions of the found ones, in the labels' order.
        used: bool[m], which of these have been labelled before.
        held: by what, one label for each of these.
        chunks: int64[m], where they are: the place of the chunk, until rows are added.
        places: int64[m], and the place in it.
    """

    found: Marks
    rows: Rows
    used: Marks
    held: Held
    chunks: Ints
    places: Ints

    def take(self, some: Ints) -> Match:
        """Some of the m predictions, as if only their labels had been looked for."""
        found = np.ones(len(some), dtype=bool)
        return Match(found, self.rows[some], self.used[some], self.held[some], self.chunks[some], self.places[some])

    def forget_labels(self) -> None:
        """Know no longer what the rows have been labelled by; the store does not change."""
        self.held["marks"] &= ~np.uint8(KNOWN)


@dataclass(slots=True)
class PendingPredictions:
    """A bounded store of waiting and labelled predictions. When it is full, labelled rows go first; what still waited is counted.

    Attributes:
        dtype: of a row, see ``pending_dtype``.
        max_rows: bound on rows; it is kept to an eighth.
        held: of what a labelled row keeps, see ``held_dtype``.
        evicted: rows that went unlabelled because the store was full.
        expired: rows that went unlabelled because they waited too long.
    """

    dtype: np.dtype[np.void]
    max_rows: int
    held: np.dtype[np.void] = field(default_factory=lambda: held_dtype(""))
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

    def find(self, ids: Hashes) -> Match:
        """The rows that labels name; nothing changes.

        Args:
            ids: n different ids. The newest prediction of an id is the one that is meant.
        """
        self.settle()
        chunks = np.full(len(ids), -1)
        places = np.zeros(len(ids), dtype=np.int64)
        for number, chunk in reversed(list(enumerate(self.chunks))):
            wanted = np.flatnonzero(chunks < 0)
            if not len(wanted):
                break
            place = np.searchsorted(chunk.ids, ids[wanted], side="right") - 1
            hit = (place >= 0) & (chunk.ids[place] == ids[wanted])
            chunks[wanted[hit]] = number
            places[wanted[hit]] = place[hit]
        found = chunks >= 0
        return self._match(found, chunks[found], places[found])

    def _match(self, found: Marks, chunks: Ints, places: Ints) -> Match:
        m = len(chunks)
        match = Match(found, np.empty(m, self.dtype), np.zeros(m, bool), np.zeros(m, self.held), chunks, places)
        for number in np.unique(chunks).tolist():
            chunk, here = self.chunks[number], chunks == number
            at = places[here]
            match.rows[here] = chunk.rows[at]
            match.used[here] = chunk.used[at]
            match.held[here] = chunk.held[at]
        return match

    def hold(self, match: Match, which: Marks, labels: Held) -> None:
        """Keep labels of rows that ``find`` found just now.

        Args:
            match: what it said, of m rows.
            which: bool[m], those with a label to keep.
            labels: labels of all m.
        """
        kept = match.chunks[which]
        for number in np.unique(kept).tolist():
            here = which & (match.chunks == number)
            self.chunks[number].hold(match.places[here], labels[here])

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
            self.runs.append(self._sorted(rows, np.zeros(len(rows), dtype=bool), np.zeros(len(rows), self.held)))
            while len(self.runs) > 1 and 2 * len(self.runs[-1].rows) >= len(self.runs[-2].rows):
                self._merge_runs(2)

    def forget(self, sealed_ns: int, horizon_ns: int) -> bool:
        """What time brings at a seal: rows older than ``horizon_ns`` go, labelled or not; whether any did."""
        before = len(self)
        self.expire(sealed_ns - horizon_ns)
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

    def _make_room(self, most: int) -> None:
        """Let rows of full blocks go until at most so many are left: labelled ones first, the oldest block's before all others.

        Called when a block is full, so that it depends on the rows and their order alone, and costs each row a few copies.
        """
        while sum(len(c.rows) for c in self.full) > most:
            labelled = (at for at, chunk in enumerate(self.full) if chunk.used.any())
            at = next(labelled, None)
            if at is None:
                gone = self.full.pop(0)
                self.evicted += len(gone.rows)
            else:
                self._thin(at)

    def _thin(self, at: int) -> None:
        """Let a block's labelled rows go; a small one joins the one before it, so that there are never many."""
        left = self.full[at].without_labelled()
        self.full[at : at + 1] = [left] if len(left.rows) else []
        if at and len(left.rows):
            before = self.full[at - 1]
            if 2 * (len(before.rows) + len(left.rows)) <= self.block_rows:
                self.full[at - 1 : at + 1] = [self._joined([before, left], left.number)]

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

    def blocks(self) -> list[tuple[Rows, Marks, Held]]:
        """Rows, marks and labels of each block, the open one last: the same however often somebody looked or saved."""
        self.settle()
        open_block = [self._joined(self.runs)] if self.runs else []
        return [(c.rows, c.used, c.held) for c in [*self.full, *open_block]]

    def _close_block(self) -> None:
        self.settle()
        self._merge_runs(len(self.runs))
        self.full.append(self.runs.pop())
        self._open_rows = 0
        self._make_room(self.max_rows - self.block_rows)

    def _merge_runs(self, last: int) -> None:
        if last > 1:
            self.runs[-last:] = [self._joined(self.runs[-last:])]

    def _joined(self, runs: list[Chunk], number: int | None = None) -> Chunk:
        rows, used, held = (np.concatenate(parts) for parts in zip(*((r.rows, r.used, r.held) for r in runs)))
        return self._sorted(rows, used, held, number)

    def _sorted(self, rows: Rows, used: Marks, held: Held, number: int | None = None) -> Chunk:
        """One chunk; the next number is the newest of all, so blocks that stay where they are among others keep theirs."""
        order = np.argsort(rows["id"], kind="stable")  # stable: of equal ids the newest stays last
        if number is None:
            number, self.next_number = self.next_number, self.next_number + 1
        return Chunk(number, rows[order], used[order], held[order])


def _newest_ns(rows: Rows) -> int:
    return int(rows["time_ns"].max())
