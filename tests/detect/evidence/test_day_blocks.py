"""Windows of one day that depend on each other: what single windows cannot show, days do."""

import numpy as np
import pytest

from calidris.detect import Detector, Loss, freeze, loss_bets
from calidris.detect.bets.window_scores import needed
from calidris.detect.calendar import DAY_NS
from calidris.detect.evidence.day_blocks import DayBlocks, Days
from calidris.state import CountsState

HOURS, ROWS = 24, 300
HOUR_NS = DAY_NS // HOURS
WRONG = Loss.zero_one("accuracy")


def days_of(count, begin=0):
    return Days.of(np.arange(begin, begin + count * HOURS) * HOUR_NS)


class Weather:
    """Hours whose mean is moved for a whole day at a time; no day depends on another, and nothing ever changes."""

    def __init__(self, world, spread=0.08):
        self.world, self.spread = world, spread
        self.spec = world.spec(numeric=1, categorical=0)

    def days(self, count):
        tilts = np.clip(self.world.rng.normal(0.0, self.spread, count), -0.2, 0.2)
        shapes = [self.world.numeric(1.0 + tilt * (np.arange(10) - 4.5) / 1.5) for tilt in tilts]
        return np.array([self.world.window(self.spec, ROWS, x0=shape) for shape in shapes for _ in range(HOURS)])

    def bets(self, windows, **days):
        return freeze(self.spec, CountsState(self.spec, windows.sum(0)), windows, **days)


def test_days_that_differ_give_a_larger_design_effect(world):
    weather = Weather(world)
    windows = weather.days(28)
    alone, together = weather.bets(windows), weather.bets(windows, days=days_of(28))
    assert together.days_depend
    assert together.tilts.effect.max() > 4.0 * alone.tilts.effect.max()


def test_independent_windows_pay_nothing(world):
    spec = world.spec()
    paid = 0
    for _ in range(20):
        windows = world.windows(spec, 7 * HOURS, ROWS)
        paid += freeze(spec, CountsState(spec, windows.sum(0)), windows, days=days_of(7)).days_depend
    assert paid <= 1


@pytest.mark.parametrize("days", [14, 28])
def test_days_that_differ_are_no_alarm(world, days):
    alarms = 0
    for _ in range(5):
        weather = Weather(world)
        detector = Detector(weather.bets(weather.days(days), days=days_of(days)), 1000.0)
        alarms += any(detector.score(window).fired for window in weather.days(4))
    assert alarms == 0


def test_window_scores_need_windows_that_are_independent(world):
    weather = Weather(world, spread=0.2)
    windows = weather.days(28)
    assert needed(weather.bets(windows))
    assert not needed(weather.bets(windows, days=days_of(28)))


def test_what_repeats_every_week_is_left_to_the_handicap(world):
    """Otherwise every weekend would make a detector deaf that knows weekends."""
    weather = Weather(world)
    shapes = [world.numeric(1.0 + 0.1 * (day % 7 >= 5) * np.arange(10)) for day in range(28)]
    windows = np.array([world.window(weather.spec, ROWS, x0=shape) for shape in shapes for _ in range(HOURS)])
    assert not weather.bets(windows, days=days_of(28)).days_depend
    assert weather.bets(windows[: 7 * HOURS], days=days_of(7)).days_depend


def test_days_count_for_more_where_only_one_window_in_some_was_seen(world):
    weather = Weather(world)
    windows, every = weather.days(28), days_of(28)
    some = slice(None, None, 4)
    seen = weather.bets(windows[some], days=Days(every.number[some], one_in=4))
    unscaled = weather.bets(windows[some], days=every.take(some))
    whole = weather.bets(windows, days=every)
    assert unscaled.tilts.effect.max() < 0.5 * whole.tilts.effect.max() < seen.tilts.effect.max()


def test_whole_days_only():
    """A baseline begins and ends within a day, and windows of a day are no blocks."""
    hours = np.arange(20, 20 + 5 * HOURS) * HOUR_NS
    blocks = DayBlocks.of(Days.of(hours))
    assert len(blocks.weekday) == 5
    assert (blocks.place[:4] == -1).all()
    assert DayBlocks.of(Days.of(np.arange(30) * DAY_NS)) is None
    assert DayBlocks.of(days_of(2)) is None
    assert DayBlocks.of(Days.of(np.empty(0, dtype=np.int64))) is None


def test_error_rates_that_differ_by_day(world):
    rates = world.rng.uniform(0.05, 0.15, 28)
    wrong = world.rng.binomial(ROWS, np.repeat(rates, HOURS))
    windows = np.stack([np.full(len(wrong), ROWS), wrong << 30], axis=1)
    alone = loss_bets([WRONG], windows.sum(0), windows)
    together = loss_bets([WRONG], windows.sum(0), windows, days=days_of(28))
    assert together.frozen.effect[0] > 3.0 * alone.frozen.effect[0]
    assert together.identity == alone.identity, "evidence of a version that knew no days goes on"


def test_weeks_that_differ_by_more_than_their_days_explain(world):
    weather = Weather(world)
    tilts = np.repeat(world.rng.normal(0.0, 0.06, 8), 7)
    shapes = [world.numeric(1.0 + tilt * (np.arange(10) - 4.5) / 1.5) for tilt in np.clip(tilts, -0.2, 0.2)]
    windows = np.array([world.window(weather.spec, ROWS, x0=shape) for shape in shapes for _ in range(HOURS)])
    begin = 7 * 400 * HOURS  # a whole number of weeks since the epoch
    days = days_of(56, begin)
    assert DayBlocks.of_weeks(days_of(35, begin)) is None
    eight, five = (
        weather.bets(windows, days=days),
        weather.bets(windows[: 35 * HOURS], days=days.take(slice(35 * HOURS))),
    )
    assert eight.tilts.effect.max() > 2.0 * five.tilts.effect.max()


def test_where_days_differ_the_spread_takes_what_the_location_shows(world):
    """A mean that moves for days moves the spread by its square: seldom and by much, which a few days do not show."""
    weather = Weather(world)
    bets = weather.bets(weather.days(14), days=days_of(14))
    assert len(set(bets.tilts.effect.tolist())) == 1
