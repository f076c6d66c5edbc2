"""Why a figure is not known: the true cause, of each kind of figure."""

from __future__ import annotations

import pytest

from calidris import semconv
from calidris.metrics.base import Status, reading
from calidris.report.wording import because

FEW, NONE = Status.TOO_FEW, Status.NO_BASELINE
ESTIMATE = {semconv.ML_PERFORMANCE_SOURCE: semconv.ML_PERFORMANCE_SOURCE_ESTIMATE}


@pytest.mark.parametrize(
    ("metric", "status", "baseline", "attributes", "said"),
    [
        (semconv.METRIC_ML_DRIFT_SCORE, FEW, "b", {}, "too few rows"),
        (semconv.METRIC_ML_DRIFT_SCORE, NONE, "b", {}, "the baseline has no value of it"),
        (semconv.METRIC_ML_DRIFT_SCORE, NONE, None, {}, "there is no baseline to compare with"),
        (semconv.METRIC_ML_PERFORMANCE_SCORE, FEW, None, {}, "too few rows to say: only labelled ones count"),
        (semconv.METRIC_ML_PERFORMANCE_SCORE, NONE, None, ESTIMATE, "no baseline with labels"),
        (semconv.METRIC_ML_CALIBRATION_SCORE, FEW, None, {}, "too few rows to say: only labelled ones count"),
        (semconv.METRIC_ML_FAIRNESS_GAP, FEW, None, {}, "fewer than two groups have enough labelled ones"),
        (semconv.METRIC_ML_FAIRNESS_RATE, FEW, None, {}, "only labelled ones of this group count"),
        (semconv.METRIC_ML_PERFORMANCE_TREND, FEW, None, {}, "only days with enough of them count"),
    ],
)
def test_because(
    metric: semconv.Metric, status: Status, baseline: str | None, attributes: dict[str, str], said: str
) -> None:
    found = reading(metric, 0.0, 0, window="1h", status=status, baseline=baseline, attributes=attributes)
    assert said in because(found)
