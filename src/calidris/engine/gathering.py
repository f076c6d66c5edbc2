"""Batches of one model that follow each other, counted together: most of what a batch costs does not depend on its rows.

What is remembered afterwards is what counting them one by one leaves, bit for bit, so a replay need not gather alike. That
holds because sums do not mind, rows keep their order, and what does mind a batch's borders (the names of unseen levels, the
first few examples) is told where they were. Batches wait for each other only as long as nothing else happens to any model.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from calidris.batch import PredictionBatch
from calidris.wire.columns.merge import merge

MOST_ROWS = 4096
"""More would not fit the processor's cache while they are counted."""

MOST_SCATTERED = 16_384
"""Of a job, whose rows lie in many steps: what counting them costs is the number of steps, not of rows."""

_OPTIONAL = ("ids", "score", "decision", "value", "duration_s", "error", "weight", "trace_ids", "spans")


SCATTERED = -1
"""Stands for the step of rows that lie in many."""


@dataclass(slots=True)
class Gathered:
    """Batches of one form, in order, with the numbers of their records."""

    batches: list[PredictionBatch] = field(default_factory=list)
    records: list[int] = field(default_factory=list)
    rows: int = 0
    form: Hashable = None
    most: int = 0

    def takes(self, batch: PredictionBatch, form: Hashable) -> bool:
        """Whether a batch of this form may join."""
        return not self.batches or (form == self.form and self.rows + len(batch) <= self.most)

    def add(self, batch: PredictionBatch, form: Hashable, record: int) -> None:
        """Let a batch join."""
        self.batches.append(batch)
        self.records.append(record)
        self.rows += len(batch)
        self.form = form
        self.most = MOST_SCATTERED if _is_scattered(form) else MOST_ROWS

    @property
    def sizes(self) -> list[int]:
        """Rows of each batch."""
        return [len(batch) for batch in self.batches]

    def joined(self) -> PredictionBatch | None:
        """One batch of all rows; None where a column holds numbers in one and strings in another, or cannot be joined."""
        try:
            parts = merge(self.batches)
        except Exception:  # whichever is at fault shows when they are counted one by one
            return None
        return parts[0] if len(parts) == 1 and isinstance(parts[0], PredictionBatch) else None


def form_of(batch: PredictionBatch, step_ns: int, *, scattered: bool = False) -> Hashable:
    """What batches that are counted together have in common; None for one that is counted alone.

    Its columns, in their order, and the one step that all of its rows fall into: or none where rows of a job are ``scattered``.
    """
    first, last = int(batch.event_time_ns.min()) // step_ns, int(batch.event_time_ns.max()) // step_ns
    if scattered:
        first = last = SCATTERED
    if first != last or len(batch) >= MOST_ROWS:
        return None
    maps = (batch.features, batch.slices, batch.class_scores)
    vectors = tuple((name, column.dimension) for name, column in batch.embeddings.items())
    absent = tuple(getattr(batch, name) is None for name in _OPTIONAL)
    return first, batch.model, batch.task, batch.batch_id, batch.role, absent, vectors, *map(tuple, maps)


def _is_scattered(form: Hashable) -> bool:
    return isinstance(form, tuple) and form[0] == SCATTERED
