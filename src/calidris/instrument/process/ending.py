"""The end of a process: how the last rows leave before it, whoever ends it.

====================================================  =====================================================================
the process ends by                                   what happens
====================================================  =====================================================================
the end of the program, an exception, ``sys.exit``    ``atexit``
a child of multiprocessing or joblib                  its ``Finalize``: such children need not reach ``atexit``
a child of Celery                                     its signal ``worker_process_shutdown``: they reach neither
SIGTERM, and nobody handles it                        a handler of ours, which nobody sees, sends, and raises it again
a server that handles SIGTERM, puts the default       `signal.raise_signal` and `os.kill` send first
back and raises it again (uvicorn)
``os._exit``, SIGKILL                                 nothing can be done
====================================================  =====================================================================
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks a handler for its text
from collections.abc import Callable
from types import FrameType, MethodType, ModuleType
from typing import Any, Final

from calidris.instrument.process.machine_clock import read_clock_s
from calidris.instrument.shield import caught

EXIT_DEADLINE_S: Final = 2.0
"""Longest time that the end of a process is held for what is left."""

GOES_ON_AFTER_S: Final = 10.0
"""A process that still runs so long after has not ended: its next end is another one."""

FINALIZING_MODULE: Final = "multiprocessing.util"
"""Whose children end without ``atexit``; joblib's workers are such."""

CELERY_SIGNALS: Final = "celery.signals"
"""Where Celery's children say that they end."""

FINALIZE_LAST: Final = -1_000_000
"""Priority among a child's finalizers: the application's may still predict. Those without one do not run at all."""

DEADLY: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGHUP", "SIGINT", "SIGQUIT", "SIGTERM")
    if hasattr(signal, name)  # not every system has them all
)
"""Signals that end a process in which nobody handles them, and that are used to ask for it."""

_kill: Final = os.kill
_set_handler: Final = signal.signal
"""Before anybody replaces them, we among them."""


class EndOfProcess:
    """Watches for the end of the process, in every process anew, and leaves everything as it was.

    Args:
        flush: sends what waits, for at most so many seconds; the process may yet go on.
        finish: the same; nothing can be sent afterwards.
    """

    def __init__(
        self,
        flush: Callable[[float], object],
        finish: Callable[[float], object],
    ) -> None:
        self._flush = flush
        self._finish = finish
        self._hold_until_s = 0.0
        self._handles_sigterm = False
        self._replaced: list[_Replaced] = []
        self._finalizer: Any = None
        self._hooked: set[str] = set()
        # At the import, which is early: what is registered first runs last, after the application's own handlers.
        atexit.register(self._at_exit)

    def watch(self, handle_sigterm: bool) -> None:
        """Begin, or in a child begin anew. Never raises; cheap enough to be called whenever recording starts."""
        try:
            self._hook_libraries()
            if not self._replaced:
                self._replace_raisers()
                self._hide_handler()
            self._handles_sigterm = handle_sigterm
            self._handle_sigterm()
        except Exception:
            caught("end of process")

    def leave(self) -> None:
        """Undo what `watch` changed, as far as it is still ours."""
        while self._replaced:
            replaced = self._replaced.pop()
            replaced.undo()
        self._handles_sigterm = False
        if _is_main_thread() and self._is_handler():
            _set_handler(signal.SIGTERM, signal.SIG_DFL)

    def _at_exit(self) -> None:
        try:
            self._finish(self._left_s())
        except KeyboardInterrupt:  # somebody does not want to wait: what is left is counted, and the end goes on
            self._finish(0.0)
        except Exception:
            caught("exit")

    def _left_s(self) -> float:
        """What is left of the time for which an end may be held: a process may come by several of these doors on its way."""
        now_s = read_clock_s()
        if now_s > self._hold_until_s + GOES_ON_AFTER_S:
            self._hold_until_s = now_s + EXIT_DEADLINE_S
        left_s = self._hold_until_s - now_s
        return max(0.0, left_s)

    def _hook_libraries(self) -> None:
        """Only those that the application has imported."""
        if FINALIZING_MODULE in sys.modules:
            self._hook_multiprocessing(sys.modules[FINALIZING_MODULE])
        if CELERY_SIGNALS in sys.modules:
            self._hook_celery(sys.modules[CELERY_SIGNALS])

    def _hook_multiprocessing(self, util: Any) -> None:
        if FINALIZING_MODULE not in self._hooked:
            self._hooked.add(FINALIZING_MODULE)
            # A child clears its finalizers when it begins, after it has imported the application: then ours is needed again.
            util.register_after_fork(self, EndOfProcess._finalize)
        self._finalize()

    def _hook_celery(self, signals: Any) -> None:
        if CELERY_SIGNALS not in self._hooked:
            self._hooked.add(CELERY_SIGNALS)
            ending = signals.worker_process_shutdown
            ending.connect(self._on_celery, weak=False)

    def _finalize(self) -> None:
        if not _is_child():
            return
        if self._finalizer is not None and self._finalizer.still_active():
            return
        util: Any = sys.modules[FINALIZING_MODULE]
        self._finalizer = util.Finalize(
            None,
            self._at_exit,
            exitpriority=FINALIZE_LAST,
        )

    def _on_celery(self, **described: object) -> None:
        self._flush_shielded()

    def _handle_sigterm(self) -> None:
        """Only where nobody handles it, and only the main thread may."""
        if not self._handles_sigterm or not _is_main_thread():
            return
        if _is_default(signal.SIGTERM):
            _set_handler(signal.SIGTERM, self._on_sigterm)

    def _is_handler(self) -> bool:
        return self._is_ours(getsignal(signal.SIGTERM))

    def _on_sigterm(self, number: int, frame: FrameType | None) -> None:
        """Send, then let the signal do what it would have done without us, also where a time-out breaks the sending off.

        Who got hold of us nevertheless and calls us as the handler before his own decides what becomes of the process.
        """
        try:
            self._flush_shielded()
        finally:
            if self._is_handler():
                _set_handler(number, signal.SIG_DFL)
                _kill(os.getpid(), number)

    def _flush_shielded(self) -> None:
        try:
            self._flush(self._left_s())
        except Exception:
            caught("signal")

    def _replace_raisers(self) -> None:
        """Have a process that raises a deadly signal at itself send first."""
        raise_signal = signal.raise_signal
        kill = os.kill

        @functools.wraps(raise_signal)
        def raising(signalnum: int, /) -> None:
            if self._dies_of(signalnum):
                self._flush_shielded()
            raise_signal(signalnum)

        @functools.wraps(kill)
        def killing(pid: int, signal: int, /) -> None:
            if pid == os.getpid() and self._dies_of(signal):
                self._flush_shielded()
            kill(pid, signal)

        # As what they stand for: they are pickled by name, and found again under it.
        raising.__module__, killing.__module__ = "signal", "os"
        self._replaced += [
            _Replaced(signal, "raise_signal", raising),
            _Replaced(os, "kill", killing),
        ]

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
            self._handle_sigterm()
            return self._seen(before)

        @functools.wraps(get_handler)
        def getting(signalnum: Any) -> Any:
            return self._seen(get_handler(signalnum))

        self._replaced += [
            _Replaced(signal, "signal", setting),
            _Replaced(signal, "getsignal", getting),
        ]

    def _seen(self, handler: Any) -> Any:
        return signal.SIG_DFL if self._is_ours(handler) else handler

    def _is_ours(self, handler: Any) -> bool:
        return type(handler) is MethodType and handler == self._on_sigterm

    def _dies_of(self, number: int) -> bool:
        if number not in DEADLY:
            return False
        return _is_default(number)


class _Replaced:
    """A function of a module replaced by ours."""

    def __init__(self, module: ModuleType, name: str, ours: Any) -> None:
        self._module = module
        self._name = name
        self._ours = ours
        self._theirs = getattr(module, name)
        setattr(module, name, ours)

    def undo(self) -> None:
        """Put the very object back, unless somebody else has replaced ours."""
        if getattr(self._module, self._name) is self._ours:
            setattr(self._module, self._name, self._theirs)


def _is_child() -> bool:
    """Whether this process was started by multiprocessing."""
    process: Any = sys.modules["multiprocessing.process"]
    kind = type(process.current_process())
    return kind.__name__ != "_MainProcess"


def _is_default(number: int) -> bool:
    # By its type first: a handler may be any object, and one of the application may raise when it is compared.
    handler = getsignal(number)
    return type(handler) is int and handler == signal.SIG_DFL


def _is_main_thread() -> bool:
    """Where signal handlers may be set."""
    return threading.current_thread() is threading.main_thread()
