"""The journal's file format: one segment is a header and records back to back, all little-endian.

::

    file    magic "CALIDRIS" 8s │ version u16 │ 0 u16 │ CRC32 of the above u32
    record  CRC32 of the head from here u32 │ CRC32 of the body u32 │ payload length u32 │ kind u8 │ tenant length u8 │ 0 u16
            │ seq u64 │ arrival_ns i64                                            = head, 32 bytes
            │ tenant │ payload                                                     = body

The head has a checksum of its own so that its length can be trusted when the body is bad: then one bad record is stepped
over, and nothing inside a payload can ever be taken for a record. Only a bad head makes the rest of a file unreadable.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

from calidris.errors import ConfigError

MAGIC = b"CALIDRIS"
VERSION = 1

_FILE_HEAD = struct.Struct("<8sHHI")
_RECORD_HEAD = struct.Struct("<IIIBBHQq")
_SEAL = struct.Struct("<q")
_CRC_BYTES = 4

FILE_HEAD_BYTES = _FILE_HEAD.size
RECORD_HEAD_BYTES = _RECORD_HEAD.size


class Kind(IntEnum):
    """What a record holds."""

    REQUEST = 1
    SEAL = 2
    COMMAND = 3
    MODEL_SEAL = 4


@dataclass(frozen=True, slots=True)
class Record:
    """One durable record.

    Attributes:
        kind: a ``Kind``, or the number of a kind that a newer release wrote.
        seq: its number; one more than the record before it.
        arrival_ns: when it arrived, ns since the epoch.
        tenant: who sent it.
        payload: the raw request, a packed seal time and perhaps the model's names, or a command as JSON.
    """

    kind: int
    seq: int
    arrival_ns: int
    tenant: str
    payload: bytes

    @property
    def seal_ns(self) -> int | None:
        """The time that windows close by, ns since the epoch; None unless this is a seal.

        >>> Record(Kind.SEAL, 1, 0, "default", seal_payload(42)).seal_ns
        42
        """
        return int(_SEAL.unpack_from(self.payload)[0]) if self.kind in (Kind.SEAL, Kind.MODEL_SEAL) else None

    @property
    def seal_model(self) -> tuple[str, str, str] | None:
        """Tenant, name and version of the one model that the seal closes windows of; None unless it is such a seal.

        >>> Record(Kind.MODEL_SEAL, 1, 0, "default", seal_payload(42, ("default", "credit", "7"))).seal_model
        ('default', 'credit', '7')
        """
        return _names(self.payload) if self.kind == Kind.MODEL_SEAL else None


def _names(payload: bytes) -> tuple[str, str, str]:
    tenant, name, version = json.loads(payload[_SEAL.size :])
    return tenant, name, version


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes of a segment that are not what was written.

    Attributes:
        offset: where they begin.
        size: how many there are.
        rest: true if nothing after them can be read either.
    """

    offset: int
    size: int
    rest: bool


def seal_payload(seal_ns: int, model: tuple[str, str, str] | None = None) -> bytes:
    """The payload of a seal record: windows close by this time, of every model or of the named one alone."""
    names = b"" if model is None else json.dumps(model).encode()
    return _SEAL.pack(seal_ns) + names


def file_head() -> bytes:
    """The first bytes of every segment.

    >>> len(file_head()) == FILE_HEAD_BYTES
    True
    """
    head = _FILE_HEAD.pack(MAGIC, VERSION, 0, 0)[:-_CRC_BYTES]
    return head + struct.pack("<I", zlib.crc32(head))


def body_crc(tenant: bytes, payload: bytes) -> int:
    """Checksum of a record's body; releases the GIL for large payloads, so it belongs in the sender's thread."""
    return zlib.crc32(payload, zlib.crc32(tenant))


def record_head(kind: int, seq: int, arrival_ns: int, tenant: bytes, payload: bytes, crc: int) -> bytes:
    """The 32 bytes in front of a record's body; ``crc`` is its ``body_crc``."""
    head = _RECORD_HEAD.pack(0, crc, len(payload), kind, len(tenant), 0, seq, arrival_ns)[_CRC_BYTES:]
    return struct.pack("<I", zlib.crc32(head)) + head


def read_segment(path: Path, end: int) -> Iterator[Record | Damage]:
    """What the first ``end`` bytes of a segment hold, in order; one record in memory at a time.

    Every byte is covered by a checksum: each difference from what was written shows as a ``Damage``.

    Raises:
        ConfigError: a newer release wrote the file.
    """
    with path.open("rb") as file:
        head = file.read(min(end, FILE_HEAD_BYTES))
        if head != file_head():
            yield _bad_file_head(path, head)
        while file.tell() < end:
            found = _read_record(file, end)
            yield found
            if isinstance(found, Damage) and found.rest:
                return


def _bad_file_head(path: Path, head: bytes) -> Damage:
    """Records carry their own checksums, so a damaged header costs nothing but a count."""
    if head[: len(MAGIC)] == MAGIC and len(head) == FILE_HEAD_BYTES:
        _, version, _, crc = _FILE_HEAD.unpack(head)
        if zlib.crc32(head[:-_CRC_BYTES]) == crc:
            raise ConfigError(
                f"{path} has journal format {version}, this release reads {VERSION}: "
                "start the newer release once so that it empties its journal, or set another storage.path"
            )
    return Damage(0, len(head), rest=len(head) < FILE_HEAD_BYTES)


def _read_record(file: BinaryIO, end: int) -> Record | Damage:
    start = file.tell()
    rest = Damage(start, end - start, rest=True)
    try:
        return _parse_record(file, rest)
    except OSError:  # a bad sector must not keep the receiver from starting
        return rest


def _parse_record(file: BinaryIO, rest: Damage) -> Record | Damage:
    start, end = rest.offset, rest.offset + rest.size
    head = file.read(RECORD_HEAD_BYTES)
    if len(head) < RECORD_HEAD_BYTES:
        return rest
    head_crc, crc, length, kind, tenant_length, _, seq, arrival_ns = _RECORD_HEAD.unpack(head)
    size = RECORD_HEAD_BYTES + tenant_length + length
    if zlib.crc32(head[_CRC_BYTES:]) != head_crc or start + size > end:
        return rest
    tenant, payload = file.read(tenant_length), file.read(length)
    if body_crc(tenant, payload) != crc:
        return Damage(start, size, rest=False)
    return Record(kind, seq, arrival_ns, tenant.decode(), payload)
