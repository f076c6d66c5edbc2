"""Messages that come slowly, or never: each call that is read holds a thread, so none may do so for long.

::

    call ─► thread reads the message (at most ``limit_s``) ─► one of ``at_work`` places ─► handler ─► answer
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NoReturn

import grpc

from calidris.errors import RetryableError
from calidris.receive.admission import Admission

READ_S: Final = 10.0
"""As long as an exporter waits for its answer by default."""
READERS: Final = 256
"""Calls that are read or handled at the same time. A thread that waits for bytes costs next to nothing."""

MESSAGES: Final = 4
"""How many messages of the largest size may be in memory, read and not yet answered, as many small ones as they come to."""

Refuse = Callable[[Exception, grpc.ServicerContext], NoReturn]
Handle = Callable[[bytes, grpc.ServicerContext], bytes]


@dataclass(slots=True)
class _Open:
    context: grpc.ServicerContext
    deadline_s: float
    late: bool = False


class MessageReader:
    """Reads the one message of each call, and cuts off those whose message takes too long. Thread-safe.

    The transport's own way would hold a thread of the pool until the message is there, with no end. Late calls are looked
    for when another one comes: until then they are in nobody's way.

    Args:
        at_work: handlers that run at the same time.
        memory: bounds the messages that were read, those that wait for a place too.
        refuse: answers a call for whose message there is no memory.
        on_late: called for each call that was cut off.
        limit_s: how long a message may take.
    """

    def __init__(
        self, at_work: int, memory: Admission, refuse: Refuse, on_late: Callable[[], None], limit_s: float = READ_S
    ) -> None:
        self._places = threading.BoundedSemaphore(at_work)
        self._memory = memory
        self._refuse = refuse
        self._on_late = on_late
        self._limit_s = limit_s
        self._lock = threading.Lock()
        self._ended = threading.Condition(self._lock)
        self._open: dict[int, _Open] = {}  # oldest first
        self._running = 0

    def handler(self, handle: Handle) -> grpc.RpcMethodHandler[Any, Any]:
        """What the transport calls; to a sender it is a method with one request and one response."""
        return grpc.stream_unary_rpc_method_handler(partial(self._serve, handle))

    def cut_off(self, *, everybody: bool = False) -> None:
        """Cancel the calls whose time is over, or all that are still read."""
        now_s = time.monotonic()
        with self._lock:
            late = [call for call in self._open.values() if everybody or call.deadline_s < now_s]
        for call in late:
            call.late = True
            call.context.cancel()  # type: ignore[no-untyped-call]

    def wait_idle(self, timeout_s: float) -> bool:
        """Wait until no call is read or handled; false where that takes longer."""
        with self._ended:
            return self._ended.wait_for(lambda: not self._running, timeout_s)

    def _serve(self, handle: Handle, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        with self._lock:
            self._running += 1
        try:
            raw = self._read(messages, context)
            if raw is None:
                context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the call has no message")
            return self._work(handle, raw, context)
        finally:
            with self._ended:
                self._running -= 1
                self._ended.notify_all()

    def _work(self, handle: Handle, raw: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            self._memory.reserve(len(raw))
        except RetryableError as full:
            self._refuse(full, context)
        try:
            with self._places:
                return handle(raw, context)
        finally:
            self._memory.release(len(raw))

    def _read(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes | None:
        call = _Open(context, time.monotonic() + self._limit_s)
        with self._lock:
            self._open[id(call)] = call
        try:
            return next(messages, None)
        finally:  # a call that was cut off ends in one of three ways, depending on what the transport noticed first
            with self._lock:
                del self._open[id(call)]
            if call.late:
                self._on_late()
