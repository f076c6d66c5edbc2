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
import sys
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from types import ModuleType
from typing import Any, Final, ParamSpec, TypeVar, cast

from calidris.instrument.privacy import text_of, whole
from calidris.instrument.signal_errors import passes

P = ParamSpec("P")
R = TypeVar("R")

MAX_ROWS: Final = 1 << 25
"""Rows of one call: a score for each of so many is 256 MiB, which is more than may wait."""

MAX_NAME: Final = 1024
"""Characters of a name or an id: the receiver refuses a span with a longer one, and all its rows."""

MAX_NESTS: Final = 4
"""Containers around one value: a row of a table of a batch, and one to spare."""

PLAIN: Final[frozenset[type]] = frozenset({float, int, str, bool, type(None)})
"""Types of which a value is what it seems, and never changes."""

_BYTES: Final = frozenset("bBuw")
"""Codes of an `array` of bytes or characters: a text in disguise. Other codes are numbers."""

_TEXTS: Final = (str, bytes, bytearray)

_NEVER_TEXT: Final = frozenset({float, int, bool, type(None), list, tuple, dict})
"""Types that are asked all the time, and never are a text."""

_own_array: Final[list[type | None]] = [None]
"""The type of numpy's own arrays, once there was one: to look it up takes three times as long."""

_DATES: Final = "M"
"""Kind of numpy types whose values are dates."""

_DAYS: Final = "datetime64[D]"
"""The type of days, which are dates to Python, and no midnights."""

_LENGTHS: Final = "m"
"""Kind of numpy types whose values are lengths of time."""


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


def asked_once(question: Callable[P, R]) -> Callable[P, R]:
    """Keep what was asked about a type: to look it up takes a fifth of the asking, and is one call into C, without a lock.

    Bounded, because it keeps the types alive too, and some libraries make a type for each object.
    """
    kept = functools.lru_cache(maxsize=512)(question)
    return cast(Callable[P, R], kept)


@asked_once
def offers(kind: type, *names: str) -> bool:
    """Whether objects of a type have these attributes. A mock answers everything itself; its type does not."""
    return all(hasattr(kind, name) for name in names)


@asked_once
def is_mapping(kind: type) -> bool:
    """True for types whose objects bring their values by name, tables and Series included."""
    return kind is dict or issubclass(kind, Mapping) or offers(kind, "keys", "__getitem__")


@asked_once
def is_table(kind: type) -> bool:
    """True for tables with named columns."""
    return offers(kind, "columns", "shape", "__getitem__")


@asked_once
def is_stream(kind: type) -> bool:
    """True for what can be read once: iterators, generators, files. To read it would take it from the application."""
    return offers(kind, "__next__") or issubclass(kind, io.IOBase)


def is_sequence(values: Any) -> bool:
    """True for what has places to be read at, any number of times. A text or a buffer is one thing, and no sequence."""
    kind = type(values)
    return _has_places(kind) and not is_text(values)


@asked_once
def _has_places(kind: type) -> bool:
    return offers(kind, "__len__", "__getitem__") and not is_stream(kind)


def is_ndarray(kind: type) -> bool:
    """True for numpy's own arrays, which do as numpy does; a subclass may do anything. Their type is not imported."""
    return kind is _own_array[0] or _find_ndarray(kind)


def _find_ndarray(kind: type) -> bool:
    numpy = sys.modules.get("numpy")
    # A module that is loaded late, or is a mock, is of another type.
    if type(numpy) is not ModuleType:
        return False
    own = vars(numpy).get("ndarray")
    if kind is not own:
        return False
    _own_array[0] = kind
    return True


def is_text(values: Any) -> bool:
    """True for characters and bytes in any form; arrays of numbers are none, although they are buffers too."""
    kind = type(values)
    if not _may_be_text(kind):
        return False
    if issubclass(kind, _TEXTS):
        return True
    if issubclass(kind, array):
        return values.typecode in _BYTES
    return _is_view_of_bytes(values)


@asked_once
def _may_be_text(kind: type) -> bool:
    """False for types of which no object is a text, so that none of them need be asked."""
    if issubclass(kind, (*_TEXTS, array)):
        return True
    if kind in _NEVER_TEXT:
        return False
    return not offers(kind, "dtype")


def _is_view_of_bytes(values: Any) -> bool:
    try:
        view = memoryview(values)
    except TypeError:
        return False
    return view.itemsize == 1 or view.ndim != 1


def labels_of(table: Any, most: int) -> list[Any]:
    """What a table calls its columns. Of one of Arrow `columns` are not their labels, but what is in them."""
    where = "column_names" if offers(type(table), "column_names") else "columns"
    return listed(getattr(table, where), most)


def rows_in(values: Any) -> int | None:
    """How many rows an input says that it has; None where it does not say.

    >>> rows_in({"age": [1, 2, 3]}), rows_in([[1, 2]]), rows_in(iter([1]))
    (3, 1, None)
    """
    rows = usual_rows_in(values)
    return _ask_for_rows(values) if rows is None else rows


def usual_rows_in(values: Any) -> int | None:
    """How many rows a list or an array of numpy has, or a dictionary of them, without a guard; None for any other input."""
    if type(values) is dict:
        values = next(iter(values.values()), None)
    kind = type(values)
    if kind is list or kind is tuple:
        return len(values)
    if is_ndarray(kind) and values.ndim > 0:
        return len(values)
    return None


@guarded
def _ask_for_rows(values: Any) -> int | None:
    kind = type(values)
    if offers(kind, "shape"):
        shape = values.shape
        if isinstance(shape, tuple) and shape:
            return int(shape[0])
    if is_mapping(kind) and not offers(kind, "iloc"):
        names = islice(values, 1)
        return next((rows_in(values[name]) for name in names), 0)
    return len(values) if is_sequence(values) else None


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
    found: list[Any]
    if kind is list:
        found = values[: most + 1]
    elif kind is tuple:
        found = list(values[: most + 1])
    else:
        found = _ask_for_elements(values, most, once)
    if len(found) > most:
        raise Refused("too_long")
    return found


@guarded
def _ask_for_elements(values: Any, most: int, once: bool) -> list[Any]:
    if _is_arrayed(type(values)):
        return _list_array(values, most)
    return _list_iterable(values, most, once)


@asked_once
def _is_arrayed(kind: type) -> bool:
    """True for types whose objects hand out all their values at once."""
    if offers(kind, "tolist"):
        return True
    if is_mapping(kind) and not is_table(kind):
        return False
    return offers(kind, "to_numpy") or offers(kind, "__array__")


def _list_array(values: Any, most: int) -> list[Any]:
    if is_text(values):
        raise Refused("no_row")
    kind = type(values)
    _check_size(values, most)
    if offers(kind, "tolist"):
        return _ask_for_list(values)
    if offers(kind, "to_pylist"):
        # A column of Arrow: what numpy would get of coded texts has no gaps.
        return listed(values.to_pylist(), most)
    if offers(kind, "to_numpy"):
        return listed(values.to_numpy(), most)
    return listed(values.__array__(), most)


def _list_iterable(values: Any, most: int, once: bool) -> list[Any]:
    kind = type(values)
    is_named = is_mapping(kind) and not is_table(kind)
    if is_named or is_text(values):
        raise Refused("no_row")
    # A file or a pipe was opened for somebody else, and may stand still until there is more.
    may_iterate = once and offers(kind, "__iter__") and not issubclass(kind, io.IOBase)
    if not may_iterate and not is_sequence(values):
        raise Refused("no_row")
    return list(islice(values, most + 1))


def _ask_for_list(values: Any) -> list[Any]:
    """What an array says its elements are."""
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if kind == _DATES and offers(type(values), "astype"):
        values = _as_dates(values)
    elif kind == _LENGTHS and offers(type(values), "__truediv__"):
        values = values / _one_second()
    found = values.tolist()
    if type(found) is list:
        return found
    if offers(type(found), "__len__") and type(found) is not str:
        raise Refused("unreadable")
    return [found]


def _as_dates(values: Any) -> Any:
    """Dates as objects."""
    if is_ndarray(type(values)):
        values = _without_ns(values)
    return values.astype(object)


def _without_ns(dates: Any) -> Any:
    """Days as they are, and other dates in microseconds: of nanoseconds numpy makes bare numbers, which nobody can tell from others."""
    if dates.dtype.name == _DAYS:
        return dates
    return dates.astype("M8[us]")


def _check_size(values: Any, most: int) -> None:
    """Refuse what says that it is too large before it is copied; what lies is seen afterwards."""
    shape = _shape_of(values)
    shortest = min(shape, default=0)
    longest = max(shape, default=0)
    # By its product alone 2^62 rows of no columns would be nothing, and are as many lists.
    if shortest < 0 or longest > most or math.prod(shape) > most:
        raise Refused("too_long")


def _shape_of(values: Any) -> tuple[int, ...]:
    kind = type(values)
    if offers(kind, "shape"):
        shape: tuple[int, ...] = values.shape
        return shape
    return (len(values),) if offers(kind, "__len__") else ()


def single(value: Any) -> Any:
    """A value out of the one-element containers around it; anything else as it is.

    >>> single([[3.2]]), single("yes"), single([1, 2])
    (3.2, 'yes', [1, 2])
    """
    return value if is_plain(value) else _unwrap(value)


@guarded
def _unwrap(value: Any) -> Any:
    for _ in range(MAX_NESTS):
        if not _holds_one(value):
            break
        value = _take_one(value)
    return value


def _holds_one(value: Any) -> bool:
    kind = type(value)
    if is_table(kind) and offers(kind, "__len__"):
        return bool(value.shape == (1, 1))
    if not _may_hold(kind) or is_text(value):
        return False
    if offers(kind, "shape"):
        # A scalar array holds one value too, and has no length.
        shape = value.shape
        return shape == () or (math.prod(shape) == 1 and len(value) == 1)
    return len(value) == 1


@asked_once
def _may_hold(kind: type) -> bool:
    """True for types whose objects may be containers of one value without a name for it."""
    is_named = is_mapping(kind) and not offers(kind, "tolist")
    return _has_places(kind) and not is_named


def _take_one(value: Any) -> Any:
    kind = type(value)
    if is_table(kind):
        # One iterates over its names, so this gives its row.
        return listed(value, 1)
    if offers(kind, "shape") and value.shape == ():
        # Of what is masked numpy's `item` gives what is under the mask, and `tolist` nothing.
        return value.tolist() if offers(kind, "tolist") else value.item()
    return listed(value, 1)[0]


@guarded
def plain_of(value: Any) -> Any:
    """A value as a plain number, boolean or string; None where it is missing. A length of time is its seconds.

    >>> plain_of([[3.2]]), plain_of(b"yes"), plain_of(float("nan"))
    (3.2, 'yes', None)

    Raises:
        Refused: ``unsupported_type`` for several values, or for a thing of another kind.
    """
    value = single(value)
    if offers(type(value), "item", "dtype"):  # a scalar of numpy
        value = _take_scalar(value)
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
    if offers(kind, "total_seconds"):
        return float(value.total_seconds())
    raise Refused("unsupported_type")


def _take_scalar(value: Any) -> Any:
    """What a scalar of numpy is to Python: of nanoseconds that would be a bare number."""
    kind = value.dtype.kind
    if kind == _DATES:
        return _without_ns(value).item()
    if kind == _LENGTHS:
        seconds = value / _one_second()
        return float(seconds)
    return value.item()


def _one_second() -> Any:
    """As numpy has it, which is there where its arrays are."""
    numpy = sys.modules["numpy"]
    return numpy.timedelta64(1, "s")


def outcome_of(value: Any) -> Any:
    """A score, a class, a value or a label as a plain number or string, also where it is a thing that has a text.

    Raises:
        Refused: it is several values, or nothing that can be read.
    """
    if is_plain(value):
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
    is_thing = not is_stream(kind) and not offers(kind, "__len__")
    if not is_thing or not _speaks(kind):
        raise Refused("unsupported_type")
    return text_of(value)


def _speaks(kind: type) -> bool:
    """Whether a type, or one that it is made from, says what its objects are as text; ``object`` says it of everything."""
    bases = kind.__mro__[:-1]
    return any("__str__" in vars(base) or "__repr__" in vars(base) for base in bases)


def is_plain(value: Any) -> bool:
    """Whether a value is plain. Each type is compared by identity: one of the application's may raise when it is hashed."""
    kind = type(value)
    if kind is float or kind is int:
        return True
    if kind is str or kind is bool:
        return True
    return value is None


def are_plain(values: Iterable[Any]) -> bool:
    """Whether every value is plain: 15 ns for each, and no object is asked anything."""
    return are_of(PLAIN, values)


def are_of(kinds: frozenset[type], values: Iterable[Any]) -> bool:
    """Whether every value is of one of these very types."""
    try:
        return kinds.issuperset(map(type, values))
    except BaseException as error:
        # A type has a type of its own, which says what it is equal to, and may raise at that.
        if passes(error):
            raise
        return False


def unwrapped(values: list[Any]) -> list[Any]:
    """Values out of their one-element containers, in place. What cannot be asked stays, and is found out when it is packed."""
    if not are_plain(values):
        for at, value in enumerate(values):
            with suppress(Refused):
                if is_container(value):
                    values[at] = single(value)
    return values


@guarded
def is_container(value: Any) -> bool:
    """Whether a value may hold others."""
    kind = type(value)
    return kind not in PLAIN and hasattr(kind, "__len__")


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


def name_of(value: object) -> str:
    """A name as text that the wire takes: no lone surrogates, and where it is too long its begin and a digest of it all."""
    if type(value) is str and value.isascii() and len(value) <= MAX_NAME:
        return value
    return _fit_name(value)


@guarded
def _fit_name(value: object) -> str:
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
    kept = MAX_NAME - 1 - len(digest)
    return f"{text[:kept]}~{digest}"


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
    names = listed(given, most, once=True)
    return tuple(map(name_of, names))


def each(values: Iterator[Any], read: Callable[[Any], R], otherwise: R) -> tuple[list[R], int]:
    """What ``read`` makes of every value, and how many it refused, for which ``otherwise`` stands."""
    found = []
    refused = 0
    for value in values:
        try:
            found.append(read(value))
        except Refused:
            found.append(otherwise)
            refused += 1
    return found, refused
