"""The row buffer: one append for the caller, everything else in one background thread.

::

    caller ── append ──► rows (bounded) ──► flush thread: encode ──► outbox (bounded) ──► receiver
                          newest dropped                              oldest dropped
                          when full                                   when full

When the rows are full the **newest** is dropped: making room would put work and a race on the caller's path. In the outbox the
**oldest** goes. Both are counted by reason. The caller takes no lock for a single row.
"""

from __future__ import annotations

import atexit
import concurrent.futures.thread  # noqa: F401  # grpc needs it, and once the interpreter is ending it can no longer be imported
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import Protocol

from opentelemetry.instrumentation.utils import suppress_instrumentation

from calidris.instrument.fork import renew_in_child
from calidris.instrument.rows.buffered_items import Block, Item, Row
from calidris.instrument.rows.packed_columns import Note
from calidris.instrument.rows.vectors import cells_of
from calidris.instrument.sending.outbox import Outbox, Outcome, Request
from calidris.instrument.shield import caught

MAX_CELLS = 8_000_000
"""Values that may wait in memory as blocks and embeddings, and the width times number of single rows: 64 MB of numbers."""

WAKE_CELLS = MAX_CELLS // 4
"""Values at which the thread does not wait for its interval."""

WAKE_ROWS = 2048
"""Rows at which the thread does not wait for its interval."""

EXIT_DEADLINE_S = 3.0
"""Longest time that the end of the process waits for a last flush."""


class Shipper(Protocol):
    """Encodes and sends; made by the flush thread, because loading it is slow."""

    def encode(self, items: list[Item]) -> list[Request]:
        """Items as requests."""
        ...

    def send(self, payload: bytes, timeout_s: float) -> Outcome:
        """One attempt."""
        ...

    def observe(self, items: list[Item], drops: dict[tuple[str, str], int]) -> None:
        """Record metrics of the items and of newly counted drops."""
        ...

    def close(self) -> None:
        """Free the connection."""
        ...


class RowBuffer:
    """Bounded buffer with one daemon thread, started by the first append and again after a fork.

    Args:
        connect: makes the shipper, in the thread.
        max_rows: rows that may wait.
        delay_s: seconds between flushes.
        timeout_s: seconds a request may take.
        note: told the reason and the model of each drop.
    """

    def __init__(
        self, connect: Callable[[], Shipper], max_rows: int, delay_s: float, timeout_s: float, note: Note
    ) -> None:
        self._connect = connect
        self._note = note
        self._max_rows = max_rows
        self._delay_s = delay_s
        self._timeout_s = timeout_s
        self._limit = max_rows
        self._orphans: list[object] = []
        self._reset()
        renew_in_child(self)

    def _reset(self) -> None:
        """Start empty: at first, and in a forked child, whose rows the parent sends."""
        self._rows: deque[Item] = deque()
        self._extra = 0  # rows in blocks and labels beyond one an item
        self._cells = 0
        self._drops: Counter[tuple[str, str]] = Counter()
        self._new_drops: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._flushed = threading.Condition(threading.Lock())
        self._asked = self._done = 0
        self._until_s: float | None = None
        self._delivered = True
        self._closed = False
        self._thread: threading.Thread | None = None
        self._shipper: Shipper | None = None
        self._outbox = Outbox(self.drop)

    def append(self, row: Row) -> None:
        """Add one row; about 0.2 µs. Never blocks; a full buffer drops the row and counts it."""
        rows = self._rows
        waiting = len(rows) + self._extra
        if waiting >= self._limit:
            self.drop(row[0].name, "queue_full", 1)
            return
        rows.append(row)
        if self._thread is None:
            self._start()
        if waiting >= WAKE_ROWS and not self._wake.is_set():
            self._wake.set()

    def append_many(self, item: Item) -> None:
        """Add a block, labels, or a row with embeddings, whole or not at all."""
        rows, cells = _size(item)
        with self._lock:
            fits = len(self._rows) + self._extra + rows <= self._limit and self._cells + cells <= MAX_CELLS
            if fits:
                self._rows.append(item)
                self._extra += rows - 1
                self._cells += cells
        if not fits:
            self.drop(_model_of(item), "queue_full", rows)
        if self._thread is None:
            self._start()
        if len(self._rows) + self._extra >= WAKE_ROWS or self._cells >= WAKE_CELLS:
            self._wake.set()

    def narrow(self, width: int) -> None:
        """Learn that rows are so many values wide, so that wide rows do not multiply the memory."""
        self._limit = min(self._limit, max(256, min(self._max_rows, MAX_CELLS // max(1, width))))

    def drop(self, model: str, reason: str, rows: int) -> None:
        """Count rows that will never arrive."""
        with self._lock:
            self._drops[model, reason] += rows
            self._new_drops[model, reason] += rows
        self._note(reason, model)

    def drops(self) -> dict[tuple[str, str], int]:
        """Rows dropped so far, by model and reason."""
        with self._lock:
            return dict(self._drops)

    def flush(self, timeout_s: float) -> bool:
        """Have everything appended so far sent, waiting at most ``timeout_s``; true when the receiver has it all."""
        thread = self._thread
        if thread is None or not thread.is_alive() or thread is threading.current_thread():
            return not self._rows
        with self._flushed:
            self._asked += 1
            ticket = self._asked
            self._until_s = time.monotonic() + timeout_s
            self._wake.set()
            self._flushed.wait_for(lambda: self._done >= ticket or not thread.is_alive(), timeout_s)
            return self._done >= ticket and self._delivered

    def close(self, timeout_s: float = EXIT_DEADLINE_S) -> bool:
        """Flush, then stop the thread. What is left after ``timeout_s`` is dropped. Safe to call twice."""
        delivered = self.flush(timeout_s)
        self._closed = True
        self._wake.set()
        atexit.unregister(self.close)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(0.2)
        return delivered

    def after_fork(self) -> None:
        """In the child: drop the parent's rows, thread and connection.

        The parent's connection is kept alive unused: closing it here would talk to threads that exist only in the parent.
        """
        self._orphans.append(self._shipper)
        self._reset()

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._closed:
                return
            self._thread = threading.Thread(target=self._run, name="calidris-flush", daemon=True)
            self._thread.start()
        atexit.unregister(self.close)
        atexit.register(self.close)

    def _run(self) -> None:
        with suppress_instrumentation():  # our own gRPC calls are not the application's
            self._load()
            while not self._closed:
                self._wake.wait(self._delay_s)
                self._wake.clear()
                self._cycle()
            self._leave()

    def _leave(self) -> None:
        """Count what stays behind, and hang up."""
        for item in self._take():
            self.drop(_model_of(item), "shutdown", _size(item)[0])
        self._outbox.abandon("shutdown")
        if self._shipper is not None:
            self._shipper.close()

    def _load(self) -> None:
        """Make the shipper at once: a process that ends soon must not begin with it at its end."""
        try:
            self._shipper = self._connect()
        except Exception:
            caught("connect")

    def _cycle(self) -> None:
        """Encode what waits, send what is due, and tell whoever waits for it."""
        with self._flushed:
            asked, until_s = self._asked, self._until_s
            self._until_s = None
        delivered = False
        try:
            delivered = self._ship(until_s)
        except Exception:
            caught("flush")
        finally:
            with self._flushed:
                self._done, self._delivered = asked, delivered
                self._flushed.notify_all()

    def _ship(self, until_s: float | None) -> bool:
        if self._shipper is None:
            self._shipper = self._connect()
        items = self._take()
        self._outbox.put(self._shipper.encode(items))
        delivered = self._outbox.send(self._shipper.send, time.monotonic, self._timeout_s, until_s)
        with self._lock:
            drops, self._new_drops = self._new_drops, Counter()
        self._shipper.observe(items, drops)
        return delivered

    def _take(self) -> list[Item]:
        rows, items = self._rows, []
        for _ in range(len(rows)):
            item = rows.popleft()
            if not isinstance(item, tuple) or item[-1] is not None:
                if isinstance(item, Block):
                    item.taken = True
                size, cells = _size(item)
                with self._lock:
                    self._extra -= size - 1
                    self._cells -= cells
            items.append(item)
        return items


def _model_of(item: Item) -> str:
    if isinstance(item, tuple):
        return item[0].name
    return item.series.name if isinstance(item, Block) else item.model


def _size(item: Item) -> tuple[int, int]:
    """Rows of an item, and the values by which its memory is counted; single rows without embeddings go by ``narrow``."""
    if isinstance(item, tuple):
        return 1, cells_of(item[-1])
    return item.rows, item.cells if isinstance(item, Block) else item.rows
