"""Threads that may be started in a signal handler, and that are real threads under gevent.

``threading.Thread.start`` takes a lock of the threading module that is not re-entrant: a handler that interrupted the start
of another thread would wait for it for ever. Starting a thread without that class takes none.

gevent replaces threads by turns in one thread. Sending would then stop the application for as long as the receiver takes, so
what we start and wait with is what was there before.
"""

from __future__ import annotations

import _thread
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from calidris.instrument.shield import caught
from calidris.instrument.signal_errors import own_this_thread

_MODULES = {"_thread": _thread, "queue": queue, "time": time}
"""Whose functions are asked for: none can be imported once the interpreter is taken down, when the application may still predict."""

SAY_S = 0.3
"""Time in which a note is written, unless whoever is interrupted holds the log."""

OF_A_FAULT: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP")
    if hasattr(signal, name)  # not every system has them all
)
"""Signals that a thread brings upon itself: whoever tells of a crash, such as faulthandler, must hear of it there."""


class Latch:
    """Something that happens once, and that others wait for.

    Unlike ``threading.Event`` it has no inner lock: a signal handler that interrupts somebody who waits cannot keep the other
    thread from saying that it has happened.
    """

    def __init__(self) -> None:
        self._open = False
        allocate_lock = find_original("_thread", "allocate_lock")
        self._lock = allocate_lock()
        self._lock.acquire()

    def open(self) -> None:
        """It has happened. Called by one thread."""
        if not self._open:
            self._open = True
            self._lock.release()

    def is_open(self) -> bool:
        """Whether it has happened."""
        return self._open

    def wait(self, timeout_s: float) -> bool:
        """Wait for it, at most so long; true if it has happened."""
        if self._open:
            return True
        timeout_s = max(0.0, timeout_s)
        if self._lock.acquire(timeout=timeout_s):
            self._lock.release()  # for the next who waits
        return self._open


class BackgroundThread:
    """A thread that does not keep the process. It may be started again where it ended.

    Args:
        run: what it does.
        ended: called as the last thing in the thread, also where it could not be started after all.
        name: for people who look at threads.
    """

    def __init__(self, run: Callable[[], None], ended: Callable[[], None], name: str) -> None:
        self._run = run
        self._on_end = ended
        self._name = name
        self._ident: int | None = None
        self._begun = Latch()
        self._gone: Latch | None = None

    def start(self) -> None:
        """Start it, without taking a lock.

        Raises:
            RuntimeError: there can be no more threads.
        """
        if sys.is_finalizing():  # before Python 3.12 it would be started, and stand still
            raise RuntimeError("the interpreter is being taken down")
        self._begun = Latch()
        gone = self._gone = Latch()
        _start_without_signals(self._begin, gone)

    def is_alive(self) -> bool:
        """Whether it was started and has not ended."""
        return self._gone is not None and not self._gone.is_open()

    def has_begun(self, timeout_s: float) -> bool:
        """Whether it runs, after a start that something broke off; waits for it, at most so long."""
        return self._begun.wait(timeout_s)

    def is_current(self) -> bool:
        """Whether the caller runs in it."""
        return threading.get_ident() == self._ident and self.is_alive()

    def join(self, timeout_s: float) -> None:
        """Wait for its end, at most so long."""
        if self._gone is not None and not self.is_current():
            self._gone.wait(timeout_s)

    def _begin(self, gone: Latch) -> None:
        """In a first thread, which nobody sees: start the one that people see by its name, waiting for the lock if need be."""
        self._begun.open()
        if is_replaced("threading"):
            self._serve(gone)
            return
        try:
            threading.Thread(target=self._serve, args=(gone,), name=self._name, daemon=True).start()
        except BaseException:  # no more threads
            caught("start")
            self._end(gone)

    def _serve(self, gone: Latch) -> None:
        self._ident = threading.get_ident()
        own_this_thread(True)
        try:
            self._run()
        finally:
            self._end(gone)
            own_this_thread(False)

    def _end(self, gone: Latch) -> None:
        gone.open()
        self._on_end()


def _start_without_signals(run: Callable[[Latch], None], gone: Latch) -> None:
    """Start a thread that takes no signal which is meant for the process; nor do those that it starts, gRPC's too.

    A thread begins with what its maker blocks. The application may block signals in its own threads and wait for them, as supervisors
    do. The kernel would find ours open, be it for the moment before it blocks them itself, and do there what the signal does by
    default: end the process.
    """
    start_new_thread = find_original("_thread", "start_new_thread")
    if not hasattr(signal, "pthread_sigmask"):  # Windows has none
        start_new_thread(run, (gone,))
        return
    # Asked for first: setting a mask runs handlers too, and one that raises must find us where we put the mask back.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals() - OF_A_FAULT)
        start_new_thread(run, (gone,))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def find_original(module: str, name: str) -> Any:
    """A function of a module as it was before gevent replaced it, which may be at any time."""
    monkey: Any = sys.modules.get("gevent.monkey")
    if monkey is not None:
        return monkey.get_original(module, name)
    return getattr(_MODULES[module], name)


def is_replaced(module: str) -> bool:
    """Whether gevent has replaced functions of a module."""
    monkey: Any = sys.modules.get("gevent.monkey")
    return monkey is not None and bool(monkey.is_module_patched(module))


def run_apart(function: Callable[[], None], timeout_s: float) -> None:
    """Run a function in a thread of its own and wait for it, at most so long.

    For logging: whoever calls may be a signal handler, and a log handler may hold a lock that the interrupted code holds.
    """
    thread = BackgroundThread(function, lambda: None, "calidris-note")
    try:
        thread.start()
    except RuntimeError:  # no more threads, or the interpreter is ending and nothing is interrupted any more
        function()
        return
    thread.join(timeout_s)
