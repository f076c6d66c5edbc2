"""What a model version remembers by time: panes, how steps become hours and days, and their bytes."""

from calidris.engine.panes.days import DAY_NS, DayPoint, Days
from calidris.engine.panes.pane import MOST_NAMES, Pane, PaneKey, Window, merge_panes
from calidris.engine.panes.panes import ClosedPanes, LiveOnly, Panes
from calidris.engine.panes.rollup import Marks

__all__ = [
    "DAY_NS",
    "MOST_NAMES",
    "ClosedPanes",
    "DayPoint",
    "Days",
    "LiveOnly",
    "Marks",
    "Pane",
    "PaneKey",
    "Panes",
    "Window",
    "merge_panes",
]
