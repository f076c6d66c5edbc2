"""Spans that were seen, in the checkpoint: what is new goes there once, a generation is dropped as a whole."""

from __future__ import annotations

import json

import numpy as np

from calidris.engine.spanruns import SpanGeneration, merged
from calidris.engine.spans import SpanMemory
from calidris.engine.store import Store

_KEY = "spans"


def save_spans(store: Store, memory: SpanMemory) -> None:
    """Write what no checkpoint holds yet, inside the caller's transaction; 8 bytes a span."""
    generations = memory.generations
    store.put(_KEY, json.dumps([[g.number, g.began_ns] for g in generations]).encode())
    store.db.execute("DELETE FROM spans WHERE generation < ?", (generations[0].number,))
    for generation in generations:
        generation.settle()
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
    if raw is not None:
        memory.generations = [_generation(store, int(number), int(began)) for number, began in json.loads(raw)]


def _generation(store: Store, number: int, began_ns: int) -> SpanGeneration:
    generation = SpanGeneration(number, began_ns)
    query = "SELECT hashes FROM spans WHERE generation=? ORDER BY first"
    parts = [np.frombuffer(raw, dtype="<u8") for (raw,) in store.db.execute(query, (number,))]
    if parts:
        generation.restore(merged(parts).astype(np.uint64))
    return generation
