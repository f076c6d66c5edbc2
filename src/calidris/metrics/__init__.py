"""What can be said: pure functions of states to ``Reading``s. No clock, no I/O."""

from calidris.metrics.base import BASELINE_WINDOW, Reading, Status, reading
from calidris.metrics.drift import DriftTable, drift_readings, drift_table

__all__ = ["BASELINE_WINDOW", "DriftTable", "Reading", "Status", "drift_readings", "drift_table", "reading"]
