"""What can be said: pure functions of states to ``Reading``s. No clock, no I/O."""

from calidris.metrics.base import BASELINE_WINDOW, Reading, Status, reading
from calidris.metrics.calibration import calibration_readings, murphy, reliability
from calidris.metrics.drift import DriftTable, drift_readings, drift_table
from calidris.metrics.latency import error_reading, latency_readings
from calidris.metrics.performance import coverage_reading, performance_readings
from calidris.metrics.quality import quality_readings, rows_reading

__all__ = [
    "BASELINE_WINDOW",
    "DriftTable",
    "Reading",
    "Status",
    "calibration_readings",
    "coverage_reading",
    "drift_readings",
    "drift_table",
    "error_reading",
    "latency_readings",
    "murphy",
    "performance_readings",
    "quality_readings",
    "reading",
    "reliability",
    "rows_reading",
]
