"""The accelerated reader against protobuf itself, on good, odd and broken bytes."""

from __future__ import annotations

import random
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from calidris.errors import MalformedRequest
from calidris.wire import Decoded, decode, decoder
from calidris.wire.otlp import blocks
from calidris.wire.otlp import spans as reader
from calidris.wire.otlp.gate import MODEL_KEYS, is_ours, is_ours_by_attributes, is_ours_by_name
from calidris.wire.otlp.messages import LAYOUT, Request
from calidris.wire.otlp.spans import Spans
from calidris.wire.otlp.values import read_value
from calidris.wire.rejections import Ledger, Rejected

NOW_NS = 1_800_000_000_000_000_000


def read_plainly(raw: bytes, ledger: Ledger) -> Spans:
    """What ``reader.read_spans`` does, in the obvious way: the oracle."""
    kept = []
    total = foreign = 0
    for part in ExportTraceServiceRequest.FromString(raw).resource_spans:
        try:
            model = {one.key: read_value(one.value) for one in part.resource.attributes if one.key in MODEL_KEYS}
        except Rejected:
            model = {}
        for span in (span for scope in part.scope_spans for span in scope.spans):
            total += 1
            try:
                attributes = {one.key: read_value(one.value) for one in span.attributes if is_ours(one.key)}
            except Rejected as fault:
                ledger.add(total - 1, span.name, fault)
                continue
            if is_ours_by_attributes(attributes) or is_ours_by_name(span.name, model):
                kept.append((total - 1, _Named(span), attributes, model))
            else:
                foreign += 1
    return reader._transpose(total, foreign, kept)


class _Named:
    """A full span that gives its name as bytes, as a reduced one does."""

    def __init__(self, span: Any) -> None:
        self._span = span
        self.name = span.name.encode()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._span, name)


def decode_plainly(raw: bytes) -> Decoded:
    original = decoder.read_spans
    decoder.read_spans = read_plainly
    try:
        return decode(raw, tenant="default", arrival_ns=NOW_NS)
    finally:
        decoder.read_spans = original


def check_equal(wire: Any, raw: bytes) -> Decoded:
    fast, plain = decode(raw, tenant="default", arrival_ns=NOW_NS), decode_plainly(raw)
    assert [wire.plain(item) for item in fast.items] == [wire.plain(item) for item in plain.items]
    assert (fast.spans, fast.ignored, fast.clamped, fast.non_finite) == (
        plain.spans,
        plain.ignored,
        plain.clamped,
        plain.non_finite,
    )
    assert sum(fast.rejected.values()) == sum(plain.rejected.values())
    assert fast.reports == plain.reports
    return fast


scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=6)
columns = scalars | st.lists(scalars, max_size=3) | st.lists(st.floats(), max_size=3) | st.binary(max_size=9)
packed = st.sampled_from(["f64", "f32", "i64"]).flatmap(
    lambda key: st.fixed_dictionaries({key: st.binary(max_size=16)})
)
vectors = st.fixed_dictionaries({"f32": st.binary(max_size=16), "dim": st.integers(-1, 3) | st.text(max_size=2)})
names = st.sampled_from(["x", "y", "f64", "f32", "dim", "levels", "codes", "ä", ""])
maps = st.dictionaries(names, columns | packed | vectors, max_size=3)
json_maps = st.sampled_from(
    [
        '{"x": 1}',
        '{"x": [[1, 2]]}',
        '{"x": [[1], [2, 3]]}',
        '{"x": [null, [1, 2]]}',
        '{"x": "a", "y": null}',
        '{"x": [1, 2]}',
        '{"x"',
        '{"x": 1}' + " " * 130,
    ]
)
keys = st.sampled_from(
    [
        *(
            "ml.model.name",
            "ml.model.version",
            "ml.features",
            "ml.features",
            "ml.slices",
            "ml.features.x",
            "http.route",
        ),
        *("ml.prediction.score", "ml.prediction.id", "ml.prediction.count", "ml.label", "error.type", "ml.slices.a"),
        "ml.report.rows_dropped",
        "ml.features." + "long" * 40,
    ]
)
attributes = st.dictionaries(keys, columns | packed | vectors | maps | json_maps, max_size=6)
small_counts = st.none() | st.integers(0, 3)


@st.composite
def requests(draw: Any) -> list[tuple[dict[str, Any], int | None]]:
    return draw(st.lists(st.tuples(attributes, small_counts), max_size=4))


def spans_of(wire: Any, drawn: list[tuple[dict[str, Any], int | None]]) -> list[Any]:
    counted = [{**found, **({} if count is None else {"ml.prediction.count": count})} for found, count in drawn]
    return [wire.span(found) for found in counted]


@given(drawn=requests())
@settings(max_examples=250, deadline=None)
def test_as_protobuf_reads_it(wire: Any, drawn: Any) -> None:
    check_equal(wire, wire.request(*spans_of(wire, drawn)))


@st.composite
def much_alike(draw: Any) -> list[list[tuple[dict[str, Any], int | None]]]:
    """Resources of spans with the same attributes, but for an odd one now and then."""
    resources = []
    for _ in range(draw(st.integers(1, 2))):
        drawn = draw(st.lists(keys, unique=True, max_size=5))
        shapes = {key: draw(st.sampled_from(SHAPES)) for key in drawn}
        count = draw(st.sampled_from([None, None, 1, 2]))
        rows = draw(st.integers(2, 7))
        spans = [({key: draw(shape) for key, shape in shapes.items()}, count) for _ in range(rows)]
        odd = draw(st.lists(st.tuples(attributes, small_counts), max_size=2))
        resources.append([*spans[:3], *odd, *spans[3:]])
    return resources


SHAPES = [
    *(st.floats(), st.floats(0, 1), st.integers(0, 3), st.booleans(), st.text(max_size=3), st.just("same"), scalars),
    *(
        st.sampled_from(["a", "bb", None]),
        st.lists(st.floats(), min_size=1, max_size=1),
        st.binary(max_size=8),
        json_maps,
    ),
    st.fixed_dictionaries({"x": st.floats(), "y": st.sampled_from(["a", "bb"]), "z": st.integers(0, 3) | st.floats()}),
    st.fixed_dictionaries({"x": st.text(max_size=2), "y": st.just(1), "ml.features": maps | st.floats()}),
    st.builds('{{"x": {}, "y": "{}"}}'.format, st.integers(0, 300), st.sampled_from(["a", "bb"])),
]


@given(drawn=much_alike(), fewest=st.sampled_from([1, 2, 3]))
@settings(max_examples=300, deadline=None)
def test_spans_that_are_alike_are_read_as_protobuf_reads_them(wire: Any, drawn: Any, fewest: int) -> None:
    usual, blocks.FEWEST = blocks.FEWEST, fewest
    try:
        check_equal(wire, b"".join(wire.request(*spans_of(wire, spans)) for spans in drawn))
    finally:
        blocks.FEWEST = usual


@given(drawn=requests(), seed=st.integers(0, 2**32), edits=st.integers(1, 4))
@settings(max_examples=400, deadline=None)
def test_broken_bytes_raise_nothing_but_malformed_request(wire: Any, drawn: Any, seed: int, edits: int) -> None:
    broken = bytearray(wire.request(*spans_of(wire, drawn)))
    chance = random.Random(seed)
    for _ in range(edits):
        place = chance.randrange(len(broken) + 1)
        cut = broken[place : place + chance.choice((0, 0, 1, 8))]
        broken[place : place + len(cut)] = chance.choice((b"", bytes([chance.randrange(256)]), bytes(cut) * 2))
    raw = bytes(broken)
    try:
        ExportTraceServiceRequest.FromString(raw)
    except DecodeError:
        with suppress(MalformedRequest):
            decode(raw, tenant="default", arrival_ns=NOW_NS)
    else:
        check_equal(wire, raw)


@given(raw=st.binary(max_size=64))
@settings(max_examples=200, deadline=None)
def test_random_bytes(raw: bytes) -> None:
    with suppress(MalformedRequest):
        assert decode(raw, tenant="default", arrival_ns=NOW_NS).rows == 0


def test_no_protobuf_at_all() -> None:
    with pytest.raises(MalformedRequest, match="no OTLP"):
        decode(b"\xff\xff\xff", tenant="default", arrival_ns=0)


ODD_VALUES = {
    "key after value": b"\x12\x02\x10\x01" + b"\n\x0dml.features.x",
    "two keys": b"\n\x0dml.features.y\n\x0dml.features.x\x12\x02\x10\x01",
    "two values": b"\n\x0dml.features.x\x12\x02\x10\x05\x12\x02\x10\x01",
    "value in two types": b"\n\x0dml.features.x\x12\x04\n\x00\x10\x01",
    "unknown field": b"\n\x0dml.features.x\x12\x02\x10\x01\xfa\x3f\x01a",
    "overlong length": b"\n\x8d\x00ml.features.x\x12\x82\x00\x10\x01",
    "long integer": b"\n\x0dml.features.x\x12\x03\x10\x81\x00",
}


@pytest.mark.parametrize("entry", ODD_VALUES.values(), ids=ODD_VALUES)
def test_odd_but_valid_encodings(wire: Any, entry: bytes) -> None:
    name = wire.span({}).attributes[0].SerializeToString()
    fields = b"".join(b"\x4a" + bytes([len(one)]) + one for one in (name, entry))
    span = b"\x12" + bytes([len(fields)]) + fields
    raw = b"\n" + bytes([len(span) + 2]) + b"\x12" + bytes([len(span)]) + span
    assert wire.plain(check_equal(wire, raw).items[0])["features"] == {"x": [1.0]}


def test_a_broken_attribute_costs_only_its_span(wire: Any) -> None:
    raw = wire.request(*[wire.span({"ml.features.x": cell}) for cell in ("a", "SCORE", "b")])
    decoded = decode(raw.replace(b"SCORE", b"\xff\xfe\xfd\xfc\xfb"), tenant="default", arrival_ns=NOW_NS)
    assert (decoded.rejected, decoded.rows) == ({"wrong_type": 1}, 2)
    assert "UTF-8" in decoded.message


def test_a_broken_attribute_of_others_costs_nothing(wire: Any) -> None:
    raw = wire.request(wire.span({"http.route": "SCORE", "ml.prediction.score": 0.5}))
    assert decode(raw.replace(b"SCORE", b"\xff\xfe\xfd\xfc\xfb"), tenant="default", arrival_ns=NOW_NS).rows == 1


def nested(depth: int) -> bytes:
    """An ``AnyValue`` that is a map in a map in a map."""
    value = b"\x10\x01"
    for _ in range(depth):
        value = field(6, field(1, b"\n\x01x" + field(2, value)))
    return value


def field(number: int, body: bytes) -> bytes:
    length, rest = bytearray(), len(body)
    while rest > 0x7F:
        length.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([number << 3 | 2, *length, rest]) + body


@pytest.mark.parametrize("depth", [2, 20, 5_000])
@pytest.mark.parametrize("key", ["ml.features", "ml.features.x", "ml.prediction.score", "http.route"])
def test_nesting_is_bounded(wire: Any, depth: int, key: str) -> None:
    good = wire.span({"ml.prediction.score": 0.5})
    request = Request()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.attributes.extend(one.SerializeToString() for one in good.attributes)
    span.attributes.append(field(1, key.encode()) + field(2, nested(depth)))
    raw = request.SerializeToString() + wire.request(good)
    decoded = decode(raw, tenant="default", arrival_ns=NOW_NS)
    refused = {} if key == "http.route" else {"wrong_type": 1}
    assert (decoded.rejected, decoded.spans, decoded.rows) == (refused, 2, 2 - len(refused))


def test_the_reduced_messages_have_the_numbers_of_otlp() -> None:
    modules = (trace_pb2, resource_pb2, common_pb2, trace_service_pb2)
    for message, fields in LAYOUT.items():
        (full,) = {getattr(module, message).DESCRIPTOR for module in modules if hasattr(module, message)}
        for name, number, kind in fields:
            assert full.fields_by_name[name].number == number
            assert full.fields_by_name[name].is_repeated == isinstance(kind, list)
