"""Batches to OTLP bytes: for tests, load generation and as the example that other languages follow.

What :func:`decode` makes of the bytes is the same batch, whatever the form; only embeddings use f32, because it rounds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import numpy as np
import orjson
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from calidris import semconv
from calidris.batch import CodedColumn, Column, Ints, LabelBatch, MatrixColumn, NumberColumn, PredictionBatch

Form = Literal["packed", "json", "attributes", "map", "arrays"]
FORMS: Final[tuple[Form, ...]] = ("packed", "json", "attributes", "map", "arrays")
_Cells = Column | MatrixColumn | Ints | Sequence[str]
_Encoder = Callable[[_Cells], AnyValue]


def encode_predictions(batch: PredictionBatch, *, form: Form, one_span_per_row: bool) -> bytes:
    """A request that decodes to ``batch``.

    Args:
        batch: one or more rows.
        form: ``packed`` bytes and codes; ``json`` strings; ``attributes``, one per feature; ``map``, key-value lists;
            ``arrays``, key-value lists of arrays even for one row.
        one_span_per_row: a span each row, as services send that do not batch; else one span.
    """
    if not one_span_per_row:
        return _request([_prediction_span(batch, form, np.arange(len(batch)))])
    return _request([_prediction_span(batch, form, np.array([row])) for row in range(len(batch))])


def encode_labels(batch: LabelBatch) -> bytes:
    """A request of one feedback span that decodes to ``batch``."""
    start = int(batch.label_time_ns.min())
    span = Span(name=f"feedback {batch.model_name}", start_time_unix_nano=start, end_time_unix_nano=start)
    _put(span, semconv.ML_MODEL_NAME, AnyValue(string_value=batch.model_name))
    _put(span, semconv.ML_PREDICTION_COUNT, AnyValue(int_value=len(batch)))
    _put(span, semconv.ML_PREDICTION_ID, _array(batch.ids))
    _put(span, semconv.ML_LABEL, _array(batch.label))
    _put(span, semconv.ML_LABEL_TIME, _packed(batch.label_time_ns))
    return _request([span])


def _request(spans: Sequence[Span]) -> bytes:
    scope_spans = ScopeSpans(spans=spans, schema_url=semconv.SCHEMA_URL)
    return ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope_spans])]).SerializeToString()


def _prediction_span(batch: PredictionBatch, form: Form, rows: Ints) -> Span:
    times = batch.event_time_ns[rows]
    start = int(times.min())
    span = Span(name=f"predict {batch.model.name}", start_time_unix_nano=start)
    for key, text in _identity(batch):
        _put(span, key, AnyValue(string_value=text))
    encode = _encoder(form, len(rows))
    if len(rows) > 1:
        _put(span, semconv.ML_PREDICTION_COUNT, AnyValue(int_value=len(rows)))
        _put(span, semconv.ML_PREDICTION_TIME_OFFSET, encode(times - start))
    for key, column in _fields(batch).items():
        if column is not None:
            _put(span, key, encode(_take(column, rows)))
    for key, columns in _maps(batch).items():
        if columns:
            _put_map(span, key, {name: _take(column, rows) for name, column in columns.items()}, form, encode)
    return span


def _identity(batch: PredictionBatch) -> list[tuple[str, str]]:
    version = [(semconv.ML_MODEL_VERSION, batch.model.version)]
    task = [(semconv.ML_MODEL_TASK, batch.task)] if batch.task else []
    job = [(semconv.ML_PREDICTION_BATCH_ID, batch.batch_id)] if batch.batch_id else []
    role = [(semconv.ML_MODEL_ROLE, batch.role)] if batch.role else []
    return [(semconv.ML_MODEL_NAME, batch.model.name), *version, *task, *job, *role]


def _fields(batch: PredictionBatch) -> dict[str, _Cells | None]:
    return {
        semconv.ML_PREDICTION_ID: batch.ids,
        semconv.ML_PREDICTION_SCORE: batch.score,
        semconv.ML_PREDICTION_CLASS: batch.decision,
        semconv.ML_PREDICTION_VALUE: batch.value,
        semconv.ML_PREDICTION_DURATION: batch.duration_s,
        semconv.ML_PREDICTION_ERROR: batch.error,
        semconv.ML_PREDICTION_WEIGHT: batch.weight,
        semconv.ML_PREDICTION_TRACE_ID: batch.trace_ids,
    }


def _maps(batch: PredictionBatch) -> dict[str, Mapping[str, _Cells]]:
    return {
        semconv.ML_FEATURES: {**batch.features, **batch.embeddings},
        semconv.ML_SLICES: dict(batch.slices),
        semconv.ML_PREDICTION_SCORE: dict(batch.class_scores),
    }


def _take(column: _Cells, rows: Ints) -> _Cells:
    if isinstance(column, NumberColumn | CodedColumn | MatrixColumn):
        return column.take(rows)
    return column[rows] if isinstance(column, np.ndarray) else [column[row] for row in rows.tolist()]


def _encoder(form: Form, rows: int) -> _Encoder:
    if form == "packed":
        return _packed
    if form == "arrays":
        return _array
    return _scalar if rows == 1 else _json if form == "json" else _array


def _put(span: Span, key: str, value: AnyValue) -> None:
    span.attributes.append(KeyValue(key=key, value=value))


def _put_map(span: Span, key: str, columns: Mapping[str, _Cells], form: Form, encode: _Encoder) -> None:
    if form == "attributes":
        for name, column in columns.items():
            _put(span, f"{key}.{name}", _entry(column, encode))
    elif form == "json":
        plain = {name: _json_value(column) for name, column in columns.items()}
        _put(span, key, AnyValue(string_value=orjson.dumps(plain).decode()))
    else:
        entries = [KeyValue(key=name, value=_entry(column, encode)) for name, column in columns.items()]
        _put(span, key, AnyValue(kvlist_value=KeyValueList(values=entries)))


def _entry(column: _Cells, encode: _Encoder) -> AnyValue:
    """One value of a map; an embedding is packed in every form but JSON."""
    return _matrix(column) if isinstance(column, MatrixColumn) else encode(column)


def _json_value(column: _Cells) -> Any:
    """An array, or the value of the only row; a vector stands in an array even then."""
    cells = _plain(column)
    return cells if len(cells) > 1 or isinstance(column, MatrixColumn) else cells[0]


def _plain(column: _Cells) -> list[Any]:
    if isinstance(column, MatrixColumn):
        return [row if valid else None for row, valid in zip(column.dense().tolist(), column.valid.tolist())]
    if isinstance(column, CodedColumn):
        return column.strings()
    if isinstance(column, NumberColumn):
        return [value if valid else None for value, valid in zip(column.values.tolist(), column.valid.tolist())]
    return column.tolist() if isinstance(column, np.ndarray) else list(column)


def _value(cell: Any) -> AnyValue:
    if cell is None:
        return AnyValue()
    if isinstance(cell, str):
        return AnyValue(string_value=cell)
    return AnyValue(int_value=cell) if isinstance(cell, int) else AnyValue(double_value=cell)


def _scalar(column: _Cells) -> AnyValue:
    return _value(_plain(column)[0])


def _array(column: _Cells) -> AnyValue:
    return AnyValue(array_value=ArrayValue(values=[_value(cell) for cell in _plain(column)]))


def _json(column: _Cells) -> AnyValue:
    return AnyValue(string_value=orjson.dumps(_plain(column)).decode())


def _packed(column: _Cells) -> AnyValue:
    """Little-endian bytes of numbers and vectors, levels and codes of strings."""
    if isinstance(column, MatrixColumn):
        return _matrix(column)
    if isinstance(column, np.ndarray):
        return _pair("i64", column.astype("<i8").tobytes())
    if isinstance(column, NumberColumn):
        return _pair("f64", np.where(column.valid, column.values, np.nan).astype("<f8").tobytes())
    coded = column if isinstance(column, CodedColumn) else CodedColumn.of(list(column))
    levels = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value=level) for level in coded.levels]))
    codes = AnyValue(bytes_value=coded.codes.astype("<i4").tobytes())
    entries = [KeyValue(key="levels", value=levels), KeyValue(key="codes", value=codes)]
    return AnyValue(kvlist_value=KeyValueList(values=entries))


def _matrix(column: MatrixColumn) -> AnyValue:
    packed = AnyValue(bytes_value=column.dense().astype("<f4").tobytes())
    entries = [KeyValue(key="f32", value=packed), KeyValue(key="dim", value=AnyValue(int_value=column.dimension))]
    return AnyValue(kvlist_value=KeyValueList(values=entries))


def _pair(key: str, packed: bytes) -> AnyValue:
    return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=key, value=AnyValue(bytes_value=packed))]))
