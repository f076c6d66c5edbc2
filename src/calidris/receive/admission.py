"""Who gets in, and what is answered: the queue's bound, one table from error to status, and the counts of both."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf import duration_pb2
from google.rpc import error_details_pb2, status_pb2

from calidris.batch import DEFAULT_TENANT
from calidris.errors import (
    MAX_RETRY_AFTER_S,
    RETRY_AFTER_S,
    Forbidden,
    MalformedRequest,
    PermanentError,
    RetryableError,
    Unauthenticated,
)
from calidris.receive.rates import RateOfRequests, RateOfRows

_logger = logging.getLogger(__name__)


class ShareOfQueue(RetryableError):
    """A tenant has its share of the queue; others still have room."""


class Admission:
    """Bounds the bytes of requests that are admitted and not yet applied by the engine. Thread-safe, O(1).

    One tenant alone may fill the whole queue. As soon as a second one has been seen, a tenant gets in while it would hold no
    more than ``SHARE`` times of what would still be free, so that n greedy tenants each end at SHARE/(1 + n·SHARE) of the queue
    and 1/(1 + n·SHARE) of it stays free for one that holds nothing yet. It alone may take of that.

    Args:
        max_bytes: the bound. A request larger than all of it is let in alone, or it could never be.

    Example:
        >>> admission = Admission(max_bytes=10)
        >>> admission.reserve(8)
        >>> admission.used_bytes
        8
        >>> admission.release(8)
    """

    SHARE = 3

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._used_bytes = 0
        self._held: dict[str, int] = {}  # bytes of each tenant ever seen: as many as the settings have
        self._lock = threading.Lock()

    @property
    def max_bytes(self) -> int:
        """The bound."""
        return self._max_bytes

    @property
    def used_bytes(self) -> int:
        """Bytes reserved and not yet released."""
        return self._used_bytes

    def reserve(self, size_bytes: int, tenant: str = DEFAULT_TENANT) -> None:
        """Take bytes of the queue; whoever reserves must see to it that they are released exactly once.

        Raises:
            RetryableError: the queue is full, or the tenant's share of it; nothing was reserved.
        """
        with self._lock:
            held = self._held.setdefault(tenant, 0)
            free = self._max_bytes - self._used_bytes - size_bytes
            if self._used_bytes and free < 0:
                raise RetryableError("the receiver's queue is full", RETRY_AFTER_S)
            if held and len(self._held) > 1 and held + size_bytes > self.SHARE * free:
                raise ShareOfQueue("this tenant's share of the receiver's queue is full", RETRY_AFTER_S)
            self._held[tenant] = held + size_bytes
            self._used_bytes += size_bytes

    def release(self, size_bytes: int, tenant: str = DEFAULT_TENANT) -> None:
        """Give back what ``reserve`` took."""
        with self._lock:
            self._held[tenant] -= size_bytes
            self._used_bytes -= size_bytes


class UndecodableRequest(PermanentError):
    """The decoder failed on bytes that it should have refused: our fault, but the same bytes would fail again."""


class RequestTooLarge(PermanentError):
    """More bytes than the receiver takes, as sent or once decompressed."""


class UnsupportedMedia(PermanentError):
    """A content type or encoding that is not ours."""


class UnknownPath(PermanentError):
    """Nothing is received at this path."""


class WrongMethod(PermanentError):
    """The path takes another method."""


class TooSlow(PermanentError):
    """The body did not arrive in time."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a request is refused.

    Attributes:
        code: the status over gRPC, and in the body over HTTP.
        http_status: the status over HTTP.
        message: for people; holds no bytes of the request.
        reason: what it is counted as.
        retry_after_s: when to try again; None if the same request would fail again.
    """

    code: grpc.StatusCode
    http_status: int
    message: str
    reason: str
    retry_after_s: float | None = None

    @property
    def status(self) -> Any:
        """A ``google.rpc.Status``, with RetryInfo if it may be tried again."""
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        if self.retry_after_s is not None:
            status.details.add().Pack(self._retry)
        return status

    @property
    def trailers(self) -> tuple[tuple[str, bytes], ...]:
        """RetryInfo twice: in the standard place, which the Collector reads, and where the Python exporter looks."""
        if self.retry_after_s is None:
            return ()
        return (
            ("grpc-status-details-bin", self.status.SerializeToString()),
            ("google.rpc.retryinfo-bin", self._retry.SerializeToString()),
        )

    @property
    def _retry(self) -> Any:
        delay = duration_pb2.Duration()
        delay.FromNanoseconds(int((self.retry_after_s or 0.0) * 1e9))
        return error_details_pb2.RetryInfo(retry_delay=delay)


_Row = tuple[type[Exception], grpc.StatusCode, int, str]
_TABLE: tuple[_Row, ...] = (
    (RateOfRequests, grpc.StatusCode.UNAVAILABLE, 503, "rate_requests"),
    (RateOfRows, grpc.StatusCode.UNAVAILABLE, 503, "rate_rows"),
    (ShareOfQueue, grpc.StatusCode.UNAVAILABLE, 503, "throttled_tenant"),
    (RetryableError, grpc.StatusCode.UNAVAILABLE, 503, "throttled"),
    (Unauthenticated, grpc.StatusCode.UNAUTHENTICATED, 401, "unauthenticated"),
    (Forbidden, grpc.StatusCode.PERMISSION_DENIED, 403, "forbidden"),
    (MalformedRequest, grpc.StatusCode.INVALID_ARGUMENT, 400, "malformed"),
    (RequestTooLarge, grpc.StatusCode.RESOURCE_EXHAUSTED, 413, "too_large"),
    (UndecodableRequest, grpc.StatusCode.INTERNAL, 500, "internal"),
    (UnsupportedMedia, grpc.StatusCode.INVALID_ARGUMENT, 415, "unsupported"),
    (UnknownPath, grpc.StatusCode.UNIMPLEMENTED, 404, "unknown_path"),
    (WrongMethod, grpc.StatusCode.UNIMPLEMENTED, 405, "wrong_method"),
    (TooSlow, grpc.StatusCode.DEADLINE_EXCEEDED, 408, "too_slow"),
    (PermanentError, grpc.StatusCode.INVALID_ARGUMENT, 400, "refused"),
    (Exception, grpc.StatusCode.UNAVAILABLE, 503, "internal"),
)


def refusal_of(error: Exception) -> Refusal:
    """The one table from error to status; the first row that fits.

    ====================  ==================  =====  ==========  ====================================================
    error                 gRPC                HTTP   sender      why
    ====================  ==================  =====  ==========  ====================================================
    RateOfRequests        UNAVAILABLE         503    tries again  more than receiver.rates allows
    RateOfRows            UNAVAILABLE         503    tries again  likewise
    ShareOfQueue          UNAVAILABLE         503    tries again  one tenant of several has its share of the queue
    RetryableError        UNAVAILABLE         503    tries again  full or failing; nothing of the request was kept
    Unauthenticated       UNAUTHENTICATED     401    drops        no token, or none that is known: a retry has none either
    Forbidden             PERMISSION_DENIED   403    drops        the token is good for other things
    MalformedRequest      INVALID_ARGUMENT    400    drops        the same bytes would fail again
    RequestTooLarge       RESOURCE_EXHAUSTED  413    see below    likewise
    UndecodableRequest    INTERNAL            500    drops        a fault of ours that these bytes trigger again
    UnsupportedMedia      INVALID_ARGUMENT    415    drops        not protobuf or JSON, or packed in another way
    UnknownPath           UNIMPLEMENTED       404    drops        a wrong endpoint
    WrongMethod           UNIMPLEMENTED       405    drops        likewise
    TooSlow               DEADLINE_EXCEEDED   408    may try      the network may be better the next time
    other PermanentError  INVALID_ARGUMENT    400    drops        the same request would fail again
    anything else         UNAVAILABLE         503    tries again  out of memory, threads, descriptors: it may pass
    ====================  ==================  =====  ==========  ====================================================

    Over gRPC the transport answers what is too large, before any of our code runs. RESOURCE_EXHAUSTED without RetryInfo
    means "do not retry" in OTLP; the Python exporter retries it all the same, until its time-out.

    >>> refusal_of(RetryableError("full", 60)).retry_after_s
    3.0
    >>> refusal_of(MalformedRequest("not OTLP")).code.name
    'INVALID_ARGUMENT'
    """
    code, http_status, reason = next(row[1:] for row in _TABLE if isinstance(error, row[0]))
    if isinstance(error, RetryableError):
        wait_s = min(max(error.retry_after_s, 0.0), MAX_RETRY_AFTER_S)
        return Refusal(code, http_status, str(error), reason, wait_s)
    if isinstance(error, PermanentError):
        return Refusal(code, http_status, str(error), reason)
    _logger.error("receiver: unexpected error", exc_info=error)
    return Refusal(code, http_status, "unexpected error in the receiver", reason, RETRY_AFTER_S)


class ReceiverCounters:
    """What was answered, by reason. Thread-safe; bounded, because every reason is a constant of the code.

    Tables: ``requests`` (one per answer), ``begun`` (calls seen by the transport: those without an answer were cut off
    before it, mostly for their size), ``bytes`` (of requests that reached us), ``spans`` (received and accepted ones of
    acknowledged requests; the rest are in ``spans_rejected`` and ``spans_ignored``) and ``rows`` (in accepted spans).

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
