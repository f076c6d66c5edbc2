"""Recognise what came before: a request, or a span in whatever request, because a Collector batches anew what it repeats.

``drop_repeats`` leaves out of a request's batches the rows of spans that came before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calidris.batch import LabelBatch, Mask, PredictionBatch
from calidris.engine.columns import rows_of
from calidris.engine.dedup.hash_runs import Generation, masks_of
from calidris.labels.id_hashes import Hashes
from calidris.wire import Decoded, Report

GENERATIONS = 4
"""The newest, and three that are over and together cover the horizon."""

MAX_REQUESTS = 4_000_000
"""Requests that are remembered: 40 MB, for 15 minutes of 3300 a second."""

SPAN_BYTES = 10
"""Memory of a span, at most; 8 bytes more until it is in a checkpoint, and for a moment while runs are merged."""

_FEW = 8
"""So many spans are looked up one by one, which takes less time than a round of arrays."""


class DedupMemory:
    """Hashes of the spans, or requests, of the last ``horizon_ns`` to 4/3 of that, by arrival time, at most ``max_spans`` of them.

    A span that comes again within the horizon after it last came is recognised; one that comes after twice the horizon never
    is. Four generations, each for a third of the horizon: the oldest one is forgotten when a new one begins. A generation
    of ``max_spans`` / 4 spans ends early, which makes the horizon shorter (``covered_s`` tells), never the memory larger:
    9 to 10 bytes a span, 8 more of each until it is in a checkpoint, and for a moment while runs are merged. One request
    may go beyond it by its own spans. A clock that is set forth by more than the horizon makes it forget.

    Two different spans have one hash with a chance of 2⁻⁶⁴. Among 12 million there is any such pair with a chance of 4·10⁻⁶
    (n²/2⁶⁵); one new span in 1.5·10¹² is taken for a repeat wrongly, one in five years of 10 000 a second. 128 bits would
    take twice the memory for that one.

    The same spans in the same order give the same answers: only arrival times that the journal holds are used.

    >>> memory, span = DedupMemory(horizon_ns=30, max_spans=100), np.array([7], dtype=np.uint64)
    >>> [bool(memory.repeats(span, arrival)[0]) for arrival in (0, 30, 60, 100)]
    [False, True, True, False]
    """

    def __init__(self, horizon_ns: int, max_spans: int) -> None:
        self.horizon_ns = horizon_ns
        self._length_ns = -(-horizon_ns // (GENERATIONS - 1))
        self._most = max(max_spans // GENERATIONS, 1)
        # As if it had been there for ever: nothing within the horizon was forgotten.
        self.generations = [Generation(0, -2 * horizon_ns)]

    def covered_s(self, now_ns: int) -> float:
        """Seconds of the past whose spans are all remembered, at most the horizon."""
        return min(max(now_ns - self.generations[0].began_ns, 0), self.horizon_ns) / 1e9

    def repeats(self, hashes: Hashes, arrival_ns: int) -> Mask:
        """Which spans came before, earlier in ``hashes`` too; all of them are remembered from now on, bool[n].

        Measured by ``benchmarks/dedup.py``.
        """
        self._turn(arrival_ns)
        if len(hashes) <= _FEW:
            return np.array([self._repeats_one(number) for number in hashes.tolist()], dtype=np.bool_)
        distinct, first = np.unique(hashes, return_index=True)
        masks = masks_of(distinct)
        *older, newest = self.generations
        fresh = ~newest.knows(distinct, masks)
        known = ~fresh
        for generation in older:
            if generation.count:
                known |= generation.knows(distinct, masks)
        # A repeat is remembered anew: who goes on sending it has not had an answer yet.
        newest.add(distinct[fresh])
        repeated = np.ones(len(hashes), dtype=np.bool_)
        repeated[first[~known]] = False
        return repeated

    def seen(self, number: int, arrival_ns: int) -> bool:
        """Whether one hash came before; it is remembered from now on. Some microseconds."""
        self._turn(arrival_ns)
        return self._repeats_one(number)

    def _repeats_one(self, number: int) -> bool:
        *older, newest = self.generations
        if newest.knows_one(number):
            return True
        newest.add_one(number)
        return any(generation.knows_one(number) for generation in older)

    def _turn(self, arrival_ns: int) -> None:
        """Begin the generation of this time."""
        newest = self.generations[-1]
        if arrival_ns < newest.began_ns - self._length_ns:
            newest.began_ns = arrival_ns  # the clock was set back
        passed = (arrival_ns - newest.began_ns) // self._length_ns
        for step in range(max(passed - GENERATIONS, 0), max(passed, 0)):
            self._begin(newest.began_ns + (step + 1) * self._length_ns)
        if self.generations[-1].count >= self._most:
            self._begin(arrival_ns)

    def _begin(self, began_ns: int) -> None:
        newest = self.generations[-1]
        newest.end()
        self.generations = [*self.generations, Generation(newest.number + 1, began_ns)][-GENERATIONS:]


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


def drop_repeats(decoded: Decoded, memory: DedupMemory, arrival_ns: int) -> tuple[tuple[Batch, ...], Repeated]:
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


def drop_repeated_reports(decoded: Decoded, memory: DedupMemory, arrival_ns: int) -> tuple[Report, ...]:
    """The reports of a request without those whose span came before; one without a valid id always counts."""
    if not decoded.reports:
        return ()
    hashes = decoded.span_hashes[[report.span for report in decoded.reports]]
    again = np.zeros(len(hashes), dtype=np.bool_)
    named = np.flatnonzero(hashes)
    again[named] = memory.repeats(hashes[named], arrival_ns)
    return tuple(report for report, repeated in zip(decoded.reports, again.tolist()) if not repeated)


def _without(batch: Batch, again: Mask) -> Batch | None:
    """A batch without the rows of these spans; None where no row is left."""
    if batch.spans is None:
        return batch
    left = np.flatnonzero(~again[batch.spans])
    if len(left) == len(batch):
        return batch
    return rows_of(batch, left) if len(left) else None
