"""Ends that a process brings about itself, by functions that run no ``atexit``: they are replaced, so that rows are sent before.

============================================================  ==========================================================
``os._exit``, ``os.abort``                                    children of multiprocessing, Celery, rq and others end so
``os.execv``, ``os.execve``, and all that go by these         servers and reloaders that start themselves anew
a deadly signal to oneself: ``os.kill``, ``os.killpg``,       servers that put the default back and raise a signal again
``signal.raise_signal``, ``signal.pthread_kill``
============================================================  ==========================================================
"""

from __future__ import annotations

import os
import signal
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks a handler for its text
from collections.abc import Callable
from contextlib import suppress
from types import ModuleType
from typing import Final

from calidris.instrument.process.replaced import Replaced, precede

HARMLESS: Final = frozenset(
    getattr(signal, name)
    for name in ("SIGCHLD", "SIGCONT", "SIGSTOP", "SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGURG", "SIGWINCH")
    if hasattr(signal, name)  # not every system has them all
)
"""Signals that do not end a process in which nobody handles them."""

DEADLY: Final = frozenset(signal.valid_signals()) - HARMLESS
"""Signals that do."""


class OwnEnds:
    """Replaces them, as far as this system has them.

    Args:
        flush: sends what waits; the process may yet go on.
        finish: the same; nothing comes after it.
    """

    def __init__(self, flush: Callable[[], None], finish: Callable[[], None]) -> None:
        self._flush = flush
        self._finish = finish
        self._replaced: list[Replaced] = []

    def replace(self) -> None:
        """Put ours in their place, once."""
        if self._replaced:
            return
        self._precede(os, "_exit", self._before_last)
        self._precede(os, "abort", self._before_last)
        self._precede(os, "execv", self._before_another)
        self._precede(os, "execve", self._before_another)
        self._precede(os, "kill", self._before_kill)
        self._precede(os, "killpg", self._before_killpg)
        self._precede(signal, "raise_signal", self._before_signal)
        self._precede(signal, "pthread_kill", self._before_pthread_kill)

    def undo(self) -> None:
        """Put theirs back, as far as ours are still there."""
        while self._replaced:
            replaced = self._replaced.pop()
            replaced.undo()

    def _precede(self, module: ModuleType, name: str, act: Callable[..., None]) -> None:
        if hasattr(module, name):
            self._replaced.append(precede(module, name, act))

    def _before_last(self, status: int = 0) -> None:
        # Whatever comes, a Ctrl-C too: who ends in this way expects nothing to be raised, and to come back from it least of all.
        with suppress(BaseException):
            self._finish()

    def _before_another(self, path: object, argv: object, env: object = None) -> None:
        self._flush()  # there may be no such program

    def _before_kill(self, pid: int, number: int) -> None:
        mine = pid in {os.getpid(), 0, -1, -os.getpgrp()} if hasattr(os, "getpgrp") else pid == os.getpid()
        if mine:
            self._before_signal(number)

    def _before_killpg(self, group: int, number: int) -> None:
        if group in {0, os.getpgrp()}:
            self._before_signal(number)

    def _before_pthread_kill(self, thread: int, number: int) -> None:
        self._before_signal(number)

    def _before_signal(self, number: int) -> None:
        if number in DEADLY and is_default(number):
            self._flush()


def is_default(number: int) -> bool:
    """Whether Python knows of nobody who handles a signal."""
    # By its type first: a handler may be any object, and one of the application may raise when it is compared.
    handler = getsignal(number)
    return type(handler) is int and handler == signal.SIG_DFL
