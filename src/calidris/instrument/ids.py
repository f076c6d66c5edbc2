"""Names of predictions: the key that joins a label to its prediction days later.

The id given by the caller, else ``{trace_id}-{span_id}-{row}`` of the active context (sampled or not; ``row`` counts the
predictions within that span), else 128 random bits with ``-{row}``. Formatting is left to whoever needs the string: the
caller's thread only keeps three integers.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, Final
from weakref import ref

from opentelemetry.trace import Span

Place = tuple[int, int, int]
"""Trace id, span id and first row of a call; outside a trace a random 128-bit number, 0 and 0."""

_Last = tuple[object, Place, int]
"""Given ids (one, a sequence, or None), place, rows."""

# Not the module-level generator: a host that calls random.seed(42) in every worker would give them all the same ids, and
# the receiver, which recognises retries by id, would drop what is no retry.
_random = random.Random(os.urandom(16))
# What a WeakKeyDictionary is inside, without its Python frames: this is on the caller's path.
_rows: Final[dict[ref[Span], list[int]]] = {}
_lock = threading.Lock()
last_call: ContextVar[_Last | None] = ContextVar("calidris_last", default=None)


def reseed() -> None:
    """Give a forked child its own random numbers, and a lock that no lost thread holds."""
    global _lock
    _lock = threading.Lock()
    _random.seed(os.urandom(16))


def random_bits(bits: int) -> int:
    """A random number that is never 0 and does not depend on the host's seed."""
    return _random.getrandbits(bits) or 1


def place_of(span: Span, rows: int = 1) -> Place:
    """Where a call of so many rows stands: about a microsecond.

    Rows of one span are numbered on, so that ten predictions in one request have ten ids, also when they are made in
    different threads or tasks.
    """
    context = span.get_span_context()
    span_id = context.span_id
    if not span_id:
        return _random.getrandbits(128) or 1, 0, 0
    taken = _rows.get(ref(span))
    if taken is None:
        taken = _rows.setdefault(ref(span, _forget), [0])
    with _lock:
        first = taken[0]
        taken[0] = first + rows
    return context.trace_id, span_id, first


def _forget(gone: ref[Span]) -> None:
    _rows.pop(gone, None)


def prediction_ids(given: object, place: Place, rows: int) -> list[str]:
    """The ids of a call as strings.

    >>> prediction_ids(None, (0xABC, 0x1, 4), 2)
    ['00000000000000000000000000000abc-0000000000000001-4', '00000000000000000000000000000abc-0000000000000001-5']
    >>> prediction_ids(17, (0, 0, 0), 1)
    ['17']
    """
    if isinstance(given, (list, tuple)):
        return [str(one) for one in given]
    if given is not None:
        return [str(given)]
    trace_id, span_id, first = place
    stem = f"{trace_id:032x}-{span_id:016x}" if span_id else f"{trace_id:032x}"
    return [f"{stem}-{first + row}" for row in range(rows)]


def remember(given: object, place: Place, rows: int) -> None:
    """Note the call as the last one of the current context."""
    last_call.set((given, place, rows))


def last_prediction_ids() -> tuple[str, ...]:
    """Ids of the rows of the last prediction in the current context (task or thread), empty before the first one.

    Keep them beside the answer you gave, and pass them to ``record_label`` when the outcome is known. They are the same
    whether or not monitoring is switched on.
    """
    last = last_call.get()
    return () if last is None else tuple(prediction_ids(*last))


def as_ids(ids: Sequence[object] | Any) -> list[str]:
    """Ids from a list, an array or a Series, as strings."""
    values = ids.tolist() if hasattr(ids, "tolist") else ids
    return [str(one) for one in values]
