"""How fresh the figures are: when they are renewed next; and where they are old, why, in the log.

The reason is what the engine's thread was at meanwhile, for how long, and whether a processor worked on it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from calidris.batch import ModelKey

LEAST_S: Final = 0.5
SHARE: Final = 0.1
"""Largest share of the engine's time that snapshots take: with many wide models they come less often."""

MOST_S: Final = 120.0
"""However long they take: older figures than that are a fault, and some minutes later an alert."""

LATE_S: Final = 5.0
"""So much later than they were due, figures are worth a line; they are due every half second."""

OLD_S: Final = 60.0
"""So old, whoever asks for their age finds the reason in the log while they still are."""

IDLE_SHARE: Final = 0.5
"""Of less time than that on a processor, a step was not at work: the process or the machine stood still, or its disk did."""

NAMED: Final = 3
"""Models that a line names."""

Models = Iterable[ModelKey]

_logger = logging.getLogger(__name__)


class Pace:
    """The due time of the next round, from how long rounds take. Clocks are arguments.

    A round takes as long as the shorter one of the newest two. One long round alone is a stall of the machine (it was
    suspended, stopped, or had no processor), which tells nothing about the next: it costs that round and no other.

    Attributes:
        due_s: when the next round is due, by the caller's clock; 0 before the first one.
        usual_s: how long a round takes.

    >>> pace = Pace()
    >>> pace.took(begun_s=100.0, spent_s=0.01)
    >>> pace.due_s
    100.5
    >>> pace.took(begun_s=100.5, spent_s=72.0)
    >>> pace.due_s
    101.0
    """

    def __init__(self) -> None:
        self.due_s = 0.0
        self.usual_s = 0.0
        self._before_s = 0.0

    def took(self, begun_s: float, spent_s: float) -> None:
        """Hear how long a round took, and when it began."""
        self.usual_s = min(spent_s, self._before_s)
        self._before_s = spent_s
        pause_s = self.usual_s / SHARE
        # From the round's begin: what is due in the past is due now.
        self.due_s = begun_s + min(max(pause_s, LEAST_S), MOST_S)


@dataclass(frozen=True, slots=True)
class Step:
    """Something that the engine's thread did, or does.

    Attributes:
        what: for people, as in "… took 3 s".
        wall_s: how long it took.
        cpu_s: how much of that a processor worked on it.
    """

    what: str
    wall_s: float
    cpu_s: float

    def __str__(self) -> str:
        took = f"{self.what} took {self.wall_s:.1f} s, {self.cpu_s:.1f} s of it on a processor"
        if self.cpu_s > IDLE_SHARE * self.wall_s:
            return took
        return (
            f"{took}: the process or the machine stood still (stopped, suspended, without a processor), or its disk did"
        )


class Freshness:
    """Follows the engine's thread from step to step. One writer; ``warn_if_old`` is for any thread.

    Args:
        clock_s: a clock that never goes back, in seconds.
        cpu_s: the processor time of the calling thread, in seconds.
    """

    def __init__(
        self,
        clock_s: Callable[[], float] = time.monotonic,
        cpu_s: Callable[[], float] = time.thread_time,
    ) -> None:
        self._clock_s = clock_s
        self._cpu_s = cpu_s
        self._what = "the start"
        self._since_s = clock_s()
        self._cpu_before_s = 0.0
        self._longest = Step(self._what, 0.0, 0.0)
        self._renewed_s = self._since_s
        self._failure = ""
        self._warned_s = self._since_s - OLD_S

    def begin(self, what: str) -> None:
        """Note that the thread goes on to something else; some hundred nanoseconds."""
        now_s = self._clock_s()
        cpu_s = self._cpu_s()
        wall_s = now_s - self._since_s
        if wall_s > self._longest.wall_s:
            # Between two threads, as at the start, the difference tells nothing.
            worked_s = max(cpu_s - self._cpu_before_s, 0.0)
            self._longest = Step(self._what, wall_s, worked_s)
        self._what = what
        self._since_s = now_s
        self._cpu_before_s = cpu_s

    def begin_model(self, key: ModelKey) -> None:
        """Note whose figures are taken now."""
        self.begin(f"taking the figures of {_named(key)}")

    def renewed(self, due_s: float, usual_s: float, models: Models) -> None:
        """Note that there are new figures; says so where they were late, and why.

        Args:
            due_s: when they were due.
            usual_s: how long taking them takes: a round that is always long is no news.
            models: whose figures they are.
        """
        self.begin("handing them out")
        late_s = self._since_s - due_s
        old_s = self._since_s - self._renewed_s
        if self._failure:
            _logger.warning(
                "engine: the %s are renewed again, after %.1f s: %s", _figures(models), old_s, self._failure
            )
        elif due_s and late_s > LATE_S + usual_s:
            _logger.warning("engine: the %s stood still for %.1f s: %s", _figures(models), old_s, self._longest)
        self._renewed_s = self._since_s
        self._failure = ""
        self._longest = Step(self._what, 0.0, 0.0)

    def failed(self, error: BaseException) -> str:
        """Note that there are none; what failed, for the log. The error's own text may quote a value, so it is not told."""
        self._failure = f"{self._what} failed ({type(error).__name__})"
        return self._failure

    def warn_if_old(self, models: Models) -> None:
        """Say why figures are old while they are, once a minute. Whoever tells of their age calls this, from any thread."""
        now_s = self._clock_s()
        old_s = now_s - self._renewed_s
        if old_s < OLD_S or now_s - self._warned_s < OLD_S:
            return
        # Two threads that ask at once may both pass: one line too many, and no lock on the engine's way.
        self._warned_s = now_s
        for_s = now_s - self._since_s
        why = self._failure or f"{self._what} has taken {for_s:.1f} s so far"
        _logger.error("engine: the %s are %.0f s old: %s", _figures(models), old_s, why)


def _figures(models: Models) -> str:
    names = sorted(map(_named, models))
    if not names:
        return "receiver's figures"
    more = len(names) - NAMED
    shown = ", ".join(names[:NAMED])
    others = f" and {more} more" if more > 0 else ""
    return f"figures of {shown}{others}"


def _named(key: ModelKey) -> str:
    return repr(str(key))
