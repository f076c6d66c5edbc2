"""Spans that were seen, in the checkpoint: what is new goes there once, a generation is dropped as a whole."""

from __future__ import annotations

import json

import numpy as np

from calidris.engine.spans import SpanGeneration, SpanMemory
from calidris.engine.store import Store

_KEY = "spans"


def save_spans(store: Store, memory: SpanMemory) -> None:
    """Write what no checkpoint holds yet, inside the caller's transaction; 8 bytes a span."""
    generations = memory.generations
    plain = {"last_ns": memory.last_ns, "generations": [[g.number, g.began_ns] for g in generations]}
    store.put(_KEY, json.dumps(plain).encode())
    store.db.execute("DELETE FROM spans WHERE generation < ?", (generations[0].number,))
    for generation in generations:
        if generation.fresh:
            joined = np.concatenate(generation.fresh).astype("<u8").tobytes()
            store.db.execute("INSERT INTO spans VALUES (?, ?, ?)", (generation.number, generation.saved, joined))


def mark_saved(memory: SpanMemory) -> None:
    """Note that the transaction went well."""
    for generation in memory.generations:
        generation.fresh = []


def restore_spans(store: Store, memory: SpanMemory) -> None:
    """Bring back what was saved; a store that has never heard of spans leaves the memory empty."""
    raw = store.get(_KEY)
    if raw is None:
        return
    plain = json.loads(raw)
    memory.last_ns = int(plain["last_ns"])
    memory.generations = [_generation(store, int(number), int(began)) for number, began in plain["generations"]]


def _generation(store: Store, number: int, began_ns: int) -> SpanGeneration:
    generation = SpanGeneration(number, began_ns)
    query = "SELECT hashes FROM spans WHERE generation=? ORDER BY first"
    parts = [np.frombuffer(raw, dtype="<u8") for (raw,) in store.db.execute(query, (number,))]
    if parts:
        generation.restore(np.sort(np.concatenate(parts)).astype(np.uint64))
    return generation
