"""A model without a baseline: kept rows, from which a provisional one is learned at a seal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, NumberColumn, PredictionBatch
from calidris.state import Field, Kind, Role, Spec
from calidris.wire import decode, encode_predictions

MIN_ROWS = 500
MAX_ROWS = 5000


@dataclass(slots=True)
class Reservoir:
    """The first rows of a model, up to ``MAX_ROWS``; the same rows in the same order give the same baseline."""

    batches: list[PredictionBatch] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Rows kept."""
        return sum(len(b) for b in self.batches)

    def add(self, batch: PredictionBatch) -> None:
        """Keep as many rows as there is room for."""
        room = MAX_ROWS - self.rows
        if room > 0:
            self.batches.append(batch if len(batch) <= room else take_rows(batch, np.arange(room)))

    def learn(self, template: Spec, window_s: float, slices: tuple[str, ...]) -> Baseline | None:
        """A provisional baseline, once there are enough rows."""
        if self.rows < MIN_ROWS:
            return None
        rows = BaselineColumns(concatenate(self.batches))
        return replace(build(rows, template, window_s=window_s, slices=slices), provisional=True)

    def to_bytes(self) -> list[bytes]:
        """Each batch as an OTLP request, exact to the bit."""
        return [encode_predictions(b, form="packed", one_span_per_row=False) for b in self.batches]

    def restore(self, requests: list[bytes], tenant: str, arrival_ns: int) -> None:
        """Take over what ``to_bytes`` wrote."""
        for raw in requests:
            items = decode(raw, tenant=tenant, arrival_ns=arrival_ns).items
            self.batches.extend(item for item in items if isinstance(item, PredictionBatch))


def first_spec(batch: PredictionBatch, template: Spec, max_features: int) -> Spec:
    """What can be counted before anything is learned: which features are present, scores in twenty even bins."""
    names = sorted(batch.features)[:max_features]
    fields = [Field(name, Role.FEATURE, Kind.PRESENCE) for name in names]
    if batch.score is not None:
        even = tuple(np.round(np.linspace(0.0, 1.0, 21), 12).tolist())
        fields.append(Field("ml.prediction.score", Role.SCORE, Kind.NUMERIC, edges=even))
    return replace(template, fields=tuple(fields))


def take_rows(batch: PredictionBatch, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> PredictionBatch:
    """Some rows of a batch, in their order."""

    def of(column: Column | None) -> Column | None:
        return None if column is None else column.take(rows)

    changes = {
        name: of(getattr(batch, name))
        for name in ("score", "decision", "value", "duration_s", "error", "weight", "trace_ids")
    }
    maps = {
        name: {k: of(c) for k, c in getattr(batch, name).items()} for name in ("features", "class_scores", "slices")
    }
    ids = None if batch.ids is None else [batch.ids[i] for i in rows.tolist()]
    return replace(batch, event_time_ns=batch.event_time_ns[rows], ids=ids, **changes, **maps)  # type: ignore[arg-type]


def concatenate(batches: list[PredictionBatch]) -> PredictionBatch:
    """One batch of all rows with the columns that learning needs; a column absent from a batch is missing there."""
    sizes = [len(b) for b in batches]
    names = sorted({name for b in batches for name in b.features})
    slices = sorted({name for b in batches for name in b.slices})
    return PredictionBatch(
        model=batches[0].model,
        event_time_ns=np.concatenate([b.event_time_ns for b in batches]),
        features={n: c for n in names if (c := _join([b.features.get(n) for b in batches], sizes)) is not None},
        task=batches[0].task,
        score=_numbers(_join([b.score for b in batches], sizes)),
        decision=_join([b.decision for b in batches], sizes),
        value=_numbers(_join([b.value for b in batches], sizes)),
        slices={n: c for n in slices if isinstance(c := _join([b.slices.get(n) for b in batches], sizes), CodedColumn)},
    )


def _numbers(column: Column | None) -> NumberColumn | None:
    return column if isinstance(column, NumberColumn) else None


def _join(columns: list[Column | None], sizes: list[int]) -> Column | None:
    """One column; the kind of the first one decides, other kinds are missing."""
    first = next((c for c in columns if c is not None), None)
    if isinstance(first, NumberColumn):
        parts = [c.values if isinstance(c, NumberColumn) else np.full(n, np.nan) for c, n in zip(columns, sizes)]
        return NumberColumn.of(np.concatenate(parts))
    if isinstance(first, CodedColumn):
        texts = [c.strings() if isinstance(c, CodedColumn) else [None] * n for c, n in zip(columns, sizes)]
        return CodedColumn.of([text for part in texts for text in part])
    return None
