"""Labels that come late: how long they take, and what may be said before they are all in."""

from calidris.metrics.labels.late_label_readings import adjusted_calibration, adjusted_performance, delay_readings
from calidris.metrics.labels.maturity import Cohort, Reporting, delay_adjusted, find_settled_age_s, fixed_age, reporting

__all__ = [
    "Cohort",
    "Reporting",
    "adjusted_calibration",
    "adjusted_performance",
    "delay_adjusted",
    "delay_readings",
    "find_settled_age_s",
    "fixed_age",
    "reporting",
]
