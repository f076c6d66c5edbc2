"""The machine's own clocks, for whoever waits.

Libraries that stop the time for tests (freezegun, time-machine) put others in the place of the functions of the module ``time``, also
under the names that other modules have given them. What is stamped follows them: that is the application's wish. What waits by
a clock that stands still waits for ever.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Final

_IS_LINUX: Final[bool] = bool(sys.platform == "linux")

_COARSE: Final = 5
"""Linux' clock of the day that is exact to some ms; the usual one is replaced inside of C."""

STOPPED_S: Final = 1.0
"""Difference of two clocks from which one of them was stopped, or set."""


def _choose_steady() -> Callable[[], float]:
    if hasattr(time, "clock_gettime"):
        return partial(time.clock_gettime, time.CLOCK_MONOTONIC)
    return partial(time.monotonic)


def _choose_day() -> Callable[[], float]:
    if _IS_LINUX:
        return partial(time.clock_gettime, _COARSE)
    return partial(time.time)


# No functions of that module themselves: those are found by what they are, whatever their name.
read_clock_s: Final = _choose_steady()
"""Seconds of a clock that only goes forward."""

_read_day_s: Final = _choose_day()


def find_lag_s() -> float:
    """Seconds by which ``time.time`` is behind the machine: 0 unless the application has stopped it, or travels.

    gRPC reckons by it when a request must be answered.
    """
    lag_s = _read_day_s() - time.time()
    return lag_s if abs(lag_s) > STOPPED_S else 0.0
