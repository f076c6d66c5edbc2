"""Python values to the columns of the wire: packed numbers and coded strings.

``{"f64": bytes}`` (NaN is missing), ``{"i64": bytes}``, ``{"levels": [...], "codes": int32 bytes}`` (-1 is missing), all
little-endian. numpy is used where the host's values already are numpy arrays, and never imported.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final, Protocol

from calidris.instrument.foreign import Refused, are_of, are_plain, is_plain, outcome_of, plain_of
from calidris.instrument.privacy import Action, Policy, text_of
from calidris.instrument.signal_errors import passes
from calidris.score_tolerance import TOLERANCE

Packed = dict[str, Any]
"""One column as an attribute value: bytes, or levels and codes."""


class Note(Protocol):
    """Told where something is withheld."""

    def __call__(self, reason: str, name: str, values: int = 1, first: str = "") -> None:
        """Count a reason, a feature or model, and how many values are missing for it; ``first`` shows the first of them."""
        ...


NAN = math.nan
MAX_TEXT = 256
"""Longest string that leaves: what is longer is no category, and one value must not fill a span."""

MAX_BITS: Final = 8_192
"""Of an integer: Python writes longer ones as text only where it is told to, and raises elsewhere."""

_EXACT: Final = 2**53
"""Beyond it double precision does not know each whole number."""

_TEXT: Final = frozenset({str})
_NUMBERS: Final = frozenset({float, int, bool})


def little(values: array[Any]) -> bytes:
    """The bytes of an array, least significant first on every machine."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def plain(values: Any) -> Sequence[Any]:
    """A column as a plain sequence: arrays and Series give up their numpy scalars."""
    if isinstance(values, (list, tuple)):
        return values
    return values.tolist() if hasattr(values, "tolist") else list(values)


def _float_array(values: Any) -> bytes | None:
    """Packed numbers if every value is one, the usual case and the fast one."""
    dtype = getattr(values, "dtype", None)
    if dtype is not None and getattr(dtype, "kind", "") in ("f", "i", "u", "b"):
        return bytes(values.astype("<f8").tobytes())
    try:
        return little(array("d", values))
    except BaseException as error:  # a value that is no number, which may raise anything
        if passes(error):
            raise
        return None


def _read(values: Any, *, spoken: bool = False) -> tuple[list[Any], Counter[str]]:
    """Values as plain numbers and strings, None where one is missing or cannot be had; and how many of those, by reason.

    Args:
        values: a column.
        spoken: whether things of other kinds are taken for what they say.
    """
    read = outcome_of if spoken else plain_of
    found: list[Any] = []
    refused: Counter[str] = Counter()
    given = plain(values)
    usual = are_plain(given)
    for value in given:
        if not usual and not is_plain(value):
            try:
                value = read(value)
            except Refused as reason:
                refused[reason.reason] += 1
                value = None
        elif type(value) is int and value.bit_length() > MAX_BITS:
            refused["too_long"] += 1
            value = None
        found.append(None if value != value else value)
    return found, refused


def _tell(refused: Counter[str], name: str, note: Note) -> None:
    for reason, values in refused.items():
        note(reason, name, values)


def _to_number(value: Any) -> float:
    """A plain value as a float, NaN for a string and for a missing one."""
    if type(value) not in _NUMBERS:
        return NAN
    try:
        return float(value)
    except OverflowError:
        return math.inf


def f64(values: Any, note: Note | None = None, name: str = "") -> Packed:
    """Numbers; what is none becomes NaN, and is told.

    >>> f64([1, None, True])["f64"] == array("d", [1, math.nan, 1]).tobytes()
    True
    """
    fast = _float_array(values)
    if fast is not None:
        return {"f64": fast}
    found, refused = _read(values)
    refused["unsupported_type"] += sum(type(value) is str for value in found)
    if note is not None:
        _tell(+refused, name, note)
    return {"f64": little(array("d", map(_to_number, found)))}


def i64(values: Iterable[int]) -> Packed:
    """Whole numbers."""
    return {"i64": little(array("q", values))}


def coded(values: Iterable[str | None]) -> Packed:
    """Strings as codes into levels, in order of first appearance.

    >>> coded(["a", None, "a"])["levels"]
    ['a']
    """
    index: dict[str, int] = {}
    codes = array("i", [-1 if v is None else index.setdefault(v, len(index)) for v in values])
    return {"levels": list(index), "codes": little(codes)}


def texts(values: Any, note: Note | None = None, name: str = "") -> Packed:
    """Any values as coded strings in their one spelling; missing stays missing."""
    values = plain(values)
    if values and are_of(_TEXT, values):
        levels = dict.fromkeys(values)
        if max(map(len, levels)) <= MAX_TEXT and "".join(levels).isascii():
            index = {level: at for at, level in enumerate(levels)}
            return {"levels": list(index), "codes": little(array("i", map(index.__getitem__, values)))}
    found, refused = _read(values, spoken=True)
    if note is not None:
        _tell(refused, name, note)
    return _code_texts(found)


def _code_texts(values: Iterable[Any]) -> Packed:
    """Plain values as coded strings."""
    return coded(None if value is None else text_of(value)[:MAX_TEXT] for value in values)


def probabilities(values: Any, note: Note, ids: Sequence[str] = ()) -> Packed:
    """Scores. A rounding error outside [0, 1] is cut off; what lies further is withheld: the receiver would refuse the span for it.

    The first of those is told with its prediction's id, where ``ids`` are given.
    """
    values = plain(values)
    try:
        fast = array("d", values)
        if min(fast) >= 0.0 and max(fast) <= 1.0:
            return {"f64": little(fast)}
    except BaseException as error:
        if passes(error):
            raise
    found, refused = _read(values)
    given = list(map(_to_number, found))
    numbers = list(map(_probability, given))
    refused["score_clipped"] = sum(was != now and now == now for was, now in zip(given, numbers))
    outside = [
        at for at, (value, number) in enumerate(zip(found, numbers)) if type(value) in _NUMBERS and number != number
    ]
    refused["unsupported_type"] += sum(type(value) is str for value in found)
    _tell(+refused, "score", note)
    if outside:
        at = outside[0]
        whose = f" of the prediction {ids[at]}" if ids else ""
        note("score_out_of_range", "score", len(outside), f"{given[at]:.9g}{whose}")
    return {"f64": little(array("d", numbers))}


def _probability(number: float) -> float:
    if number != number or 0.0 <= number <= 1.0:
        return number
    if -TOLERANCE <= number <= 1 + TOLERANCE:
        return min(max(number, 0.0), 1.0)
    return NAN


def outcomes(values: Any, note: Note | None = None, name: str = "") -> Packed:
    """Classes or labels: whole numbers as i64, other numbers as f64, anything else as coded strings, and so are long whole numbers.

    >>> sorted(outcomes([0, True])), sorted(outcomes([1.0, None])), sorted(outcomes(["spam", 1]))
    (['i64'], ['f64'], ['codes', 'levels'])
    """
    items, refused = _read(values, spoken=True)
    if note is not None:
        _tell(refused, name, note)
    known = [value for value in items if value is not None]
    numbers = [_to_number(value) for value in known]
    if any(number != number for number in numbers) or not known:
        return _code_texts(items)
    if any(type(value) is int and abs(value) > _EXACT for value in known):
        return _code_texts(items)
    if len(known) == len(items) and all(n.is_integer() and abs(n) < 2**53 for n in numbers):
        return i64(map(int, numbers))
    return {"f64": little(array("d", map(_to_number, items)))}


def feature(name: str, values: Any, policy: Policy, note: Note) -> Packed | None:
    """One feature under its rule, or ``None`` where it may not leave.

    Cost: about 0.1 µs a value for numbers, 0.3 µs for strings.
    """
    action = policy.action(name)
    if action is Action.DROP:
        return None
    if action is Action.HASH:
        return _hashed(name, values, policy, note)
    if action is Action.BUCKET:
        return _sort_into_ranges(name, values, policy, note)
    fast = _float_array(values)
    if fast is not None:
        return {"f64": fast}
    return _mixed(name, plain(values), action is Action.ALLOW, note)


def slice_column(name: str, values: Any, policy: Policy, note: Note) -> Packed | None:
    """One slice. Slices were listed by the user, so they leave, unless a rule names them; ``None`` where it may not."""
    ruled = policy.action(name) in (Action.DROP, Action.HASH, Action.BUCKET)
    return feature(name, values, policy, note) if ruled else texts(values, note, name)


def _hashed(name: str, values: Any, policy: Policy, note: Note) -> Packed | None:
    if not policy.hash_key:
        note("hash_without_key", name, len(values))
        return None
    found, refused = _read(values, spoken=True)
    _tell(refused, name, note)
    return coded(None if value is None else policy.hashed(name, value) for value in found)


def _sort_into_ranges(name: str, values: Any, policy: Policy, note: Note) -> Packed:
    found, refused = _read(values)
    refused["unsupported_type"] += sum(type(value) is str for value in found)
    _tell(+refused, name, note)
    numbers = map(_to_number, found)
    return coded(None if number != number else policy.range_of(name, number) for number in numbers)


def _mixed(name: str, values: Sequence[Any], allowed: bool, note: Note) -> Packed | None:
    """A column that is not all numbers: strings leave if allowed, else only its numbers do, if it has any."""
    if values and are_of(_TEXT, values):
        if allowed:
            return texts(values)
        note("string_feature", name, len(values))
        return None
    found, refused = _read(values)
    _tell(refused, name, note)
    # Between numbers an empty text is a gap, as forms and files write one.
    strings = sum(type(value) is str and value != "" for value in found)
    if strings and allowed:
        return _code_texts(found)
    if strings:
        note("string_feature", name, strings)
    if (strings or refused) and not any(type(value) in _NUMBERS for value in found):
        return None
    return {"f64": little(array("d", map(_to_number, found)))}
