"""Group commit: many threads hand in records, one thread makes them durable a group at a time.

::

    submit ─► queue ─┐                      ┌─► ticket.wait() returns the number
    submit ─► queue ─┼─► group ─► write ────┤
    submit ─► queue ─┘    OSError ──────────┼─► ticket.wait() raises RetryableError; the next group tries again
                          BrokenDisk ───────┴─► so do all tickets from now on

While one group is written the next one gathers, so the number of syncs follows the disk's speed and not the traffic.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable

from calidris.errors import RETRY_AFTER_S, RetryableError
from calidris.journal.segment_format import RECORD_HEAD_BYTES, body_crc

_GROUP_BYTES = 16 << 20  # so that a small record never waits behind a huge group

_logger = logging.getLogger(__name__)


class Ticket:
    """One record on its way to the disk.

    ``wait`` may be called from any thread, any number of times.
    """

    __slots__ = ("_done", "_error", "_seq", "arrival_ns", "crc", "kind", "payload", "size", "tenant")

    def __init__(self, kind: int, arrival_ns: int, tenant: bytes, payload: bytes) -> None:
        self.kind = kind
        self.arrival_ns = arrival_ns
        self.tenant = tenant
        self.payload = payload
        self.crc = body_crc(tenant, payload)
        self.size = RECORD_HEAD_BYTES + len(tenant) + len(payload)
        self._seq = 0
        self._error: str | None = None
        self._done = threading.Lock()  # held until the outcome is known: a tenth of the cost of an Event
        self._done.acquire()

    def wait(self, timeout_s: float | None = None) -> int:
        """The record's sequence number, once it is durable.

        Raises:
            RetryableError: it was not kept.
            TimeoutError: not yet known. It may still become durable, and then its number is spent: a caller that must
                hand every number on cannot use a time-out.
        """
        if not self._done.acquire(timeout=-1 if timeout_s is None else timeout_s):
            raise TimeoutError("the journal has not answered yet")
        self._done.release()
        if self._error is not None:
            raise RetryableError(self._error, RETRY_AFTER_S)
        return self._seq

    def succeed(self, seq: int) -> None:
        """The record is durable under this number; called once, by the committer."""
        self._seq = seq
        self._done.release()

    def refuse(self, error: str) -> None:
        """The record was not kept; called once, by the committer."""
        self._error = error
        self._done.release()


class Committer:
    """The thread that writes, and the queue in front of it.

    Args:
        write: makes a group durable and returns the number of its first record. An OSError means that nothing was kept
            and that a later group may succeed; any other exception, that no group can be trusted any more.
        on_failure: called once, from the thread, with that other exception.
    """

    def __init__(
        self, write: Callable[[list[Ticket]], int], on_failure: Callable[[BaseException], None] | None = None
    ) -> None:
        self._write = write
        self._on_failure = on_failure
        self._changed = threading.Condition()  # guards all fields below
        self._queue: deque[Ticket] = deque()
        self._queued_bytes = 0
        self._failure: BaseException | None = None
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="calidris-journal", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> BaseException | None:
        """What made it stop for good, if anything did."""
        return self._failure

    def submit(self, ticket: Ticket, free_bytes: Callable[[], int]) -> None:
        """Queue one record if it fits.

        Args:
            ticket: the record.
            free_bytes: how many bytes the disk may still take; what is queued is taken off it.

        Raises:
            RetryableError: no room, failed, or closed. Nothing was kept.
        """
        with self._changed:
            if self._failure is not None:
                raise RetryableError(f"the journal has failed: {self._failure}", RETRY_AFTER_S)
            if self._closing:
                raise RetryableError("the receiver is shutting down", RETRY_AFTER_S)
            if self._queued_bytes + ticket.size > free_bytes():
                raise RetryableError("the journal is full", RETRY_AFTER_S)
            self._queue.append(ticket)
            self._queued_bytes += ticket.size
            self._changed.notify()

    def close(self) -> None:
        """Write what is queued, then stop the thread. May be called more than once."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            try:
                self._commit(group)
            except BaseException as error:  # a ticket that nobody completes would hang its sender for ever
                self._fail(error, group)
            with self._changed:
                self._queued_bytes -= sum(ticket.size for ticket in group)

    def _next_group(self) -> list[Ticket]:
        """Everything queued, up to a limit of bytes; empty when closed and drained."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing)
            group: list[Ticket] = []
            size = 0
            while self._queue and (not group or size + self._queue[0].size <= _GROUP_BYTES):
                group.append(self._queue.popleft())
                size += group[-1].size
            return group

    def _commit(self, group: list[Ticket]) -> None:
        if self._failure is not None:
            return self._refuse(group, f"the journal has failed: {self._failure}")
        try:
            first_seq = self._write(group)
        except OSError as error:
            _logger.warning("journal: %d records refused: %s", len(group), error)
            return self._refuse(group, f"the journal cannot be written: {error.strerror or error}")
        for seq, ticket in enumerate(group, first_seq):
            ticket.succeed(seq)
        return None

    def _refuse(self, group: list[Ticket], why: str) -> None:
        for ticket in group:
            ticket.refuse(why)

    def _fail(self, error: BaseException, group: list[Ticket]) -> None:
        _logger.critical("journal: nothing will be acknowledged any more: %s", error)
        with self._changed:
            self._failure = error
        self._refuse(group, f"the journal has failed: {error}")
        if self._on_failure is None:
            return
        try:
            self._on_failure(error)
        except Exception:  # the thread must live on to refuse what is still queued
            _logger.exception("journal: the failure handler failed")
