"""Errors that a signal handler of the application raises while code of ours runs: they are the application's, and pass."""

from __future__ import annotations

import functools
import opcode
import signal
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks the handler for its text first, which may be an object's that raises
from itertools import pairwise
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Final

_RAISE: Final = opcode.opmap["RAISE_VARARGS"]


class _Kept:
    """The last error that came when what was being recorded was recorded already.

    Attributes:
        error: None once it has been asked for.
    """

    error: BaseException | None = None


def note_kept(error: BaseException) -> None:
    """What is being recorded will be sent, although this error goes on to whoever records."""
    _Kept.error = error


def was_kept(error: BaseException | None) -> bool:
    """Whether what an error came in between was recorded before it; asked once, so that nothing is held by its trace."""
    if error is None or _Kept.error is not error:
        return False
    _Kept.error = None
    return True


def passes(error: BaseException) -> bool:
    """True for what a signal handler raised while code of ours ran: Ctrl-C, a worker's exit, a time-out. It is the application's.

    Whatever an object of the application raises while we read it stays with us, also `SystemExit` and a `KeyboardInterrupt`
    that it raises itself. Costs nothing until something is raised.
    """
    if threading.current_thread() is not threading.main_thread():
        return False  # handlers run in the main thread only
    is_interrupt = isinstance(error, KeyboardInterrupt)
    if is_interrupt and not _raised_by_python(error.__traceback__):
        return True
    handlers = _handlers()
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code in handlers:
            return True
        if _was_given_a_frame(frame):
            return True
        trace = trace.tb_next
    return False


def _raised_by_python(trace: TracebackType | None) -> bool:
    """True when the innermost frame executed a ``raise``; the interpreter's own handler of Ctrl-C leaves no such frame."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code.co_code
    return code[trace.tb_lasti] == _RAISE


def _handlers() -> set[CodeType]:
    """The code of every Python function that handles a signal now, also behind a partial, a method or a callable object."""
    found = set()
    for number in signal.valid_signals():
        handler = getsignal(number)
        while isinstance(handler, functools.partial):
            handler = handler.func
        if isinstance(handler, (FunctionType, MethodType)):
            found.add(handler.__code__)
            continue
        call = vars(type(handler)).get("__call__")
        if isinstance(call, FunctionType):
            found.add(call.__code__)
    return found


def _was_given_a_frame(frame: FrameType) -> bool:
    """True for a call with a number and a frame: a handler that gave up its place before it raised, as many do."""
    names = frame.f_code.co_varnames[: frame.f_code.co_argcount]
    given = [frame.f_locals.get(name) for name in names]
    # By identity: a type of the application may raise when it is compared.
    return any(_is_number(type(one)) and type(two) is FrameType for one, two in pairwise(given))


def _is_number(kind: type) -> bool:
    return kind is int or kind is signal.Signals
