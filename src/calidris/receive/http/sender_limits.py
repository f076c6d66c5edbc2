"""What a sender may take: time, and memory for what it sends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calidris.receive.admission import Admission

BUFFER_BYTES: Final = 1 << 16  # of each connection; asyncio stops reading at twice that, after 256 KiB at once
READ_BYTES: Final = 1 << 18


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a sender is waited for, in seconds.

    Attributes:
        head_s: for a request's head, from its first byte or the connection's beginning.
        idle_s: between requests. Longer than any exporter's interval: one that sends at the moment at which its
            connection is closed would have to send again.
        body_s: for a body, plus one second for each ``body_bytes_s`` of it that arrived.
        body_bytes_s: the slowest rate that is put up with.
        linger_s: how long a refused body is read and forgotten, so that its sender gets to reading the answer.
    """

    head_s: float = 10.0
    idle_s: float = 75.0
    body_s: float = 10.0
    body_bytes_s: float = 65536.0
    linger_s: float = 10.0


class Hold:
    """Memory of one request of a tenant, given back at its end.

    What is held follows what arrived and not what was announced: otherwise a few senders that announce much and send
    nothing would keep everybody out.
    """

    def __init__(self, memory: Admission, tenant: str) -> None:
        self._memory = memory
        self._tenant = tenant
        self._held_bytes = 0

    def take(self, size_bytes: int) -> None:
        """Reserve more; raises RetryableError if there is none."""
        self._memory.reserve(size_bytes, self._tenant)
        self._held_bytes += size_bytes

    def __enter__(self) -> Hold:
        return self

    def __exit__(self, *_: object) -> None:
        if self._held_bytes:
            self._memory.release(self._held_bytes, self._tenant)
