"""How many parts a request has: some bytes of protobuf become hundreds in memory, and a few of gzip become all of those.

An empty span takes two bytes on the wire, a hundred as an object and two microseconds to look at, so that 64 MiB of them,
sent as 64 KiB of gzip, would take gigabytes and a minute. What the decoder costs follows the parts, so they are counted
before anything is parsed.
"""

from __future__ import annotations

from typing import Any, Final

from calidris.errors import MalformedRequest

MAX_PARTS: Final = 1 << 20
"""Parts of a request: attributes, values of arrays, entries of maps; a span counts as four of them. At this limit a request
takes about a second to decode and 100 MB."""

LEAST_LARGE_BYTES: Final = 2 * MAX_PARTS
"""No request up to this size can have so many: a part has two bytes at least."""

_SPAN, _PART, _WRAPPER = 4, 1, 0
# The first bytes of all parts, also where the tag is written in more bytes than it needs.
_TAGS: Final = b"\x0a\x12\x4a\x8a\x92\xca"

_Fields = dict[int, tuple[int, Any]]  # field number to what one counts as, and its own fields
_VALUE: Final[_Fields] = {}
_ENTRY: Final[_Fields] = {2: (_WRAPPER, _VALUE)}
_VALUE.update({5: (_WRAPPER, {1: (_PART, _VALUE)}), 6: (_WRAPPER, {1: (_PART, _ENTRY)})})
_SCOPE_SPANS: Final[_Fields] = {2: (_SPAN, {9: (_PART, _ENTRY)})}
_RESOURCE_SPANS: Final[_Fields] = {1: (_WRAPPER, {1: (_PART, _ENTRY)}), 2: (_PART, _SCOPE_SPANS)}
_REQUEST: Final[_Fields] = {1: (_PART, _RESOURCE_SPANS)}


def has_too_many_parts(raw: bytes, most: int = MAX_PARTS) -> bool:
    r"""Whether a request has more than ``most`` parts.

    Cost: nothing below 2 MiB. Above, one pass at a GB/s, after which nearly every honest request is let through; the
    others are counted, at half a microsecond a part.

    Raises:
        MalformedRequest: it holds what no OTLP sender writes, so that it cannot be counted.

    >>> has_too_many_parts(b"\n\x00" * 100, most=99), has_too_many_parts(b"\n\x00" * 99, most=99)
    (True, False)
    """
    if len(raw) <= 2 * most or len(raw) - len(raw.translate(None, _TAGS)) <= most:
        return False
    try:
        return count_parts(raw, most) > most
    except IndexError:  # cut off: the decoder says so, and at once
        return False


def count_parts(raw: bytes, most: int = MAX_PARTS) -> int:
    """The parts of a request; it stops as soon as there are more than ``most``.

    Raises:
        IndexError: the bytes are cut off.
        MalformedRequest: groups, which OTLP never had.
    """
    total = 0
    at, end, fields = 0, len(raw), _REQUEST
    outer: list[tuple[int, _Fields]] = []  # where the messages around this one end
    while total <= most:
        if at >= end:
            if not outer:
                break
            end, fields = outer.pop()
            continue
        tag, size = raw[at], raw[at + 1]
        at += 2
        if tag > 0x7F or size > 0x7F or tag & 7 != 2:  # not the usual two bytes
            tag, at = _varint(raw, at - 2)
            if tag & 7 != 2:
                at = _skipped(raw, at, tag & 7)
                continue
            size, at = _varint(raw, at)
        if size > end - at:
            raise IndexError
        field = fields.get(tag >> 3)
        if field is None:
            at += size
            continue
        total += field[0]
        outer.append((end, fields))
        end, fields = at + size, field[1]
    return total


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    byte = raw[at]
    if byte < 0x80:
        return byte, at + 1
    found = shift = 0
    while byte > 0x7F:
        found |= (byte & 0x7F) << shift
        shift += 7
        at += 1
        byte = raw[at]
        if shift > 63:
            raise IndexError
    return found | byte << shift, at + 1


def _skipped(raw: bytes, at: int, kind: int) -> int:
    if kind == 0:
        return _varint(raw, at)[1]
    if kind in (1, 5):
        return at + (8 if kind == 1 else 4)
    raise MalformedRequest("the body is no OTLP ExportTraceServiceRequest: it holds groups")
