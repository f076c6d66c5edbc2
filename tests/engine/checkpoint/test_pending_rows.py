"""Labels that rows hold, in the checkpoint and in memory: bounded however often they change, and read back as they were."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from calidris import semconv
from calidris.engine.checkpoint.pending_rows import Written, restore_pending, save_pending
from calidris.engine.checkpoint.store import Store
from calidris.labels import PendingPredictions, held_dtype, pending_dtype, row_bytes
from calidris.labels.held import KNOWN

N = 40_000
REGRESSION = semconv.ML_MODEL_TASK_REGRESSION
PART = {"binary": 14, REGRESSION: 21}
"""Bytes of a label and its place: docs/storage.md."""


def filled(task: str, n: int = N, most: int = N) -> PendingPredictions:
    store = PendingPredictions(pending_dtype(1), most, held_dtype(task))
    rows = np.zeros(n, store.dtype)
    rows["id"] = np.random.default_rng(1).permutation(n)
    store.add(rows)
    store.settle()
    return store


def revise(store: PendingPredictions, ids: np.typing.ArrayLike, as_of_ns: int) -> None:
    match = store.find(np.asarray(ids, dtype=np.uint64))
    held = np.zeros(len(match.rows), store.held)
    held["label"], held["marks"], held["as_of_ns"] = as_of_ns % 2, KNOWN, as_of_ns
    store.hold(match, np.ones(len(held), dtype=bool), held)


def saved(kept: Store, store: PendingPredictions) -> int:
    """Save, and how many bytes labels take there."""
    with kept.transaction():
        save_pending(kept, 1, store)
    for chunk in store.chunks:
        chunk.mark_saved()
    (size,) = kept.db.execute("SELECT total(length(labels)) FROM held").fetchone()
    return int(size)


@pytest.mark.parametrize("task", ["binary", REGRESSION])
def test_labels_in_the_checkpoint_are_bounded_and_read_back(tmp_path: Path, task: str) -> None:
    kept, store, rng = Store(tmp_path), filled(task), np.random.default_rng(2)
    sizes = [saved(kept, store)]
    for turn in range(1, 9):
        revise(store, rng.integers(0, N, 20_000 * turn % 35_000), turn)
        sizes.append(saved(kept, store))
    assert sizes[0] == 0 and max(sizes) <= 2 * PART[task] * N
    again = PendingPredictions(store.dtype, N, store.held)
    restore_pending(kept, 1, again, Written(store.dtype, store.held), len(store.full))
    assert [[part.tobytes() for part in block] for block in again.blocks()] == [
        [part.tobytes() for part in block] for block in store.blocks()
    ]
    kept.close()


def test_one_label_is_written_where_one_came(tmp_path: Path) -> None:
    kept, store = Store(tmp_path), filled("binary")
    revise(store, range(N), 1)
    before = saved(kept, store)
    revise(store, [7], 2)
    assert saved(kept, store) - before == PART["binary"]
    assert saved(kept, store) - before == PART["binary"], "and once"
    kept.close()


@pytest.mark.parametrize("task", ["binary", REGRESSION])
def test_rows_labelled_and_revised_stay_within_the_stated_bytes(task: str) -> None:
    """``python -m benchmarks.revised_labels`` prints it for a million."""
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    store = filled(task)
    for turn in range(3):
        revise(store, range(N), turn)
    taken = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert taken <= row_bytes(1, task) * N * 1.05 and len(store) > 0.8 * N
    assert taken > row_bytes(1, task) * len(store) * 0.95, "the statement is no more than it takes"


def test_labels_of_another_task_are_not_known(tmp_path: Path) -> None:
    """Settings that say otherwise since: rows stay labelled, and nothing is taken off by guess."""
    kept, store = Store(tmp_path), filled(REGRESSION, 100)
    revise(store, range(50), 1)
    saved(kept, store)
    again = PendingPredictions(store.dtype, N, held_dtype("binary"))
    restore_pending(kept, 1, again, Written(store.dtype, store.held), len(store.full))
    match = again.find(np.arange(100, dtype=np.uint64))
    assert int(match.used.sum()) == 50 and not match.held["marks"].any()
    kept.close()
