"""OTLP in JSON becomes the bytes of the same request in protobuf; protobuf's own JSON mapping is the oracle where both agree."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from google.protobuf import json_format
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from calidris.batch import CodedColumn, ModelKey, NumberColumn, PredictionBatch
from calidris.errors import MalformedRequest
from calidris.receive.admission import RequestTooLarge
from calidris.receive.http.otlp_json import MAX_VALUES, traces_to_protobuf
from calidris.wire import FORMS, decode, encode_predictions

NOW_NS = 1_800_000_000_000_000_000
IDS = ("traceId", "spanId", "parentSpanId")

text = st.text(max_size=12)
keys = st.sampled_from(["ml.model.name", "ml.features", "ml.prediction.score", "ml.prediction.id", "http.route"]) | text
int64 = st.integers(-(2**63), 2**63 - 1)
uint64 = st.integers(0, 2**64 - 1)
scalars = (
    st.builds(AnyValue, string_value=text)
    | st.builds(AnyValue, bool_value=st.booleans())
    | st.builds(AnyValue, int_value=int64)
    | st.builds(AnyValue, double_value=st.floats(allow_nan=False) | st.just(float("nan")))
    | st.builds(AnyValue, bytes_value=st.binary(max_size=20))
    | st.just(AnyValue())
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.builds(lambda found: AnyValue(array_value=ArrayValue(values=found)), st.lists(inner, max_size=3))
        | st.builds(
            lambda found: AnyValue(kvlist_value=KeyValueList(values=[KeyValue(key=k, value=v) for k, v in found])),
            st.lists(st.tuples(text, inner), max_size=3),
        )
    ),
    max_leaves=6,
)
attributes = st.lists(st.builds(KeyValue, key=keys, value=values), max_size=5)
links = st.builds(Span.Link, trace_id=st.binary(min_size=16, max_size=16), span_id=st.binary(min_size=8, max_size=8))
spans = st.builds(
    Span,
    trace_id=st.binary(max_size=16),
    span_id=st.binary(max_size=8),
    parent_span_id=st.binary(max_size=8),
    name=st.sampled_from(["predict credit", "feedback credit", "GET /"]),
    kind=st.sampled_from(Span.SpanKind.values()),
    start_time_unix_nano=uint64,
    end_time_unix_nano=uint64,
    attributes=attributes,
    links=st.lists(links, max_size=1),
    events=st.lists(st.builds(Span.Event, name=text, time_unix_nano=uint64, attributes=attributes), max_size=1),
    status=st.none() | st.builds(Status, message=text, code=st.sampled_from(Status.StatusCode.values())),
    flags=st.integers(0, 2**32 - 1),
)


@st.composite
def requests(draw: Any) -> ExportTraceServiceRequest:
    """A request of any spans under any resource."""
    parts = []
    for _ in range(draw(st.integers(0, 2))):
        part = ResourceSpans(scope_spans=[ScopeSpans(spans=draw(st.lists(spans, max_size=3)))])
        part.resource.attributes.extend(draw(attributes))
        parts.append(part)
    return ExportTraceServiceRequest(resource_spans=parts)


def to_json(message: ExportTraceServiceRequest) -> bytes:
    """OTLP's form: protobuf's, but enums as numbers and ids in hex."""
    tree = json_format.MessageToDict(message, use_integers_for_enums=True)
    _hex_ids(tree)
    return orjson.dumps(tree)


def _hex_ids(tree: Any) -> None:
    for key, inner in tree.items() if isinstance(tree, dict) else ():
        if key in IDS:
            tree[key] = base64.b64decode(inner).hex()
        _hex_ids(inner)
    for inner in tree if isinstance(tree, list) else ():
        _hex_ids(inner)


@given(message=requests())
@settings(max_examples=120, deadline=None)
def test_any_request_becomes_the_same_bytes(message: ExportTraceServiceRequest) -> None:
    raw = message.SerializeToString()
    found = traces_to_protobuf(to_json(message))
    assert found == raw
    one, other = (decode(form, tenant="default", arrival_ns=NOW_NS) for form in (raw, found))
    assert (one.spans, one.ignored, one.rejected, one.message) == (
        other.spans,
        other.ignored,
        other.rejected,
        other.message,
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("one_span_per_row", [True, False])
def test_every_form_of_our_own_columns(wire: Any, form: Any, one_span_per_row: bool) -> None:
    batch = PredictionBatch(
        model=ModelKey("default", "credit", "7"),
        event_time_ns=NOW_NS - np.arange(3),
        features={"income": NumberColumn.of([1.5, float("nan"), -0.0]), "country": CodedColumn.of(["AT", None, "é"])},
        ids=["a", "b", "c"],
        score=NumberColumn.of([0.1, 0.2, 0.3]),
    )
    raw = encode_predictions(batch, form=form, one_span_per_row=one_span_per_row)
    found = traces_to_protobuf(to_json(ExportTraceServiceRequest.FromString(raw)))
    items = [decode(one, tenant="default", arrival_ns=NOW_NS).items for one in (raw, found)]
    assert [wire.plain(item) for item in items[0]] == [wire.plain(item) for item in items[1]] != []


def test_the_example_of_the_page(wire: Any) -> None:
    page = (Path(__file__).parents[3] / "docs" / "wire.md").read_text(encoding="utf-8")
    body = page.split("<<END\n")[1].split("\nEND")[0].replace("${now}", "1800000000")
    (item,) = decode(traces_to_protobuf(body.encode()), tenant="default", arrival_ns=NOW_NS).items
    plain = wire.plain(item)
    assert (plain["ids"], plain["score"], plain["duration_s"]) == (["5f0c"], [0.83], [0.02])
    assert plain["features"] == {"income": [52000.0], "land": ["at"]}


def one_span(inside: str) -> bytes:
    return b'{"resourceSpans":[{"scopeSpans":[{"spans":[{%s}]}]}]}' % inside.encode()


def span_of(inside: str) -> Span:
    message = ExportTraceServiceRequest.FromString(traces_to_protobuf(one_span(inside)))
    return message.resource_spans[0].scope_spans[0].spans[0]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"traceId":"5B8EFFF798038103D269B633813FC60C"', Span(trace_id=bytes.fromhex("5b8efff798038103d269b633813fc60c"))),
        ('"startTimeUnixNano":"1544712660000000000"', Span(start_time_unix_nano=1544712660000000000)),
        ('"startTimeUnixNano":1544712660000000000', Span(start_time_unix_nano=1544712660000000000)),
        ('"startTimeUnixNano":1e9', Span(start_time_unix_nano=10**9)),
        ('"start_time_unix_nano":7', Span(start_time_unix_nano=7)),
        ('"kind":2', Span(kind=Span.SPAN_KIND_SERVER)),
        ('"kind":"SPAN_KIND_SERVER"', Span(kind=Span.SPAN_KIND_SERVER)),
        ('"kind":77', Span(kind=77)),
        ('"name":null,"attributes":null,"colour":{"red":[1]}', Span()),
        ('"attributes":[{"key":"k","value":{"bytesValue":"_-8"}}]',
         Span(attributes=[KeyValue(key="k", value=AnyValue(bytes_value=b"\xff\xef"))])),
        ('"attributes":[{"key":"k","value":{"doubleValue":"-Infinity"}}]',
         Span(attributes=[KeyValue(key="k", value=AnyValue(double_value=float("-inf")))])),
        ('"attributes":[{"key":"k","value":{"doubleValue":3}}]',
         Span(attributes=[KeyValue(key="k", value=AnyValue(double_value=3.0))])),
        ('"attributes":[{"key":"k","value":{"intValue":null,"boolValue":false}}]',
         Span(attributes=[KeyValue(key="k", value=AnyValue(bool_value=False))])),
    ],
)  # fmt: skip
def test_what_may_be_written(written: str, expected: Span) -> None:
    assert span_of(written) == expected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('"traceId":"5B8"', "trace_id: an id in hex"),
        ('"traceId":7', "a string is expected"),
        ('"name":["a"]', "name: a string is expected"),
        ('"startTimeUnixNano":"soon"', "an integer is expected"),
        ('"startTimeUnixNano":1.5', "an integer is expected"),
        ('"startTimeUnixNano":-1', "out of range"),
        ('"startTimeUnixNano":"99999999999999999999"', "out of range"),
        ('"startTimeUnixNano":"99999999999999999999999999"', "an integer is expected"),
        ('"kind":"SERVER"', "kind: an integer is expected"),
        ('"attributes":{"key":"k"}', "attributes: an array is expected"),
        ('"attributes":["k"]', "attributes: an object is expected"),
        ('"attributes":[{"value":{"bytesValue":"***"}}]', "bytes_value: base64 is expected"),
        ('"attributes":[{"value":{"boolValue":"true"}}]', "bool_value: true or false"),
        ('"attributes":[{"value":{"doubleValue":"much"}}]', "double_value: a number is expected"),
        ('"attributes":[{"value":{"doubleValue":NaN}}]', "no JSON"),
        ('"name":"\\ud800"', "no JSON"),
        ('"attributes":[{"value":' + '{"arrayValue":{"values":[' * 300 + "]}}" * 300 + "}]", "nested too deeply"),
        ('"attributes":[{"value":' + "[" * 2000 + "]" * 2000 + "}]", "no JSON"),
    ],
)
def test_what_may_not(written: str, said: str) -> None:
    with pytest.raises(MalformedRequest, match=said):
        traces_to_protobuf(one_span(written))


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"a"', b"{", b"\xff", b"{}{}"])
def test_what_is_no_object(body: bytes) -> None:
    with pytest.raises(MalformedRequest):
        traces_to_protobuf(body)


def test_more_values_than_memory_for_them() -> None:
    with pytest.raises(RequestTooLarge, match="send fewer spans per request, or protobuf"):
        traces_to_protobuf(b'{"resourceSpans":[' + b"{}," * (MAX_VALUES // 2) + b"{}]}")
    assert traces_to_protobuf(b'{"resourceSpans":[' + b"{}," * 1000 + b"{}]}") == b"\n\x00" * 1001
