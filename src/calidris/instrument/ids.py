"""Names of predictions: the key that joins a label to its prediction days later.

The id given by the caller, else ``{trace_id}-{span_id}-{row}`` of the active context (sampled or not; ``row`` counts the
predictions within that span), else 128 random bits with ``-{row}``. Formatting is left to whoever needs the string: the
caller's thread only keeps three integers.

One spelling for ids of predictions and of labels (`id_of`): whole numbers that a table made floats are their digits, bytes are the
text that they hold or hexadecimal digits, anything else is what ``str`` says. One of more than 1024 characters is its begin
and a digest of it all, in both places alike.
"""

from __future__ import annotations

import io
import os
import random
from array import array
from collections.abc import Sequence
from contextvars import ContextVar
from decimal import Decimal
from typing import Any, Final
from weakref import ref

from opentelemetry.trace import INVALID_SPAN, Span

from calidris.instrument.foreign import Refused, are_of, each, fitted, guarded, listed, name_of, outcome_of, single

Place = tuple[int, int, int]
"""Trace id, span id and first row of a call; outside a trace a random 128-bit number, 0 and 0."""

MAX_CUT: Final = 1 << 17
"""Characters up to which an id is cut: what is longer is a mistake, and its row is dropped as ``row_too_large``."""

_TEXT: Final = frozenset({str})
_WHOLE: Final = frozenset({int})

USUAL_LENGTH: Final = 64
"""Characters of an id that needs no second look."""

_Last = tuple["str | list[Any] | None", Place, int]
"""Given ids (one, a sequence, or None), place, rows."""

# Not the module-level generator: a host that calls random.seed(42) in every worker would give them all the same ids, and
# the receiver, which recognises retries by id, would drop what is no retry.
_random = random.Random(os.urandom(16))
# What a WeakKeyDictionary is inside, without its Python frames: this is on the caller's path.
# A span's rows are counted by a position that is moved on: one call into C that adds and answers, between whose parts neither
# another thread gets nor a signal handler that predicts, which a lock would wait for for ever. It costs a third of the lock.
_rows: Final[dict[ref[Span], io.BytesIO]] = {}
last_call: ContextVar[_Last | None] = ContextVar("calidris_last", default=None)


def reseed() -> None:
    """Give a forked child its own random numbers."""
    _random.seed(os.urandom(16))


def random_bits(bits: int) -> int:
    """A random number that is never 0 and does not depend on the host's seed."""
    return _random.getrandbits(bits) or 1


def place_of(span: Span, rows: int = 1) -> Place:
    """Where a call of so many rows stands: about a microsecond.

    Rows of one span are numbered on, so that ten predictions in one request have ten ids, also when they are made in
    different threads or tasks.
    """
    if span is INVALID_SPAN:  # the one that stands for none, which need not be asked
        return _random.getrandbits(128) or 1, 0, 0
    context = span.get_span_context()
    span_id = context.span_id
    if not span_id:
        return _random.getrandbits(128) or 1, 0, 0
    taken = _rows.get(ref(span))
    if taken is None:
        taken = _rows.setdefault(ref(span, _forget), io.BytesIO())
    return context.trace_id, span_id, taken.seek(rows, os.SEEK_CUR) - rows


def _forget(gone: ref[Span]) -> None:
    _rows.pop(gone, None)


def prediction_ids(given: str | list[Any] | None, place: Place, rows: int) -> list[str]:
    """The ids of a call as strings; where a given one is missing, one is made.

    >>> prediction_ids(None, (0xABC, 0x1, 4), 2)
    ['00000000000000000000000000000abc-0000000000000001-4', '00000000000000000000000000000abc-0000000000000001-5']
    >>> prediction_ids(["17", None], (0, 0, 3), 2)
    ['17', '00000000000000000000000000000000-4']
    """
    if isinstance(given, str):
        return [_cut_id(given)] if given else prediction_ids(None, place, rows)
    trace_id, span_id, first = place
    stem = f"{trace_id:032x}-{span_id:016x}" if span_id else f"{trace_id:032x}"
    if given is None:
        return [f"{stem}-{first + row}" for row in range(rows)]
    texts = texts_of(given)
    return [f"{stem}-{first + row}" if one is None else one for row, one in enumerate(texts)]


def remember(given: list[Any] | None, place: Place, rows: int) -> None:
    """Note the call as the last one of the current context."""
    last_call.set((given, place, rows))


def last_prediction_ids() -> tuple[str, ...]:
    """Ids of the rows of the last prediction in the current context (task or thread), empty before the first one.

    Keep them beside the answer you gave, and pass them to ``record_label`` when the outcome is known. They are the same
    whether or not monitoring is switched on.
    """
    last = last_call.get()
    return () if last is None else tuple(prediction_ids(*last))


def id_of(value: Any) -> str | None:
    """An id as text, the same for predictions and labels; None for one that is missing.

    >>> id_of(17.0), id_of(17), id_of("17"), id_of("17.0"), id_of(b"r1"), id_of(float("nan"))
    ('17', '17', '17', '17.0', 'r1', None)

    Raises:
        Refused: there is an id, but it cannot be read.
    """
    if type(value) is str and value.isascii() and 0 < len(value) <= USUAL_LENGTH:
        return value
    return _read_id(value)


@guarded
def _read_id(value: Any) -> str | None:
    value = single(value)
    kind = type(value)
    if value is None or kind.__name__ in ("NAType", "NaTType"):
        return None
    if issubclass(kind, bytes):
        return _decode(value) or None
    if issubclass(kind, Decimal) or (hasattr(kind, "is_integer") and not issubclass(kind, int)):
        if value != value:
            return None
        if value == value // 1:  # also what a table made a float of, because a row beside it has none
            return str(int(value))
    elif hasattr(kind, "__len__") and not issubclass(kind, str):
        raise Refused("unreadable")
    text = str(value)
    # An empty one names nothing: the receiver would refuse it, and its neighbours with it.
    return _cut_id(text if type(text) is str else str.__str__(text)) or None


def _cut_id(text: str) -> str:
    return fitted(text) if len(text) <= MAX_CUT else text


def _decode(value: bytes) -> str:
    try:
        return _cut_id(value.decode())
    except UnicodeDecodeError:
        return _cut_id(value.hex())


def batch_id_of(value: Any) -> str | None:
    """The id of a job as text, None where none is given; longer ones are cut as names are.

    >>> batch_id_of("2026-11-27"), batch_id_of(17.0), batch_id_of(None)
    ('2026-11-27', '17', None)

    Raises:
        Refused: it is no one text, number or date. A yes or no is none either: ``False`` would make a job of live rows.
    """
    if value is None:
        return None
    plain = outcome_of(value)
    is_missing = plain is None or plain == "" or plain != plain
    if is_missing or type(plain) is bool:
        raise Refused("batch_id_unreadable")
    return name_of(plain)


def as_ids(ids: Sequence[object] | Any, most: int) -> tuple[list[Any], int]:
    """Ids of a call, and how many could not be read; these are None, as are missing ones.

    Texts and numbers never change, so they are copied and looked at no further: `texts_of` does, in the sending thread.

    Raises:
        Refused: they are more than ``most``, or no list.
    """
    given = listed(ids, most, once=True)
    if are_of(_TEXT, given) or _are_short_numbers(given):
        return given, 0
    return each(iter(given), id_of, None)


def _are_short_numbers(ids: list[Any]) -> bool:
    """True where all are whole numbers that can be written: of longer ones Python refuses to make texts."""
    if not are_of(_WHOLE, ids):
        return False
    try:
        array("q", ids)
    except OverflowError:
        return False
    return True


def texts_of(ids: list[Any]) -> list[str | None]:
    """What `as_ids` made of ids as they leave; None for one that is missing or empty."""
    return ids if _are_usual(ids) else list(map(id_of, ids))


def _are_usual(ids: list[Any]) -> bool:
    """True where all are short plain texts, which are ids as they are: some calls into C, and no look at each of them."""
    if not ids or not are_of(_TEXT, ids):
        return False
    return all(ids) and max(map(len, ids)) <= USUAL_LENGTH and "".join(ids).isascii()
