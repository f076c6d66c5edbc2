"""The manners of the SDK in somebody's process: what goes wrong in it goes no further, and one call is one prediction.

* The **shield** (`caught`, `shielded`): an error of ours is logged once per kind, counted, and goes no further.
* The **guard** (`is_inside`): a call made while another prediction or a ``fit`` is running is not a prediction of its own.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import ParamSpec, Protocol, TypeVar
from weakref import ref

from calidris.instrument.environment import OTEL_CALIDRIS_DEBUG_RAISE
from calidris.instrument.guarded_log import log
from calidris.instrument.signal_errors import passes
from calidris.instrument.tally import Tally

P = ParamSpec("P")
R = TypeVar("R")

_errors: Tally[str] = Tally()
_said: dict[str, object] = {}

_outermost: ContextVar[ref[Outer] | None] = ContextVar("calidris_outermost", default=None)


class Outer(Protocol):
    """A call within which no other call is a prediction of its own.

    Attributes:
        is_open: whether it still runs.
    """

    is_open: bool


class Enclosure:
    """An outer call that is no more than that."""

    __slots__ = ("__weakref__", "is_open")

    def __init__(self) -> None:
        self.is_open = True


def is_inside() -> bool:
    """True while an outer call is already being watched, or is no prediction at all (``fit``, cross-validation)."""
    reference = _outermost.get()
    if reference is None:
        return False
    outer = reference()
    return outer is not None and outer.is_open


def enter(outer: Outer) -> Token[ref[Outer] | None]:
    """Make it the outer call of this context; give what this returns to `leave`.

    Held weakly: a call that an exception of a signal handler kept from ever being left is forgotten with its object.
    """
    return _outermost.set(ref(outer))


def leave(outer: Outer, token: Token[ref[Outer] | None]) -> None:
    """End it. Calls of generators may end in another order than they began, or in another context."""
    outer.is_open = False
    reference = _outermost.get()
    if reference is not None and reference() is outer:
        try:  # noqa: SIM105  # every row comes by here, and suppress costs a fifth of it
            _outermost.reset(token)
        except ValueError:
            pass  # left in another context than it was entered in: that one never saw it


def caught(where: str) -> None:
    """Swallow the exception being handled: log the first of each kind with its stack, count all.

    Call it in an ``except BaseException`` block: what `passes` goes on to the application, unchanged. Under
    ``OTEL_CALIDRIS_DEBUG_RAISE=1`` it re-raises, so that the shield cannot hide our own bugs from our own tests; this is the
    only place that looks at the switch.
    """
    error = sys.exception()
    if error is not None and (passes(error) or os.environ.get(OTEL_CALIDRIS_DEBUG_RAISE) == "1"):
        raise error
    kind = f"{where}: {type(error).__name__}"
    _errors.add(kind)
    mine = object()
    if _said.setdefault(kind, mine) is mine:
        log.exception("calidris: internal error in %s; the host is not affected. Logged once.", where)


def internal_errors() -> dict[str, int]:
    """How many errors of ours the shield swallowed, by place and type of the error."""
    return _errors.sums()


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
            except BaseException:
                caught(where)
                return None

        return guarded

    return decorate


@contextmanager
def not_a_prediction() -> Iterator[None]:
    """Within it no library call counts as a prediction. The user's exceptions pass through."""
    outer = Enclosure()
    token = enter(outer)
    try:
        yield
    finally:
        leave(outer, token)
