"""Every reading of a window, as pure functions of what the engine remembers: no clock."""

from calidris.engine.readings.day_trend import day_trend_readings, note_day, note_traffic
from calidris.engine.readings.late_labels import Late
from calidris.engine.readings.window import (
    baseline_readings,
    guessed_readings,
    known_readings,
    leave_out_absent,
    row_readings,
    window_families,
)

__all__ = [
    "Late",
    "baseline_readings",
    "day_trend_readings",
    "guessed_readings",
    "known_readings",
    "leave_out_absent",
    "note_day",
    "note_traffic",
    "row_readings",
    "window_families",
]
