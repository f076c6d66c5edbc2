"""Fixed thresholds held against the figures that the engine can give of their model and window, before a receiver starts."""

from calidris.app.thresholds.never_firing import check_thresholds

__all__ = ["check_thresholds"]
