"""Names of figures that the convention does not have yet; they move to ``calidris.semconv`` when it does."""

from __future__ import annotations

from typing import Final

from calidris.semconv import Metric


def _gauge(name: str, description: str) -> Metric:
    return Metric(name, "", "gauge", description, name.replace(".", "_"))


METRIC_ML_FAIRNESS_GAP: Final = _gauge("ml.fairness.gap", "Difference or ratio of a rate between groups.")
METRIC_ML_FAIRNESS_RATE: Final = _gauge("ml.fairness.rate", "Rate of one group, and its gap to all other groups.")
METRIC_ML_PERFORMANCE_RESIDUAL: Final = _gauge(
    "ml.performance.residual", "Estimated less realised performance of the same rows."
)
METRIC_ML_PERFORMANCE_TREND: Final = _gauge("ml.performance.trend", "Change of a figure a day.")
METRIC_ML_LABEL_SHARE: Final = _gauge("ml.label.share", "Share of a class among all rows, estimated without labels.")
METRIC_ML_LABEL_DELAY: Final = _gauge("ml.label.delay", "Share of labels that come within a delay.")

ML_FAIRNESS_MEASURE: Final = "ml.fairness.measure"
ML_FAIRNESS_ATTRIBUTE: Final = "ml.fairness.attribute"
ML_FAIRNESS_GROUP: Final = "ml.fairness.group"
ML_TREND_MEASURE: Final = "ml.trend.measure"
ML_TREND_DAYS: Final = "ml.trend.days"
ML_LABEL_CLASS: Final = "ml.label.class"
ML_LABEL_DELAY_WITHIN: Final = "ml.label.delay.within"
