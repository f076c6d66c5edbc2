"""Bytes that say what they are: kind, format version, whose they are, and deflated data."""

from __future__ import annotations

import struct
import zlib

from calidris.errors import CorruptState, IncompatibleState

_HEADER = struct.Struct("<4sB16s")  # magic, format version, identity
_VERSION = 1


def pack(magic: bytes, identity: bytes, body: bytes) -> bytes:
    """A header and the deflated body; zlib's own checksum guards it.

    >>> unpack(b"TEST", bytes(16), pack(b"TEST", bytes(16), b"body"))
    b'body'
    """
    return _HEADER.pack(magic, _VERSION, identity) + zlib.compress(body, 1)


def unpack(magic: bytes, identity: bytes, data: bytes) -> bytes:
    """The body that ``pack`` was given.

    Raises:
        CorruptState: something else, or damaged.
        IncompatibleState: of another identity or format version.
    """
    if len(data) < _HEADER.size or data[:4] != magic:
        raise CorruptState(f"the bytes do not begin like {magic.decode()}")
    _, version, owner = _HEADER.unpack_from(data)
    if version != _VERSION or owner != identity:
        raise IncompatibleState(f"{magic.decode()} of version {version} and identity {owner.hex()[:8]}")
    try:
        return zlib.decompress(data[_HEADER.size :])
    except zlib.error as error:
        raise CorruptState(f"{magic.decode()}: {error}") from error
