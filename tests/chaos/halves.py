"""Clients that are no good: they connect and say nothing, stop in the middle of a request, or send a byte at a time."""

from __future__ import annotations

import socket
import struct

from running import EXPORT

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, HEADERS, DATA = 4, 1, 0
END_HEADERS = 4


def frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """One HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def headers() -> bytes:
    """The head of an OTLP request, as literals that no table holds."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": EXPORT,
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    return b"".join(b"\x00" + _text(name) + _text(value) for name, value in fields.items())


def _text(text: str) -> bytes:
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def connection(address: str) -> socket.socket:
    """An open connection that nothing is sent on."""
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=10)


def greeted(address: str) -> socket.socket:
    """A connection that has said it speaks HTTP/2, and nothing since."""
    made = connection(address)
    made.sendall(PREFACE + frame(SETTINGS, 0, 0, b""))
    return made


def half(address: str, raw: bytes = b"\x0a" * 1000) -> socket.socket:
    """A connection that stopped in the middle of a request."""
    made = greeted(address)
    message = b"\x00" + struct.pack(">I", len(raw)) + raw[: len(raw) // 2]
    made.sendall(frame(HEADERS, END_HEADERS, 1, headers()) + frame(DATA, 0, 1, message))
    return made
