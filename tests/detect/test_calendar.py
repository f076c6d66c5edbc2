"""Hours of the week and days by a zone's own clock, against the standard library's one hour after another."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest

from calidris.detect.calendar import DAY_NS, HOUR_NS, HOURS, IN_UTC, Calendar
from calidris.detect.evidence.day_blocks import Days

ZONES = ("UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Pacific/Apia", "Australia/Lord_Howe")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("zone", ZONES)
def test_every_hour_of_two_years_is_the_hour_that_the_clock_on_the_wall_shows(zone):
    calendar = Calendar(zone)
    hours = np.arange(2 * 366 * 24) + 490_000  # November 2025 to November 2027
    starts = hours * HOUR_NS + HOUR_NS // 4  # windows of a quarter of an hour are in the hour that they begin in
    found_hours, found_days = calendar.hours_of_week(starts).tolist(), calendar.days(starts).tolist()
    for i, start in enumerate(starts.tolist()):
        there = datetime.fromtimestamp(int(hours[i]) * 3600, ZoneInfo(zone)) + timedelta(minutes=15)
        days = (there.replace(tzinfo=UTC) - EPOCH).days
        want = days % 7 * 24 + there.hour
        assert (found_hours[i], calendar.hour_of_week(start)) == (want, want)
        assert (found_days[i], calendar.week(start)) == (days, days // 7)


def test_in_utc_nothing_is_looked_up():
    starts = np.array([0, 169 * HOUR_NS, -1])
    assert IN_UTC.is_utc and IN_UTC.hours_of_week(starts).tolist() == [0, 1, HOURS - 1]
    assert IN_UTC.days(starts).tolist() == [0, 7, -1]


def test_the_day_on_which_clocks_change_has_23_or_25_hours():
    march, october = datetime(2027, 3, 28, tzinfo=UTC), datetime(2027, 10, 31, tzinfo=UTC)
    for day, hours in ((march, 23), (october, 25)):
        begin = round(day.timestamp()) * 10**9 - DAY_NS
        starts = begin + np.arange(72) * HOUR_NS
        days = Days.of(starts, calendar=Calendar("Europe/Berlin"))
        _, size = np.unique(days.number, return_counts=True)
        assert size[1:-1].tolist()[-2:].count(hours) == 1
        assert np.unique(Days.of(starts).number, return_counts=True)[1].tolist() == [24, 24, 24]


def test_a_zone_that_is_not_there_is_an_error():
    with pytest.raises(ZoneInfoNotFoundError):
        Calendar("Europe/Atlantis")
