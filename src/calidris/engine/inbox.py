"""Where durable requests wait for the engine: handed in by many threads in any order, handed out strictly in journal order.

::

    handler 7 ── put(seq 7) ──►  ahead {7, 9}            (waiting for 6)
    handler 6 ── put(seq 6) ──►  ready [6, 7]  ahead {9} ──► take() ──► engine
    handler 9                    next seq = 8

The numbers come from the journal, which gives them without gaps, so what is ahead always becomes ready.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calidris.batch import ModelKey
from calidris.engine.commands import Command

if TYPE_CHECKING:
    from calidris.wire import Decoded


@dataclass(frozen=True, slots=True)
class Received:
    """One record of the journal, decoded and on its way to the engine.

    Attributes:
        seq: its number in the journal.
        arrival_ns: when it arrived, ns since the epoch; replay sees the same value.
        tenant: who sent it.
        digest: 16 bytes of a hash of the raw request, to recognise a retry; empty for a seal.
        size_bytes: bytes reserved for it until ``release`` is called.
        decoded: its batches; None for a seal, and for a journalled request that turned out to be malformed.
        seal_ns: for a seal, the time that windows close by; else None.
        command: for a command about an alarm, the command; else None.
        seal_model: for a seal of one model alone, which one; else None.
        release: gives the reserved bytes back. The engine calls it exactly once, when it is done with the item.
    """

    seq: int
    arrival_ns: int
    tenant: str
    digest: bytes
    size_bytes: int
    decoded: Decoded | None
    seal_ns: int | None
    release: Callable[[], None]
    command: Command | None = None
    seal_model: ModelKey | None = None

    @property
    def rows(self) -> int:
        """Predictions in it."""
        return 0 if self.decoded is None else self.decoded.rows


class Inbox:
    """A thread-safe reorder buffer: items leave in the order of their sequence numbers, each exactly once.

    It has no bound of its own: admission bounds the bytes of what is put. Both operations cost O(1) per item.

    Args:
        first_seq: the number that will be handed out first (one more than the last one replayed).

    Example:
        >>> def item(seq):
        ...     return Received(seq, 0, "default", b"", 0, None, None, lambda: None)
        >>> inbox = Inbox(first_seq=1)
        >>> inbox.put(item(2))
        >>> inbox.take(10, timeout_s=0)
        []
        >>> inbox.put(item(1))
        >>> [received.seq for received in inbox.take(10, timeout_s=0)]
        [1, 2]
    """

    def __init__(self, first_seq: int) -> None:
        self._next_seq = first_seq
        self._ahead: dict[int, Received] = {}
        self._ready: deque[Received] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        """Items put and not yet taken."""
        with self._changed:
            return len(self._ahead) + len(self._ready)

    @property
    def oldest_arrival_ns(self) -> int:
        """When the next item to be taken arrived, ns since the epoch; 0 while none is known."""
        with self._changed:
            if self._ready:
                return self._ready[0].arrival_ns
            return min((item.arrival_ns for item in self._ahead.values()), default=0)

    @property
    def closed(self) -> bool:
        """True once no more items will come; what is ready can still be taken."""
        return self._closed

    def put(self, received: Received) -> None:
        """Hand in one item; never blocks.

        It is accepted even after ``close``: the item is durable, so a late handler must not fail on it.

        Raises:
            ValueError: its number was already handed in, which would count it twice.
        """
        with self._changed:
            if received.seq < self._next_seq or received.seq in self._ahead:
                raise ValueError(f"sequence number {received.seq} was already handed in")
            self._ahead[received.seq] = received
            if received.seq == self._next_seq:
                self._make_ready()

    def take(self, max_items: int, timeout_s: float) -> list[Received]:
        """The next items in order, at most ``max_items``.

        Waits up to ``timeout_s`` seconds for the first one. The list is empty on time-out, and at once when the inbox
        is closed and drained.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._closed, timeout_s)
            count = min(max_items, len(self._ready))
            return [self._ready.popleft() for _ in range(count)]

    def close(self) -> None:
        """Wake whoever waits in ``take``; may be called more than once."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _make_ready(self) -> None:
        while (received := self._ahead.pop(self._next_seq, None)) is not None:
            self._ready.append(received)
            self._next_seq += 1
        self._changed.notify_all()
