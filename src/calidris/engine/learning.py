"""A model without a baseline: kept rows, from which a provisional one is learned at a seal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, NumberColumn, PredictionBatch
from calidris.engine.columns import joined, joined_maps
from calidris.state import Field, Kind, Role, Spec
from calidris.wire import decode, encode_predictions
from calidris.wire.limits import WireLimits

MIN_ROWS = 500
MAX_ROWS = 5000

_ANY_TIME = WireLimits(max_ahead_ns=1 << 62)
"""Times were clamped when the rows arrived first; a second time would move those of a slow model."""


@dataclass(slots=True)
class Reservoir:
    """The first rows of a model, up to ``MAX_ROWS``; the same rows in the same order give the same baseline."""

    batches: list[PredictionBatch] = field(default_factory=list)
    rows: int = 0

    def add(self, batch: PredictionBatch) -> None:
        """Keep as many rows as there is room for; rows without a column to learn from are none."""
        room = min(MAX_ROWS - self.rows, len(batch))
        kept = _essence(batch, max(room, 0))
        if room > 0 and (kept.features or kept.slices or (kept.score, kept.decision, kept.value) != (None, None, None)):
            self.batches.append(kept)
            self.rows += room

    def learn(self, template: Spec, window_s: float, slices: tuple[str, ...], max_features: int) -> Baseline | None:
        """A provisional baseline, once there are enough rows."""
        if self.rows < MIN_ROWS:
            return None
        rows = BaselineColumns(_concatenated(self.batches, slices, max_features))
        return replace(build(rows, template, window_s=window_s, slices=slices), provisional=True)

    def to_bytes(self, first: int = 0) -> list[bytes]:
        """Each batch from the ``first``-th on as an OTLP request, exact to the bit."""
        return [encode_predictions(b, form="packed", one_span_per_row=False) for b in self.batches[first:]]

    def restore(self, requests: Iterable[bytes], tenant: str) -> None:
        """Take over what ``to_bytes`` wrote."""
        for raw in requests:
            items = decode(raw, tenant=tenant, arrival_ns=0, limits=_ANY_TIME).items
            batches = [item for item in items if isinstance(item, PredictionBatch)]
            self.batches.extend(batches)
            self.rows += sum(map(len, batches))


def _essence(batch: PredictionBatch, rows: int) -> PredictionBatch:
    """The first rows, and only the columns that learning needs: a provisional baseline does not watch embeddings."""
    first = np.arange(rows)
    return PredictionBatch(
        model=batch.model,
        event_time_ns=batch.event_time_ns[:rows],
        features={name: column.take(first) for name, column in batch.features.items()},
        score=batch.score and batch.score.take(first),
        decision=batch.decision and batch.decision.take(first),
        value=batch.value and batch.value.take(first),
        slices={name: column.take(first) for name, column in batch.slices.items()},
    )


def _concatenated(batches: list[PredictionBatch], slices: tuple[str, ...], max_features: int) -> PredictionBatch:
    """One batch of all rows; a column absent from a batch is missing there. The commonest features are kept."""
    sizes = [len(b) for b in batches]
    seen = Counter({name: 0 for b in batches for name in sorted(b.features)})
    for b in batches:
        seen.update({name: len(b) for name in b.features})
    names = sorted(sorted(seen), key=lambda name: -seen[name])[:max_features]
    cuts = joined_maps([b.slices for b in batches], slices, sizes)
    return PredictionBatch(
        model=batches[0].model,
        event_time_ns=np.concatenate([b.event_time_ns for b in batches]),
        features=joined_maps([b.features for b in batches], names, sizes),
        score=_numbers(joined([b.score for b in batches], sizes)),
        decision=joined([b.decision for b in batches], sizes),
        value=_numbers(joined([b.value for b in batches], sizes)),
        slices={name: column for name, column in cuts.items() if isinstance(column, CodedColumn)},
    )


def first_spec(batch: PredictionBatch, template: Spec, max_features: int) -> Spec:
    """What can be counted before anything is learned: which features are present, scores in twenty even bins."""
    names = sorted(batch.features)[:max_features]
    fields = [Field(name, Role.FEATURE, Kind.PRESENCE) for name in names]
    if batch.score is not None:
        even = tuple(np.round(np.linspace(0.0, 1.0, 21), 12).tolist())
        fields.append(Field(semconv.ML_PREDICTION_SCORE, Role.SCORE, Kind.NUMERIC, edges=even))
    return replace(template, fields=tuple(fields))


def _numbers(column: Column | None) -> NumberColumn | None:
    return column if isinstance(column, NumberColumn) else None


def learned_note(baseline: Baseline) -> str:
    """What people should know about a provisional baseline."""
    return f"learned from the first {baseline.rows} rows, confirmed by nobody"
