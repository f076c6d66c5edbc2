"""Python values to the columns of the wire: packed numbers and coded strings.

``{"f64": bytes}`` (NaN is missing), ``{"i64": bytes}``, ``{"levels": [...], "codes": int32 bytes}`` (-1 is missing), all
little-endian. numpy is used where the host's values already are numpy arrays, and never imported.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from calidris.instrument.privacy import Action, Policy, text_of

Packed = dict[str, Any]
"""One column as an attribute value: bytes, or levels and codes."""

Note = Callable[[str, str], None]
"""Called with a reason and a feature where something is withheld."""

NAN = math.nan
MAX_TEXT = 256
"""Longest string that leaves: what is longer is no category, and one value must not fill a span."""


def little(values: array[Any]) -> bytes:
    """The bytes of an array, least significant first on every machine."""
    if sys.byteorder == "big":
        values = values[:]
        values.byteswap()
    return values.tobytes()


def number_of(value: object) -> float:
    """A number as a float, NaN for anything else; numpy scalars, booleans and Decimals are numbers, strings are not."""
    if value is None or isinstance(value, (str, bytes)):
        return NAN
    try:
        return float(value)  # type: ignore[arg-type]
    except OverflowError:
        return math.inf
    except (TypeError, ValueError):
        return NAN


def is_text(value: object) -> bool:
    """True for strings, which need permission to leave."""
    return isinstance(value, str)


def is_missing(value: object) -> bool:
    """None, NaN, and the missing values of pandas (``pd.NA``, ``NaT``), which are not equal to themselves."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except (TypeError, ValueError):
        return True


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
    except (TypeError, ValueError, OverflowError):
        return None


def f64(values: Any) -> Packed:
    """Numbers; what is none becomes NaN.

    >>> f64([1, None, True])["f64"] == array("d", [1, math.nan, 1]).tobytes()
    True
    """
    return {"f64": _float_array(values) or little(array("d", map(number_of, plain(values))))}


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


def texts(values: Any) -> Packed:
    """Any values as coded strings in their one spelling; missing stays missing."""
    values = plain(values)
    if set(map(type, values)) == {str}:
        levels = dict.fromkeys(values)
        if max(map(len, levels)) <= MAX_TEXT:
            index = {level: at for at, level in enumerate(levels)}
            return {"levels": list(index), "codes": little(array("i", map(index.__getitem__, values)))}
    return coded(None if is_missing(v) else text_of(v)[:MAX_TEXT] for v in values)


def probabilities(values: Any, note: Note) -> Packed:
    """Scores. What lies outside [0, 1] is withheld: the receiver would refuse the whole span for it."""
    values = plain(values)
    try:
        fast = array("d", values)
        if min(fast) >= 0.0 and max(fast) <= 1.0:
            return {"f64": little(fast)}
    except (TypeError, ValueError, OverflowError):
        pass
    return f64([_probability(number_of(v), note) for v in values])


def _probability(number: float, note: Note) -> float:
    if number != number or 0.0 <= number <= 1.0:
        return number
    if -1e-6 <= number <= 1 + 1e-6:  # float32 arithmetic overshoots by an ulp or two
        return min(max(number, 0.0), 1.0)
    note("score_out_of_range", "score")
    return NAN


def outcomes(values: Any) -> Packed:
    """Classes or labels: whole numbers as i64, other numbers as f64, anything else as coded strings.

    >>> sorted(outcomes([0, True])), sorted(outcomes([1.0, None])), sorted(outcomes(["spam", 1]))
    (['i64'], ['f64'], ['codes', 'levels'])
    """
    items = [None if is_missing(v) else v for v in plain(values)]
    known = [v for v in items if v is not None]
    numbers = [number_of(v) for v in known]
    if any(number != number for number in numbers) or not known:
        return texts(items)
    if len(known) == len(items) and all(n.is_integer() and abs(n) < 2**53 for n in numbers):
        return i64(map(int, numbers))
    return f64(items)


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
        numbers = [number_of(v) for v in plain(values)]
        return coded(None if n != n else policy.range_of(name, n) for n in numbers)
    fast = _float_array(values)
    if fast is not None:
        return {"f64": fast}
    return _mixed(name, plain(values), action is Action.ALLOW, note)


def _hashed(name: str, values: Any, policy: Policy, note: Note) -> Packed | None:
    if not policy.hash_key:
        note("hash_without_key", name)
        return None
    return coded(None if is_missing(v) else policy.hashed(name, v) for v in plain(values))


def _mixed(name: str, values: Sequence[Any], allowed: bool, note: Note) -> Packed | None:
    """A column that is not all numbers: strings leave if allowed, else only its numbers do, if it has any."""
    if set(map(type, values)) == {str}:
        if allowed:
            return texts(values)
        note("string_feature", name)
        return None
    kinds = Counter(_kind(v) for v in values)
    if kinds["other"]:
        note("unsupported_type", name)
    if kinds["text"] and allowed:
        return texts([v if _kind(v) != "other" else None for v in values])
    if kinds["text"]:
        note("string_feature", name)
    if (kinds["text"] or kinds["other"]) and not kinds["number"]:
        return None
    return f64([v if _kind(v) == "number" else None for v in values])


def _kind(value: object) -> str:
    if is_missing(value):
        return "missing"
    if is_text(value):
        return "text"
    number = number_of(value)
    return "number" if number == number else "other"
