"""What can be said: pure functions of states to ``Reading``s; ``docs/statistics.md`` says which number answers which question."""

from calidris.metrics.base import BASELINE_WINDOW, Reading, Status, reading
from calidris.metrics.calibration.calibration_measures import (
    calibration_of_bins,
    calibration_readings,
    calibration_tests,
    murphy,
    reliability,
)
from calidris.metrics.drift.drift_readings import DriftTable, drift_readings, drift_table
from calidris.metrics.drift.resampling import drift_p_values
from calidris.metrics.estimate.assumptions import Trust, estimate_readings, residual_reading, trust
from calidris.metrics.estimate.isotonic import calibration_map
from calidris.metrics.estimate.label_shift import bbse
from calidris.metrics.fairness.gap_readings import gap_readings, group_readings
from calidris.metrics.fairness.gaps import Verdict, calibration_gap, gap, group_rates
from calidris.metrics.labels.late_label_readings import adjusted_calibration, adjusted_performance, delay_readings
from calidris.metrics.labels.maturity import Cohort, delay_adjusted, find_settled_age_s, fixed_age, reporting
from calidris.metrics.latency import error_reading, latency_readings
from calidris.metrics.performance.multiclass import multiclass_readings
from calidris.metrics.performance.performance_measures import (
    coverage_reading,
    performance_of_bins,
    performance_readings,
    slice_labels,
)
from calidris.metrics.performance.regression import Errors, regression_readings
from calidris.metrics.quality import quality_readings, rows_reading
from calidris.metrics.schema import constant_readings, schema_change, schema_readings
from calidris.metrics.trend import trend_readings

__all__ = [
    "BASELINE_WINDOW",
    "Cohort",
    "DriftTable",
    "Errors",
    "Reading",
    "Status",
    "Trust",
    "Verdict",
    "adjusted_calibration",
    "adjusted_performance",
    "bbse",
    "calibration_gap",
    "calibration_map",
    "calibration_of_bins",
    "calibration_readings",
    "calibration_tests",
    "constant_readings",
    "coverage_reading",
    "delay_adjusted",
    "delay_readings",
    "drift_p_values",
    "drift_readings",
    "drift_table",
    "error_reading",
    "estimate_readings",
    "find_settled_age_s",
    "fixed_age",
    "gap",
    "gap_readings",
    "group_rates",
    "group_readings",
    "latency_readings",
    "multiclass_readings",
    "murphy",
    "performance_of_bins",
    "performance_readings",
    "quality_readings",
    "reading",
    "regression_readings",
    "reliability",
    "reporting",
    "residual_reading",
    "rows_reading",
    "schema_change",
    "schema_readings",
    "slice_labels",
    "trend_readings",
    "trust",
]
