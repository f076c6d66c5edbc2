"""How far the rows of a window are from the baseline: PSI, JS, Hellinger, Wasserstein and the others, for every field at once."""

from calidris.metrics.drift.drift_measures import MEASURES
from calidris.metrics.drift.drift_readings import STANDARD, DriftTable, drift_readings, drift_table
from calidris.metrics.drift.histograms import blocks
from calidris.metrics.drift.resampling import drift_p_values

__all__ = ["MEASURES", "STANDARD", "DriftTable", "blocks", "drift_p_values", "drift_readings", "drift_table"]
