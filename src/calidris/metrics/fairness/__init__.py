"""Whether decisions, and their errors, fall alike on groups."""

from calidris.metrics.fairness.gap_readings import gap_readings, group_readings
from calidris.metrics.fairness.gaps import TOLERANCE, Verdict, calibration_gap, gap, group_rates, verdict

__all__ = ["TOLERANCE", "Verdict", "calibration_gap", "gap", "gap_readings", "group_rates", "group_readings", "verdict"]
