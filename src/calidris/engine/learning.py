"""A model without a baseline: kept rows, from which a provisional one is learned at a seal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from zlib import compress as deflate
from zlib import decompress as inflate

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline, BaselineColumns, build
from calidris.batch import CodedColumn, Column, Ints, NumberColumn, PredictionBatch
from calidris.config.class_names import class_text
from calidris.engine.columns import joined, joined_maps
from calidris.state import Field, Kind, Loss, Role, Spec
from calidris.state.blocks.groups import MAX_CLASSES
from calidris.state.bounded import OF_TASK
from calidris.wire import decode, encode_predictions
from calidris.wire.limits import WireLimits

MIN_ROWS = 500
MAX_ROWS = 5000
MAX_BYTES = 8 << 20
"""Of the kept rows of one model version, deflated. Once they take that much no more are kept; the last batch may go as far
beyond it again."""

_FAST = 1
"""Deflate's level."""

_ANYTHING = WireLimits(max_ahead_ns=1 << 62, max_names=1 << 31, max_levels=1 << 31, max_rows=1 << 31)
"""The rows were accepted once: times were clamped when they arrived, and a second time would move those of a slow model."""


@dataclass(slots=True)
class Reservoir:
    """The first rows of a model, up to ``MAX_ROWS``; the same rows in the same order give the same baseline.

    They are kept as deflated OTLP, because a column of one row takes three hundred bytes as arrays and ten as that.

    Attributes:
        max_features: names of features that are kept: those that came first.
        rows: how many rows are kept.
        size_bytes: what they take.
    """

    max_features: int = 1000
    rows: int = 0
    size_bytes: int = 0
    _packed: list[bytes] = field(default_factory=list)
    _names: set[str] = field(default_factory=set)

    @property
    def full(self) -> bool:
        """Whether no more rows are wanted."""
        return self.rows >= MAX_ROWS

    def add(self, batch: PredictionBatch) -> int:
        """Keep as many rows as there is room for; rows without a column to learn from are none.

        Returns:
            How many were left out because they are too wide.
        """
        space_left = min(MAX_ROWS - self.rows, len(batch))
        if space_left <= 0 or self.size_bytes >= MAX_BYTES:
            return max(space_left, 0)
        kept = _essence(batch, space_left, self._kept_names(batch))
        if not (kept.features or kept.slices or (kept.score, kept.decision, kept.value) != (None, None, None)):
            return 0
        packed = _packed(kept)
        if len(packed) > MAX_BYTES:  # one batch of very wide rows: as many of them as there is room for
            kept = _essence(kept, max(space_left * MAX_BYTES // len(packed), 1), kept.features)
            packed = _packed(kept)
        self._packed.append(packed)
        self._count(packed, kept)
        return space_left - len(kept)

    def _kept_names(self, batch: PredictionBatch) -> list[str]:
        """Names of a batch's features that are known, and as many new ones as there is room for."""
        space_left, kept = self.max_features - len(self._names), []
        for name in batch.features:
            new = name not in self._names
            if new and space_left <= 0:
                continue
            space_left -= new
            kept.append(name)
        return kept

    def _count(self, packed: bytes, batch: PredictionBatch) -> None:
        self._names.update(batch.features)
        self.size_bytes += len(packed)
        self.rows += len(batch)

    def learn(self, template: Spec, window_s: float, slices: tuple[str, ...], max_features: int) -> Baseline | None:
        """A provisional baseline, once there are enough rows."""
        if self.rows < MIN_ROWS:
            return None
        batches = [batch for raw in self.to_bytes() for batch in _batches(raw, "")]
        rows = BaselineColumns(_concatenated(batches, slices, max_features))
        return replace(build(rows, template, window_s=window_s, slices=slices, pairs=0), provisional=True)

    def to_bytes(self, first: int = 0) -> list[bytes]:
        """Each batch from the ``first``-th on as an OTLP request, exact to the bit."""
        return [inflate(packed) for packed in self._packed[first:]]

    def restore(self, requests: Iterable[bytes], tenant: str) -> None:
        """Take over what ``to_bytes`` wrote."""
        for raw in requests:
            for batch in _batches(raw, tenant):
                self._packed.append(deflate(raw, _FAST))
                self._count(self._packed[-1], batch)


def _packed(batch: PredictionBatch) -> bytes:
    return deflate(encode_predictions(batch, form="packed", one_span_per_row=False), _FAST)


def _batches(raw: bytes, tenant: str) -> list[PredictionBatch]:
    items = decode(raw, tenant=tenant, arrival_ns=0, limits=_ANYTHING).items
    return [item for item in items if isinstance(item, PredictionBatch)]


def _essence(batch: PredictionBatch, rows: int, names: Iterable[str]) -> PredictionBatch:
    """The first rows, and only the columns that learning needs: a provisional baseline does not watch embeddings."""
    first = np.arange(rows)
    return PredictionBatch(
        model=batch.model,
        event_time_ns=batch.event_time_ns[:rows],
        features={name: _first(batch.features[name], first) for name in names},
        score=batch.score and batch.score.take(first),
        decision=batch.decision and _first(batch.decision, first),
        value=batch.value and batch.value.take(first),
        slices={name: CodedColumn.of(column.take(first).strings()) for name, column in batch.slices.items()},
    )


def _first(column: Column, rows: Ints) -> Column:
    """Some rows of a column, with the levels that they have and no others."""
    taken = column.take(rows)
    return CodedColumn.of(taken.strings()) if isinstance(taken, CodedColumn) else taken


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
    return replace(
        template, fields=tuple(fields), classes=template.classes or _classes_of(batch), losses=_losses(template)
    )


def _classes_of(batch: PredictionBatch) -> tuple[str, ...]:
    """Classes that scores name. Those of the first decisions are not all, and the others could never be told apart."""
    named = {class_text(name) for name in batch.class_scores}  # "1" and "1.0" are one class
    return tuple(sorted(named)[:MAX_CLASSES])


def _losses(template: Spec) -> tuple[Loss, ...]:
    """The loss that compares classes by their names.

    A regression gets it too, and none of its rows has it: so labelled rows are counted before a baseline has given errors a scale.
    """
    if template.losses or template.task == semconv.ML_MODEL_TASK_BINARY:
        return template.losses
    return OF_TASK[semconv.ML_MODEL_TASK_MULTICLASS]


def _numbers(column: Column | None) -> NumberColumn | None:
    return column if isinstance(column, NumberColumn) else None


def learned_note(baseline: Baseline) -> str:
    """What people should know about a provisional baseline."""
    return f"learned from the first {baseline.given_rows} rows, confirmed by nobody"
