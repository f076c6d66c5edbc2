"""The reference of the hour of the week begins with the baseline's own windows, and keeps to the clock of its users."""

from datetime import datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from calidris.detect import Detector, References, SeasonalBets
from calidris.detect.calendar import HOUR_NS, HOURS, IN_UTC, Calendar
from calidris.detect.references import Season
from calidris.errors import CorruptState, IncompatibleState
from calidris.state import CountsState

BERLIN = Calendar("Europe/Berlin")
ROWS = 400
YEAR = 8760.0


@pytest.fixture
def spec(world):
    return world.spec(numeric=1, categorical=1)


def office(world, spec, start_ns, shift_h=0, zone="Europe/Berlin"):
    """A window of an office that opens at nine and closes at five, by its own clock; on weekends it is shut."""
    there = datetime.fromtimestamp(start_ns / 1e9 - shift_h * 3600, ZoneInfo(zone))
    lean = 0.2 * (9 <= there.hour < 17 and there.weekday() < 5)
    return world.window(spec, ROWS, x0=world.numeric(np.exp(lean * (np.arange(10) - 4.5))))


def before(day: datetime, weeks: int):
    end = round(day.timestamp()) * 10**9
    return end + np.arange(-weeks * HOURS, 0) * HOUR_NS


def watching(spec, windows, starts, calendar):
    references = References(spec, 3600.0, calendar=calendar)
    references.fill(starts, windows)
    return Detector(SeasonalBets(spec, CountsState(spec, windows.sum(0)), windows, starts, references), YEAR)


def alarms_in(detector, spec, world, starts, **how):
    """After how many windows each alarm came; each is cleared at once."""
    found = []
    for h, start in enumerate(starts.tolist()):
        counts = office(world, spec, start, **how)
        verdict = detector.score(counts, start_ns=start)
        detector.bets.references.learn(start, counts, calm=verdict.evidence < 0.5 and not verdict.alarm)
        if verdict.opened:
            found.append(h + 1)
            detector.clear()
    return found


def test_a_change_to_summer_time_is_an_alarm_by_utc_and_none_by_the_clock_of_the_users(world, spec):
    change = datetime(2027, 3, 29, tzinfo=ZoneInfo("Europe/Berlin"))  # the Monday after it
    starts = before(change, 5)
    windows = np.array([office(world, spec, start) for start in starts.tolist()])
    after = starts[-1] + np.arange(1, 2 * HOURS + 1) * HOUR_NS
    assert alarms_in(watching(spec, windows, starts, IN_UTC), spec, world, after)
    assert not alarms_in(watching(spec, windows, starts, BERLIN), spec, world, after)


def test_a_day_that_moved_by_six_hours_is_found_within_a_day(world, spec):
    """An empty reference learned the moved day as the usual one: nothing in 336 windows."""
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("Europe/Berlin")), 7)
    windows = np.array([office(world, spec, start) for start in starts.tolist()])
    after = starts[-1] + np.arange(1, 2 * HOURS + 1) * HOUR_NS
    filled = alarms_in(watching(spec, windows, starts, BERLIN), spec, world, after, shift_h=6)
    assert filled and filled[0] <= 24
    empty = Detector(
        SeasonalBets(spec, CountsState(spec, windows.sum(0)), windows, starts, References(spec, 3600.0)), YEAR
    )
    assert not alarms_in(empty, spec, world, after, shift_h=6)


def test_what_is_filled_is_what_was_learned_live(world, spec):
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC")), 3)
    windows = world.windows(spec, len(starts), 50)
    live, filled = References(spec, 3600.0), References(spec, 3600.0)
    for start, counts in zip(starts.tolist(), windows):
        live.learn(start, counts)
    filled.fill(starts, windows)
    assert filled.to_bytes() == live.to_bytes()


def test_how_far_a_season_is(world, spec):
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC")), 3)
    windows = world.windows(spec, len(starts), 50)
    states = []
    references = References(spec, 3600.0)
    for start, counts in zip(starts.tolist(), windows):
        references.learn(start, counts)
        states.append((references.season, references.season.state))
    assert states[0] == (Season(0, 1), "sleeping")
    assert states[HOURS - 1] == (Season(0, HOURS), "sleeping")
    assert states[HOURS] == (Season(1, HOURS), "learning")
    assert states[2 * HOURS - 1] == (Season(HOURS, HOURS), "ready")
    for at in (HOURS, 2 * HOURS - 1):  # what is said to be ready is there when its hour comes round
        fewer = References(spec, 3600.0)
        fewer.fill(starts[: at + 1], windows[: at + 1])
        there = [fewer.seasonal(int(starts[at]) + h * HOUR_NS) is not None for h in range(1, HOURS + 1)]
        assert sum(there) == fewer.season.ready


def test_hours_without_rows_are_not_waited_for(world, spec):
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC")), 3)
    weekdays = np.array([datetime.fromtimestamp(s / 1e9, ZoneInfo("UTC")).weekday() < 5 for s in starts.tolist()])
    references = References(spec, 3600.0)
    references.fill(starts[weekdays], world.windows(spec, int(weekdays.sum()), 50))
    assert (references.season, references.season.state) == (Season(120, 120), "ready")


def test_what_an_earlier_version_learned_gets_the_weeks_of_the_baseline(world, spec):
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC")), 4)
    windows = world.windows(spec, len(starts), 50)
    filled, live = References(spec, 3600.0), References(spec, 3600.0)
    filled.fill(starts[: 3 * HOURS], windows[: 3 * HOURS])
    live.fill(starts[3 * HOURS : 3 * HOURS + 40], windows[3 * HOURS : 3 * HOURS + 40])  # begun without the baseline
    every = References(spec, 3600.0)
    every.fill(starts[: 3 * HOURS + 40], windows[: 3 * HOURS + 40])
    filled.take_over(References.from_bytes(spec, live.to_bytes()))
    assert filled.season == every.season
    for h in (3, 50, 100):
        at = int(starts[3 * HOURS + 40]) + h * HOUR_NS
        assert np.array_equal(filled.seasonal(at).array, every.seasonal(at).array)


def test_what_began_with_the_baseline_goes_on_bit_by_bit(world, spec):
    starts = before(datetime(2026, 11, 2, tzinfo=ZoneInfo("UTC")), 4)
    windows = world.windows(spec, len(starts), 50)
    one = References(spec, 3600.0)
    one.fill(starts[: 3 * HOURS], windows[: 3 * HOURS])
    again = References(spec, 3600.0)
    again.fill(starts[: 3 * HOURS], windows[: 3 * HOURS])
    one.fill(starts[3 * HOURS :], windows[3 * HOURS :])
    again.take_over(References.from_bytes(spec, one.to_bytes()))
    assert again.to_bytes() == one.to_bytes()


def test_another_clock_makes_other_hours(spec):
    data = References(spec, 3600.0, calendar=BERLIN).to_bytes()
    assert References.from_bytes(spec, data, BERLIN).to_bytes() == data
    with pytest.raises(IncompatibleState, match="clock of Europe/Berlin for a model by that of UTC"):
        References.from_bytes(spec, data)
    with pytest.raises(IncompatibleState):
        References.from_bytes(spec, References(spec, 3600.0).to_bytes(), BERLIN)
    with pytest.raises(CorruptState):
        References.from_bytes(spec, data[:-40], BERLIN)
