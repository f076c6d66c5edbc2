"""When rows happened, as a caller says it: dates of any library, or numbers with a unit, to nanoseconds since the epoch.

A number without a unit and a date without a zone are refused: whoever guesses puts rows where they do not belong. The exception is
numpy's datetime64, also within pandas, which has no zones and is UTC by its own rule.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from calidris.instrument.foreign import Refused, guarded, listed, offers, plain_of, single

UNITS_NS: Final = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}
"""Nanoseconds of a unit."""

MAX_NS: Final = 2**63 - 1
"""Last time that the wire has: the year 2262."""

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
    if unit is not None and (type(unit) is not str or unit not in UNITS_NS):
        raise Refused("time_unit_unknown")
    found = (
        _read_array(given, rows) if _is_array_of_dates(given) else _read_values(listed(given, rows, once=True), unit)
    )
    if len(found) != rows:
        raise Refused("malformed")
    return found, found.count(None)


@guarded
def _is_array_of_dates(given: Any) -> bool:
    return offers(type(given), "dtype", "shape") and getattr(given.dtype, "kind", "") == "M"


@guarded
def _read_array(given: Any, rows: int) -> list[int | None]:
    if given.shape != (rows,):
        raise Refused("malformed")
    if offers(type(given), "to_numpy"):
        given = given.to_numpy(dtype="datetime64[us]")  # of what has a zone this is UTC
    return [_keep_within(us * 1000) for us in given.astype("datetime64[us]").astype("int64").tolist()]


def _read_values(values: list[Any], unit: str | None) -> list[int | None]:
    found: list[int | None] = []
    for value in values:
        try:
            found.append(_read_time(value, unit))
        except Refused as refused:
            if refused.reason in ("time_without_unit", "time_without_zone"):
                raise  # it is the call that is wrong, not the row
            found.append(None)
    return found


@guarded
def _read_time(value: Any, unit: str | None) -> int | None:
    value = single(value)
    kind = type(value)
    if kind.__name__ == "datetime64":
        return _keep_within(int(value.astype("datetime64[us]").astype("int64")) * 1000)
    if issubclass(kind, date):
        if value != value:  # NaT
            return None
        if getattr(value, "tzinfo", None) is None:
            raise Refused("time_without_zone")
        return _keep_within((value - _EPOCH) // _MICROSECOND * 1000)
    number = plain_of(value)
    if number is None:
        return None
    if unit is None:
        raise Refused("time_without_unit")
    return _keep_within(int(number * UNITS_NS[unit])) if type(number) in (int, float) else None


def _keep_within(at_ns: int) -> int | None:
    """A time that the wire has. The smallest integer is how numpy writes that there is none."""
    return at_ns if 0 <= at_ns <= MAX_NS else None
