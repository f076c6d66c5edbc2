"""OTLP's trace messages, reduced to what is read here: attributes stay bytes, everything else of a span is skipped.

Reading an attribute through protobuf's Python objects costs about a microsecond, and most attributes repeat. As bytes
they can be looked up (:mod:`calidris.wire.otlp.attributes`). It also means that an attribute which is broken, or nested
beyond protobuf's limit, breaks no other span. Field numbers are those of ``opentelemetry/proto/trace/v1/trace.proto``;
a test compares them.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

LAYOUT: Final[dict[str, list[tuple[str, int, Any]]]] = {
    "Status": [("code", 3, Field.TYPE_INT32)],
    "Span": [
        ("trace_id", 1, Field.TYPE_BYTES),
        ("span_id", 2, Field.TYPE_BYTES),
        ("name", 5, Field.TYPE_BYTES),
        ("start_time_unix_nano", 7, Field.TYPE_FIXED64),
        ("end_time_unix_nano", 8, Field.TYPE_FIXED64),
        ("attributes", 9, [Field.TYPE_BYTES]),
        ("status", 15, "Status"),
    ],
    "ScopeSpans": [("spans", 2, ["Span"])],
    "Resource": [("attributes", 1, [Field.TYPE_BYTES])],
    "ResourceSpans": [("resource", 1, "Resource"), ("scope_spans", 2, ["ScopeSpans"])],
    "KeyValueList": [("values", 1, [Field.TYPE_BYTES])],
    "ExportTraceServiceRequest": [("resource_spans", 1, ["ResourceSpans"])],
}
"""Message to its fields: name, number, type; a list means repeated, a string another message."""

_PACKAGE: Final = "calidris.reduced"


def _reduced_classes() -> dict[str, Any]:
    file = FileDescriptorProto(name="calidris/reduced.proto", package=_PACKAGE, syntax="proto3")
    for message, fields in LAYOUT.items():
        described = file.message_type.add(name=message)
        for name, number, stated in fields:
            repeated = isinstance(stated, list)
            kind = stated[0] if repeated else stated
            label = Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL
            if isinstance(kind, str):
                described.field.add(
                    name=name, number=number, label=label, type=Field.TYPE_MESSAGE, type_name=f".{_PACKAGE}.{kind}"
                )
            else:
                described.field.add(name=name, number=number, label=label, type=kind)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in LAYOUT}


_CLASSES: Final = _reduced_classes()
Request: Final = _CLASSES["ExportTraceServiceRequest"]
"""The reduced request; ``Request.FromString(raw)`` parses the same bytes as OTLP's own class."""

Entries: Final = _CLASSES["KeyValueList"]
"""A map whose ``values`` are left as bytes."""
