"""Parts are counted before anything is parsed: what is small on the wire and large in memory is refused at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from calidris.errors import MalformedRequest
from calidris.wire.otlp.size import MAX_PARTS, count_parts, has_too_many_parts

SIZE = 4 << 20


def varint(number: int) -> bytes:
    made = bytearray()
    while number > 0x7F:
        made.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*made, number])


def field(tag: bytes, body: bytes) -> bytes:
    return tag + varint(len(body)) + body


def span(body: bytes) -> bytes:
    return field(b"\x0a", field(b"\x12", field(b"\x12", body)))


def attribute(value: bytes) -> bytes:
    return span(field(b"\x4a", field(b"\x0a", b"ml.features") + field(b"\x12", value)))


def empties(tag: bytes) -> bytes:
    return (tag + b"\x00") * (SIZE // (len(tag) + 1))


@pytest.mark.parametrize(
    "raw",
    [empties(b"\x0a"), empties(b"\x8a\x00"), field(b"\x0a", empties(b"\x12")), field(b"\x0a", field(b"\x12", empties(b"\x12"))),
     span(empties(b"\x4a")), field(b"\x0a", field(b"\x0a", empties(b"\x0a"))), attribute(field(b"\x2a", empties(b"\x0a"))),
     attribute(field(b"\x32", empties(b"\x0a"))), attribute(b"\x2a\x02\x0a\x00" * (SIZE // 4 + MAX_PARTS)),
     field(b"\x08", b"") + empties(b"\x0a")],
    ids=["resources", "long tags", "scopes", "spans", "attributes", "resource", "array", "map", "again", "an int before"],
)  # fmt: skip
def test_bombs(raw: bytes) -> None:
    assert has_too_many_parts(raw)


@pytest.mark.parametrize(
    "raw",
    [b"", bytes(SIZE), b"\x0a" * SIZE, span(field(b"\x12", b"\x12" * SIZE)), empties(b"\x0a")[: 2 * MAX_PARTS],
     attribute(field(b"\x3a", b"\x0a\x00" * SIZE)), span(empties(b"\x5a")), span(empties(b"\x4a"))[:-1]],
    ids=["nothing", "zeros", "no protobuf", "a name", "just as many", "packed bytes", "events", "cut off"],
)  # fmt: skip
def test_what_only_looks_like_one(raw: bytes) -> None:
    assert not has_too_many_parts(raw)


def test_groups_cannot_hide_anything() -> None:
    with pytest.raises(MalformedRequest):
        has_too_many_parts(b"\x13\x14" + empties(b"\x0a"))


def counted(message: ExportTraceServiceRequest) -> int:
    """The same by objects."""
    total = 0

    def entries(found: Any) -> None:
        nonlocal total
        for entry in found:
            total += 1
            value(entry.value)

    def value(found: AnyValue) -> None:
        nonlocal total
        for inner in found.array_value.values:
            total += 1
            value(inner)
        entries(found.kvlist_value.values)

    for resource_spans in message.resource_spans:
        total += 1
        entries(resource_spans.resource.attributes)
        for scope_spans in resource_spans.scope_spans:
            total += 1 + 4 * len(scope_spans.spans)
            for found in scope_spans.spans:
                entries(found.attributes)
    return total


leaves = (
    st.builds(AnyValue, string_value=st.text()) | st.builds(AnyValue, bytes_value=st.binary()) | st.just(AnyValue())
)


def nested(inner: Any) -> Any:
    def build(found: list[AnyValue], as_map: bool) -> AnyValue:
        made = AnyValue()
        if as_map:
            for one in found:
                made.kvlist_value.values.add(key="k").value.CopyFrom(one)
        else:
            made.array_value.values.extend(found)
        return made

    return st.builds(build, st.lists(inner, max_size=4), st.booleans())


@given(
    drawn=st.lists(st.lists(st.recursive(leaves, nested, max_leaves=8), max_size=3), max_size=3), split=st.booleans()
)
@settings(max_examples=150, deadline=None)
def test_the_count_is_that_of_the_objects(drawn: list[list[AnyValue]], split: bool) -> None:
    message = ExportTraceServiceRequest()
    scope = None
    for found in drawn:
        if scope is None or split:
            part = message.resource_spans.add()
            part.resource.attributes.add(key="service.name")
            scope = part.scope_spans.add()
        made = scope.spans.add(name="predict")
        made.events.add().attributes.add(key="not read")
        for one in found:
            made.attributes.add(key="ml.features").value.CopyFrom(one)
    assert count_parts(message.SerializeToString()) == counted(message)
