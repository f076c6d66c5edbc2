"""OTLP bytes to the spans that concern us: with :mod:`calidris.wire.attributes`, all that knows the encoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from google.protobuf.message import DecodeError

from calidris import semconv
from calidris.errors import MalformedRequest
from calidris.wire.attributes import AttributeReader
from calidris.wire.keys import MODEL_KEYS
from calidris.wire.messages import Request
from calidris.wire.rejections import Ledger, Rejected

STATUS_ERROR: Final = 2
_NOT_TELLING: Final = MODEL_KEYS - {semconv.ML_MODEL_NAME} | {semconv.ERROR_TYPE}


@dataclass(frozen=True, slots=True)
class Spans:
    """The model and feedback spans of a request as parallel lists, in order.

    ``positions`` are their places among all ``total`` spans of the request, ``foreign`` of which do not concern us;
    ``models`` are the model attributes of their resources.
    """

    total: int
    foreign: int
    positions: list[int]
    names: list[str]
    starts: list[int]
    ends: list[int]
    trace_ids: list[bytes]
    span_ids: list[bytes]
    failed: list[bool]
    attributes: list[dict[str, Any]]
    models: list[Mapping[str, Any]]


def read_spans(raw: bytes, ledger: Ledger) -> Spans:
    """The spans that carry model telemetry; attributes that are not ours are left out.

    Raises:
        MalformedRequest: the bytes are no ``ExportTraceServiceRequest``.
    """
    kept: list[tuple[int, Any, dict[str, Any], Mapping[str, Any]]] = []
    reader = AttributeReader()
    total = foreign = 0
    for total, (span, model) in enumerate(_walk(raw, reader), 1):
        try:
            attributes = reader.read(span.attributes)
        except Rejected as fault:
            ledger.add(total - 1, _name(span), fault)
            continue
        if semconv.ML_MODEL_NAME in attributes or _concerns_us(attributes, model, _name(span)):
            kept.append((total - 1, span, attributes, model))
        else:
            foreign += 1
    return _transpose(total, foreign, kept)


def _transpose(total: int, foreign: int, kept: list[tuple[int, Any, dict[str, Any], Mapping[str, Any]]]) -> Spans:
    spans = [span for _, span, _, _ in kept]
    return Spans(
        total,
        foreign,
        positions=[position for position, _, _, _ in kept],
        names=[_name(span) for span in spans],
        starts=[span.start_time_unix_nano for span in spans],
        ends=[span.end_time_unix_nano for span in spans],
        trace_ids=[span.trace_id for span in spans],
        span_ids=[span.span_id for span in spans],
        failed=[span.HasField("status") and span.status.code == STATUS_ERROR for span in spans],
        attributes=[attributes for _, _, attributes, _ in kept],
        models=[model for _, _, _, model in kept],
    )


def _name(span: Any) -> str:
    name: str = span.name.decode(errors="replace")
    return name


def _concerns_us(attributes: Mapping[str, Any], model: Mapping[str, Any], name: str) -> bool:
    """Whether a span is a model or feedback span, by its own attributes or by its name and its resource's model."""
    if attributes and not _NOT_TELLING.issuperset(attributes):
        return True
    return semconv.ML_MODEL_NAME in model and name.startswith(("predict ", "feedback "))


def _walk(raw: bytes, reader: AttributeReader) -> Iterator[tuple[Any, Mapping[str, Any]]]:
    try:
        request = Request.FromString(raw)
    except DecodeError:
        raise MalformedRequest("the body is no OTLP ExportTraceServiceRequest") from None
    for resource_spans in request.resource_spans:
        model = _read_model(resource_spans.resource.attributes, reader)
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                yield span, model


def _read_model(entries: Iterable[bytes], reader: AttributeReader) -> Mapping[str, Any]:
    """The resource's model attributes; a resource that states them badly states nothing."""
    try:
        return {key: value for key, value in reader.read(entries).items() if key in MODEL_KEYS}
    except Rejected:
        return {}
