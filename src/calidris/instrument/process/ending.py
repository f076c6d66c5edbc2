"""The end of a process: how the last rows leave before it, whoever ends it.

====================================================  =====================================================================
the process ends by                                   what happens
====================================================  =====================================================================
the end of the program, an exception, ``sys.exit``    ``atexit``
``os._exit``, another program in its place, a deadly  they send first (`own_ends`): children of multiprocessing, joblib,
signal that it sends to itself                        Celery and others end so, and servers when they are done
SIGTERM or SIGHUP, and nobody handles it              a handler of ours, which nobody sees, sends, and raises it again
SIGKILL, other signals, a crash                       nothing can be done
====================================================  =====================================================================
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks a handler for its text
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, MethodType
from typing import Any, Final

from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.process.own_ends import OwnEnds, is_default
from calidris.instrument.process.replaced import Replaced
from calidris.instrument.process.unheard_signals import NOBODY, UnheardSignals
from calidris.instrument.shield import caught

EXIT_DEADLINE_S: Final = 2.0
"""Longest time that the end of a process is held for what is left."""

GOES_ON_AFTER_S: Final = 10.0
"""A process that still runs so long after has not ended: its next end is another one."""

HANDLED: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGTERM")
    if hasattr(signal, name)  # not every system has them all
)
"""Signals by which a process is asked to end, that mean nothing else, and that we handle where nobody does.

Not SIGINT, which Python handles, and whose default is put back for Ctrl-C to end native code at once; nor SIGQUIT, SIGALRM and the
like: who lets those end a process means it to end at once.
"""

FIRST_PROCESS: Final = 1
"""Of a machine or a container: the default of a signal does not end it."""

_kill: Final = os.kill
_set_handler: Final = signal.signal
"""Before anybody replaces them, we among them."""


class EndOfProcess:
    """Watches for the end of the process, in every process anew, and leaves everything as it was.

    Args:
        flush: sends what waits, for at most so many seconds; the process may yet go on.
        finish: the same; what is given afterwards waits for its answer.
        go_on: what looked like the end was none.
    """

    def __init__(
        self,
        flush: Callable[[float], object],
        finish: Callable[[float], object],
        go_on: Callable[[], object],
    ) -> None:
        self._flush = flush
        self._finish = finish
        self._held_s = 0.0
        self._door_s = 0.0
        self._pid = 0
        self._handles_signals = False
        self._own_ends = OwnEnds(self._flush_now, self._finish_now, go_on)
        self._unheard = UnheardSignals(self._is_handler)
        self._hidden: list[Replaced] = []
        # At the import, which is early: what is registered first runs last, after the application's own handlers.
        atexit.register(self._at_exit)

    def watch(self, handle_sigterm: bool) -> None:
        """Begin, or in a child begin anew. Never raises; cheap enough to be called whenever recording starts."""
        try:
            if not self._is_mine():
                self._pid = os.getpid()
                self._held_s = 0.0
            self._own_ends.replace()
            if not self._hidden:
                self._hide_handler()
            self._handles_signals = handle_sigterm
            self._handle_signals()
        except Exception:
            caught("end of process")

    def leave(self) -> None:
        """Undo what `watch` changed, as far as it is still ours."""
        while self._hidden:
            hidden = self._hidden.pop()
            hidden.undo()
        self._own_ends.undo()
        self._handles_signals = False
        if _is_main_thread():
            self._unheard.stop()
        for number in HANDLED:
            if _is_main_thread() and self._is_handler(number):
                _set_handler(number, signal.SIG_DFL)

    def _at_exit(self) -> None:
        try:
            self._hold(self._finish)
        except KeyboardInterrupt:  # somebody does not want to wait: what is left is counted, and the end goes on
            self._finish(0.0)
        except Exception:
            caught("exit")

    def _hold(self, send: Callable[[float], object]) -> None:
        """Send for as long as is left of the time for which an end may be held: a process may come by several doors on its way."""
        begun_s = read_clock_s()
        if begun_s > self._door_s + GOES_ON_AFTER_S:
            self._held_s = 0.0
        left_s = EXIT_DEADLINE_S - self._held_s
        try:
            send(max(0.0, left_s))
        finally:
            self._door_s = read_clock_s()
            self._held_s += self._door_s - begun_s

    def _flush_now(self) -> None:
        if self._is_mine():
            self._hold(self._flush)

    def _finish_now(self) -> None:
        if self._is_mine():
            self._at_exit()

    def _is_mine(self) -> bool:
        """Whether this process records. A child that native code forked has our state, and not the thread that sends."""
        return self._pid == os.getpid()

    def _handle_signals(self) -> None:
        """Only those that nobody handles, and only the main thread may."""
        if not self._handles_signals or not _is_main_thread():
            return
        for number in HANDLED:
            if is_default(number) and not _is_handled_natively(number):
                _set_handler(number, self._on_signal)
        if any(map(self._is_handler, HANDLED)):
            self._listen()

    def _listen(self) -> None:
        try:
            self._unheard.listen()
        except (OSError, RuntimeError):  # no more descriptors, or threads
            return
        except Exception:
            caught("signals")

    def _is_handler(self, number: int) -> bool:
        return self._is_ours(getsignal(number))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Send, then let the signal do what it would have done without us, also where a time-out breaks the sending off.

        Who got hold of us nevertheless and calls us as the handler before his own decides what becomes of the process.
        """
        self._unheard.note_heard()
        try:
            self._send_at_signal(number)
        finally:
            if self._is_handler(number):
                _set_handler(number, signal.SIG_DFL)
                _kill(os.getpid(), number)

    def _send_at_signal(self, number: int) -> None:
        ends = self._is_handler(number) and os.getpid() != FIRST_PROCESS
        try:
            if ends:
                self._finish_now()
            else:
                self._flush_now()
        except Exception:
            caught("signal")

    def _hide_handler(self) -> None:
        """Have whoever asks or sets a handler see the default where ours stands, and put ours where the default is put back.

        A handler that calls the one before it must find none to call; and servers and event loops put the default back when
        they are done, after which the process may still predict and be ended.
        """
        set_handler = signal.signal
        get_handler = signal.getsignal

        @functools.wraps(set_handler)
        def setting(signalnum: Any, handler: Any) -> Any:
            before = set_handler(signalnum, handler)
            self._handle_signals()
            return self._seen(before)

        @functools.wraps(get_handler)
        def getting(signalnum: Any) -> Any:
            return self._seen(get_handler(signalnum))

        self._hidden += [
            Replaced(signal, "signal", setting),
            Replaced(signal, "getsignal", getting),
            Replaced(signal, "set_wakeup_fd", self._hide_number()),
        ]

    def _hide_number(self) -> Callable[..., int]:
        """Have whoever sets the number that signals are written to see none where ours stands, and put ours back after his."""
        set_number = signal.set_wakeup_fd

        @functools.wraps(set_number)
        def setting(*given: Any, **named: Any) -> int:
            before: int = set_number(*given, **named)
            self._unheard.note_set(*given)
            self._handle_signals()
            return NOBODY if self._unheard.is_number(before) else before

        return setting

    def _seen(self, handler: Any) -> Any:
        return signal.SIG_DFL if self._is_ours(handler) else handler

    def _is_ours(self, handler: Any) -> bool:
        return type(handler) is MethodType and handler == self._on_signal


def _is_handled_natively(number: int) -> bool:
    """Whether native code handles a signal without Python's knowledge, as uWSGI does. False where the system does not tell."""
    with suppress(OSError), open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"SigCgt:"):
                _, mask = line.split()
                return bool(int(mask, 16) >> number - 1 & 1)
    return False


def _is_main_thread() -> bool:
    """Where signal handlers may be set."""
    return threading.current_thread() is threading.main_thread()
