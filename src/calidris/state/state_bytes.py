"""Bytes that say what they are: magic, kind, format version, spec hash, size, then deflated data.

::

    | CALS | kind | version | spec hash (16) | size inflated (4) | zlib |

Equal data give equal bytes. Nothing that is read is inflated beyond what its spec allows.
"""

from __future__ import annotations

import struct
import zlib

from calidris.errors import CorruptState, IncompatibleState

_HEADER = struct.Struct("<4sBB16sI")
MAGIC = b"CALS"
"""How all of them begin."""


def pack(kind: int, version: int, spec_hash: str, raw: bytes) -> bytes:
    """Data of a state of some kind, with its header."""
    return _HEADER.pack(MAGIC, kind, version, bytes.fromhex(spec_hash), len(raw)) + zlib.compress(raw, 1)


def unpack(name: str, kind: int, version: int, spec_hash: str, data: bytes, most: int) -> bytes:
    """The data that ``pack`` wrote.

    Args:
        name: of the state, for messages.
        kind: the kind of state that is expected.
        version: its format version.
        spec_hash: hash of the spec that is expected.
        data: header and deflated data.
        most: bytes that such a state can have at most when inflated.

    Raises:
        CorruptState: not the bytes of this kind of state.
        IncompatibleState: bytes of another spec or format version.
    """
    if len(data) < _HEADER.size:
        raise CorruptState(f"{name}: {len(data)} bytes are too few for a header")
    magic, found_kind, found_version, found_hash, size = _HEADER.unpack_from(data)
    if magic != MAGIC or found_kind != kind:
        raise CorruptState(f"{name}: the bytes hold something else")
    if found_version != version or found_hash.hex() != spec_hash:
        raise IncompatibleState(f"{name}: bytes of version {found_version}, spec {found_hash.hex()[:8]}")
    if size > most:
        raise CorruptState(f"{name}: {size} bytes where {most} are the most")
    inflate = zlib.decompressobj()
    try:
        # One byte more than it may have: the checksum at the end is only read when the data may go on.
        body = inflate.decompress(data[_HEADER.size :], size + 1)
    except zlib.error as error:
        raise CorruptState(f"{name}: {error}") from error
    if len(body) != size or not inflate.eof or inflate.unused_data:
        raise CorruptState(f"{name}: {len(body)} of {size} bytes, or bytes behind the end")
    return body


def version_of(data: bytes) -> int:
    """The format version in a header; 0 where there is none."""
    return data[5] if len(data) >= _HEADER.size else 0
