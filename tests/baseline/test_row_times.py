"""Times in whatever form a table has them: the same moment in each, and none that cannot be right."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from calidris.baseline.refusals import Cells
from calidris.baseline.row_times import Clock, Times, read_times
from calidris.errors import ConfigError

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
CLOCK = Clock(NOW.timestamp())
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_NS = int(NOON.timestamp()) * 10**9


def times(values: pa.Array, clock: Clock = CLOCK, first: int = 0) -> Times:
    return read_times(Cells(Path("rows.parquet"), "ts", pa.chunked_array([values]), first), clock)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([NOON], pa.timestamp("s", "UTC")),
        pa.array([NOON], pa.timestamp("ns", "Europe/Amsterdam")),
        pa.array([NOON.replace(tzinfo=None)], pa.timestamp("us")),
        pa.array(["2026-01-01T12:00:00Z"]),
        pa.array(["2026-01-01 13:00:00+01:00"]),
        pa.array(["2026-01-01T12:00:00.000"]),
        pa.array([" 2026-01-01 12:00 "]).dictionary_encode(),
        pa.array([NOON_NS // 10**9]),
        pa.array([NOON_NS / 1e9]),
        pa.array([NOON_NS // 10**9], pa.uint64()),
        pa.array([NOON_NS // 10**9], pa.decimal128(20, 3)),
    ],
    ids=lambda values: str(values.type),
)
def test_the_same_moment_in_each_form(values: pa.Array) -> None:
    assert times(values).ns.tolist() == [NOON_NS]


@pytest.mark.parametrize(("unit", "per_s"), [("s", 1), ("ms", 10**3), ("us", 10**6), ("ns", 10**9)])
def test_numbers_of_a_stated_unit(unit: str, per_s: int) -> None:
    whole = NOON_NS // 10**9 * per_s
    assert times(pa.array([whole]), Clock(CLOCK.now_s, unit)).ns.tolist() == [NOON_NS]
    odd = pa.array([whole + 1]) if unit == "ns" else pa.array([whole])
    assert times(odd, Clock(CLOCK.now_s, unit)).ns[0] - NOON_NS == (1 if unit == "ns" else 0)


def test_a_day_is_its_first_moment_in_utc() -> None:
    found = times(pa.array([date(2026, 1, 1), None]))
    assert found.ns.tolist() == [NOON_NS - 12 * 3600 * 10**9, 0]
    assert found.known.tolist() == [True, False] and found.unzoned


def test_what_has_a_zone_is_not_called_zoneless() -> None:
    assert not times(pa.array(["2026-01-01T12:00:00Z"])).unzoned
    assert times(pa.array(["2026-01-01T12:00:00Z", "2026-01-01T12:00:00"])).unzoned


@pytest.mark.parametrize(
    ("values", "clock", "said"),
    [
        (pa.array([1_764_000_000_000]), CLOCK, "as milliseconds it is 2025-11-24: add --time-unit ms"),
        (pa.array([1_764_000_000_000_000]), CLOCK, "as microseconds it is 2025-11-24: add --time-unit us"),
        (pa.array([1_764_000_000_000_000_000]), CLOCK, "as nanoseconds it is 2025-11-24: add --time-unit ns"),
        (pa.array([1_764_000_000]), Clock(CLOCK.now_s, "ms"), "as seconds it is 2025-11-24: add --time-unit s"),
        (pa.array([1_764_000_000, 20_260_101]), CLOCK, "row 102: 20260101 as seconds .* in whatever unit"),
        (pa.array([0.0]), CLOCK, "in whatever unit"),
        (pa.array([np.inf]), CLOCK, "in whatever unit"),
        (pa.array([NOON.replace(year=2027)]), CLOCK, "lies in the future"),
        (pa.array([datetime(1970, 1, 1, tzinfo=UTC)]), CLOCK, "is before 1971"),
        (pa.array([253_402_300_800_000], pa.timestamp("s")), CLOCK, "lies in the future"),
        (pa.array(["2026-01-01", "soon", "2026-01-03"]), CLOCK, "row 102: 'soon' is no time"),
        (pa.array([True]), CLOCK, "is bool; a time is a timestamp"),
    ],
)
def test_times_that_cannot_be_right(values: Any, clock: Clock, said: str) -> None:
    with pytest.raises(ConfigError, match=f"rows.parquet: column 'ts'.*{said}"):
        times(values, clock, first=100)


def test_a_local_time_of_today_may_be_ahead_of_utc() -> None:
    assert times(pa.array([NOW.replace(hour=23, tzinfo=None)])).known.all()
