"""The part of the corpus that is made by hand: one request of every form and of every trick we know.

``python -m fuzz.seeds`` writes it anew. The rest of the corpus, ``found-*``, is what the search reached.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from calidris.batch import CodedColumn, LabelBatch, MatrixColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.wire import FORMS, encode_labels, encode_predictions
from fuzz.target import NOW_NS

CORPUS = Path(__file__).parent / "corpus"
_ROWS = 3


def seeds() -> Iterator[tuple[str, bytes]]:
    """Names and requests."""
    batch = _batch()
    for form in FORMS:
        yield f"{form}-columns", encode_predictions(batch, form=form, one_span_per_row=False)
        yield f"{form}-rows", encode_predictions(batch, form=form, one_span_per_row=True)
    labels = LabelBatch("default", "credit", ["a", "b", "c"], NumberColumn.of([1, 0, 1]), batch.event_time_ns)
    yield "labels", encode_labels(labels)
    for name, attributes in _TRICKS.items():
        yield name, request(span({"ml.model.name": "credit", **attributes}))
    yield "deeper-than-protobuf-reads", _deep(5000)
    yield "no-span", request()
    yield "foreign", request(span({"http.route": "/"}, name="GET /"))
    yield "truncated", encode_predictions(batch, form="packed", one_span_per_row=False)[:-7]
    for name, text in _JSON.items():
        yield f"json-body-{name}", text.encode()
    scored = {"ml.model.name": "credit", **_TRICKS["score"]}
    yield "times", request(*(span(scored, start_time_unix_nano=t) for t in (0, 1, 2**63, 2**64 - 1)))


def request(*spans: Span) -> bytes:
    """Spans as an export request."""
    parts = [ResourceSpans(scope_spans=[ScopeSpans(spans=spans)])]
    return ExportTraceServiceRequest(resource_spans=parts).SerializeToString()


def span(attributes: dict[str, Any], name: str = "predict credit", **fields: Any) -> Span:
    """A span of Python values."""
    pairs = [KeyValue(key=key, value=value(plain)) for key, plain in attributes.items()]
    return Span(**{"name": name, "attributes": pairs, "start_time_unix_nano": NOW_NS, **fields})


def value(plain: Any) -> AnyValue:
    """A Python value as OTLP."""
    if plain is None:
        return AnyValue()
    if isinstance(plain, dict):
        return AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=value(v)) for k, v in plain.items()]))
    if isinstance(plain, list):
        return AnyValue(array_value=ArrayValue(values=[value(one) for one in plain]))
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value", bytes: "bytes_value"}
    return AnyValue(**{kinds[type(plain)]: plain})


def _batch() -> PredictionBatch:
    return PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=NOW_NS + np.arange(_ROWS, dtype=np.int64),
        features={
            "age": NumberColumn.of([40.0, np.nan, 1e300]),
            "country": CodedColumn.of(["NL", None, "<b>\x00"]),
        },
        task="binary",
        ids=["a", "b", "c"],
        score=NumberColumn.of([0.25, 0.5, 1.0]),
        duration_s=NumberColumn.of([0.001, 0.0, 2.0]),
        error=CodedColumn.of([None, "timeout", None]),
        slices={"sex": CodedColumn.of(["f", "m", None])},
        weight=NumberColumn.of([1.0, 2.0, 3.0]),
        embeddings={"text": MatrixColumn.of([[1.0, 2.0], [3.0, 4.0], [np.nan, 0.0]])},
    )


def _nested(depth: int) -> Any:
    inner: Any = 1.0
    for _ in range(depth):
        inner = [inner]
    return inner


def _deep(depth: int) -> bytes:
    """A span with lists in lists, as many as protobuf itself refuses to write."""
    inner = b""
    for _ in range(depth):
        inner = _field(5, _field(1, inner))  # AnyValue.array_value of ArrayValue.values
    entry = _field(1, b"ml.features") + _field(2, inner)
    return _field(1, _field(2, _field(2, _field(9, entry))))


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    size, length = len(content), bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([number << 3 | 2, *length, size]) + content


_TRICKS: dict[str, dict[str, Any]] = {
    "score": {"ml.prediction.score": 0.5},
    "infinite": {"ml.features": {"age": float("inf"), "b": float("-inf"), "c": float("nan")}},
    "numbers-as-strings": {"ml.features": {"age": "12", "b": "1e999", "c": "nan"}, "ml.prediction.score": "0.5"},
    "mixed-array": {"ml.prediction.count": 3, "ml.features": {"age": [1, "x", None]}},
    "count-too-large": {"ml.prediction.count": 2**62, "ml.prediction.score": [0.5]},
    "count-negative": {"ml.prediction.count": -1, "ml.prediction.score": 0.5},
    "count-without-columns": {"ml.prediction.count": 65_536, "ml.features": {}},
    "odd-bytes": {"ml.prediction.count": 2, "ml.features": {"age": {"f64": b"\x00" * 15}}},
    "codes-out-of-range": {
        "ml.prediction.count": 2,
        "ml.features": {"c": {"levels": ["x"], "codes": struct.pack("<2i", 7, -9)}},
    },
    "levels-missing": {"ml.prediction.count": 1, "ml.features": {"c": {"codes": struct.pack("<i", 0)}}},
    "dimension-zero": {"ml.prediction.count": 2, "ml.embeddings": {"e": {"f32": b"", "dim": 0}}},
    "dimension-huge": {"ml.prediction.count": 2, "ml.embeddings": {"e": {"f32": b"\x00" * 8, "dim": 2**40}}},
    "deep-list": {"ml.features": {"age": _nested(20)}},
    "deep-json": {"ml.features": "[" * 3000},
    "json-duplicate-keys": {"ml.features": '{"age": 1, "age": 2, "": 3}'},
    "json-huge-number": {"ml.features": '{"age": 1e999, "b": 123456789012345678901234567890}'},
    "json-surrogate": {"ml.features": '{"c": "\\ud800"}'},
    "json-no-object": {"ml.features": "null"},
    "names": {"ml.model.version": "\x1b[31m\n\u202e<script>", "ml.features": {"\x00": 1.0, "a" * 2000: 2.0}},
    "label-with-prediction": {"ml.label": 1, "ml.prediction.id": "a", "ml.prediction.score": 0.5},
    "label-without-id": {"ml.label": 1},
    "class-scores": {"ml.prediction.score": {"a": 0.4, "b": 0.6}, "ml.model.task": "multiclass"},
    "score-out-of-range": {"ml.prediction.score": 1.5},
}

_SPAN = '{"resourceSpans": [{"scopeSpans": [{"spans": [{"name": "predict credit", %s}]}]}]}'
_NAMED = '{"key": "ml.model.name", "value": {"stringValue": "credit"}}'
_JSON = {
    "ids": _SPAN % '"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174"',
    "times": _SPAN
    % '"startTimeUnixNano": "1800000000000000000", "endTimeUnixNano": 1.8e18, "kind": "SPAN_KIND_SERVER"',
    "values": _SPAN
    % f"""
        "attributes": [{_NAMED}, {{"key": "ml.prediction.score", "value": {{"doubleValue": "NaN"}}}},
        {{"key": "ml.prediction.count", "value": {{"intValue": "1"}}}}, {{"key": "ml.label", "value": {{"boolValue": true}}}},
        {{"key": "ml.features", "value": {{"kvlistValue": {{"values": [{{"key": "age", "value": {{"bytesValue": "AAAA"}}}}]}}}}}}]""",
    "deep": _SPAN
    % ('"attributes": [{"key": "ml.features", "value": ' + '{"arrayValue": {"values": [' * 60 + "]}}" * 60 + "}]"),
    "odd": _SPAN % '"traceId": "zz", "unknown": {"a": [1e999]}, "startTimeUnixNano": -1',
    "nothing": '{"resourceSpans": null}',
    "surrogate": _SPAN % '"traceState": "\\ud800"',
}


def main() -> None:
    """Write the files."""
    CORPUS.mkdir(exist_ok=True)
    for name, raw in seeds():
        (CORPUS / f"{name}.bin").write_bytes(raw)


if __name__ == "__main__":
    main()
