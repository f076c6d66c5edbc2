"""Models whose rows come in jobs, in any order within one: when their windows close, and how often jobs come.

::

    rows of a job, in any order ──► nothing comes for ``batch_idle`` ──► the job is over: a seal of this model alone
                                                                         │
    closed then     every step that the job reached, its last one too ◄──┘
                    each longer window that is scored, whose end the clock has passed
    stays open      a window that the next job goes on with, as far as past jobs tell

Times are those of the rows. The clock never closes a window here: it only keeps one open whose time is not over yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

REMEMBERED = 4
"""Jobs whose advance is remembered: a few rows that come after a pause are a job too, and must not hide the night's."""

SHARED = 0.75
"""Jobs that advance by less than this part of a window share it. Nights differ by some hours in where their rows end."""

LONGEST_S = 86_400.0
"""Rows that come for so long without a pause are no job: what they have passed is closed once in so long all the same."""


@dataclass(slots=True)
class Jobs:
    """What is known of one model version's jobs; a function of the journal.

    Attributes:
        marked: its rows carry the id of a batch, whatever the settings say.
        newest_ns: newest event of the jobs that are over, ns since the epoch; 0 before the first.
        advances_ns: by how much the newest event moved on from job to job, the last few, oldest first.
    """

    marked: bool = False
    newest_ns: int = 0
    advances_ns: list[int] = field(default_factory=list)

    @property
    def cadence_ns(self) -> int:
        """How often jobs come, in the time of their rows; 0 where fewer than two came."""
        return max(self.advances_ns, default=0)

    def end(self, newest_ns: int) -> None:
        """Note that a job is over which reached this far; one that brought nothing newer tells nothing."""
        advance_ns = newest_ns - self.newest_ns
        if advance_ns <= 0:
            return
        if self.newest_ns:
            self.advances_ns = [*self.advances_ns, advance_ns][-REMEMBERED:]
        self.newest_ns = newest_ns

    def closes_ns(self, newest_ns: int, step_ns: int, scored_ns: Iterable[int], now_ns: int) -> int:
        """Until when windows close as the job ends that reached ``newest_ns``.

        Args:
            newest_ns: its newest event, ns since the epoch.
            step_ns: length of a step, which all windows are made of.
            scored_ns: lengths of the windows that are scored.
            now_ns: the time by the clock.

        A night of rows until 05:59, at noon of that day: hours are over, the day is not.

        >>> hour, day = 3_600, 86_400
        >>> Jobs().closes_ns(6 * hour - 60, hour, [hour, day], 12 * hour) // hour
        6
        >>> Jobs().closes_ns(6 * hour - 60, hour, [hour, day], 30 * hour) // hour
        24
        """
        apart_ns = self._apart_ns(newest_ns)
        until_ns = newest_ns // step_ns * step_ns
        for length_ns in (step_ns, *scored_ns):
            end_ns = (newest_ns // length_ns + 1) * length_ns
            is_shared = 0 < apart_ns < SHARED * length_ns
            is_over = length_ns == step_ns or end_ns <= now_ns
            if is_over and not is_shared:
                until_ns = max(until_ns, end_ns)
        return until_ns

    def _apart_ns(self, newest_ns: int) -> int:
        """How far jobs are apart, the one that ends now among them; 0 for the first."""
        if not self.newest_ns:
            return self.cadence_ns
        return max(self.cadence_ns, newest_ns - self.newest_ns)

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads."""
        return {
            "marked": self.marked,
            "newest_ns": self.newest_ns,
            "advances_ns": self.advances_ns,
        }

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Jobs:
        """What ``to_json`` wrote; nothing where a model had no jobs."""
        return cls(
            marked=told.get("marked", False),
            newest_ns=told.get("newest_ns", 0),
            advances_ns=list(told.get("advances_ns", ())),
        )
