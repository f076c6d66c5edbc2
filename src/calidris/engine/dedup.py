"""Recognise a request that was sent again because its answer was lost."""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_REQUESTS = 1_000_000
"""Requests remembered in one generation; more of them make the horizon shorter, never the memory larger."""


@dataclass(slots=True)
class RequestMemory:
    """Digests of the requests of the last ``horizon_ns`` to twice that, by arrival time.

    Two generations: the older one is forgotten when the newer one spans the horizon. A repeat within the horizon is always
    recognised; one beyond twice the horizon never is. The same requests in the same order give the same answers, because
    only arrival times that the journal holds are used.

    >>> memory = RequestMemory(horizon_ns=10)
    >>> memory.seen(b"a", 0), memory.seen(b"a", 10), memory.seen(b"a", 31)
    (False, True, False)
    """

    horizon_ns: int
    began_ns: int = 0
    newer: set[bytes] = field(default_factory=set)
    older: set[bytes] = field(default_factory=set)

    def seen(self, digest: bytes, arrival_ns: int) -> bool:
        """Whether this request came before; it is remembered from now on."""
        if arrival_ns - self.began_ns >= self.horizon_ns or len(self.newer) >= MAX_REQUESTS:
            self.older = self.newer if arrival_ns - self.began_ns < 2 * self.horizon_ns else set()
            self.newer, self.began_ns = set(), arrival_ns
        if digest in self.newer or digest in self.older:
            return True
        self.newer.add(digest)
        return False

    def to_bytes(self) -> bytes:
        """Begin of the newer generation, its size, and all digests in a fixed order."""
        head = self.began_ns.to_bytes(8, "little", signed=True) + len(self.newer).to_bytes(8, "little")
        return head + b"".join(sorted(self.newer)) + b"".join(sorted(self.older))

    def restore(self, data: bytes) -> None:
        """Take over what ``to_bytes`` wrote."""
        self.began_ns = int.from_bytes(data[:8], "little", signed=True)
        newer = int.from_bytes(data[8:16], "little")
        digests = [data[i : i + 16] for i in range(16, len(data), 16)]
        self.newer, self.older = set(digests[:newer]), set(digests[newer:])
