"""The time that windows close by, under clocks that stand still, drift, leap and come back."""

from __future__ import annotations

import pytest

from calidris.app.clock import JUMP_NS, BelievedTime

SECOND, DAY = 10**9, 86_400 * 10**9
START = 1_800_000_000 * SECOND


class Clocks:
    """A wall clock and a steady one, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.steady = START, 7
        self.believed = BelievedTime(lambda: self.wall, lambda: self.steady)

    def pass_(self, seconds: float, wall: float | None = None) -> int:
        """Let time pass, on the wall perhaps more or less of it; what is believed then."""
        self.steady += round(seconds * SECOND)
        self.wall += round((seconds if wall is None else wall) * SECOND)
        return self.believed.now_ns()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def test_a_clock_that_stands_still_does_not_keep_windows_open(clocks: Clocks) -> None:
    for second in range(1, 60):
        assert clocks.pass_(1, wall=0) == START, f"a clock that is {second} s off is followed"
    told = [clocks.pass_(30, wall=0) for _ in range(20)]
    assert clocks.believed.jumped
    assert told[-1] - told[5] == 14 * 30 * SECOND, "from there on the steady clock goes on"
    clocks.wall = START + clocks.steady
    clocks.believed.saw(clocks.wall)
    assert clocks.pass_(1) == clocks.wall and not clocks.believed.jumped, "it goes again, and events agree"


def test_drift_is_followed_however_far_it_goes(clocks: Clocks) -> None:
    for _ in range(1000):
        assert clocks.pass_(10, wall=10.5) == clocks.wall
    assert not clocks.believed.jumped and clocks.wall - START > 8 * JUMP_NS


@pytest.mark.parametrize("days", [30, -30])
def test_a_leap_is_not_believed_until_an_event_says_so(clocks: Clocks, days: int) -> None:
    clocks.wall += days * DAY
    assert clocks.pass_(5) == START + 5 * SECOND
    assert clocks.believed.offset_s == days * 86_400
    clocks.believed.saw(START + 5 * SECOND)
    assert clocks.pass_(5) == START + 10 * SECOND, "an event of the old time is no witness"
    clocks.believed.saw(clocks.wall - SECOND)
    assert clocks.pass_(5) == clocks.wall
    assert (clocks.believed.jumped, clocks.believed.offset_s) == (False, 0.0)


def test_a_leap_that_is_put_right_was_none(clocks: Clocks) -> None:
    clocks.wall += 30 * DAY
    clocks.pass_(5)
    clocks.wall -= 30 * DAY
    assert clocks.pass_(5) == clocks.wall == START + 10 * SECOND
    assert not clocks.believed.jumped


def test_a_leap_during_a_long_stop_is_no_drift(clocks: Clocks) -> None:
    """A process that was stopped, or watched nothing, did not look at the clock for a day."""
    assert clocks.pass_(86_400, wall=86_400 + 3600) == START + 86_400 * SECOND
    assert clocks.believed.jumped
