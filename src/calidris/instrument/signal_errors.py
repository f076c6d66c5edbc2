"""Errors that come from outside while code of ours runs: they are the application's, and pass.

A signal handler raises them, in the main thread; or a thread throws them into another one, as some libraries for time-outs do.
"""

from __future__ import annotations

import functools
import opcode
import signal
import sys
import threading
from _signal import getsignal  # type: ignore[import-not-found]  # signal's own asks the handler for its text first, which may be an object's that raises
from itertools import pairwise
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Final

_RAISE: Final = opcode.opmap["RAISE_VARARGS"]

_own_threads: Final[set[int]] = set()


def _list_codes(*names: str) -> frozenset[int]:
    """Those that this Python has."""
    return frozenset(opcode.opmap[name] for name in names if name in opcode.opmap)


# Where Python looks whether something was thrown in. At the first nothing else can be raised.
_PAUSES: Final = _list_codes("RESUME", "JUMP_BACKWARD")
_CALLS: Final = _list_codes("PRECALL", "CALL", "CALL_KW", "CALL_FUNCTION_EX") | {
    code for name, code in opcode.opmap.items() if name.startswith("POP_JUMP_BACKWARD_IF")
}

OURS: Final = sys.stdlib_module_names | {"calidris", "opentelemetry"}
"""Packages in whose code we are while we are not in the application's."""


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
    """True for what came from outside while code of ours ran: Ctrl-C, a worker's exit, a time-out. It is the application's.

    Whatever an object of the application raises while we read it stays with us, also `SystemExit` and a `KeyboardInterrupt`
    that it raises itself. What is thrown in while code of such an object runs cannot be told from that, and stays too: what is
    missing for it is counted. Costs nothing until something is raised.
    """
    if threading.get_ident() in _own_threads:
        return False  # nobody to give it to
    if _was_thrown_in(error):
        return True
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


def own_this_thread(owned: bool) -> None:
    """Say that the current thread is one of ours, or is no more."""
    ident = threading.get_ident()
    if owned:
        _own_threads.add(ident)
    else:
        _own_threads.discard(ident)


def disown_threads() -> None:
    """In a forked child: our threads are gone, and the next ones of the application are given their numbers."""
    _own_threads.clear()


def _was_thrown_in(error: BaseException) -> bool:
    """True for an error without a message that nobody raised: it came at a place where Python looks for such."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or error.args:
        return False
    frame = trace.tb_frame
    if _is_native(frame.f_code):
        return False
    at = frame.f_code.co_code[trace.tb_lasti]
    if at in _CALLS:
        # What is called from there may be the application's, and raise an error of Python's own in C.
        return _is_ours(frame) and not _is_pythons(type(error))
    return at in _PAUSES


def _is_native(code: CodeType) -> bool:
    """True for what Cython puts into a trace for its own functions: it stands at its start for ever, and what it raised is its own."""
    return not code.co_consts and not code.co_names


def _is_ours(frame: FrameType) -> bool:
    name = frame.f_globals.get("__name__")
    return type(name) is str and name.partition(".")[0] in OURS


def _is_pythons(kind: type[BaseException]) -> bool:
    """Whether Python brings this error; asked of the type itself, not of what it says."""
    module = type.__getattribute__(kind, "__module__")
    if type(module) is not str:
        return True
    package = module.partition(".")[0]
    return package in sys.stdlib_module_names or package == "builtins"


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
