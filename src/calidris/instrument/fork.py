"""What a forked child begins anew: random numbers, locks that no lost thread holds, and with an empty buffer its own sender."""

from __future__ import annotations

import logging
import os
from typing import Protocol
from weakref import WeakSet


class Renewable(Protocol):
    """Something that does not survive a fork as it is."""

    def after_fork(self) -> None:
        """Begin anew, in the child."""
        ...


_renewed: WeakSet[Renewable] = WeakSet()
_log = logging.getLogger("calidris")


def renew_in_child(thing: Renewable) -> None:
    """Have ``thing.after_fork()`` called in every child that is forked from now on, as long as the thing lives."""
    _renewed.add(thing)


def _renew_all() -> None:
    for thing in list(_renewed):
        try:
            thing.after_fork()
        except Exception:  # one that cannot begin anew must not keep the others from it
            _log.exception("calidris: %s could not begin anew in a forked child", type(thing).__name__)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
