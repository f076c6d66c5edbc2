"""The sending thread: takes what waits, packs it, sends it, and answers those who wait for a flush."""

from __future__ import annotations

import concurrent.futures.thread  # noqa: F401  # grpc needs it, and once the interpreter is ending it cannot be imported
import queue
from collections.abc import Callable
from contextlib import nullcontext
from typing import Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from calidris.instrument.process.fork import hold_forks
from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.process.threads import SAY_S, BackgroundThread, Latch, find_original, run_apart
from calidris.instrument.rows.buffered_items import Item
from calidris.instrument.rows.item_sizes import model_of, rows_of
from calidris.instrument.sending.not_sent import NotSent
from calidris.instrument.sending.outbox import Outbox, Outcome, Request
from calidris.instrument.sending.waiting import Waiting
from calidris.instrument.shield import caught

ROUND_ROWS = 8192
"""Rows that are packed at a time, some 40 ms: what is packed is sent before more is, so that a large batch waits as it came."""

ROUND_BYTES = 8 * 1024 * 1024
"""Bytes that are packed at a time: half of what the outbox leaves free before it, so that nothing there has to make room."""

LOOK_S = 0.25
"""How often somebody who waits for a flush looks whether the thread still lives."""


class Shipper(Protocol):
    """Packs and sends; made by the sending thread, because loading it is slow."""

    def encode(self, items: list[Item]) -> list[Request]:
        """Items as requests."""
        ...

    def report(self, not_sent: NotSent) -> Request | None:
        """What was lost since the last report that arrived, as a request, if there is anything to say."""
        ...

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt."""
        ...

    def observe(self, items: list[Item], not_sent: NotSent) -> None:
        """Record metrics of the items and of what was lost."""
        ...

    def close(self) -> None:
        """Free the connection."""
        ...


class _Ticket:
    """Somebody waits for a flush until then."""

    def __init__(self, until_s: float) -> None:
        self.until_s = until_s
        self.delivered = False
        self.answered = Latch()

    def answer(self, delivered: bool) -> None:
        """Let whoever waits go on."""
        self.delivered = delivered
        self.answered.open()


def _make_mail() -> queue.SimpleQueue[_Ticket | None]:
    """Its `put` is re-entrant: an Event or a Queue would let a signal handler wait for the code it interrupted."""
    make: type[queue.SimpleQueue[_Ticket | None]] = find_original("queue", "SimpleQueue")
    return make()


def _pause(seconds: float) -> None:
    """Wait by the machine's own clock; ``time.sleep`` may be the application's, which tests have return at once."""
    never = Latch()
    never.wait(seconds)


class Sender:
    """One daemon thread, which may be started again where it ended.

    Args:
        waiting: what it takes from.
        connect: makes the shipper, in the thread.
        not_sent: where everything is counted that is not sent.
        delay_s: seconds between two rounds.
        timeout_s: seconds a request may take.
        ended: called as the last thing in the thread.
    """

    def __init__(
        self,
        waiting: Waiting,
        connect: Callable[[], Shipper],
        not_sent: NotSent,
        delay_s: float,
        timeout_s: float,
        ended: Callable[[], None],
    ) -> None:
        self._waiting = waiting
        self._connect = connect
        self._not_sent = not_sent
        self._delay_s = delay_s
        self._timeout_s = timeout_s
        self._mail = _make_mail()
        self._woken = False
        self._stopped = False
        self._warm = False
        self._packing: list[Item] = []
        self._shipper: Shipper | None = None
        self._outbox = Outbox(not_sent.drop, pause=_pause)
        self._thread = BackgroundThread(self._run, ended, "calidris-flush")

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: there can be no more threads.
        """
        self._thread.start()

    def has_begun(self) -> bool:
        """Whether the thread runs, where `start` was broken off; waits a moment for it."""
        return self._thread.has_begun(LOOK_S)

    def wake(self) -> None:
        """Have the next round now. Never waits."""
        if not self._woken:
            self._woken = True
            self._mail.put(None)

    def flush(self, timeout_s: float, restart: Callable[[], None]) -> bool:
        """Have everything sent that waits now; true when it has been acknowledged in time.

        ``restart`` is called where the thread is found dead.
        """
        if self._thread.is_current():  # a log handler, say, that flushes when we log
            return False
        end_s = read_clock_s() + timeout_s
        ticket = _Ticket(end_s)
        self._mail.put(ticket)
        while (left_s := end_s - read_clock_s()) > 0 and not ticket.answered.wait(min(left_s, LOOK_S)):
            if not self._thread.is_alive():
                restart()
        return ticket.delivered

    def stop(self, timeout_s: float) -> None:
        """Have the thread end; waits at most so long for it."""
        self._stopped = True
        self._outbox.halt()
        self._mail.put(None)
        self._thread.join(timeout_s)

    def unsent(self) -> list[tuple[str, int]]:
        """Model and rows of everything that was taken and is neither acknowledged nor dropped."""
        return [*((model_of(item), rows_of(item)) for item in self._packing), *self._outbox.unsent()]

    def _run(self) -> None:
        try:
            with suppress_instrumentation():  # our own gRPC calls are not the application's
                self._load()
                while not self._stopped:
                    self._serve(self._collect_mail())
        except BaseException:  # thrown into the thread from outside, as some time-out libraries do
            caught("sending thread")
        finally:
            if self._stopped and self._shipper is not None:
                self._shipper.close()

    def _load(self) -> None:
        """Make the shipper at once: a process that ends soon must not begin with it at its end."""
        try:
            self._get_shipper()
        except Exception:
            caught("connect")

    def _get_shipper(self) -> Shipper:
        if self._shipper is None:
            # A child forked in the midst of an import would keep a half-imported module for its life.
            with hold_forks():
                self._shipper = self._connect()
        return self._shipper

    def _collect_mail(self) -> list[_Ticket]:
        """Wait for the interval to pass or for mail; all tickets that there are."""
        mail: list[_Ticket | None] = []
        try:
            mail.append(self._mail.get(timeout=self._delay_s))
            while True:
                mail.append(self._mail.get_nowait())
        except queue.Empty:
            self._woken = False
        return [ticket for ticket in mail if ticket is not None]

    def _serve(self, tickets: list[_Ticket]) -> None:
        """One round, whatever happens in it, and the answer to those who wait for it."""
        delivered = False
        try:
            delivered = self._ship(max((ticket.until_s for ticket in tickets), default=None))
        except BaseException:  # whatever objects of the application raise when they are read: the thread must live
            caught("flush")
        finally:
            if self._not_sent.has_news():  # said before it is answered, unless the code that waits holds the log
                run_apart(self._not_sent.say_new, SAY_S)
            for ticket in tickets:
                ticket.answer(delivered)

    def _ship(self, until_s: float | None) -> bool:
        """Pack and send what waits now; rows that come meanwhile are for the next round. True when all of it arrived."""
        shipper = self._get_shipper()
        left = len(self._waiting)
        while left > 0 and (self._outbox.has_room() or self._waiting.is_crowded()):
            left -= self._pack(shipper)
            self._send(shipper, until_s)
        report = shipper.report(self._not_sent)
        if report is not None:
            self._outbox.put([report])
        delivered = self._send(shipper, until_s)
        shipper.observe([], self._not_sent)  # what was refused just now, too
        return delivered and left <= 0

    def _send(self, shipper: Shipper, until_s: float | None) -> bool:
        return self._outbox.send(shipper.send, read_clock_s, self._timeout_s, until_s)

    def _pack(self, shipper: Shipper) -> int:
        """Put the next rows into the outbox; how many items are through."""
        items, finished = self._waiting.take(ROUND_ROWS, ROUND_BYTES)
        self._packing = items
        self._waiting.plan_look()
        try:
            # The first round imports things too, as late as libraries like to.
            with nullcontext() if self._warm else hold_forks():
                self._outbox.put(shipper.encode(items))
                self._warm = True
        except BaseException:
            for item in items:
                self._not_sent.drop(model_of(item), "internal_error", rows_of(item))
            raise
        finally:
            self._packing = []
        shipper.observe(items, self._not_sent)
        return finished if items else len(self._waiting) + 1
