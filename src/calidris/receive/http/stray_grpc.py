"""A gRPC sender at the HTTP port: it is told so in its own language, or it would only see a broken connection.

Only as much of HTTP/2 as that takes: each stream is answered by one HEADERS frame that ends it, with a gRPC status and
a message that the sender's log will show. Headers are written out in full, so no compression state is needed, and
what the sender says is skipped frame by frame.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import grpc

MESSAGE: Final = "this port speaks OTLP/HTTP (POST /v1/traces); send OTLP/gRPC to the address of receiver.grpc.endpoint"

_DATA_END, _ACK = 0x05, 0x01  # END_STREAM and END_HEADERS; ACK
_HEADERS, _SETTINGS, _PING = 1, 4, 6
_FRAME_HEAD_BYTES = 9
_PREFACE_REST: Final = b"SM\r\n\r\n"
_STATUS_200: Final = b"\x88"
_MAX_FRAMES = 256
_MAX_FRAME_BYTES = 16384  # nobody may send more unless asked to


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _literal(name: bytes, value: bytes) -> bytes:
    """A header field without indexing; both lengths are under 127."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


_REFUSED: Final = (
    _STATUS_200
    + _literal(b"content-type", b"application/grpc")
    + _literal(b"grpc-status", str(grpc.StatusCode.UNIMPLEMENTED.value[0]).encode())
    + _literal(b"grpc-message", MESSAGE.encode())
)


async def refuse_calls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, begun: bytes) -> int:
    """Refuse calls until the sender leaves or has sent a few hundred frames; returns how many calls there were.

    Args:
        reader: the connection.
        writer: the connection.
        begun: what follows the preface's first line and was read already.
    """
    taken = _Taker(reader, begun)
    if await taken(len(_PREFACE_REST)) != _PREFACE_REST:
        return 0
    writer.write(_frame(_SETTINGS, 0, 0))
    calls = 0
    for _ in range(_MAX_FRAMES):
        head = await taken(_FRAME_HEAD_BYTES)
        size = int.from_bytes(head[:3], "big")
        if len(head) < _FRAME_HEAD_BYTES or size > _MAX_FRAME_BYTES:
            break
        writer.write(_answer(head[3], head[4], int.from_bytes(head[5:], "big"), await taken(size)))
        await writer.drain()
        calls += head[3] == _HEADERS
    return calls


def _answer(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    if kind == _HEADERS:
        return _frame(_HEADERS, _DATA_END, stream, _REFUSED)
    if kind in (_SETTINGS, _PING) and not flags & _ACK:
        return _frame(kind, _ACK, 0, payload if kind == _PING else b"")
    return b""


class _Taker:
    """Gives a connection's bytes, those first that were read before."""

    def __init__(self, reader: asyncio.StreamReader, begun: bytes) -> None:
        self._reader = reader
        self._begun = begun

    async def __call__(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer at the end."""
        taken, self._begun = self._begun[:size], self._begun[size:]
        while len(taken) < size and (more := await self._reader.read(size - len(taken))):
            taken += more
        return taken
