"""The manners of the SDK in somebody's process: what goes wrong in it goes no further, and one call is one prediction.

* The **shield** (`caught`, `shielded`): an error of ours is logged once per kind, counted, and goes no further.
* The **guard** (`is_inside`): a call made while another prediction or a ``fit`` is running is not a prediction of its own.
"""

from __future__ import annotations

import functools
import logging
import opcode
import os
import signal
import sys
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks the handler for its text first, which may be an object's that raises
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar, Token
from itertools import pairwise
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Final, ParamSpec, Protocol, TypeVar
from weakref import ref

from calidris.instrument.environment import OTEL_CALIDRIS_DEBUG_RAISE
from calidris.instrument.tally import Tally

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("calidris")
_errors: Tally[str] = Tally()
_said: dict[str, object] = {}
_RAISE: Final = opcode.opmap["RAISE_VARARGS"]

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
        with suppress(ValueError):  # left in another context than it was entered in: that one never saw it
            _outermost.reset(token)


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
        _log.error("calidris: internal error in %s; the host is not affected. Logged once.", where, exc_info=True)


def passes(error: BaseException) -> bool:
    """True for what a signal handler raised while code of ours ran: Ctrl-C, a worker's exit, a time-out. It is the application's.

    Whatever an object of the application raises while we read it stays with us, also `SystemExit` and a `KeyboardInterrupt`
    that it raises itself. Costs nothing until something is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers run in the main thread only
    if isinstance(error, KeyboardInterrupt) and not _raised_by_python(error.__traceback__):
        return True
    handlers = _handlers()
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code in handlers or _was_given_a_frame(trace.tb_frame):
            return True
        trace = trace.tb_next
    return False


def _raised_by_python(trace: TracebackType | None) -> bool:
    """True when the innermost frame executed a ``raise``; the interpreter's own handler of Ctrl-C leaves no such frame."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_code.co_code[trace.tb_lasti] == _RAISE


def _handlers() -> set[CodeType]:
    """The code of every Python function that handles a signal now, also behind a partial, a method or a callable object."""
    found = set()
    for number in signal.valid_signals():
        handler = getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if isinstance(handler, (FunctionType, MethodType)):
            found.add(handler.__code__)
        elif isinstance(call := vars(type(handler)).get("__call__"), FunctionType):
            found.add(call.__code__)
    return found


def _was_given_a_frame(frame: FrameType) -> bool:
    """True for a call with a number and a frame: a handler that gave up its place before it raised, as many do."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    given = [frame.f_locals.get(name) for name in names]
    return any(type(one) in (int, signal.Signals) and type(two) is FrameType for one, two in pairwise(given))


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
