"""What a million labelled rows take whose labels are revised a million times, beside what docs/storage.md says of them.

python -m benchmarks.revised_labels [rows]
"""

from __future__ import annotations

import sys
import tempfile
import tracemalloc
from pathlib import Path

import numpy as np

from calidris.engine.checkpoint.pending_rows import save_pending
from calidris.engine.checkpoint.store import Store
from calidris.labels import PendingPredictions, held_dtype, pending_dtype, row_bytes
from calidris.labels.held import KNOWN
from calidris.labels.id_hashes import Hashes

TASKS = ("binary", "regression")
SLICES = 1
REQUEST = 4096
"""Rows that come together."""


def fill(store: PendingPredictions, ids: Hashes) -> None:
    """Let rows wait."""
    for begin in range(0, len(ids), REQUEST):
        some = ids[begin : begin + REQUEST]
        rows = np.zeros(len(some), store.dtype)
        rows["id"] = some
        store.add(rows)
    store.settle()


def label(store: PendingPredictions, ids: Hashes, as_of_ns: int) -> None:
    """Label all rows, or label them anew."""
    for begin in range(0, len(ids), REQUEST):
        match = store.find(ids[begin : begin + REQUEST])
        held = np.zeros(len(match.rows), store.held)
        held["label"] = as_of_ns % 2
        held["marks"] = KNOWN
        held["as_of_ns"] = as_of_ns
        store.hold(match, np.ones(len(held), dtype=bool), held)


def measure(task: str, n: int) -> None:
    """Print bytes in memory before and after, and bytes in the checkpoint."""
    ids = np.random.default_rng(1).permutation(n).astype(np.uint64)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    store = PendingPredictions(pending_dtype(SLICES), n, held_dtype(task))
    fill(store, ids)
    taken = []
    with tempfile.TemporaryDirectory() as path:
        kept = Store(Path(path))
        for turn in range(3):  # waiting, labelled, revised
            if turn:
                label(store, ids, turn)
            taken.append(tracemalloc.get_traced_memory()[0] - before)
            with kept.transaction():
                save_pending(kept, 1, store)
            for chunk in store.chunks:
                chunk.mark_saved()
        (labels,) = kept.db.execute("SELECT sum(length(labels)) FROM held").fetchone()
        kept.close()
    tracemalloc.stop()
    said = f"{row_bytes(SLICES, task) * n / 1e6:.1f} MB stated for {n:,} rows"
    waiting, labelled, revised = (f"{size / 1e6:.1f}" for size in taken)
    print(f"{task}: {said}; {len(store):,} rows kept: {waiting} MB waiting, {labelled} labelled, {revised} revised; "
          f"labels in the checkpoint {labels / 1e6:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    for each in TASKS:
        measure(each, int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
