"""Forks: what must be over before one, and what the child begins anew.

A child begins with its own random numbers, with locks that no lost thread holds, and with an empty buffer of its own.
"""

from __future__ import annotations

# For its own handler before a fork, which takes a lock that an import of ours may need: handlers run last come first, so it must
# be registered before ours, or a fork would hold that lock while it waits for us.
import concurrent.futures.thread  # noqa: F401
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol
from weakref import WeakSet

from calidris.instrument.guarded_log import log

FORK_WAIT_S = 5.0
"""Longest time that a fork waits for an import of ours to end: some seconds on a slow disk."""


class Renewable(Protocol):
    """Something that does not survive a fork as it is."""

    def after_fork(self) -> None:
        """Begin anew, in the child."""
        ...


_renewed: WeakSet[Renewable] = WeakSet()


def renew_in_child(thing: Renewable) -> None:
    """Have ``thing.after_fork()`` called in every child that is forked from now on, as long as the thing lives."""
    _renewed.add(thing)


# Re-entrant: an import may itself start a process, and must not wait for its own end.
_held = threading.RLock()
_waited = threading.local()


@contextmanager
def hold_forks() -> Iterator[None]:
    """Have forks wait until the block is over.

    For imports in a thread: a child that is forked in the midst of one has a module that is half there, and the lock of that
    import is held by a thread that exists only in the parent. Both last for the child's life.
    """
    with _held:
        yield


def _wait_before() -> None:
    _waited.acquired = _held.acquire(timeout=FORK_WAIT_S)


def _go_on_after() -> None:
    if _waited.acquired:
        _held.release()


def _renew_all() -> None:
    global _held
    _held = threading.RLock()
    for thing in list(_renewed):
        try:
            thing.after_fork()
        except Exception:  # one that cannot begin anew must not keep the others from it
            log.exception("calidris: %s could not begin anew in a forked child", type(thing).__name__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait_before, after_in_parent=_go_on_after, after_in_child=_renew_all)
