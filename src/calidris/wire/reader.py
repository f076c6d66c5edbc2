"""OTLP bytes to the spans that concern us: the outermost layer, which alone knows protobuf messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from calidris import semconv
from calidris.errors import MalformedRequest
from calidris.wire.rejections import Ledger, Rejected
from calidris.wire.values import Raw, read_value

MODEL_KEYS: Final = frozenset({semconv.ML_MODEL_NAME, semconv.ML_MODEL_VERSION, semconv.ML_MODEL_TASK})
KEYS: Final = frozenset(
    {
        *MODEL_KEYS,
        semconv.ML_PREDICTION_COUNT,
        semconv.ML_PREDICTION_ID,
        semconv.ML_FEATURES,
        semconv.ML_SLICES,
        semconv.ML_PREDICTION_SCORE,
        semconv.ML_PREDICTION_CLASS,
        semconv.ML_PREDICTION_VALUE,
        semconv.ML_PREDICTION_DURATION,
        semconv.ML_PREDICTION_ERROR,
        semconv.ML_PREDICTION_TIME_OFFSET,
        semconv.ML_PREDICTION_TRACE_ID,
        semconv.ML_PREDICTION_WEIGHT,
        semconv.ERROR_TYPE,
        semconv.ML_LABEL,
        semconv.ML_LABEL_TIME,
    }
)
MAPS: Final = (semconv.ML_FEATURES, semconv.ML_SLICES, semconv.ML_PREDICTION_SCORE)
"""Attributes that hold a map; ``{attribute}.{name}`` is one entry of it as an attribute of its own."""

MAP_PREFIXES: Final = tuple(f"{key}." for key in MAPS)
_NOT_TELLING: Final = MODEL_KEYS - {semconv.ML_MODEL_NAME} | {semconv.ERROR_TYPE}


@dataclass(slots=True)
class Spans:
    """The model and feedback spans of a request as parallel lists, in order.

    ``positions`` are their places among all ``total`` spans of the request, ``foreign`` of which do not concern us.
    """

    total: int = 0
    foreign: int = 0
    positions: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    trace_ids: list[bytes] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    models: list[Mapping[str, Any]] = field(default_factory=list)

    def add(self, span: Span, attributes: dict[str, Any], model: Mapping[str, Any]) -> None:
        """Keep one span; ``model`` are the model attributes of its resource."""
        self.positions.append(self.total - 1)
        self.names.append(span.name)
        self.starts.append(span.start_time_unix_nano)
        self.ends.append(span.end_time_unix_nano)
        self.trace_ids.append(span.trace_id)
        self.failed.append(span.status.code == Status.STATUS_CODE_ERROR)
        self.attributes.append(attributes)
        self.models.append(model)


def read_spans(raw: bytes, ledger: Ledger) -> Spans:
    """The spans that carry model telemetry; attributes that are not ours are left out.

    Raises:
        MalformedRequest: the bytes are no ``ExportTraceServiceRequest``.
    """
    spans = Spans()
    for span, model in _walk(raw):
        spans.total += 1
        try:
            attributes = _read_attributes(span.attributes)
        except Rejected as fault:
            ledger.add(spans.total - 1, span.name, fault)
            continue
        if concerns_us(attributes, model, span.name):
            spans.add(span, attributes, model)
        else:
            spans.foreign += 1
    return spans


def concerns_us(attributes: Mapping[str, Any], model: Mapping[str, Any], name: str) -> bool:
    """Whether a span is a model or feedback span, by its own attributes or by its name and its resource's model."""
    if attributes and not _NOT_TELLING.issuperset(attributes):
        return True
    return semconv.ML_MODEL_NAME in model and name.startswith(("predict ", "feedback "))


def _walk(raw: bytes) -> Iterator[tuple[Span, Mapping[str, Any]]]:
    try:
        request = ExportTraceServiceRequest.FromString(raw)
    except DecodeError:
        raise MalformedRequest("the body is no OTLP ExportTraceServiceRequest") from None
    for resource_spans in request.resource_spans:
        model = _read_model(resource_spans.resource)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield span, model


def _read_model(resource: Resource) -> Mapping[str, Any]:
    """The resource's model attributes; a resource that states them badly states nothing."""
    try:
        return {key: read_value(entry.value) for entry in resource.attributes if (key := entry.key) in MODEL_KEYS}
    except Rejected:
        return {}


def _read_attributes(entries: Iterable[KeyValue]) -> dict[str, Raw]:
    found: dict[str, Raw] = {}
    for entry in entries:
        key = entry.key
        if key in KEYS or key.startswith(MAP_PREFIXES):
            try:
                found[key] = read_value(entry.value)
            except Rejected as fault:
                raise fault.at(key) from None
    return found
