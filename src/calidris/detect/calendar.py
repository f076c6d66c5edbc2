"""The calendar: hours of the week and days, by the clock on the wall where a model's users live."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np

from calidris.batch import Ints

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS
DAYS = 7
HOURS = DAYS * 24
"""Hours of a week."""
WEEKDAYS = ("Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday")
"""The epoch began on a Thursday."""
_UTC = "UTC"
_HOUR_S = 3600
_SECOND_NS = 1_000_000_000


class Calendar:
    """Which hour of the week and which day a window lies in, in one time zone.

    A window belongs to the hour in which it begins; hours are those of UTC, so that in a zone of half hours (India) the hour that begins
    at 10:30 is its tenth. Where clocks are put back an hour comes twice, and both are the same hour of the same week; where they
    are put forward one does not come.

    Args:
        zone: IANA name, such as "Europe/Berlin".

    Raises:
        ZoneInfoNotFoundError: no zone of that name is known to this machine.

    Cost: none in UTC; elsewhere a microsecond for each hour that windows lie in.

    >>> june, december = 1_781_524_800 * 10**9, 1_797_249_600 * 10**9  # both Monday 12:00 UTC
    >>> Calendar().hour_of_week(june), Calendar("Europe/Berlin").hour_of_week(june)
    (108, 110)
    >>> Calendar("Europe/Berlin").hour_of_week(december)
    109
    """

    def __init__(self, zone: str = _UTC) -> None:
        self.zone = zone
        self._info = None if zone == _UTC else ZoneInfo(zone)

    @property
    def is_utc(self) -> bool:
        """Whether its clock is that of UTC."""
        return self._info is None

    def hour_of_week(self, start_ns: int) -> int:
        """Hour of the week; 0 is Thursday 00:00, where the epoch begins."""
        local_ns = self._local_ns(start_ns)
        hours = local_ns // HOUR_NS
        return hours % HOURS

    def week(self, start_ns: int) -> int:
        """Number of the week since the epoch; weeks begin on Thursday."""
        local_ns = self._local_ns(start_ns)
        days = local_ns // DAY_NS
        return days // DAYS

    def hours_of_week(self, starts_ns: Ints) -> Ints:
        """``hour_of_week`` of many windows, int64[W]."""
        hours: Ints = self._local(starts_ns) // HOUR_NS
        return hours % HOURS

    def days(self, starts_ns: Ints) -> Ints:
        """Number of the day of each window since the epoch, int64[W]."""
        days: Ints = self._local(starts_ns) // DAY_NS
        return days

    def find_missing_weekdays(self, starts_ns: Ints) -> tuple[str, ...]:
        """Days of the week in which no window begins, as people count them."""
        days = self.days(starts_ns)
        seen = np.unique(days % DAYS)
        # Weeks of people begin on Monday.
        order = (4, 5, 6, 0, 1, 2, 3)
        missing = [day for day in order if day not in seen]
        return tuple(WEEKDAYS[day] for day in missing)

    def _local_ns(self, start_ns: int) -> int:
        """What the clock on the wall shows, as if it were UTC."""
        if self._info is None:
            return start_ns
        hour = start_ns // HOUR_NS
        return start_ns + self._offset_ns(hour)

    def _local(self, starts_ns: Ints) -> Ints:
        """``_local_ns`` of many windows: each hour is looked up once."""
        if self._info is None:
            return starts_ns
        hours, place = np.unique(starts_ns // HOUR_NS, return_inverse=True)
        offsets = [self._offset_ns(hour) for hour in hours.tolist()]
        each = np.array(offsets, dtype=np.int64)
        local: Ints = starts_ns + each[place]
        return local

    def _offset_ns(self, hour: int) -> int:
        """How far the clock on the wall is ahead of UTC when an hour since the epoch begins."""
        there = datetime.fromtimestamp(hour * _HOUR_S, self._info)
        ahead = there.utcoffset()
        assert ahead is not None, "a zone says how far it is ahead"
        return round(ahead.total_seconds()) * _SECOND_NS


IN_UTC = Calendar()
