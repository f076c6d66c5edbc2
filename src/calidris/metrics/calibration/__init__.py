"""Whether scores mean what they say: Brier score, log loss, calibration errors and their tests."""

from calidris.metrics.calibration.calibration_measures import (
    MINIMUM_LABELS,
    ReliabilityBin,
    brier,
    calibration_of_bins,
    calibration_readings,
    calibration_tests,
    murphy,
    reliability,
)
from calidris.metrics.calibration.ece import ece, ece_debiased
from calidris.metrics.calibration.hypothesis_tests import brownian_maximum

__all__ = [
    "MINIMUM_LABELS",
    "ReliabilityBin",
    "brier",
    "brownian_maximum",
    "calibration_of_bins",
    "calibration_readings",
    "calibration_tests",
    "ece",
    "ece_debiased",
    "murphy",
    "reliability",
]
