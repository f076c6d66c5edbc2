"""Recognise a request that was sent again because its answer was lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

MAX_REQUESTS = 1_000_000
"""Requests remembered in one generation; more of them make the horizon shorter, never the memory larger."""

DIGEST_BYTES = 16


@dataclass(slots=True)
class Generation:
    """Digests of requests in the order in which they came; ``number`` counts generations, ``began_ns`` is the first arrival."""

    number: int = 0
    began_ns: int = 0
    digests: dict[bytes, None] = field(default_factory=dict)

    def since(self, first: int) -> bytes:
        """Digests from the ``first``-th on, one behind the other."""
        return b"".join(islice(self.digests, first, None))

    def extend(self, joined: bytes) -> None:
        """Take over what ``since`` wrote."""
        for at in range(0, len(joined), DIGEST_BYTES):
            self.digests[joined[at : at + DIGEST_BYTES]] = None


@dataclass(slots=True)
class RequestMemory:
    """Digests of the requests of the last ``horizon_ns`` to twice that, by arrival time.

    Two generations: the older one is forgotten when the newer one spans the horizon. A repeat within the horizon after the
    request last came is always recognised; one beyond twice the horizon never is. The same requests in the same order give the same answers, because
    only arrival times that the journal holds are used.

    >>> memory = RequestMemory(horizon_ns=10)
    >>> memory.seen(b"a", 0), memory.seen(b"a", 10), memory.seen(b"a", 31)
    (False, True, False)
    """

    horizon_ns: int
    older: Generation = field(default_factory=Generation)
    newer: Generation = field(default_factory=lambda: Generation(1))

    def seen(self, digest: bytes, arrival_ns: int) -> bool:
        """Whether this request came before; it is remembered from now on."""
        if arrival_ns < self.newer.began_ns - self.horizon_ns:
            self.newer.began_ns = arrival_ns  # the clock was set back
        age_ns = arrival_ns - self.newer.began_ns
        if age_ns >= self.horizon_ns or len(self.newer.digests) >= MAX_REQUESTS:
            # Every generation has a number of its own, an empty one too: the checkpoint knows them by it.
            self.older = self.newer if age_ns < 2 * self.horizon_ns else Generation(self.newer.number + 1)
            self.newer = Generation(self.older.number + 1, arrival_ns)
        known = digest in self.newer.digests or digest in self.older.digests
        # A repeat is remembered anew: who goes on sending it has not had an answer yet.
        self.newer.digests[digest] = None
        return known

    def covered_s(self, now_ns: int) -> float:
        """Seconds of the past whose requests are all remembered, at most the horizon."""
        return min(max(now_ns - self.older.began_ns, 0), self.horizon_ns) / 1e9
