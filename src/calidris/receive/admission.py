"""Who gets in, and what is answered: the queue's bound, one table from error to status, and the counts of both."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from calidris.errors import MalformedRequest, PermanentError, RetryableError
from calidris.receive.limits import MAX_RETRY_AFTER_S, RETRY_AFTER_S

_logger = logging.getLogger(__name__)


class Admission:
    """Bounds the bytes of requests that are admitted and not yet applied by the engine. Thread-safe, O(1).

    Args:
        max_bytes: the bound. A request larger than all of it is let in alone, or it could never be.

    Example:
        >>> admission = Admission(max_bytes=10)
        >>> admission.reserve(8)
        >>> admission.used_bytes
        8
        >>> admission.release(8)
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._lock = threading.Lock()

    @property
    def used_bytes(self) -> int:
        """Bytes reserved and not yet released."""
        return self._used_bytes

    def reserve(self, size_bytes: int) -> None:
        """Take bytes of the queue; whoever reserves must see to it that they are released exactly once.

        Raises:
            RetryableError: the queue is full; nothing was reserved.
        """
        with self._lock:
            if self._used_bytes and self._used_bytes + size_bytes > self._max_bytes:
                raise RetryableError("the receiver's queue is full", RETRY_AFTER_S)
            self._used_bytes += size_bytes

    def release(self, size_bytes: int) -> None:
        """Give back what ``reserve`` took."""
        with self._lock:
            self._used_bytes -= size_bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a request is refused.

    Attributes:
        code: the status.
        message: for people; holds no bytes of the request.
        reason: what it is counted as.
        retry_after_s: when to try again; None if the same request would fail again.
    """

    code: grpc.StatusCode
    message: str
    reason: str
    retry_after_s: float | None = None

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """RetryInfo twice: in the standard place, which the Collector reads, and where the Python exporter looks."""
        if self.retry_after_s is None:
            return ()
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int(self.retry_after_s * 1e9))
        retry = error_details_pb2.RetryInfo(retry_delay=delay)
        detail = any_pb2.Any()
        detail.Pack(retry)
        status = status_pb2.Status(code=self.code.value[0], message=self.message, details=[detail])
        return (
            ("grpc-status-details-bin", status.SerializeToString()),
            ("google.rpc.retryinfo-bin", retry.SerializeToString()),
        )


def refusal_of(error: Exception) -> Refusal:
    """The one table from error to status.

    ====================  ==================  ==========  =======================================================
    error                 status              sender      why
    ====================  ==================  ==========  =======================================================
    RetryableError        UNAVAILABLE         tries again  full or failing; nothing of the request was kept
    MalformedRequest      INVALID_ARGUMENT    drops        the same bytes would fail again
    other PermanentError  INVALID_ARGUMENT    drops        likewise
    UndecodableRequest    INTERNAL            drops        a fault of ours that these bytes trigger: they would again
    anything else         UNAVAILABLE         tries again  out of memory, threads, descriptors: it may pass
    (too large)           RESOURCE_EXHAUSTED  see below    the transport answers before any of our code runs
    ====================  ==================  ==========  =======================================================

    RESOURCE_EXHAUSTED without RetryInfo means "do not retry" in OTLP; the Python exporter retries it all the same, until
    its time-out.

    >>> refusal_of(RetryableError("full", 60)).retry_after_s
    3.0
    >>> refusal_of(MalformedRequest("not OTLP")).code.name
    'INVALID_ARGUMENT'
    """
    if isinstance(error, RetryableError):
        wait_s = min(max(error.retry_after_s, 0.0), MAX_RETRY_AFTER_S)
        return Refusal(grpc.StatusCode.UNAVAILABLE, str(error), "throttled", wait_s)
    if isinstance(error, UndecodableRequest):
        return Refusal(grpc.StatusCode.INTERNAL, str(error), "internal")
    if isinstance(error, PermanentError):
        reason = "malformed" if isinstance(error, MalformedRequest) else "refused"
        return Refusal(grpc.StatusCode.INVALID_ARGUMENT, str(error), reason)
    _logger.error("receiver: unexpected error", exc_info=error)
    return Refusal(grpc.StatusCode.UNAVAILABLE, "unexpected error in the receiver", "internal", RETRY_AFTER_S)


class UndecodableRequest(PermanentError):
    """The decoder failed on bytes that it should have refused: our fault, but the same bytes would fail again."""


class ReceiverCounters:
    """What was answered, by reason. Thread-safe; bounded, because every reason is a constant of the code.

    Tables: ``requests`` (one per answer), ``begun`` (calls seen by the transport: those without an answer were cut off
    before it, mostly for their size), ``spans_rejected`` and ``spans_ignored``.

    Example:
        >>> counters = ReceiverCounters()
        >>> counters.add("requests", "ok")
        >>> counters.add("spans_rejected", "bad_json", 3)
        >>> counters.snapshot()
        {'requests': {'ok': 1}, 'spans_rejected': {'bad_json': 3}}
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tables: dict[str, Counter[str]] = {}

    def add(self, table: str, reason: str, count: int = 1) -> None:
        """Count ``count`` more; nothing is noted for zero."""
        if count:
            with self._lock:
                self._tables.setdefault(table, Counter())[reason] += count

    def snapshot(self) -> Mapping[str, Mapping[str, int]]:
        """A copy of all tables: table to reason to count."""
        with self._lock:
            return {table: dict(counts) for table, counts in self._tables.items()}
