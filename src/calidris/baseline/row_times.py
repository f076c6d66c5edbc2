"""Times of rows as nanoseconds since 1970, from whatever form a table has them in; a time that cannot be right is refused.

A number is taken for seconds unless a unit is stated, and must then lie between 1990 and tomorrow: before 1990 nobody watched a
model, and the same moment as milliseconds, microseconds or nanoseconds lies tens of thousands of years later, so that a wrong unit
is always found. What says by itself that it is a date need only lie after 1970, the year that stands for "nothing" in many files.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from calidris.baseline.refusals import Cells, holds_text
from calidris.batch import Ints, Mask

UNITS = {
    "s": 1,
    "ms": 1000,
    "us": 1_000_000,
    "ns": 1_000_000_000,
}
"""Of times that are numbers: how many make a second."""

_NAMES = {
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
}
_DAY_S = 86_400
_EARLIEST_NUMBER_S = int(datetime(1990, 1, 1, tzinfo=UTC).timestamp())
_EARLIEST_DATE_S = int(datetime(1971, 1, 1, tzinfo=UTC).timestamp())
_FUTURE_S = _DAY_S
"""How far after now a time may lie: a local time without its zone, taken as UTC, is up to 14 hours ahead."""

_ZONED = r":\d{2}(\.\d+)?\s*([Zz]|[+-]\d{2}(:?\d{2})?)$"

_Numbers = npt.NDArray[np.int64] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Clock:
    """How numbers are read as times.

    Attributes:
        now_s: seconds since 1970; what lies a day after it is refused.
        unit: a key of ``UNITS``, or None where nobody stated one.
    """

    now_s: float
    unit: str | None = None


@dataclass(frozen=True, slots=True)
class Times:
    """Times of n rows.

    Attributes:
        ns: since 1970 UTC, int64[n]; 0 where there is none.
        known: where there is one, bool[n].
        unzoned: whether a zone was missing, so that they were taken as UTC.
    """

    ns: Ints
    known: Mask
    unzoned: bool = False


def read_times(cells: Cells, clock: Clock) -> Times:
    """The times in a column: timestamps, dates, ISO 8601 text, or numbers since 1970.

    Raises:
        ConfigError: another type, or a time that cannot be right, with row and value.
    """
    kind = cells.kind
    if pa.types.is_timestamp(kind):
        return _read_stamps(cells, cells.values, clock)
    if pa.types.is_date(kind):
        midnights = pc.cast(cells.values, pa.timestamp("ms"))
        return _read_stamps(cells, midnights, clock)
    if _is_number(kind):
        return _read_numbers(cells, clock)
    if holds_text(kind):
        return _read_texts(cells, clock)
    if pa.types.is_null(kind):
        return _no_times(len(cells.values))
    raise cells.column_error(f"is {kind}; a time is a timestamp, a date, ISO 8601 text, or a number since 1970")


def _is_number(kind: pa.DataType) -> bool:
    if pa.types.is_integer(kind):
        return True
    if pa.types.is_floating(kind):
        return True
    return bool(pa.types.is_decimal(kind))


def _no_times(rows: int) -> Times:
    nowhen = np.zeros(rows, dtype=np.int64)
    never = np.zeros(rows, dtype=np.bool_)
    return Times(nowhen, never)


def _read_stamps(cells: Cells, values: pa.ChunkedArray, clock: Clock) -> Times:
    known = _valid(values)
    per_s = UNITS[values.type.unit]
    whole = pc.cast(values, pa.int64())
    # In the column's own unit: as nanoseconds, times after 2262 would be times before 1678.
    ticks: Ints = pc.fill_null(whole, 0).to_numpy()
    _refuse_odd_stamps(cells, known, ticks, per_s, clock)
    ns = np.where(known, ticks, 0) * (UNITS["ns"] // per_s)
    unzoned = values.type.tz is None and bool(known.any())
    return Times(ns, known, unzoned)


def _refuse_odd_stamps(
    cells: Cells,
    known: Mask,
    ticks: Ints,
    per_s: int,
    clock: Clock,
) -> None:
    early = known & (ticks < _EARLIEST_DATE_S * per_s)
    cells.refuse_first(
        early,
        "is before 1971, and so no time of a prediction: leave the cell empty where there is none",
    )
    late = known & (ticks > _latest(clock, per_s))
    cells.refuse_first(
        late,
        "lies in the future: mend the time, or leave the row out",
    )


def _read_numbers(cells: Cells, clock: Clock) -> Times:
    numbers = _plain_numbers(cells.values)
    known = _valid(cells.values) & ~np.isnan(numbers)
    _refuse_odd_numbers(cells, known, numbers, clock)
    factor = UNITS["ns"] // UNITS[clock.unit or "s"]
    there = np.where(known, numbers, 0)
    scaled = there * factor
    if scaled.dtype.kind == "f":
        scaled = np.rint(scaled)
    ns = np.asarray(scaled, dtype=np.int64)
    return Times(ns, known)


def _refuse_odd_numbers(
    cells: Cells,
    known: Mask,
    numbers: _Numbers,
    clock: Clock,
) -> None:
    per_s = UNITS[clock.unit or "s"]
    earliest = _EARLIEST_DATE_S if clock.unit else _EARLIEST_NUMBER_S
    late_enough = numbers >= earliest * per_s
    early_enough = numbers <= _latest(clock, per_s)
    odd = known & ~(late_enough & early_enough)
    if not odd.any():
        return
    at = int(np.argmax(odd))
    number = float(numbers[at])
    raise cells.error(at, _advise(number, clock))


def _plain_numbers(values: pa.ChunkedArray) -> _Numbers:
    found: _Numbers
    signed = pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type)
    if signed:
        # Not as doubles: nanoseconds of today have more digits than those hold.
        whole = pc.cast(values, pa.int64())
        found = pc.fill_null(whole, 0).to_numpy()
        return found
    doubles = pc.cast(values, pa.float64(), safe=False)
    found = pc.fill_null(doubles, float("nan")).to_numpy()
    return found


def _advise(number: float, clock: Clock) -> str:
    """What is wrong with a number, and which unit would make a date of it."""
    unit = _NAMES[clock.unit or "s"]
    since = 1971 if clock.unit else 1990
    problem = f"as {unit} since 1970 is no time between {since} and now"
    better = _better_unit(number, clock)
    if better is None:
        cure = (
            "leave the cell empty where there is none"
            if number <= 0
            else "times are timestamps, ISO 8601 text or numbers since 1970"
        )
        return f"{problem}, in whatever unit: {cure}"
    day = datetime.fromtimestamp(number / UNITS[better], UTC)
    return f"{problem}; as {_NAMES[better]} it is {day:%Y-%m-%d}: add --time-unit {better}"


def _better_unit(number: float, clock: Clock) -> str | None:
    for unit, per_s in UNITS.items():
        earliest = _EARLIEST_NUMBER_S * per_s
        if earliest <= number <= _latest(clock, per_s):
            return unit
    return None


def _read_texts(cells: Cells, clock: Clock) -> Times:
    texts = _settle_texts(cells.values)
    zoned = pc.match_substring_regex(texts, _ZONED)
    # Arrow parses either all with a zone or all without.
    with_zone = _parse(
        cells,
        pc.if_else(zoned, texts, _NO_TEXT),
        pa.timestamp("ns", "UTC"),
    )
    without = _parse(
        cells,
        pc.if_else(zoned, _NO_TEXT, texts),
        pa.timestamp("ns"),
    )
    utc = pc.assume_timezone(without, "UTC")
    both = pc.coalesce(with_zone, utc)
    found = _read_stamps(cells, both, clock)
    unzoned = bool(_valid(without).any())
    return Times(found.ns, found.known, unzoned)


_NO_TEXT = pa.scalar(None, pa.string())


def _settle_texts(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Texts without blanks around them; empty ones are null."""
    trimmed = pc.utf8_trim_whitespace(_decoded(values))
    blank = pc.equal(trimmed, "")
    return pc.if_else(blank, _NO_TEXT, trimmed)


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return pc.cast(values, pa.string())


def _parse(cells: Cells, texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Timestamps of ISO 8601 texts."""
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        at = _first_bad(texts, kind)
    raise cells.error(
        at,
        "is no time; write times as 2026-11-28T13:45:00Z or as a number of seconds since 1970",
    )


def _first_bad(texts: Any, kind: pa.DataType) -> int:
    """Place of the first text that does not parse, by halving."""
    low = 0
    high = len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        half = texts.slice(low, middle - low)
        try:
            pc.cast(half, kind)
        except pa.ArrowInvalid:
            high = middle
        else:
            low = middle
    return low


def _latest(clock: Clock, per_s: int) -> int:
    return int(clock.now_s + _FUTURE_S) * per_s


def _valid(values: pa.ChunkedArray) -> Mask:
    valid: Mask = pc.is_valid(values).to_numpy()
    return valid
