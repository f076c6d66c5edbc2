"""Objects of the application, read so that nothing they do goes further: bounded, and whatever they raise is `Refused`.

They may lie about their length, have no end, answer every attribute, and raise anything from anything. So what they can do is
asked of their type and not of them, nothing is read beyond a bound, and nothing that can be read only once is read at all,
unless it was handed over for that.
"""

from __future__ import annotations

import functools
import hashlib
import io
import math
from array import array
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any, Final, ParamSpec, TypeVar

from calidris.instrument.privacy import text_of, whole
from calidris.instrument.shield import passes

P = ParamSpec("P")
R = TypeVar("R")

MAX_ROWS: Final = 1 << 25
"""Rows of one call: a score for each of so many is 256 MiB, which is more than may wait."""

MAX_NAME: Final = 1024
"""Characters of a name or an id: the receiver refuses a span with a longer one, and all its rows."""

MAX_NESTS: Final = 4
"""Containers around one value: a row of a table of a batch, and one to spare."""

PLAIN: Final = frozenset({float, int, str, bool, type(None)})
"""Types of which a value is what it seems, and never changes."""

_BYTES: Final = frozenset("bBuw")
"""Codes of an `array` of bytes or characters: a text in disguise. Other codes are numbers."""


class Refused(Exception):
    """Something that we do not read.

    Attributes:
        reason: why, as notes say it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def guarded(function: Callable[P, R]) -> Callable[P, R]:
    """Make whatever an object of the application raises a `Refused`; what a signal handler raised passes."""

    @functools.wraps(function)
    def read(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Refused:
            raise
        except BaseException as error:
            if passes(error):
                raise
            raise Refused("unreadable") from None

    return read


def offers(kind: type, *names: str) -> bool:
    """Whether objects of a type have these attributes. A mock answers everything itself; its type does not."""
    return all(hasattr(kind, name) for name in names)


def is_mapping(kind: type) -> bool:
    """True for types whose objects bring their values by name, tables and Series included."""
    return kind is dict or issubclass(kind, Mapping) or offers(kind, "keys", "__getitem__")


def is_table(kind: type) -> bool:
    """True for tables with named columns."""
    return offers(kind, "columns", "shape", "__getitem__")


def is_stream(kind: type) -> bool:
    """True for what can be read once: iterators, generators, files. To read it would take it from the application."""
    return offers(kind, "__next__") or issubclass(kind, io.IOBase)


def is_sequence(values: Any) -> bool:
    """True for what has places to be read at, any number of times. A text or a buffer is one thing, and no sequence."""
    kind = type(values)
    if kind is list or kind is tuple:
        return True
    return offers(kind, "__len__", "__getitem__") and not is_stream(kind) and not is_text(values)


def is_text(values: Any) -> bool:
    """True for characters and bytes in any form; arrays of numbers are none, although they are buffers too."""
    kind = type(values)
    if issubclass(kind, (str, bytes, bytearray)):
        return True
    if issubclass(kind, array):
        return values.typecode in _BYTES
    if kind is list or kind is tuple or offers(kind, "dtype"):
        return False
    try:
        view = memoryview(values)
    except TypeError:
        return False
    return view.itemsize == 1 or view.ndim != 1


@guarded
def rows_in(values: Any) -> int | None:
    """How many rows an input says that it has; None where it does not say.

    >>> rows_in({"age": [1, 2, 3]}), rows_in([[1, 2]]), rows_in(iter([1]))
    (3, 1, None)
    """
    kind = type(values)
    if offers(kind, "shape"):
        shape = values.shape
        if isinstance(shape, tuple) and shape:
            return int(shape[0])
    if is_mapping(kind) and not offers(kind, "iloc"):
        names = islice(values, 1)
        return next((rows_in(values[name]) for name in names), 0)
    return len(values) if is_sequence(values) else None


@guarded
def listed(values: Any, most: int, *, once: bool = False) -> list[Any]:
    """The elements of a container as a list of our own, arrays and Series without their own scalars.

    Args:
        values: a sequence, an array, a Series or a tensor.
        most: elements at which reading stops.
        once: whether it was handed over, so that what can be read only once may be read too.

    Raises:
        Refused: there are more elements, or it is no container that may be read.
    """
    kind = type(values)
    if kind is list or kind is tuple:
        found = list(islice(values, most + 1))
    elif is_text(values) or (is_mapping(kind) and not offers(kind, "tolist") and not is_table(kind)):
        raise Refused("no_row")
    elif offers(kind, "tolist"):
        _check_size(values, most)
        found = _ask_for_list(values)
    elif offers(kind, "to_numpy") or offers(kind, "__array__"):
        _check_size(values, most)
        return listed(values.to_numpy() if offers(kind, "to_numpy") else values.__array__(), most)
    elif is_sequence(values) or (once and offers(kind, "__iter__")):
        found = list(islice(values, most + 1))
    else:
        raise Refused("no_row")
    if len(found) > most:
        raise Refused("too_long")
    return found


def _ask_for_list(values: Any) -> list[Any]:
    """What an array says its elements are. Dates stay dates: numpy gives nanoseconds as bare numbers."""
    if getattr(getattr(values, "dtype", None), "kind", "") in ("M", "m") and offers(type(values), "astype"):
        values = values.astype(object)
    found = values.tolist()
    if type(found) is list:
        return found
    if offers(type(found), "__len__") and type(found) is not str:
        raise Refused("unreadable")
    return [found]


def _check_size(values: Any, most: int) -> None:
    """Refuse what says that it is too large before it is copied; what lies is seen afterwards."""
    kind = type(values)
    shape = values.shape if offers(kind, "shape") else (len(values),) if offers(kind, "__len__") else ()
    if not all(0 <= one <= most for one in shape) or math.prod(shape) > most:
        raise Refused("too_long")


@guarded
def single(value: Any) -> Any:
    """A value out of the one-element containers around it; anything else as it is.

    >>> single([[3.2]]), single("yes"), single([1, 2])
    (3.2, 'yes', [1, 2])
    """
    for _ in range(MAX_NESTS):
        kind = type(value)
        if kind in PLAIN or issubclass(kind, (str, bytes)) or not offers(kind, "__len__"):
            return value
        if is_table(kind):  # one iterates over its names
            if value.shape != (1, 1):
                return value
            value = listed(value, 1)
            continue
        if not is_sequence(value) or (is_mapping(kind) and not offers(kind, "tolist")):
            return value
        if offers(kind, "shape") and math.prod(value.shape) != 1:
            return value
        if offers(kind, "shape") and value.shape == ():
            return value.item()
        if len(value) != 1:
            return value
        value = listed(value, 1)[0]
    return value


@guarded
def plain_of(value: Any) -> Any:
    """A value as a plain number, boolean or string; None where it is missing.

    >>> plain_of([[3.2]]), plain_of(b"yes"), plain_of(float("nan"))
    (3.2, 'yes', None)

    Raises:
        Refused: ``unsupported_type`` for several values, or for a thing of another kind.
    """
    value = single(value)
    if offers(type(value), "item", "dtype"):  # a scalar of numpy
        value = value.item()
    kind = type(value)
    if kind is not float and kind in PLAIN:
        return value
    if issubclass(kind, (str, bytes)):
        return text_of(value)
    if offers(kind, "__len__"):  # to compare it would read it
        raise Refused("unsupported_type")
    if _is_unequal(value):
        return None
    if offers(kind, "__float__"):
        return float(value)
    raise Refused("unsupported_type")


def outcome_of(value: Any) -> Any:
    """A score, a class, a value or a label as a plain number or string, also where it is a thing that has a text.

    Raises:
        Refused: it is several values, or nothing that can be read.
    """
    if type(value) in PLAIN:
        return value
    try:
        return plain_of(value)
    except Refused as refused:
        if refused.reason != "unsupported_type":
            raise
        return _spoken(single(value))


@guarded
def _spoken(value: Any) -> str:
    """What a thing says it is. A container is no one thing, and one that says nothing has an address for a text."""
    kind = type(value)
    speaks = any("__str__" in vars(base) or "__repr__" in vars(base) for base in kind.__mro__[:-1])
    if not speaks or is_stream(kind) or offers(kind, "__len__"):
        raise Refused("unsupported_type")
    return text_of(value)


def unwrapped(values: list[Any]) -> list[Any]:
    """Values out of their one-element containers, in place. What cannot be asked stays, and is found out when it is packed."""
    kinds = set(map(type, values)) - PLAIN
    if kinds and any(hasattr(kind, "__len__") for kind in kinds):
        for at, value in enumerate(values):
            with suppress(Refused):
                values[at] = single(value)
    return values


def _is_unequal(value: Any) -> bool:
    """True for NaN in any form: what is not equal to itself. ``pd.NA`` says neither yes nor no.

    Raises:
        Refused: it answers with something else than yes or no.
    """
    answer = value != value
    if type(answer) is bool:
        return answer
    if type(value).__name__ == "NAType":
        return True
    raise Refused("unsupported_type")


@guarded
def name_of(value: object) -> str:
    """A name as text that the wire takes: no lone surrogates, and where it is too long its begin and a digest of it all."""
    return fitted(value if type(value) is str else text_of(value))


def error_name(kind: type[BaseException]) -> str:
    """The type of an error, as it leaves: its name, and never its message."""
    try:
        return name_of(kind.__qualname__)
    except Refused:
        return "Exception"


def fitted(text: str) -> str:
    """A text as the receiver takes it. The same for the same text, so that labels find their predictions."""
    text = whole(text)
    if len(text) <= MAX_NAME:
        return text
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{text[: MAX_NAME - 1 - len(digest)]}~{digest}"


@guarded
def names_of(given: Any, most: int) -> tuple[str, ...]:
    """Names in order; one string is one name, not its letters.

    Raises:
        Refused: there are more than ``most``, or they cannot be read.
    """
    if isinstance(given, str):
        return (name_of(given),)
    if is_mapping(type(given)):
        given = list(islice(given, most + 1))
    return tuple(map(name_of, listed(given, most, once=True)))


def each(values: Iterator[Any], read: Callable[[Any], R], otherwise: R) -> tuple[list[R], int]:
    """What ``read`` makes of every value, and how many it refused, for which ``otherwise`` stands."""
    found, refused = [], 0
    for value in values:
        try:
            found.append(read(value))
        except Refused:
            found.append(otherwise)
            refused += 1
    return found, refused
