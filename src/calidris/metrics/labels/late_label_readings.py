"""Readings of labels that come late: figures adjusted for what is still to come, and how long labels take."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.base import Reading, Status, reading, share_reading
from calidris.metrics.calibration import calibration_measures as calibration
from calidris.metrics.calibration.calibration_measures import MINIMUM_LABELS
from calidris.metrics.intervals import Z95
from calidris.metrics.labels.maturity import Adjusted, Cohort
from calidris.metrics.performance import performance_measures as performance
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.performance_measures import score_reading
from calidris.metrics.score_bins import Estimate
from calidris.state import Spec
from calidris.state.blocks.scores import N

WITHIN = ("1h", "6h", "1d", "3d", "7d", "30d")
"""Delay buckets but the last, as their attribute reads."""

_STEP = 1e-4


def adjusted_performance(
    adjusted: Adjusted | None,
    spec: Spec,
    window: str,
    *,
    measures: Sequence[str] = performance.STANDARD,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.score`` of maturity ``delay_adjusted``; n is the labels that are in, ``too_few`` where refused.

    The interval is that of as many rows as the weighted ones are worth, widened by what is not known about the delays.
    """
    maturity, status = semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED, _status(adjusted, minimum)
    chosen = [m for m in measures if m in performance.OF_TASK.get(spec.task, ())]

    def estimate(measure: str) -> Performance:
        if adjusted is None:
            return Performance(0.0, 0)
        f = performance.MEASURES[measure]
        value, lower, upper = _widened(lambda bins: Estimate(*_ends(f(bins, spec))), adjusted)
        return Performance(value, adjusted.labelled, lower, upper)

    return [score_reading(m, estimate(m), window, maturity, status=status, labels=labels) for m in chosen]


def adjusted_calibration(
    adjusted: Adjusted | None,
    spec: Spec,
    window: str,
    *,
    measures: Sequence[str] = calibration.STANDARD,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.calibration.score`` of maturity ``delay_adjusted``; see ``adjusted_performance``."""
    status, maturity = _status(adjusted, minimum), semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED

    def one(measure: str) -> Reading:
        f, n = calibration.MEASURES[measure], 0 if adjusted is None else adjusted.labelled
        value, lower, upper = Estimate(0.0) if adjusted is None else _widened(lambda bins: f(bins, spec), adjusted)
        attributes = {**labels, semconv.ML_CALIBRATION_MEASURE: measure, semconv.ML_LABEL_MATURITY: maturity}
        metric = semconv.METRIC_ML_CALIBRATION_SCORE
        return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)

    return [one(measure) for measure in measures] if spec.task in calibration.SCORED_TASKS else []


def delay_readings(cohorts: Sequence[Cohort], window: str) -> list[Reading]:
    """``ml.label.delay``: share of the labels of cohorts over 30 days old, or over the oldest bucket there is, by delay.

    Wilson's interval. A change of it says that labels come sooner or later than they did, which biases ``fixed_age``.
    """
    buckets = min(max((c.complete for c in cohorts), default=0), len(WITHIN))
    old = [c.scores[:, :buckets, :, N].sum(axis=(0, 2)) for c in cohorts if c.complete >= buckets > 0]
    upto = np.cumsum(np.sum(old, axis=0)) if old else np.zeros(0)
    total = int(upto[-1]) if len(upto) else 0
    return [
        share_reading(semconv.METRIC_ML_LABEL_DELAY, int(k), total, window, {semconv.ML_LABEL_DELAY_WITHIN: within})
        for k, within in zip(upto, WITHIN)
    ]


def _widened(estimate: Callable[[Floats], Estimate], adjusted: Adjusted) -> Estimate:
    """A figure of the weighted bins, its interval widened by the noise of the two weights."""
    value, lower, upper = estimate(adjusted.bins)
    noise = 0.0
    for outcome, variance in enumerate(adjusted.variance.tolist()):
        slope = (_tilted(estimate, adjusted, outcome, _STEP) - _tilted(estimate, adjusted, outcome, -_STEP)) / (
            2 * _STEP
        )
        noise += 0.0 if math.isnan(slope) else slope**2 * variance
    extra = Z95 * math.sqrt(noise)
    return Estimate(value, value - math.hypot(value - lower, extra), value + math.hypot(upper - value, extra))


def _tilted(estimate: Callable[[Floats], Estimate], adjusted: Adjusted, outcome: int, step: float) -> float:
    bins = adjusted.bins.copy()
    bins[outcome] *= 1 + step
    return estimate(bins).value


def _ends(estimate: Performance) -> tuple[float, float, float]:
    return estimate.value, estimate.lower, estimate.upper


def _status(adjusted: Adjusted | None, minimum: int) -> Status:
    return Status.TOO_FEW if adjusted is None or adjusted.labelled < max(minimum, 1) else Status.OK
