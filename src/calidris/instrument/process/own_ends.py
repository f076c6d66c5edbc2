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

Act = Callable[..., None]

HARMLESS: Final = (
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGWINCH",
)
"""Signals that do not end a process in which nobody handles them."""

_THREADS: Final = "/proc/self/task"
"""Where Linux tells of each thread."""

# Asked for once: it takes as long as many calls of those functions.
_DEADLY: Final = signal.valid_signals() - {getattr(signal, name, None) for name in HARMLESS}


class OwnEnds:
    """Replaces them, as far as this system has them.

    Args:
        flush: sends what waits; the process may yet go on.
        finish: the same; nothing comes after it.
        go_on: called where something does: it was given no number, or a test has put something of its own in its place.
    """

    def __init__(
        self,
        flush: Callable[[], None],
        finish: Callable[[], None],
        go_on: Callable[[], object],
    ) -> None:
        self._flush = flush
        self._finish = finish
        self._go_on = go_on
        self._replaced: list[Replaced] = []

    def replace(self) -> None:
        """Put ours in their place, once."""
        if self._replaced:
            return
        before_os: dict[str, Act] = {
            "_exit": self._before_last,
            "abort": self._before_last,
            "execv": self._before_another,
            "execve": self._before_another,
            "kill": self._before_kill,
            "killpg": self._before_killpg,
        }
        before_signal: dict[str, Act] = {
            "raise_signal": self._before_signal,
            "pthread_kill": self._before_pthread_kill,
        }
        self._precede(os, before_os)
        self._precede(signal, before_signal)

    def undo(self) -> None:
        """Put theirs back, as far as ours are still there."""
        while self._replaced:
            replaced = self._replaced.pop()
            replaced.undo()

    def _precede(self, module: ModuleType, before: dict[str, Act]) -> None:
        for name, act in before.items():
            if hasattr(module, name):
                after = self._go_on if act == self._before_last else None
                replaced = precede(module, name, act, after)
                self._replaced.append(replaced)

    def _before_last(self, status: int = 0) -> None:
        # Whatever comes, a Ctrl-C too: who ends in this way expects nothing to be raised, and to come back from it least of all.
        with suppress(BaseException):
            self._finish()

    def _before_another(self, *given: object, **named: object) -> None:
        self._flush()  # there may be no such program

    def _before_kill(self, pid: int, number: int) -> None:
        group = os.getpgrp() if hasattr(os, "getpgrp") else 0
        mine = {
            os.getpid(),
            -group,
            0,  # the group too
            -1,  # everybody
        }
        if pid in mine:
            self._before_signal(number)

    def _before_killpg(self, group: int, number: int) -> None:
        mine = os.getpgrp()
        if group in {0, mine}:
            self._before_signal(number)

    def _before_pthread_kill(self, thread: int, number: int) -> None:
        self._before_signal(number)

    def _before_signal(self, number: int) -> None:
        if is_deadly(number) and is_default(number) and not is_blocked(number):
            self._flush()


def is_deadly(number: int) -> bool:
    """Whether a signal ends a process in which nobody handles it."""
    return number in _DEADLY


def is_blocked(number: int) -> bool:
    """Whether a signal waits until somebody asks for it, as with ``signal.sigwait``: every thread blocks it. Ours block all."""
    if not hasattr(signal, "pthread_sigmask") or number not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
        return False
    with suppress(OSError, KeyError):  # where the system does not tell
        return all(map(_blocks(number), os.listdir(_THREADS)))
    return False


def _blocks(number: int) -> Callable[[str], bool]:
    def blocks(thread: str) -> bool:
        told = _read_status(thread)
        state = told.get(b"State", b"")
        # A thread that has just ended takes no signal, whatever is said of what it blocks.
        if not told or state[:1] in (b"Z", b"X"):
            return True
        return bool(int(told[b"SigBlk"], 16) >> number - 1 & 1)

    return blocks


def _read_status(thread: str) -> dict[bytes, bytes]:
    """What Linux tells of a thread; nothing of one that is gone."""
    with suppress(FileNotFoundError, ProcessLookupError), open(f"{_THREADS}/{thread}/status", "rb") as status:
        pairs = [line.partition(b":") for line in status]
        return {name: value.strip() for name, _, value in pairs}
    return {}


def is_default(number: int) -> bool:
    """Whether Python knows of nobody who handles a signal."""
    # By its type first: a handler may be any object, and one of the application may raise when it is compared.
    handler = getsignal(number)
    return type(handler) is int and handler == signal.SIG_DFL
