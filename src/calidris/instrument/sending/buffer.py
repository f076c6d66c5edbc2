"""The row buffer: one append for the caller, everything else in one background thread.

::

    caller ── append ──► rows that wait ──► sending thread: pack ──► outbox ──► receiver
                         (bounded)                                   (bounded)

In both bounded places the **oldest** make room, counted by reason: what a monitor can still use is the newest. Only of a
batch that is larger than all the room there is, the end is cut off. The caller takes no lock, so a signal handler that records while its
own thread is recording waits for nobody.
"""

from __future__ import annotations

import itertools
import sys
import threading
from collections import Counter
from collections.abc import Callable

from calidris.instrument.process.fork import renew_in_child
from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.process.threads import SAY_S, Latch, run_apart
from calidris.instrument.rows.buffered_items import Item, Row
from calidris.instrument.rows.item_sizes import model_of
from calidris.instrument.sending.not_sent import Cause, NotSent
from calidris.instrument.sending.sender import Sender, Shipper
from calidris.instrument.sending.waiting import Waiting
from calidris.instrument.shield import caught
from calidris.instrument.signal_errors import note_kept

WAKE_ROWS = 2048
"""Items at which the thread does not wait for its interval."""

WAKE_BYTES = 8 * 1024 * 1024
"""Bytes of batches at which it does not."""

STOP_S = 0.2
"""Of the time that an end may take, what the thread has to count what stays behind and to hang up."""

RESTART_AFTER_S = 0.5
"""A thread that ended or could not be started is not tried again at every row."""


class RowBuffer:
    """Bounded buffer with one daemon thread, started by the first append and again after a fork.

    Args:
        connect: makes the shipper, in the thread.
        not_sent: where everything is counted that is not sent.
        max_items: single rows, and calls with many rows, that may wait.
        max_bytes: of calls with many rows, labels and embeddings that may wait.
        delay_s: seconds between flushes.
        timeout_s: seconds a request may take.
        started: called by whoever starts the thread, before it starts.
    """

    def __init__(
        self,
        connect: Callable[[], Shipper],
        not_sent: NotSent,
        *,
        max_items: int,
        max_bytes: int,
        delay_s: float,
        timeout_s: float,
        started: Callable[[], None],
    ) -> None:
        self._not_sent = not_sent
        self._started = started
        self._make_waiting: Callable[[], Waiting] = lambda: Waiting(not_sent, max_items, max_bytes)
        self._make_sender: Callable[[Waiting], Sender] = lambda waiting: Sender(
            waiting, connect, not_sent, delay_s, timeout_s, self._thread_ended
        )
        self._orphans: list[Sender] = []
        self._flushed: dict[Cause, int] = {}
        self._reset()
        self._flushed = not_sent.rows()
        renew_in_child(self)

    def _reset(self) -> None:
        """Start empty: at first, and in a forked child, whose rows the parent sends."""
        self._waiting = self._make_waiting()
        self._sender = self._make_sender(self._waiting)
        self._running = False
        self._attended = False  # an append has nothing to do but to append
        self._closed = False
        self._end_s: float | None = None
        self._starting = threading.Lock()
        self._start_after_s = 0.0
        self._settlements = itertools.count()
        self._settled = Latch()
        self._flushed = {}

    def append(self, row: Row) -> None:
        """Add one row; about 0.2 µs. Never waits; in a full buffer the oldest makes room and is counted.

        What a signal handler raises meanwhile comes out. Then the row was not added, unless `was_kept` says that it was.
        """
        waiting = self._waiting
        items = waiting.items
        number = len(items)
        if number >= waiting.next_look:
            waiting.look(number)
        try:
            items.append(row)  # it does not fail: an error in here comes after it, see `Tally`
            if not self._attended:
                self._attend()
            if number >= WAKE_ROWS:
                self._sender.wake()
        except BaseException as error:
            note_kept(error)
            raise

    def append_many(self, item: Item) -> None:
        """Add a block, labels, or a row with embeddings. What is beyond the bound in bytes is cut off and counted.

        What a signal handler raises meanwhile comes out. Then nothing was added, unless `was_kept` says that it was.
        """
        waiting = self._waiting
        cut = waiting.put(item)
        try:
            if cut:
                self._not_sent.drop(model_of(item), "queue_full", cut)
                cut = 0
            if not self._attended:
                self._attend()
            if len(waiting) >= WAKE_ROWS or waiting.bytes() >= WAKE_BYTES:
                self._sender.wake()
        except BaseException as error:
            if cut:
                self._not_sent.drop(model_of(item), "queue_full", cut)
            note_kept(error)
            raise

    def narrow(self, width: int) -> None:
        """Learn that rows are so many values wide, so that wide rows do not multiply the memory."""
        self._waiting.narrow(width)

    def flush(self, timeout_s: float) -> bool:
        """Have everything appended so far sent, waiting at most ``timeout_s``.

        True when the receiver has acknowledged all that was given since the last flush. Else it is logged what was not, by reason.
        """
        known = self._flushed  # at the start: a flush in another thread may end before this one
        delivered = self._deliver(timeout_s)
        lost = self._lost_since(known)
        if delivered and not lost:
            return True
        waiting = {} if delivered else self._unsent()
        run_apart(lambda: self._not_sent.say_not_acknowledged(lost, waiting), SAY_S)
        return False

    def end(self, timeout_s: float) -> None:
        """Send what waits, because the process is at its end; what is given later waits for its answer, while there is time.

        Functions that the application registered for the end before we did run after us, and may predict.
        """
        self._end_s = read_clock_s() + timeout_s
        self._attended = False
        if self._running or len(self._waiting):
            self._send_before_end()

    def go_on(self) -> bool:
        """It was not the end after all. False where the buffer was closed for it."""
        self._end_s = None
        self._attended = self._running and not self._closed
        return not self._closed

    def count_from_now(self) -> None:
        """Have the next flush tell nothing of what was lost before, which was told already."""
        self._flushed = self._not_sent.rows()

    def close(self, timeout_s: float) -> bool:
        """Flush, then stop the thread. What is left after ``timeout_s`` is dropped, counted and logged. Safe to call twice."""
        if self._closed:
            return True
        known = self._flushed
        delivered = self._deliver(max(0.0, timeout_s - STOP_S)) and not self._lost_since(known)
        self._closed = True
        self._attended = False
        self._sender.stop(STOP_S)
        self._settle()
        return delivered

    def after_fork(self) -> None:
        """In the child: drop the parent's rows, thread and connection.

        The parent's connection is kept alive unused: closing it here would talk to threads that exist only in the parent.
        """
        self._orphans.append(self._sender)
        self._reset()

    def ensure_thread(self) -> None:
        """Have the thread there, to say what was counted."""
        if not self._attended:
            self._attend()

    def _deliver(self, timeout_s: float) -> bool:
        if sys.is_finalizing():  # no thread runs any more, only destructors of the application
            return not self._unsent()
        if not self._running:
            if not len(self._waiting):
                return True
            self._start()
        return self._sender.flush(timeout_s, self._start)

    def _send_before_end(self) -> None:
        left_s = (self._end_s or 0.0) - read_clock_s() - STOP_S
        if not self._deliver(max(0.0, left_s)):
            self.close(0.0)

    def _attend(self) -> None:
        """What an append has to do besides, while things are not as usual."""
        if self._closed:
            self._refuse()
        elif self._end_s is not None:
            self._send_before_end()
        else:
            self._start()

    def _start(self) -> None:
        """Start the thread, unless somebody is at it: perhaps the code that this very thread was interrupted in."""
        if read_clock_s() < self._start_after_s or not self._starting.acquire(blocking=False):
            return
        try:
            if not self._running:
                self._started()
                self._set_running(True)  # first: a thread that ends at once must be the last to say so
                self._sender.start()
        except BaseException:  # no more threads, or the interpreter is ending; or a time-out of the application
            if not self._sender.has_begun():
                self._set_running(False)
                self._start_after_s = read_clock_s() + RESTART_AFTER_S
            caught("start")
        finally:
            self._starting.release()

    def _set_running(self, running: bool) -> None:
        self._running = running
        self._attended = running and self._end_s is None

    def _thread_ended(self) -> None:
        """The thread is gone: one of the next appends starts another."""
        self._start_after_s = read_clock_s() + RESTART_AFTER_S
        self._set_running(False)
        if self._closed:
            self._settle()

    def _settle(self) -> None:
        """Count and tell what stays behind, once, whether the thread gets to it or who closed does not wait for it any longer.

        The other one waits until it is told: behind ``os._exit`` nothing runs any more.
        """
        if next(self._settlements) > 0:
            self._settled.wait(SAY_S)
            return
        for model, rows in self._unsent().items():
            self._not_sent.drop(model, "shutdown", rows)
        self._say_new()
        self._settled.open()

    def _refuse(self) -> None:
        """Count what is given after the end."""
        waiting = self._waiting
        while waiting.items:
            waiting.make_room("after_end")
        self._say_new()

    def _say_new(self) -> None:
        """Log what was counted, and wait for no log handler that does not come to an end."""
        if self._not_sent.has_news():
            run_apart(self._not_sent.say_new, SAY_S)

    def _lost_since(self, known: dict[Cause, int]) -> dict[Cause, int]:
        """Rows dropped since then; the next flush tells of what comes later. A label that is None was never given."""
        self._flushed = self._not_sent.rows()
        new = {cause: count - known.get(cause, 0) for cause, count in self._flushed.items()}
        return {
            (model, reason): rows for (model, reason), rows in new.items() if rows > 0 and reason != "missing_label"
        }

    def _unsent(self) -> dict[str, int]:
        """Rows of each model that are neither acknowledged nor dropped."""
        unsent: Counter[str] = Counter()
        for model, rows in (*self._waiting.unsent(), *self._sender.unsent()):
            unsent[model] += rows
        return dict(unsent)
