r"""Serialised ``KeyValue`` attributes to Python, mostly without parsing them.

A number is recognised by the bytes before its last eight, a text, array or map by the bytes before it, and anything
short that came before in the same request by all of its bytes. The lengths in these bytes cover the whole entry, so
there is no room for anything else in it and a hit can mean nothing else::

    0a <len> key  12 09  21 <8 bytes>            a double:  entry[:-8] was met
    0a <len> key  12 <len>  0a <len> text        a string:  the frame for this key and this total length
    0a <len> key  12 <len>  2a <len> values      an array:  likewise; read here if all its values are doubles
    0a <len> key  12 <len>  32 <len> entries     a map:     likewise; its entries are KeyValues again
    0a <len> key  12 … 0a 03 f64 12 … 3a <len>   a packed column: likewise

Whatever does not match is parsed by protobuf: the look-ups are never more than an acceleration.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

import numpy as np
from google.protobuf.message import DecodeError
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from calidris import semconv
from calidris.wire.otlp.gate import KEYS, is_ours
from calidris.wire.otlp.messages import Entries
from calidris.wire.otlp.values import PACKED, Raw, listed, read_doubles, read_value
from calidris.wire.rejections import WRONG_TYPE, Rejected, shown

_KEY, _VALUE, TEXT, _ARRAY, MAP = b"\n", b"\x12", b"\n", b"*", b"2"
DOUBLE_VALUE: Final = b"\x12\x09\x21"
# A score may be a packed column as well as a map of classes; these can only be maps.
ONLY_MAPS: Final = frozenset({semconv.ML_FEATURES, semconv.ML_SLICES})
_NEVER_REPEATED: Final = frozenset({semconv.ML_PREDICTION_ID, semconv.ML_PREDICTION_TRACE_ID, *ONLY_MAPS})
_LONGEST_SEEN: Final = 128
_MOST_SEEN: Final = 10_000
_FOREIGN: Final = (False, "", None)
_unpack_double = struct.Struct("<d").unpack_from

Known = tuple[bool, str, Any]


class AttributeReader:
    """Reads the attributes of one request; what it learns is bounded by the request and ends with it.

    Args:
        in_map: what is read are the entries of a map: any name is wanted, and another map is not.
    """

    def __init__(self, *, in_map: bool = False) -> None:
        self.in_map = in_map
        self._doubles: dict[bytes, str] = {}
        self._seen: dict[bytes, Known] = {}
        self._heads: dict[bytes, str] = {}
        self._texts: dict[tuple[str, int], bytes] = {}
        self._inside: AttributeReader | None = None

    def read(self, entries: Iterable[bytes]) -> dict[str, Raw]:
        """The wanted attributes, in order; a key sent twice has its last value.

        Cost: a quarter of a microsecond for an attribute that is recognised, two for one that is not.

        Raises:
            Rejected: a wanted attribute cannot be read.
        """
        found: dict[str, Raw] = {}
        doubles, seen = self._doubles, self._seen
        for entry in entries:
            if len(entry) > _LONGEST_SEEN:  # not worth hashing
                wanted, name, value = self._meet(entry)
            elif (key := doubles.get(entry[:-8])) is not None:
                found[key] = _unpack_double(entry, len(entry) - 8)[0]
                continue
            else:
                wanted, name, value = seen.get(entry) or self._meet(entry)
            if wanted:
                found[name] = value
        return found

    def one(self, entry: bytes) -> Known:
        """Whether an entry is wanted, its key and its value.

        Raises:
            Rejected: it is wanted and cannot be read.
        """
        return (len(entry) <= _LONGEST_SEEN and self._seen.get(entry)) or self._meet(entry)

    def key_of(self, head: bytes) -> str:
        """The wanted key of an entry that begins canonically with these bytes; else nothing."""
        key = self._heads.get(head)
        if key is None:
            key = _key_of(head)
            key = self._heads[head] = key if self._wants(key) else ""
        return key

    @property
    def inside(self) -> AttributeReader:
        """Reads the entries of the maps that are met here."""
        self._inside = self._inside or AttributeReader(in_map=True)
        return self._inside

    def _meet(self, entry: bytes) -> Known:
        head = entry[: 2 + entry[1]] if len(entry) > 1 else entry
        key = self.key_of(head)
        if not key:
            return self._parse(entry)
        text = self._texts.get((key, len(entry)))
        if text is None:
            text = self._texts[key, len(entry)] = frame(head, len(entry), TEXT)
        if not text or not entry.startswith(text):
            return self._read_container(entry, key, head)
        try:
            known = True, key, entry[len(text) :].decode()
        except UnicodeDecodeError:
            raise Rejected(WRONG_TYPE, "a string that is no UTF-8", _path(key)) from None
        return known if key in _NEVER_REPEATED else self._remember(entry, known)

    def _read_container(self, entry: bytes, key: str, head: bytes) -> Known:
        if key in ONLY_MAPS and not self.in_map and (start := frame(head, len(entry), MAP)):
            if entry.startswith(start):
                return self._read_map(entry, key, entry[len(start) :])
        elif (start := frame(head, len(entry), _ARRAY)) and entry.startswith(start):
            doubles = read_doubles(entry[len(start) :])
            if doubles is not None:
                return True, key, doubles
        elif (numbers := _read_packed(entry, len(head))) is not None:
            return True, key, numbers
        return self._parse(entry)

    def _read_map(self, entry: bytes, key: str, body: bytes) -> Known:
        try:
            entries = Entries.FromString(body).values
        except DecodeError:
            raise Rejected(WRONG_TYPE, "a map that is no protobuf", key) from None
        if len(entries) <= 2:  # perhaps a packed or coded column, which is no map
            return self._parse(entry)
        try:
            return True, key, self.inside.read(entries)
        except Rejected as fault:
            raise Rejected(fault.reason, fault.problem, f"{key} {fault.path}") from None

    def _parse(self, entry: bytes) -> Known:
        try:
            parsed = KeyValue.FromString(entry)
        except DecodeError:
            if not self._wants(_probable_key(entry)):
                return _FOREIGN
            raise Rejected(WRONG_TYPE, "no UTF-8, or no protobuf", _path(_probable_key(entry))) from None
        if not self._wants(parsed.key):
            return self._remember(entry, _FOREIGN)
        value = self._value(parsed)
        self._learn(entry, parsed.key, value)
        return self._remember(entry, (True, parsed.key, value))

    def _wants(self, key: str) -> bool:
        return self.in_map or is_ours(key)

    def _value(self, parsed: KeyValue) -> Raw:
        try:
            value = read_value(parsed.value)
            if self.in_map and isinstance(value, dict):
                raise Rejected(WRONG_TYPE, "a map where a column belongs")
            return value
        except Rejected as fault:
            raise fault.at(_path(parsed.key)) from None

    def _learn(self, entry: bytes, key: str, value: Raw) -> None:
        start = entry[:-8]
        if type(value) is float and start == _KEY + _varint(len(key.encode())) + key.encode() + DOUBLE_VALUE:
            self._doubles[start] = key

    def _remember(self, entry: bytes, known: Known) -> Known:
        if not isinstance(known[2], list | dict) and len(entry) <= _LONGEST_SEEN and len(self._seen) < _MOST_SEEN:
            self._seen[entry] = known
        return known


def _key_of(head: bytes) -> str:
    """The key of an entry that begins canonically with a key of less than 128 bytes; else nothing."""
    if head[:1] != _KEY or len(head) < 3 or len(head) != 2 + head[1] or head[1] > 0x7F:
        return ""
    try:
        return head[2:].decode()
    except UnicodeDecodeError:
        return ""


def frame(head: bytes, length: int, kind: bytes) -> bytes:
    r"""What precedes the value in the canonical entry of this head, length and type; empty if there is none.

    >>> frame(b"\n\x01k", 12, b"\n"), KeyValue(key="k", value={"string_value": "12345"}).SerializeToString()
    (b'\n\x01k\x12\x07\n\x05', b'\n\x01k\x12\x07\n\x0512345')
    """
    lengths = _lengths(length - len(head))
    return b"" if lengths is None else head + _VALUE + lengths[0] + kind + lengths[1]


def _read_packed(entry: bytes, start: int) -> Raw:
    """The numbers of a canonical entry whose value, from ``start`` on, is one packed column; None where it is none."""
    found = _packed_frame(len(entry) - start)
    if found is None or not entry.startswith(found[0], start):
        return None
    name, body = start + len(found[0]), start + len(found[0]) + 3 + len(found[1])
    dtype = PACKED.get(entry[name : name + 3].decode("latin-1"))
    if dtype is None or not entry.startswith(found[1], name + 3) or (len(entry) - body) % dtype.itemsize:
        return None
    return listed(np.frombuffer(entry[body:], dtype))


@lru_cache(maxsize=4096)
def _packed_frame(rest: int) -> tuple[bytes, bytes] | None:
    """What stands before and behind the name of the type, in the ``rest`` bytes of an entry that follow its key."""
    size = rest - 15
    for _ in range(5):
        if size < 0:
            return None
        numbers = _VALUE + _varint(1 + len(_varint(size)) + size) + b":" + _varint(size)
        inner = b"\n\x03"
        for tag in (_KEY, MAP, _VALUE):
            inner = tag + _varint(len(inner) + 3 + len(numbers) + size) + inner
        if len(inner) + 3 + len(numbers) + size == rest:
            return inner, numbers
        size = rest - len(inner) - 3 - len(numbers)
    return None


@lru_cache(maxsize=4096)
def _lengths(rest: int) -> tuple[bytes, bytes] | None:
    """The two lengths in an entry of which ``rest`` bytes follow the head: of the value and of what it holds."""
    for outer in range(1, 6):
        value = rest - 1 - outer
        for inner in range(1, outer + 1):
            body = value - 1 - inner
            if body >= 0 and len(_varint(value)) == outer and len(_varint(body)) == inner:
                return _varint(value), _varint(body)
    return None


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


def _path(key: str) -> str:
    return key if key in KEYS else shown(key)


def _probable_key(entry: bytes) -> str:
    """The key of an entry that protobuf cannot parse, if it begins as one does."""
    return entry[2 : 2 + entry[1]].decode(errors="replace") if entry[:1] == _KEY and len(entry) > 1 else ""
