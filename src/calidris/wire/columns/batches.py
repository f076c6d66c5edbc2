"""Tables to batches: every column gets its type, every row its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from calidris import semconv
from calidris.batch import CodedColumn, Ints, LabelBatch, Mask, MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire.columns import convert
from calidris.wire.columns import embeddings as vectors
from calidris.wire.columns.span_tables import Table
from calidris.wire.limits import SECOND_NS, WireLimits
from calidris.wire.otlp.spans import Spans
from calidris.wire.otlp.values import Column
from calidris.wire.rejections import MISSING_ID, TOO_LONG, TOO_MANY_LEVELS, Rejected, shown

OTHER_ERROR: Final = "_OTHER"
"""OpenTelemetry's ``error.type`` for a failure that nobody named."""

Batch = PredictionBatch | LabelBatch
T = TypeVar("T")


class Refused(Exception):
    """A table cannot be built: every fault found in it."""

    def __init__(self, faults: list[Rejected]) -> None:
        super().__init__(faults)
        self.faults = faults


class Moved(NamedTuple):
    """Values that were moved to the bound that they lay beyond.

    Attributes:
        times: too far from the arrival.
        scores: a rounding error outside of [0, 1].
    """

    times: int
    scores: int


@dataclass(frozen=True, slots=True)
class Origin:
    """What the rows of a request have in common, and the span fields that they look up.

    Attributes:
        tenant: who sent the request.
        arrival_ns: when it arrived, ns since the epoch.
        limits: bounds on text, levels and time.
        starts: uint64 of each span, ns since the epoch, 0 if not set.
        ends: likewise.
        failed: whether each span's status is an error.
        trace_ids: hexadecimal, or None.
    """

    tenant: str
    arrival_ns: int
    limits: WireLimits
    starts: npt.NDArray[np.uint64]
    ends: npt.NDArray[np.uint64]
    failed: Mask
    trace_ids: list[str | None]

    @classmethod
    def of(cls, spans: Spans, tenant: str, arrival_ns: int, limits: WireLimits) -> Origin:
        """The fields of a request's spans."""
        return cls(
            tenant,
            arrival_ns,
            limits,
            np.array(spans.starts, dtype=np.uint64),
            np.array(spans.ends, dtype=np.uint64),
            np.array(spans.failed, dtype=np.bool_),
            [trace_id.hex() if any(trace_id) else None for trace_id in spans.trace_ids],
        )

    def start_of(self, rows: Ints) -> Ints:
        """Start of each row's span; the arrival where none is set."""
        starts = np.minimum(self.starts[rows], np.uint64(convert.FURTHEST_NS)).astype(np.int64)
        return np.where(starts == 0, self.arrival_ns, starts)

    def clamp(self, times: Ints) -> tuple[Ints, Ints | None]:
        """Times within the limits around the arrival, and by how much each was moved; None where none was, as is usual."""
        early = times < self.arrival_ns - self.limits.max_age_ns
        late = times > self.arrival_ns + self.limits.max_ahead_ns
        if not (early | late).any():
            return times, None
        within = np.where(early, self.arrival_ns - self.limits.max_age_ns, np.where(late, self.arrival_ns, times))
        return within, within - times


def _most_levels(table: Table, limits: WireLimits) -> int:
    most = limits.max_levels
    if table.one_row:
        # Such a table has as many levels as it likes: each span brought one.
        most = max(most, len(table.spans))
    return most * max(len(table.parts), 1)


class _Settler:
    """Converts the columns of one table and collects what is wrong with them."""

    def __init__(self, table: Table, limits: WireLimits) -> None:
        self.faults: list[Rejected] = []
        self.clipped = 0
        self._limits = limits
        self._max_levels = _most_levels(table, limits)

    def one(self, convert_: Callable[[Column], T], key: str, columns: Mapping[str, Column]) -> T | None:
        """The column of an attribute, or None if it was not sent or is at fault."""
        raw = columns.get(key)
        return None if raw is None else self._settle(convert_, key, raw)

    def each(self, convert_: Callable[[Any], T], key: str, columns: Mapping[str, Any]) -> dict[str, T]:
        """The columns of a map, without those at fault."""
        settled = {name: self._settle(convert_, key, raw, name) for name, raw in columns.items()}
        return {name: column for name, column in settled.items() if column is not None}

    def features(self, table: Table) -> tuple[vectors.Features, vectors.Embeddings]:
        """The features, and the embeddings among them."""
        features, embeddings = vectors.split(self.each(vectors.feature, semconv.ML_FEATURES, table.features))
        try:
            if not table.one_row:
                vectors.check_size(embeddings, self._limits)
        except Rejected as fault:
            self.faults.append(fault)
        return features, embeddings

    def probabilities(self, raw: Column) -> NumberColumn:
        """Scores; those that were cut off are counted."""
        column, clipped = convert.probabilities(raw)
        self.clipped += clipped
        return column

    def _settle(self, convert_: Callable[[Any], T], key: str, raw: Any, name: str | None = None) -> T | None:
        try:
            column = convert_(raw)
            self._check_text(column)
            return column
        except Rejected as fault:
            self.faults.append(fault.at(key if name is None else f"{key} {shown(name)}"))
            return None

    def _check_text(self, column: Any) -> None:
        if isinstance(column, NumberColumn | np.ndarray | MatrixColumn):
            return
        texts = column.levels if isinstance(column, CodedColumn) else column
        longest = self._limits.max_text
        if isinstance(column, CodedColumn) and len(texts) > self._max_levels:
            raise Rejected(TOO_MANY_LEVELS, f"{len(texts)} different strings, at most {self._max_levels}")
        if max(map(len, texts), default=0) > longest:
            bad = [place for place, text in enumerate(texts) if len(text) > longest]
            rows = np.flatnonzero(np.isin(column.codes, bad)).tolist() if isinstance(column, CodedColumn) else bad
            raise Rejected(TOO_LONG, f"text of more than {longest} characters", rows=rows)


def build(table: Table, origin: Origin) -> tuple[Batch, Moved]:
    """The batch of a table, and how many of its values were moved; O(cells), no Python per row of a packed column.

    Raises:
        Refused: some column cannot be used; names every row at fault in every column.
    """
    settler = _Settler(table, origin.limits)
    batch, clamped = (_labels if table.identity.feedback else _predictions)(table, origin, settler)
    if settler.faults:
        raise Refused(settler.faults)
    return batch, Moved(clamped, settler.clipped)


def _predictions(table: Table, origin: Origin, settler: _Settler) -> tuple[PredictionBatch, int]:
    fields, one, each = table.fields, settler.one, settler.each
    starts = origin.start_of(table.spans)
    offsets = one(_offsets, semconv.ML_PREDICTION_TIME_OFFSET, fields)
    times, moved_ns = origin.clamp(starts if offsets is None else starts + offsets)
    features, embeddings = settler.features(table)
    batch = PredictionBatch(
        model=ModelKey(origin.tenant, table.identity.name, table.identity.version),
        event_time_ns=times,
        features=features,
        task=table.identity.task,
        batch_id=table.identity.batch_id,
        role=table.identity.role,
        moved_ns=moved_ns,
        ids=one(convert.names, semconv.ML_PREDICTION_ID, fields),
        score=one(settler.probabilities, semconv.ML_PREDICTION_SCORE, fields),
        class_scores=each(settler.probabilities, semconv.ML_PREDICTION_SCORE, table.classes),
        decision=one(convert.outcomes, semconv.ML_PREDICTION_CLASS, fields),
        value=one(convert.numbers, semconv.ML_PREDICTION_VALUE, fields),
        duration_s=one(convert.durations, semconv.ML_PREDICTION_DURATION, fields) or _span_durations(table, origin),
        error=_errors(table, origin, settler),
        slices=each(convert.strings, semconv.ML_SLICES, table.slices),
        weight=one(convert.weights, semconv.ML_PREDICTION_WEIGHT, fields),
        trace_ids=one(convert.strings, semconv.ML_PREDICTION_TRACE_ID, fields) or _trace_ids(table, origin),
        embeddings=embeddings,
        spans=table.spans,
    )
    return batch, _count(moved_ns)


def _count(moved_ns: Ints | None) -> int:
    return 0 if moved_ns is None else int(np.count_nonzero(moved_ns))


_UNSTATED_NS: Final = -(2**63)
"""No time that was sent: those are cut long before."""


def _labels(table: Table, origin: Origin, settler: _Settler) -> tuple[LabelBatch, int]:
    starts = origin.start_of(table.spans)
    unstated = np.full(len(starts), _UNSTATED_NS)
    stated = settler.one(lambda raw: convert.nanoseconds(raw, unstated), semconv.ML_LABEL_TIME, table.fields)
    untimed = (unstated if stated is None else stated) == _UNSTATED_NS
    label_time_ns, moved_ns = origin.clamp(starts if stated is None else np.where(untimed, starts, stated))
    batch = LabelBatch(
        tenant=origin.tenant,
        model_name=table.identity.name,
        ids=settler.one(_label_ids, semconv.ML_PREDICTION_ID, table.fields) or [],
        label=settler.one(convert.outcomes, semconv.ML_LABEL, table.fields) or convert.nothing(0),
        label_time_ns=label_time_ns,
        spans=table.spans,
        untimed=untimed if untimed.any() else None,
    )
    return batch, _count(moved_ns)


def _offsets(raw: Column) -> Ints:
    return convert.nanoseconds(raw, np.zeros(len(raw), dtype=np.int64))


def _label_ids(raw: Column) -> list[str]:
    ids = convert.names(raw)
    missing = [row for row, name in enumerate(ids) if not name]
    if missing:
        raise Rejected(MISSING_ID, "a label without an id", rows=missing)
    return ids


def _span_durations(table: Table, origin: Origin) -> NumberColumn | None:
    """Length of each one-row span, where it has both its times."""
    if not table.one_row:
        return None
    starts, ends = origin.starts[table.spans], origin.ends[table.spans]
    valid = (starts > 0) & (ends >= starts)
    if not valid.any():
        return None
    return NumberColumn(np.where(valid, ends - starts, 0) / SECOND_NS, valid)


def _errors(table: Table, origin: Origin, settler: _Settler) -> CodedColumn | None:
    fields = table.fields
    for key in (semconv.ML_PREDICTION_ERROR, semconv.ERROR_TYPE):
        if key in fields:
            column = settler.one(_error_names, key, fields)
            wide = column is not None and len(column) == 1 < len(table.spans)
            return CodedColumn(column.levels, column.codes.repeat(len(table.spans))) if column and wide else column
    failed = origin.failed[table.spans]
    return CodedColumn((OTHER_ERROR,), np.where(failed, 0, -1).astype(np.int32)) if failed.any() else None


def _error_names(raw: Column) -> CodedColumn:
    """Error types; an empty one is none, because plain arrays of strings cannot hold a null."""
    column = convert.strings(raw)
    return CodedColumn.of([name or None for name in column.strings()]) if "" in column.levels else column


def _trace_ids(table: Table, origin: Origin) -> CodedColumn | None:
    if not table.one_row:
        trace_ids = [origin.trace_ids[int(part.spans[0])] for part in table.parts or (table,)]
        if trace_ids[0] is None:
            return None
        column = CodedColumn.of(trace_ids)
        return CodedColumn(column.levels, column.codes.repeat([len(part.spans) for part in table.parts or (table,)]))
    column = CodedColumn.of([origin.trace_ids[span] for span in table.spans.tolist()])
    return column if column.levels else None
