"""What came before, in the checkpoint: hashes that are new go there once, a generation is dropped as a whole."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np

from calidris.engine.checkpoint.store import Store
from calidris.engine.dedup.memory import RepeatMemory
from calidris.engine.dedup.runs import Generation, merged

Memories = Mapping[str, RepeatMemory]
"""Table and key of ``meta`` to what is kept there."""

_DIGESTS = "requests"
"""Where digests of 16 bytes were kept until November 2026, in two generations."""


def save_repeats(store: Store, memories: Memories) -> None:
    """Write what no checkpoint holds yet, inside the caller's transaction; 8 bytes each."""
    for table, memory in memories.items():
        store.put(table, json.dumps([[g.number, g.began_ns] for g in memory.generations]).encode())
        store.db.execute(f"DELETE FROM {table} WHERE generation < ?", (memory.generations[0].number,))
        for generation in memory.generations:
            generation.settle()
            if generation.fresh:
                joined = np.concatenate(generation.fresh).astype("<u8").tobytes()
                store.db.execute(f"INSERT INTO {table} VALUES (?, ?, ?)", (generation.number, generation.saved, joined))
    store.db.execute(f"DELETE FROM {_DIGESTS}")
    store.db.execute("DELETE FROM meta WHERE key = ?", (_DIGESTS,))


def mark_saved(memories: Memories) -> None:
    """Note that the transaction went well."""
    for memory in memories.values():
        for generation in memory.generations:
            generation.fresh = []


def restore_repeats(store: Store, memories: Memories) -> None:
    """Bring back what was saved; a store that has never heard of a memory leaves it empty."""
    for table, memory in memories.items():
        raw = store.get(table)
        if raw is not None:
            memory.generations = [_generation(store, table, int(n), int(began)) for n, began in json.loads(raw)]


def restore_digests(store: Store, memory: RepeatMemory) -> None:
    """Bring back the requests of a store that has their digests, by the first 8 bytes of each."""
    raw = store.get(_DIGESTS)
    if raw is None:
        return
    memory.generations = [Generation(int(number), int(began_ns)) for number, began_ns in json.loads(raw)]
    for generation in memory.generations:
        query = f"SELECT digests FROM {_DIGESTS} WHERE generation=? ORDER BY first"
        joined = b"".join(part for (part,) in store.db.execute(query, (generation.number,)))
        generation.add(np.unique(np.frombuffer(joined, dtype="<u8").reshape(-1, 2)[:, 0]).astype(np.uint64))


def _generation(store: Store, table: str, number: int, began_ns: int) -> Generation:
    generation = Generation(number, began_ns)
    query = f"SELECT hashes FROM {table} WHERE generation=? ORDER BY first"
    parts = [np.frombuffer(raw, dtype="<u8") for (raw,) in store.db.execute(query, (number,))]
    if parts:
        generation.restore(merged(parts).astype(np.uint64))
    return generation
