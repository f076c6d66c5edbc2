"""Predictions that wait, and labels that they hold, in the checkpoint: rows are written once, labels when they came since the last one."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from calidris.engine.checkpoint.store import Store
from calidris.labels import Chunk, Held, PendingPredictions
from calidris.labels.pending import Marks, with_dtype

_NUMBERS: Final = "SELECT chunk FROM pending WHERE model=?"
_CHUNKS: Final = "SELECT chunk, rows, marks FROM pending WHERE model=? ORDER BY chunk"
_PUT_CHUNK: Final = "INSERT OR REPLACE INTO pending VALUES (?, ?, ?, ?)"
_PUT_MARKS: Final = "UPDATE pending SET marks=? WHERE model=? AND chunk=?"
_PARTS: Final = "SELECT labels FROM held WHERE model=? AND chunk=? ORDER BY part"
_COUNT: Final = "SELECT count(*), total(length(labels)) FROM held WHERE model=? AND chunk=?"
_PUT_PART: Final = "INSERT INTO held VALUES (?, ?, ?, ?)"
_DROP_CHUNK: Final = "DELETE FROM pending WHERE model=? AND chunk=?"
_DROP_PARTS: Final = "DELETE FROM held WHERE model=? AND chunk=?"

_MOST_COPIES: Final = 2
"""Labels that change over and over would pile up: a chunk's are written anew before they take so many times their room."""


Form = np.dtype[np.void]


class Written(NamedTuple):
    """What rows and labels looked like when they were written: settings may have changed since."""

    rows: Form
    held: Form


class _Place(NamedTuple):
    """A chunk in the store: number of the model, number of the chunk."""

    model: int
    chunk: int


def save_pending(
    store: Store,
    number: int,
    pending: PendingPredictions,
) -> None:
    """Write what changed, inside the caller's transaction.

    Args:
        store: where to.
        number: of the model in the store.
        pending: its rows.
    """
    pending.settle()
    found = store.db.execute(_NUMBERS, (number,))
    saved = {chunk for (chunk,) in found}
    kept = {chunk.number for chunk in pending.chunks}
    gone = [_Place(number, chunk) for chunk in saved - kept]
    for dropped in (_DROP_CHUNK, _DROP_PARTS):
        store.db.executemany(dropped, gone)
    for chunk in pending.chunks:
        at = _Place(number, chunk.number)
        _save_chunk(store, at, chunk)


def _save_chunk(
    store: Store,
    at: _Place,
    chunk: Chunk,
) -> None:
    marks = np.packbits(chunk.used).tobytes()
    if chunk.unsaved_rows:
        rows = chunk.rows.tobytes()
        values = (*at, rows, marks)
        store.db.execute(_PUT_CHUNK, values)
        _save_whole(store, at, chunk)
    elif chunk.unsaved_marks:
        store.db.execute(_PUT_MARKS, (marks, *at))
        _save_part(store, at, chunk)


def _save_whole(
    store: Store,
    at: _Place,
    chunk: Chunk,
) -> None:
    store.db.execute(_DROP_PARTS, at)
    labels = _part_of(chunk, chunk.used)
    if labels:
        store.db.execute(_PUT_PART, (*at, 0, labels))


def _save_part(
    store: Store,
    at: _Place,
    chunk: Chunk,
) -> None:
    labels = _part_of(chunk, chunk.unsaved)
    found = store.db.execute(_COUNT, at)
    parts, size = found.fetchone()
    each = _part_dtype(chunk.held.dtype)
    most = _MOST_COPIES * each.itemsize
    most *= len(chunk.rows)
    size += len(labels)
    if size > most:
        _save_whole(store, at, chunk)
    elif labels:
        store.db.execute(_PUT_PART, (*at, parts, labels))


def _part_dtype(held: Form) -> Form:
    return np.dtype(
        [
            ("place", "<u4"),
            ("held", held),
        ]
    )


def _part_of(chunk: Chunk, which: Marks) -> bytes:
    places = np.flatnonzero(which)
    dtype = _part_dtype(chunk.held.dtype)
    part = np.zeros(len(places), dtype)
    part["place"] = places
    part["held"] = chunk.held[places]
    return part.tobytes()


def restore_pending(
    store: Store,
    number: int,
    pending: PendingPredictions,
    written: Written,
    blocks: int | None,
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
    for chunk, rows, marks in store.db.execute(_CHUNKS, (number,)):
        array = np.frombuffer(rows, dtype=written.rows)
        at = _Place(number, chunk)
        held = _read_held(store, at, len(array), written.held)
        used = _read_marks(marks, len(array))
        found = Chunk(chunk, array, used, held)
        today = _as_today(found, pending)
        chunks.append(today)
    pending.restore(chunks, blocks)


def _as_today(chunk: Chunk, pending: PendingPredictions) -> Chunk:
    rows = with_dtype(chunk.rows, pending.dtype)
    held = _of_task(chunk.held, pending.held)
    today = Chunk(chunk.number, rows, chunk.used, held)
    # What is of another form than today's is written anew, once.
    is_same = chunk.rows.dtype == rows.dtype
    is_same &= chunk.held.dtype == held.dtype
    today.unsaved_rows = not is_same
    today.unsaved_marks = not is_same
    return today


def _read_marks(marks: bytes, rows: int) -> Marks:
    bits = np.frombuffer(marks, dtype=np.uint8)
    used = np.unpackbits(bits, count=rows)
    return used.astype(bool)


def _read_held(
    store: Store,
    at: _Place,
    rows: int,
    dtype: Form,
) -> Held:
    held = np.zeros(rows, dtype)
    form = _part_dtype(dtype)
    for (raw,) in store.db.execute(_PARTS, at):
        part = np.frombuffer(raw, form)
        places = part["place"]
        held[places] = part["held"]
    return held


def _of_task(held: Held, dtype: Form) -> Held:
    """Labels as the task of today has them; of another one nobody knows any more what they were."""
    if held.dtype == dtype:
        return held
    return np.zeros(len(held), dtype)
