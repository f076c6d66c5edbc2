"""Predictions that wait, and labels that they hold, in the checkpoint: rows are written once, labels when they came since the last one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from calidris.engine.checkpoint.store import Store
from calidris.labels import Chunk, Held, PendingPredictions
from calidris.labels.pending import Marks, Rows

_CHUNKS = "SELECT chunk, rows, marks FROM pending WHERE model=? ORDER BY chunk"
_PARTS = "SELECT labels FROM held WHERE model=? AND chunk=? ORDER BY part"
_COUNT = "SELECT count(*), sum(length(labels)) FROM held WHERE model=? AND chunk=?"


class Written(NamedTuple):
    """What rows and labels looked like when they were written: settings may have changed since."""

    rows: np.dtype[np.void]
    held: np.dtype[np.void]


def save_pending(store: Store, number: int, pending: PendingPredictions) -> None:
    """Write what changed, inside the caller's transaction.

    Args:
        store: where to.
        number: of the model in the store.
        pending: its rows.
    """
    pending.settle()
    saved = {n for (n,) in store.db.execute("SELECT chunk FROM pending WHERE model=?", (number,))}
    kept = {chunk.number for chunk in pending.chunks}
    for table in ("pending", "held"):
        gone = [(number, n) for n in saved - kept]
        store.db.executemany(f"DELETE FROM {table} WHERE model=? AND chunk=?", gone)
    for chunk in pending.chunks:
        _save_chunk(store, number, chunk)


def _save_chunk(store: Store, number: int, chunk: Chunk) -> None:
    at, marks = (number, chunk.number), np.packbits(chunk.used).tobytes()
    if chunk.unsaved_rows:
        values = (*at, chunk.rows.tobytes(), marks)
        store.db.execute("INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)", values)
        _save_whole(store, at, chunk)
    elif chunk.unsaved_marks:
        store.db.execute("UPDATE pending SET marks=? WHERE model=? AND chunk=?", (marks, *at))
        _save_part(store, at, chunk)


def _save_whole(store: Store, at: tuple[int, int], chunk: Chunk) -> None:
    store.db.execute("DELETE FROM held WHERE model=? AND chunk=?", at)
    labels = _part_of(chunk, chunk.used)
    if labels:
        store.db.execute("INSERT INTO held VALUES (?, ?, 0, ?)", (*at, labels))


def _save_part(store: Store, at: tuple[int, int], chunk: Chunk) -> None:
    labels = _part_of(chunk, chunk.unsaved)
    parts, size = store.db.execute(_COUNT, at).fetchone()
    # Labels that change over and over would pile up: what was written is never more than all of them twice.
    if (size or 0) + len(labels) > 2 * len(chunk.rows) * _part_dtype(chunk.held.dtype).itemsize:
        _save_whole(store, at, chunk)
    elif labels:
        store.db.execute("INSERT INTO held VALUES (?, ?, ?, ?)", (*at, parts, labels))


def _part_dtype(held: np.dtype[np.void]) -> np.dtype[np.void]:
    return np.dtype([("place", "<u4"), ("held", held)])


def _part_of(chunk: Chunk, which: Marks) -> bytes:
    places = np.flatnonzero(which)
    part = np.zeros(len(places), _part_dtype(chunk.held.dtype))
    part["place"] = places
    part["held"] = chunk.held[places]
    return part.tobytes()


def restore_pending(
    store: Store, number: int, pending: PendingPredictions, written: Written, blocks: int | None
) -> None:
    """Take over what was saved.

    Args:
        store: where from.
        number: of the model in the store.
        pending: where to.
        written: as what.
        blocks: how many full blocks there were; None where nobody wrote it down.
    """
    chunks = []
    for n, rows, marks in store.db.execute(_CHUNKS, (number,)):
        array = _with_slices(np.frombuffer(rows, dtype=written.rows), pending.dtype)
        used = np.unpackbits(np.frombuffer(marks, dtype=np.uint8), count=len(array)).astype(bool)
        held = _read_held(store, (number, int(n)), len(array), written.held)
        changed = (written.rows, written.held) != (pending.dtype, pending.held)
        # Labels of another task are not known any more: the rows are labelled, and nobody can say how.
        kept = held if written.held == pending.held else np.zeros(len(array), pending.held)
        chunks.append(Chunk(int(n), array, used, kept, unsaved_rows=changed, unsaved_marks=changed))
    pending.restore(chunks, blocks)


def _read_held(store: Store, at: tuple[int, int], rows: int, dtype: np.dtype[np.void]) -> Held:
    held = np.zeros(rows, dtype)
    for (raw,) in store.db.execute(_PARTS, at):
        part = np.frombuffer(raw, dtype=_part_dtype(dtype))
        held[part["place"]] = part["held"]
    return held


def _with_slices(rows: Rows, dtype: np.dtype[np.void]) -> npt.NDArray[np.void]:
    """The same rows where there are more or fewer slices today."""
    out = np.zeros(len(rows), dtype=dtype)
    for name in ("id", "time_ns", "score", "decision", "spec"):
        out[name] = rows[name]
    out["slices"] = -1
    width = min(out["slices"].shape[1], rows["slices"].shape[1])
    out["slices"][:, :width] = rows["slices"][:, :width]
    return out
