"""Labels that come late: how long they take, and what may be said before they are all in."""

from calidris.metrics.labels.late_label_readings import adjusted_calibration, adjusted_performance, delay_readings
from calidris.metrics.labels.maturity import Cohort, Reporting, complete, delay_adjusted, fixed_age, reporting

__all__ = [
    "Cohort",
    "Reporting",
    "adjusted_calibration",
    "adjusted_performance",
    "complete",
    "delay_adjusted",
    "delay_readings",
    "fixed_age",
    "reporting",
]
