"""Performance without labels, and when such an estimate may be shown."""

from calidris.metrics.estimate.assumptions import STANDARD, Trust, estimate_readings, residual_reading, trust
from calidris.metrics.estimate.estimates import average_confidence, bin_means
from calidris.metrics.estimate.isotonic import calibration_map
from calidris.metrics.estimate.label_shift import bbse
from calidris.metrics.estimate.score_rows import decided_rows, score_rows

__all__ = [
    "STANDARD",
    "Trust",
    "average_confidence",
    "bbse",
    "bin_means",
    "calibration_map",
    "decided_rows",
    "estimate_readings",
    "residual_reading",
    "score_rows",
    "trust",
]
