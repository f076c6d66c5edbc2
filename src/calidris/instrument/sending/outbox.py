"""Requests on their way: bounded, retried in order with the same bytes, never for too long.

No thread or socket; the clock and the pause are arguments.
"""

from __future__ import annotations

import math
import re
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from calidris.instrument.guarded_log import log

MAX_PENDING_BYTES = 32 * 1024 * 1024
"""Requests kept for a receiver that is away; the oldest make room, because the newest are what the monitor can still use."""

MAX_AGE_S = 600.0
"""Longest time after its first attempt that a request is repeated. The receiver recognises a repetition for 15 minutes: later
ones might count twice."""

FIRST_DELAY_S, LAST_DELAY_S = 1.0, 30.0
"""Back-off while nobody waits."""

FLUSH_DELAY_S, LAST_FLUSH_DELAY_S = 0.1, 1.0
"""Back-off while somebody waits for a flush: a receiver that is started anew is not missed by the end of a short time."""

MAX_FAULT_AGE_S = 30.0
"""The same where the attempt ends with an error of ours: it may be the request's, and others wait behind it."""

SHORTEST_ATTEMPT_S = 1.0
"""Who flushes for a few milliseconds stops waiting then, but does not break off an attempt that would have succeeded."""


@dataclass(slots=True)
class Request:
    """Serialised spans of one request, and whose rows they are."""

    payload: bytes = b""
    parts: list[tuple[str, int]] = field(default_factory=list)
    """Model and rows of each span."""
    first_try_s: float | None = None
    settled: Callable[[bool], None] | None = None
    """Told in the end whether the request arrived."""

    def add(self, payload: bytes, model: str, rows: int) -> None:
        """Append one serialised span."""
        self.payload += payload
        self.parts.append((model, rows))

    @property
    def rows(self) -> Counter[str]:
        """Rows of each model."""
        rows: Counter[str] = Counter()
        for model, number in self.parts:
            rows[model] += number
        return rows


@dataclass(frozen=True, slots=True)
class Outcome:
    """The answer to one attempt."""

    delivered: bool
    retryable: bool = False
    retry_after_s: float | None = None
    rejected_spans: int = 0
    message: str = ""
    is_fault: bool = False
    """Whether it is no answer but an error of ours."""


_NAMED_SPAN = re.compile(r"^span (\d{1,4}) ", re.MULTILINE)
"""How Calidris' receiver begins a line about a span that it refused."""

Drop = Callable[[str, str, int], None]
"""Called with model, reason and rows for whatever will never arrive."""

Send = Callable[[bytes, float], Outcome]


def find_rejected(parts: list[tuple[str, int]], outcome: Outcome) -> Counter[str]:
    """Rows of each model in the spans that a receiver refused.

    Calidris' own says which spans they are, of the first few. Of others only their number is known: then the rows are as many
    as spans of that request have on average, and where they may be of several models, of none.
    """
    left = dict(enumerate(parts))
    rejected: Counter[str] = Counter()
    unnamed = min(outcome.rejected_spans, len(parts))
    for named in _NAMED_SPAN.findall(outcome.message):
        span = left.pop(int(named), None)
        if span is not None:
            model, rows = span
            rejected[model] += rows
            unnamed -= 1
    total = sum(rows for _, rows in left.values())
    models = {model for model, _ in left.values()}
    if unnamed >= len(left):
        for model, rows in left.values():
            rejected[model] += rows
    elif unnamed > 0:
        model = models.pop() if len(models) == 1 else ""
        rejected[model] += math.ceil(total * unnamed / len(left))
    return rejected


class Outbox:
    """First in, first out; one request at a time, so that labels stay behind their predictions."""

    def __init__(
        self, drop: Drop, max_bytes: int = MAX_PENDING_BYTES, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._drop = drop
        self._max_bytes = max_bytes
        self._pause = pause
        self._pending: deque[Request] = deque()
        self._bytes = 0
        self._failures = 0
        self._not_before_s = 0.0
        self._asked_to_wait = False
        self._halted = False
        self._said: set[str] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def has_room(self) -> bool:
        """True while what a round adds need not push out what is older."""
        return self._bytes < self._max_bytes // 2

    def halt(self) -> None:
        """Begin no further attempt: what is left is about to be counted as dropped."""
        self._halted = True

    def unsent(self) -> list[tuple[str, int]]:
        """Model and rows of what has not been acknowledged."""
        return [pair for request in self._pending.copy() for pair in request.rows.items()]

    def put(self, requests: list[Request]) -> None:
        """Queue requests; the oldest fall out where there is no room (reason ``backlog_full``)."""
        for request in requests:
            self._pending.append(request)
            self._bytes += len(request.payload)
        while self._bytes > self._max_bytes and len(self._pending) > 1:
            self._give_up("backlog_full")

    def send(self, send: Send, now: Callable[[], float], timeout_s: float, until_s: float | None = None) -> bool:
        """Send what is due; true when nothing is left.

        With ``until_s`` somebody waits for a flush: failures are followed by further attempts until then, 0.1 to 1 s apart.
        Without it, the next call that comes 1, 2, 4 … 30 s after a failure tries again; in both cases later where the
        receiver asks for it.
        """
        if until_s is None:
            return self._send_due(send, now, timeout_s)
        delay_s = FLUSH_DELAY_S
        while self._pending and not self._halted and (left_s := until_s - now()) > 0:
            if self._attempt(send, now, min(timeout_s, max(left_s, SHORTEST_ATTEMPT_S))):
                continue
            # The last attempt is made shortly before the end, however long the pause would be.
            longest_s = until_s - now() - FLUSH_DELAY_S
            if longest_s <= 0:
                break
            asked_s = self._not_before_s - now() if self._asked_to_wait else 0.0
            self._pause(min(max(delay_s, asked_s), longest_s))
            delay_s = min(2 * delay_s, LAST_FLUSH_DELAY_S)
        return not self._pending

    def _send_due(self, send: Send, now: Callable[[], float], timeout_s: float) -> bool:
        if now() < self._not_before_s:
            return not self._pending
        while self._pending:
            if self._halted or not self._attempt(send, now, timeout_s):
                return False
        return True

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
        if outcome.is_fault and now() - request.first_try_s > MAX_FAULT_AGE_S:
            self._give_up("internal_error")
            return True
        self._back_off(outcome, now())
        return False

    def _delivered(self, request: Request, outcome: Outcome) -> None:
        if self._failures:
            log.info("calidris: the receiver answers again.")
        self._failures, self._not_before_s = 0, 0.0
        self._remove()
        if request.settled is not None:
            request.settled(True)
        if outcome.message:
            self._say(f"the receiver says: {outcome.message}")
        if outcome.rejected_spans:
            for model, rows in find_rejected(request.parts, outcome).items():
                self._drop(model, "rejected", rows)

    def _back_off(self, outcome: Outcome, now_s: float) -> None:
        if not self._failures:
            log.warning("calidris: the receiver does not answer (%s). Rows are kept and sent again.", outcome.message)
        delay = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(self._failures, 10))
        self._failures += 1
        self._asked_to_wait = outcome.retry_after_s is not None
        self._not_before_s = now_s + (delay if outcome.retry_after_s is None else outcome.retry_after_s)

    def _say(self, message: str) -> None:
        """Log each message once; a hundred different ones at the most."""
        if message not in self._said and len(self._said) < 100:
            self._said.add(message)
            log.error("calidris: %s", message)

    def _give_up(self, reason: str) -> None:
        request = self._remove()
        if request.settled is not None:
            request.settled(False)
        for model, rows in request.rows.items():
            self._drop(model, reason, rows)

    def _remove(self) -> Request:
        request = self._pending.popleft()
        self._bytes -= len(request.payload)
        return request
