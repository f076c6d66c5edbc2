"""The manners of the SDK in somebody's process: what goes wrong in it goes no further, and one call is one prediction.

* The **shield** (`caught`, `shielded`): an error of ours is logged once per kind, counted, and goes no further.
* The **guard** (`inside`): a call made while another prediction or a ``fit`` is running is not a prediction of its own.
"""

from __future__ import annotations

import functools
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import ParamSpec, TypeVar

from calidris.instrument.environment import OTEL_CALIDRIS_DEBUG_RAISE

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("calidris")
_lock = threading.Lock()
_errors: Counter[str] = Counter()

inside: ContextVar[bool] = ContextVar("calidris_inside", default=False)
"""True while an outer call is already being watched, or is no prediction at all (``fit``, cross-validation)."""


def caught(where: str) -> None:
    """Swallow the exception being handled: log the first of each kind with its stack, count all.

    Call it in an ``except Exception`` block. Under ``OTEL_CALIDRIS_DEBUG_RAISE=1`` it re-raises, so that the shield cannot
    hide our own bugs from our own tests; this is the only place that looks at the switch.
    """
    error = sys.exception()
    if error is not None and os.environ.get(OTEL_CALIDRIS_DEBUG_RAISE) == "1":
        raise error
    kind = f"{where}: {type(error).__name__}"
    with _lock:
        _errors[kind] += 1
        first = _errors[kind] == 1
    if first:
        _log.error("calidris: internal error in %s; the host is not affected. Logged once.", where, exc_info=True)


def internal_errors() -> dict[str, int]:
    """How many errors of ours the shield swallowed, by place and type of the error."""
    with _lock:
        return dict(_errors)


def shielded(where: str) -> Callable[[Callable[P, R]], Callable[P, R | None]]:
    """Make a function of ours unable to raise: it returns ``None`` instead.

    >>> @shielded("doc")
    ... def half(n):
    ...     return n / 2
    >>> half(4)
    2.0
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R | None]:
        @functools.wraps(function)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R | None:
            try:
                return function(*args, **kwargs)
            except Exception:
                caught(where)
                return None

        return guarded

    return decorate


@contextmanager
def not_a_prediction() -> Iterator[None]:
    """Within it no library call counts as a prediction. The user's exceptions pass through."""
    token = inside.set(True)
    try:
        yield
    finally:
        inside.reset(token)
