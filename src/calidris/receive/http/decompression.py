"""A request's body as it was before it was sent: content types, encodings, and decompression that stops at a limit."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from calidris.errors import MalformedRequest
from calidris.receive.admission import RequestTooLarge, UnsupportedMedia

PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
ENCODINGS: Final = "gzip, deflate, identity"

_STEP_BYTES = 1 << 20
_SIZE_BYTES = 4  # a gzip member ends with its decompressed size
_WINDOWS: Final = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}  # the Python exporter offers both


def content_type_of(header: str) -> str:
    """The content type without its parameters.

    Raises:
        UnsupportedMedia: it is none of the two.

    >>> content_type_of("application/json; charset=utf-8")
    'application/json'
    """
    stated = header.partition(";")[0].strip().lower()
    if stated in (PROTOBUF, JSON):
        return stated
    if stated.startswith("application/grpc"):
        raise UnsupportedMedia("this is OTLP/HTTP; send OTLP/gRPC to the address of receiver.grpc.endpoint")
    raise UnsupportedMedia(f"set Content-Type to {PROTOBUF} or {JSON}")


def encoding_of(header: str) -> str:
    """The content encoding.

    Raises:
        UnsupportedMedia: it is none that is understood.

    >>> encoding_of(""), encoding_of("GZIP")
    ('identity', 'gzip')
    """
    stated = header.strip().lower() or "identity"
    if stated == "identity" or stated in _WINDOWS:
        return stated
    raise UnsupportedMedia(f"set Content-Encoding to one of {ENCODINGS}, or leave it out")


def restored(parts: list[bytes | bytearray], encoding: str, max_bytes: int, take: Callable[[int], None]) -> bytes:
    """The body as it was before it was compressed.

    Never makes more than ``max_bytes`` and a step of 1 MiB, whatever the parts claim, and never holds anything twice. Of
    a gzip body that says itself that it is larger, nothing is held at all.

    Args:
        parts: the body as it arrived; each is let go once it has been read.
        encoding: of ``encoding_of``.
        max_bytes: the limit once decompressed.
        take: reserves bytes of memory, and raises if there are none left.

    Raises:
        RequestTooLarge: it would be larger than the limit.
        MalformedRequest: it is damaged, or cut off.

    >>> restored([zlib.compress(b"spans")], "deflate", 10, take=lambda size: None)
    b'spans'
    """
    if encoding == "identity":
        return _joined(parts)
    made = io.BytesIO()
    hopeless = encoding == "gzip" and _stated_size(parts) > max_bytes
    try:
        for piece in _inflated(parts, zlib.decompressobj(_WINDOWS[encoding]), max_bytes):
            if not hopeless:
                take(len(piece))
                made.write(piece)
        return made.getvalue()
    except zlib.error:
        raise MalformedRequest(f"the body is no {encoding}") from None


def too_large(max_bytes: int) -> RequestTooLarge:
    """The error that names the limit and the cure."""
    return RequestTooLarge(
        f"the body is larger than {max_bytes} bytes (receiver.http.max_message_bytes); send fewer spans per request"
    )


def _joined(parts: list[bytes | bytearray]) -> bytes:
    whole = io.BytesIO()
    for place, part in enumerate(parts):
        whole.write(part)
        parts[place] = b""
    return whole.getvalue()  # what was written, not a copy of it


def _stated_size(parts: Sequence[bytes | bytearray]) -> int:
    """What the last four bytes say; they lie where the body is damaged, so they only tell what is not worth keeping."""
    return int.from_bytes(b"".join(parts[-_SIZE_BYTES:])[-_SIZE_BYTES:], "little")


def _inflated(parts: list[bytes | bytearray], inflate: zlib._Decompress, max_bytes: int) -> Iterator[bytes]:
    size = 0
    last = len(parts) - 1
    for place, part in enumerate(parts):
        parts[place] = b""
        rest, made = part, b""
        while rest or len(made) == _STEP_BYTES:
            made = inflate.decompress(rest, _STEP_BYTES)
            size += len(made)
            if size > max_bytes:
                raise too_large(max_bytes)
            yield made
            rest = inflate.unconsumed_tail
        if inflate.eof:
            break
    if not inflate.eof:
        raise MalformedRequest("the compressed body is cut off")
    # One part is enough for everybody; tiny ones in great number would cost much time for few bytes.
    if inflate.unused_data or place != last:
        raise MalformedRequest("the body goes on after its compressed part ends; compress it as one")
