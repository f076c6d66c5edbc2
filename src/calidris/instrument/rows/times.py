"""When rows happened, as a caller says it: dates of any library, or numbers with a unit, to nanoseconds since the epoch.

A number without a unit and a date without a zone are refused: whoever guesses puts rows where they do not belong. The exception is
numpy's datetime64, also within pandas, which has no zones and is UTC by its own rule.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from calidris.instrument.foreign import (
    Refused,
    guarded,
    listed,
    offers,
    plain_of,
    single,
)

UNITS_NS: Final = {
    "s": 10**9,
    "ms": 10**6,
    "us": 1000,
    "ns": 1,
}
"""Nanoseconds of a unit."""

MAX_NS: Final = 2**63 - 1
"""Last time that the wire has: the year 2262."""

WRONG_CALL: Final = ("time_without_unit", "time_without_zone")
"""Reasons for which it is the call that is wrong, and not a row of it."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def times_of(given: Any, unit: str | None, rows: int) -> tuple[list[int | None], int]:
    """Times of so many rows, and how many of them are missing; those are None.

    >>> times_of([17, None], "s", 2)
    ([17000000000, None], 1)

    Raises:
        Refused: ``malformed`` for another number of them, ``time_without_unit`` and ``time_without_zone`` for what is no time,
            ``time_unit_unknown``.
    """
    if not _is_known(unit):
        raise Refused("time_unit_unknown")
    if _is_array_of_dates(given):
        found = _read_array(given, rows)
    else:
        values = listed(given, rows, once=True)
        found = [_read_or_miss(value, unit) for value in values]
    if len(found) != rows:
        raise Refused("malformed")
    return found, found.count(None)


def _is_known(unit: Any) -> bool:
    return unit is None or (type(unit) is str and unit in UNITS_NS)


@guarded
def _is_array_of_dates(given: Any) -> bool:
    if not offers(type(given), "dtype", "shape"):
        return False
    return getattr(given.dtype, "kind", "") == "M"


@guarded
def _read_array(given: Any, rows: int) -> list[int | None]:
    if given.shape != (rows,):
        raise Refused("malformed")

    if offers(type(given), "to_numpy"):
        # Of what has a zone this is UTC.
        given = given.to_numpy(dtype="datetime64[us]")
    moments = given.astype("datetime64[us]")
    times_us = moments.astype("int64").tolist()
    return [_keep_within(us * 1000) for us in times_us]


def _read_or_miss(value: Any, unit: str | None) -> int | None:
    """The time of one row, None where it cannot be read."""
    try:
        return _read_time(value, unit)
    except Refused as refused:
        if refused.reason in WRONG_CALL:
            raise
        return None


@guarded
def _read_time(value: Any, unit: str | None) -> int | None:
    value = single(value)
    kind = type(value)
    if kind.__name__ == "datetime64":
        moment = value.astype("datetime64[us]")
        us = int(moment.astype("int64"))
        return _keep_within(us * 1000)
    if issubclass(kind, date):
        return _read_date(value)
    number = plain_of(value)
    if number is None:
        return None
    if unit is None:
        raise Refused("time_without_unit")
    if type(number) not in (int, float):
        return None
    at_ns = int(number * UNITS_NS[unit])
    return _keep_within(at_ns)


def _read_date(value: Any) -> int | None:
    # NaT is a date that is not equal to itself.
    if value != value:
        return None
    if getattr(value, "tzinfo", None) is None:
        raise Refused("time_without_zone")
    since = value - _EPOCH
    us = since // _MICROSECOND
    return _keep_within(us * 1000)


def _keep_within(at_ns: int) -> int | None:
    """A time that the wire has. The smallest integer is how numpy writes that there is none."""
    if 0 <= at_ns <= MAX_NS:
        return at_ns
    return None
