"""A span counts once: the batches of a request without the rows of spans that came before."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calidris.batch import LabelBatch, Mask, PredictionBatch
from calidris.engine.columns import rows_of
from calidris.engine.dedup.memory import RepeatMemory
from calidris.wire import Decoded

Batch = PredictionBatch | LabelBatch


@dataclass(frozen=True, slots=True)
class Repeated:
    """What is left out of a request: spans, their predictions and their labels."""

    spans: int = 0
    rows: int = 0
    labels: int = 0

    @classmethod
    def all_of(cls, decoded: Decoded) -> Repeated:
        """All that a request held, where the request itself came before."""
        return cls(decoded.used, decoded.rows, decoded.labels)


def once(decoded: Decoded, memory: RepeatMemory, arrival_ns: int) -> tuple[tuple[Batch, ...], Repeated]:
    """The batches of a request without the rows of spans that came before, and what was left out.

    Only spans with rows are remembered: one that was refused may be mended and sent again. A span without a valid trace id
    and span id always counts.
    """
    hashes = decoded.span_hashes
    if not hashes.any():
        return decoded.items, Repeated()
    used = np.zeros(len(hashes), dtype=np.bool_)
    for item in decoded.items:
        if item.spans is not None:
            used[item.spans] = True
    named = np.flatnonzero(used & (hashes != 0))
    if not len(named):
        return decoded.items, Repeated()
    again = np.zeros(len(hashes), dtype=np.bool_)
    again[named] = memory.repeats(hashes[named], arrival_ns)
    if not again.any():
        return decoded.items, Repeated()
    kept = tuple(part for item in decoded.items if (part := _without(item, again)) is not None)
    rows, labels = (sum(len(b) for b in kept if isinstance(b, kind)) for kind in (PredictionBatch, LabelBatch))
    return kept, Repeated(int(np.count_nonzero(again)), decoded.rows - rows, decoded.labels - labels)


def _without(batch: Batch, again: Mask) -> Batch | None:
    """A batch without the rows of these spans; None where no row is left."""
    if batch.spans is None:
        return batch
    left = np.flatnonzero(~again[batch.spans])
    if len(left) == len(batch):
        return batch
    return rows_of(batch, left) if len(left) else None
