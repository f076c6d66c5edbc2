"""OTLP's JSON form as protobuf: what the journal, the replay and the decoder see is always protobuf.

The rules are those of OTLP, where they differ from protobuf's own JSON mapping: trace and span ids are hex and not
base64, enums are numbers, unknown fields are ignored. Like the Collector this also takes enum names, the original
field names, and 64-bit integers as numbers.

A reader is made once for each message type from its descriptor; a request is then one walk over the parsed JSON, which
makes the arguments that protobuf's constructor takes. That is four times faster than ``json_format``.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable
from typing import Any, Final

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from calidris.errors import MalformedRequest
from calidris.receive.admission import RequestTooLarge

MAX_VALUES: Final = 1 << 20
"""Values in one request, counted by commas and brackets: as Python objects each takes about 100 bytes."""

_HEX_IDS: Final = frozenset({"trace_id", "span_id", "parent_span_id"})
_NO_FRACTION: Final = re.compile(r"[+-]?[0-9]+")

_Read = Callable[[Any], Any]


class _Wrong(Exception):
    """A value that its field does not take; the message holds nothing of the value."""


def parse(raw: bytes) -> Any:
    """The JSON value of a body.

    Raises:
        MalformedRequest: it is no JSON object.
        RequestTooLarge: it holds more values than could be kept in bounded memory.
    """
    if sum(map(raw.count, (b",", b"{", b"["))) > MAX_VALUES:
        raise RequestTooLarge(f"more than {MAX_VALUES} JSON values; send fewer spans per request, or protobuf")
    try:
        parsed = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise MalformedRequest(f"the body is no JSON: at character {error.pos}") from None
    if not isinstance(parsed, dict):
        raise MalformedRequest("the body is no JSON object")
    return parsed


def traces_to_protobuf(raw: bytes) -> bytes:
    r"""The bytes of the same ``ExportTraceServiceRequest`` in protobuf.

    Raises:
        MalformedRequest: it is no such request.
        RequestTooLarge: it holds too many values.

    >>> traces_to_protobuf(b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": "0102"}]}]}]}')
    b'\n\x08\x12\x06\x12\x04\n\x02\x01\x02'
    """
    parsed = parse(raw)
    try:
        made: bytes = ExportTraceServiceRequest(**_TRACES(parsed)).SerializeToString()
        return made
    except _Wrong as wrong:
        raise MalformedRequest(f"the body is no OTLP ExportTraceServiceRequest: {wrong}") from None
    except (ValueError, TypeError):
        raise MalformedRequest("the body is no OTLP ExportTraceServiceRequest: a number is out of range") from None
    except Exception as error:
        if isinstance(error, RecursionError) or type(error).__name__ == "EncodeError":
            raise MalformedRequest("the body is nested too deeply") from None
        raise


# ---- one reader for each kind of field


def _text(value: Any) -> str:
    if type(value) is not str:
        raise _Wrong("a string is expected")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise _Wrong("true or false is expected")
    return value


def _whole(value: Any) -> int:
    """An integer: as a number, or as the string that JavaScript needs above 2^53."""
    if type(value) is int:
        return value
    if type(value) is str and _NO_FRACTION.fullmatch(value) and len(value) <= 21:
        return int(value)
    if type(value) is float and value.is_integer():
        return int(value)
    raise _Wrong("an integer is expected")


def _number(value: Any) -> float:
    """A double: a number, or one of the strings that JSON has no number for."""
    if type(value) in (float, int):
        return float(value)
    if type(value) is str:
        try:
            return float(value)
        except ValueError:
            pass
    raise _Wrong("a number is expected")


def _hex(value: Any) -> bytes:
    try:
        return binascii.unhexlify(_text(value))
    except ValueError:
        raise _Wrong("an id in hex is expected") from None


def _base64(value: Any) -> bytes:
    text = _text(value).replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:
        raise _Wrong("base64 is expected") from None


def _enum(descriptor: EnumDescriptor) -> _Read:
    numbers = {value.name: value.number for value in descriptor.values}

    def read(value: Any) -> int:
        return numbers[value] if type(value) is str and value in numbers else _whole(value)

    return read


_SCALARS: Final[dict[int, _Read]] = {
    FieldDescriptor.CPPTYPE_STRING: _text,
    FieldDescriptor.CPPTYPE_BOOL: _flag,
    FieldDescriptor.CPPTYPE_DOUBLE: _number,
    FieldDescriptor.CPPTYPE_FLOAT: _number,
    FieldDescriptor.CPPTYPE_INT32: _whole,
    FieldDescriptor.CPPTYPE_INT64: _whole,
    FieldDescriptor.CPPTYPE_UINT32: _whole,
    FieldDescriptor.CPPTYPE_UINT64: _whole,
}


# ---- and one for each message


def _message(descriptor: Descriptor, known: dict[str, _Read]) -> _Read:
    """The reader of a message type; types that hold themselves find their own in ``known``."""
    if descriptor.full_name in known:
        return known[descriptor.full_name]
    fields: dict[str, tuple[str, _Read]] = {}

    def read(value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise _Wrong("an object is expected")
        found = {}
        for key, content in value.items():
            field = fields.get(key)
            if field is None or content is None:  # unknown, or as good as left out
                continue
            try:
                found[field[0]] = field[1](content)
            except _Wrong as wrong:
                raise _Wrong(f"{field[0]}: {wrong}") from None
        return found

    known[descriptor.full_name] = read
    for field in descriptor.fields:
        fields[field.camelcase_name] = fields[field.name] = (field.name, _field(field, known))
    return read


def _field(field: FieldDescriptor, known: dict[str, _Read]) -> _Read:
    one = _one(field, known)
    if not field.is_repeated:
        return one

    def read(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _Wrong("an array is expected")
        return [one(item) for item in value]

    return read


def _one(field: FieldDescriptor, known: dict[str, _Read]) -> _Read:
    if field.message_type is not None:
        return _message(field.message_type, known)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _hex if field.name in _HEX_IDS else _base64
    return _SCALARS[field.cpp_type]


_TRACES: Final = _message(ExportTraceServiceRequest.DESCRIPTOR, {})
