"""How good decisions, scores and numbers are on rows that have a label."""

from calidris.metrics.performance.confusion import Performance, proportion
from calidris.metrics.performance.decisions import RANKED, binary_readings, threshold_decides
from calidris.metrics.performance.multiclass import multiclass_readings
from calidris.metrics.performance.performance_measures import (
    MEASURES,
    OTHER_LEVELS,
    coverage_reading,
    performance_of_bins,
    performance_readings,
    score_reading,
    slice_labels,
)
from calidris.metrics.performance.regression import Errors, regression_readings

__all__ = [
    "MEASURES",
    "OTHER_LEVELS",
    "RANKED",
    "Errors",
    "Performance",
    "binary_readings",
    "coverage_reading",
    "multiclass_readings",
    "performance_of_bins",
    "performance_readings",
    "proportion",
    "regression_readings",
    "score_reading",
    "slice_labels",
    "threshold_decides",
]
