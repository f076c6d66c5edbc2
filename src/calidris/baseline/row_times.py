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

UNITS = {"s": 1, "ms": 1000, "us": 1_000_000, "ns": 1_000_000_000}
"""Of times that are numbers: how many make a second."""

_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
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
        return _read_stamps(cells, pc.cast(cells.values, pa.timestamp("ms")), clock)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _read_numbers(cells, clock)
    if holds_text(kind):
        return _read_texts(cells, clock)
    if pa.types.is_null(kind):
        return Times(np.zeros(len(cells.values), dtype=np.int64), np.zeros(len(cells.values), dtype=np.bool_))
    raise cells.column_error(f"is {kind}; a time is a timestamp, a date, ISO 8601 text, or a number since 1970")


def _read_stamps(cells: Cells, values: pa.ChunkedArray, clock: Clock) -> Times:
    known = _valid(values)
    per_s = UNITS[values.type.unit]
    whole = pc.fill_null(pc.cast(values, pa.int64()), 0)
    ticks: Ints = whole.to_numpy()
    early = known & (ticks < _EARLIEST_DATE_S * per_s)
    cells.refuse_first(
        early, "is before 1971, and so no time of a prediction: leave the cell empty where there is none"
    )
    late = known & (ticks > _latest(clock, per_s))
    cells.refuse_first(late, "lies in the future: mend the time, or leave the row out")
    ns = np.where(known, ticks, 0) * (UNITS["ns"] // per_s)
    return Times(ns, known, unzoned=values.type.tz is None and bool(known.any()))


def _read_numbers(cells: Cells, clock: Clock) -> Times:
    numbers = _plain_numbers(cells.values)
    known = _valid(cells.values) & ~np.isnan(numbers)
    unit = clock.unit or "s"
    per_s = UNITS[unit]
    earliest = _EARLIEST_DATE_S if clock.unit else _EARLIEST_NUMBER_S
    odd = known & ~((numbers >= earliest * per_s) & (numbers <= _latest(clock, per_s)))
    if odd.any():
        at = int(np.argmax(odd))
        raise cells.error(at, _advise(float(numbers[at]), unit, clock))
    factor = UNITS["ns"] // per_s
    there = np.where(known, numbers, 0)
    ns = np.asarray(np.rint(there * factor), dtype=np.int64) if there.dtype.kind == "f" else there * factor
    return Times(ns, known)


def _plain_numbers(values: pa.ChunkedArray) -> _Numbers:
    if pa.types.is_integer(values.type) and not pa.types.is_uint64(values.type):
        # Not as doubles: nanoseconds of today have more digits than those hold.
        return pc.fill_null(pc.cast(values, pa.int64()), 0).to_numpy()  # type: ignore[no-any-return]
    doubles = pc.cast(values, pa.float64(), safe=False)
    return pc.fill_null(doubles, float("nan")).to_numpy()  # type: ignore[no-any-return]


def _advise(number: float, unit: str, clock: Clock) -> str:
    """What is wrong with a number, and which unit would make a date of it."""
    since = 1971 if clock.unit else 1990
    problem = f"as {_NAMES[unit]} since 1970 is no time between {since} and now"
    for other, per_s in UNITS.items():
        if _EARLIEST_NUMBER_S * per_s <= number <= _latest(clock, per_s):
            day = datetime.fromtimestamp(number / per_s, UTC)
            return f"{problem}; as {_NAMES[other]} it is {day:%Y-%m-%d}: add --time-unit {other}"
    return f"{problem}, in whatever unit: times are timestamps, ISO 8601 text or numbers since 1970"


def _read_texts(cells: Cells, clock: Clock) -> Times:
    texts = pc.utf8_trim_whitespace(_decoded(cells.values))
    texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    zoned = pc.match_substring_regex(texts, _ZONED)
    with_zone = _parse(cells, pc.if_else(zoned, texts, None), pa.timestamp("ns", "UTC"))
    without = _parse(cells, pc.if_else(zoned, None, texts), pa.timestamp("ns"))
    utc = pc.assume_timezone(without, "UTC")
    found = _read_stamps(cells, pc.coalesce(with_zone, utc), clock)
    return Times(found.ns, found.known, unzoned=bool(_valid(without).any()))


def _decoded(values: pa.ChunkedArray) -> pa.ChunkedArray:
    plain = values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
    return pc.cast(plain, pa.string())


def _parse(cells: Cells, texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Timestamps of ISO 8601 texts."""
    try:
        return pc.cast(texts, kind)
    except pa.ArrowInvalid:
        at = _first_bad(texts, kind)
    raise cells.error(at, "is no time; write times as 2026-11-28T13:45:00Z or as a number of seconds since 1970")


def _first_bad(texts: Any, kind: pa.DataType) -> int:
    """Place of the first text that does not parse, by halving."""
    low, high = 0, len(texts)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(texts.slice(low, middle - low), kind)
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low


def _latest(clock: Clock, per_s: int) -> int:
    return int(clock.now_s + _FUTURE_S) * per_s


def _valid(values: pa.ChunkedArray) -> Mask:
    valid: Mask = pc.is_valid(values).to_numpy()
    return valid
