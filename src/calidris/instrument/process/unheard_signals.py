"""Signals that the main thread does not hear, because they come a moment before it begins to wait.

Python takes note of a signal and runs its handler between two steps of the main thread. A call that waits (``time.sleep``, a
lock, a pipe) is broken off for that, but not where the signal came just before the wait began, while the call still let go of the
interpreter's lock: then the handler runs when the wait is over, which may be never. Each handler in Python has that gap. Where nobody
handles a signal there is none: the process ends at once. So whoever puts a handler there has to close it.

::

    the system ── signal ──► note in Python ──► handler, in the main thread
                                 │                    ▲
                                 └── a byte ──► our thread: if nothing happens soon, the same signal to the main thread itself

The byte is what ``signal.set_wakeup_fd`` is for. Only Linux tells who wrote a byte; elsewhere the gap stays.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from _signal import pthread_kill, set_wakeup_fd  # type: ignore[import-not-found]  # before anybody replaces them
from collections.abc import Callable
from typing import Any, Final

from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.process.threads import BackgroundThread, find_original
from calidris.instrument.shield import caught

PATIENCE_S: Final = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2)
"""How long the main thread may take to hear, before it is told, and told again."""

JUST_NOW_S: Final = 1.0
"""A handler that began so short a time ago has heard: its byte may be read after it."""

HIGH: Final = 1000
"""Number of our end, or above: a program that closes all that it did not open gives low numbers to other files soon."""

NOBODY: Final = -1
"""What ``set_wakeup_fd`` calls no number."""

_CREDENTIALS: Final = struct.Struct("3i")  # process, user and group of who wrote
_STOP: Final = b"\0"


class UnheardSignals:
    """Tells the main thread of a signal once more, where its handler does not begin.

    Args:
        is_ours: whether a signal's handler is the one that this is for.
    """

    def __init__(self, is_ours: Callable[[int], bool]) -> None:
        self._is_ours = is_ours
        self._pid = 0
        self._heard_s = 0.0
        self._number = NOBODY
        self._stands = False
        self._is_taken = False
        self._ends: tuple[socket.socket, socket.socket] | None = None

    def listen(self) -> None:
        """Begin, or in a child begin anew; in the main thread. Nothing where somebody else listens: he wakes the main thread."""
        # uWSGI handles signals natively, and its processes are forked by native code.
        if not hasattr(socket, "SO_PASSCRED") or "uwsgi" in sys.modules:
            return
        inherited = self._number
        if self._pid != os.getpid():
            self._begin()
        if self._stands or self._is_taken:
            return
        before = set_wakeup_fd(self._number, warn_on_full_buffer=False)
        self._stands = True
        if before not in (NOBODY, inherited, self._number):
            self._give_back(before)

    def _give_back(self, theirs: int) -> None:
        try:
            set_wakeup_fd(theirs)
        except (OSError, ValueError):  # they have closed it
            return
        self.note_set(theirs)

    def note_set(self, number: int) -> None:
        """Somebody else has set a number, or none."""
        self._stands = False
        self._is_taken = number != NOBODY

    def note_heard(self) -> None:
        """The handler has begun."""
        self._heard_s = read_clock_s()

    def is_number(self, number: int) -> bool:
        """Whether this is the number that nobody is to see."""
        return number == self._number and number != NOBODY

    def stop(self) -> None:
        """Undo it all; in the main thread."""
        ends, self._ends = self._ends, None
        if ends is None:
            return
        if self._stands and self._pid == os.getpid():
            set_wakeup_fd(NOBODY)
        self._stands = self._is_taken = False
        self._number = NOBODY
        self._pid = 0
        _, written = ends
        written.send(_STOP)
        written.close()

    def _begin(self) -> None:
        self._pid = os.getpid()  # tried once: where there is no room for it, the gap stays
        self._number = NOBODY
        self._stands = False
        self._is_taken = True
        read, written = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        read.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        written.setblocking(False)
        high = _lift(written)
        thread = BackgroundThread(lambda: self._serve(read), read.close, "calidris-signals")
        thread.start()
        self._ends = read, high
        self._number = high.fileno()
        self._is_taken = False

    def _serve(self, read: socket.socket) -> None:
        try:
            while True:
                number, writer = _receive(read)
                # A child that has been forked writes here too, of signals of its own.
                if writer != os.getpid():
                    continue
                if number == _STOP[0]:
                    return
                if self._is_ours(number):
                    self._have_heard(number)
        except OSError:  # somebody has closed it
            return
        except Exception:
            caught("signals")

    def _have_heard(self, number: int) -> None:
        """Wait until the handler begins, and send the signal to the main thread itself as long as it does not."""
        came_s = read_clock_s()
        sleep = find_original("time", "sleep")
        for patience_s in PATIENCE_S:
            sleep(patience_s)
            if self._heard_s > came_s - JUST_NOW_S or not self._is_ours(number):
                return
            main: Any = threading.main_thread().ident
            pthread_kill(main, number)


def _receive(read: socket.socket) -> tuple[int, int]:
    """The next signal, and the process that it came to."""
    data, told, _, _ = read.recvmsg(1, socket.CMSG_SPACE(_CREDENTIALS.size))
    for level, kind, value in told:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            pid, _, _ = _CREDENTIALS.unpack(value)
            return data[0], pid
    return data[0], 0


def _lift(low: socket.socket) -> socket.socket:
    """The same end under a high number, where the system gives one."""
    import fcntl  # Windows has none

    try:
        high = fcntl.fcntl(low.fileno(), fcntl.F_DUPFD_CLOEXEC, HIGH)
    except OSError:  # fewer are allowed
        return low
    low.close()
    return socket.socket(fileno=high)
