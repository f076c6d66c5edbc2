"""Requests on their way: bounded, retried in order with the same bytes, never for too long.

No thread, socket or clock: the time is an argument.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

_log = logging.getLogger("calidris")

MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Requests kept for a receiver that is away; the oldest make room, because the newest are what the monitor can still use."""

MAX_AGE_S = 600.0
"""Longest time after its first attempt that a request is repeated. The receiver recognises a repetition for 15 minutes: later
ones might count twice."""

FIRST_DELAY_S, LAST_DELAY_S = 1.0, 30.0


@dataclass(slots=True)
class Request:
    """Serialised spans of one request, and whose rows they are."""

    payload: bytes = b""
    rows: Counter[str] = field(default_factory=Counter)
    spans: int = 0
    first_try_s: float | None = None

    def add(self, payload: bytes, model: str, rows: int) -> None:
        """Append one serialised span."""
        self.payload += payload
        self.rows[model] += rows
        self.spans += 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one attempt."""

    delivered: bool
    retryable: bool = False
    retry_after_s: float | None = None
    rejected_spans: int = 0
    message: str = ""


Drop = Callable[[str, str, int], None]
"""Called with model, reason and rows for whatever will never arrive."""

Send = Callable[[bytes, float], Outcome]


class Outbox:
    """First in, first out; one request at a time, so that labels stay behind their predictions."""

    def __init__(self, drop: Drop, max_bytes: int = MAX_PENDING_BYTES) -> None:
        self._drop = drop
        self._max_bytes = max_bytes
        self._pending: deque[Request] = deque()
        self._bytes = 0
        self._failures = 0
        self._not_before_s = 0.0
        self._said: set[str] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def put(self, requests: list[Request]) -> None:
        """Queue requests; the oldest fall out where there is no room (reason ``backlog_full``)."""
        for request in requests:
            self._pending.append(request)
            self._bytes += len(request.payload)
        while self._bytes > self._max_bytes and len(self._pending) > 1:
            self._give_up("backlog_full")

    def send(self, send: Send, now: Callable[[], float], timeout_s: float, until_s: float | None = None) -> bool:
        """Send what is due; true when nothing is left.

        With ``until_s`` the back-off is ignored, attempts share the time until then, and the first failure ends it: for a
        flush that somebody waits for. Without it, a failure waits 1, 2, 4 … 30 s, or as long as the receiver asks.
        """
        if until_s is None and now() < self._not_before_s:
            return not self._pending
        while self._pending:
            budget = timeout_s if until_s is None else min(timeout_s, until_s - now())
            if budget <= 0 or not self._attempt(send, now, budget):
                return False
        return True

    def abandon(self, reason: str) -> None:
        """Count everything left as dropped."""
        while self._pending:
            self._give_up(reason)

    def _attempt(self, send: Send, now: Callable[[], float], timeout_s: float) -> bool:
        request = self._pending[0]
        if request.first_try_s is None:
            request.first_try_s = now()
        elif now() - request.first_try_s > MAX_AGE_S:
            self._give_up("expired")
            return True
        outcome = send(request.payload, timeout_s)
        if outcome.delivered:
            self._delivered(request, outcome)
            return True
        if not outcome.retryable:
            self._say(f"the receiver refused a request for good: {outcome.message}")
            self._give_up("refused")
            return True
        self._back_off(outcome, now())
        return False

    def _delivered(self, request: Request, outcome: Outcome) -> None:
        if self._failures:
            _log.info("calidris: the receiver answers again.")
        self._failures, self._not_before_s = 0, 0.0
        self._remove()
        if outcome.message:
            self._say(f"the receiver says: {outcome.message}")
        if outcome.rejected_spans:
            share = min(1.0, outcome.rejected_spans / max(1, request.spans))
            for model, rows in request.rows.items():
                self._drop(model, "rejected", round(rows * share))

    def _back_off(self, outcome: Outcome, now_s: float) -> None:
        if not self._failures:
            _log.warning("calidris: the receiver does not answer (%s). Rows are kept and sent again.", outcome.message)
        delay = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 10))
        self._failures += 1
        self._not_before_s = now_s + (delay if outcome.retry_after_s is None else outcome.retry_after_s)

    def _say(self, message: str) -> None:
        """Log each message once; a hundred different ones at the most."""
        if message not in self._said and len(self._said) < 100:
            self._said.add(message)
            _log.error("calidris: %s", message)

    def _give_up(self, reason: str) -> None:
        for model, rows in self._remove().rows.items():
            self._drop(model, reason, rows)

    def _remove(self) -> Request:
        request = self._pending.popleft()
        self._bytes -= len(request.payload)
        return request
