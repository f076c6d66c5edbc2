"""When steps become hours and hours days: a function of what is sealed, of what windows need and of the settings."""

from __future__ import annotations

from typing import NamedTuple

from calidris.engine.panes.pane import DAY_NS, HOUR_NS

MOST_HOURS_NS, MOST_DAYS_NS = DAY_NS, 30 * DAY_NS
"""How far a mark moves at one seal: after a long silence or an upgrade the work is spread over many seals."""


class Marks(NamedTuple):
    """Steps before ``hours_ns`` are in hour panes, hours before ``days_ns`` in day panes, and nothing is from before ``deleted_ns``."""

    hours_ns: int = 0
    days_ns: int = 0
    deleted_ns: int = 0

    def moved(self, step_ns: int, first_ns: int, steps_from_ns: int, hours_from_ns: int, days_from_ns: int) -> Marks:
        """The marks after a seal; they never go back.

        Args:
            step_ns: length of a step.
            first_ns: the oldest row.
            steps_from_ns: from here on steps stay steps.
            hours_from_ns: likewise hours.
            days_from_ns: what is older is deleted.

        >>> Marks().moved(HOUR_NS // 12, 0, 100 * HOUR_NS, 50 * HOUR_NS, 0)
        Marks(hours_ns=86400000000000, days_ns=86400000000000, deleted_ns=0)
        """
        hours, days = self.hours_ns, self.days_ns
        if step_ns < HOUR_NS:
            hours = _toward(hours, first_ns, steps_from_ns // HOUR_NS * HOUR_NS, MOST_HOURS_NS)
        if step_ns < DAY_NS:
            whole = hours if step_ns < HOUR_NS else steps_from_ns
            days = _toward(days, first_ns, min(whole, hours_from_ns) // DAY_NS * DAY_NS, MOST_DAYS_NS)
        return Marks(hours, days, max(self.deleted_ns, days_from_ns // DAY_NS * DAY_NS))


def _toward(mark_ns: int, first_ns: int, goal_ns: int, most_ns: int) -> int:
    begin_ns = mark_ns or first_ns // DAY_NS * DAY_NS
    return max(mark_ns, min(goal_ns, begin_ns + most_ns)) if goal_ns > begin_ns else mark_ns
