"""Every reading of a window, as pure functions of what the engine remembers: no clock."""

from calidris.engine.readings.day_trend import note_day, trend_figures
from calidris.engine.readings.late_labels import Late
from calidris.engine.readings.window import (
    baseline_figures,
    guessed_figures,
    known_figures,
    row_figures,
    window_figures,
)

__all__ = [
    "Late",
    "baseline_figures",
    "guessed_figures",
    "known_figures",
    "note_day",
    "row_figures",
    "trend_figures",
    "window_figures",
]
