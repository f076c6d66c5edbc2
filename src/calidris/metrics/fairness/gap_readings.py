"""Readings of fairness: gaps of an attribute, and each group's rate and its distance from all others."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.fairness.gaps import (
    MEASURES,
    MINIMUM_DENOMINATOR,
    RATES,
    TOLERANCE,
    Gap,
    calibration_gap,
    gap,
    group_rates,
    withheld,
)
from calidris.metrics.score_bins import Estimate
from calidris.semconv import Metric


def gap_readings(
    counts: Ints,
    attribute: str,
    window: str,
    *,
    bins: Sequence[Floats] = (),
    measures: Sequence[str] = MEASURES,
    tolerance: float = TOLERANCE,
) -> list[Reading]:
    """``ml.fairness.gap``: the difference of every measure, and the ratio of demographic parity.

    n is the rows in the denominators that take part. ``too_few`` where fewer than two groups are large enough.

    Args:
        counts: int64[groups, 2, 2], ``counts[group, truth, decision]``.
        attribute: what the groups are levels of.
        window: length of the window.
        bins: float64[2, bins, stats] of each group, for ``calibration``; left out where empty.
        measures: names out of ``MEASURES``.
        tolerance: difference that is no news.
    """
    found = {measure: gap(counts, measure, tolerance) for measure in measures}
    out = [_gap_reading(attribute, measure, g, g.difference, window) for measure, g in found.items()]
    if "demographic_parity" in found:
        parity = found["demographic_parity"]
        out.append(_gap_reading(attribute, "demographic_parity_ratio", parity, parity.ratio, window))
    if bins:
        hidden = withheld(counts)
        shown = calibration_gap([b for b, hide in zip(bins, hidden.tolist()) if not hide], tolerance)
        out.append(_gap_reading(attribute, "calibration", shown, shown.difference, window))
    return out


def group_readings(
    counts: Ints, attribute: str, groups: Sequence[str], window: str, *, measures: Sequence[str] = tuple(RATES)
) -> list[Reading]:
    """``ml.fairness.rate`` of every group: its rate, and under ``{measure}_gap`` its distance from all others together.

    ``suppressed`` where a group is withheld, then with n = 0; ``too_few`` below ``MINIMUM_DENOMINATOR`` in the denominator.
    """
    out = []
    for measure in measures:
        for name, found in zip(groups, group_rates(counts, measure)):
            status = Status.OK if found and found.n >= MINIMUM_DENOMINATOR else Status.TOO_FEW
            status = Status.SUPPRESSED if found is None else status
            n, rate, apart = (found.n, found.rate, found.gap) if found else (0, Estimate(0.0), Estimate(0.0))
            labels = {semconv.ML_FAIRNESS_ATTRIBUTE: attribute, semconv.ML_FAIRNESS_GROUP: name}
            for what, estimate in ((measure, rate), (f"{measure}_gap", apart)):
                attributes = {**labels, semconv.ML_FAIRNESS_MEASURE: what}
                out.append(_reading(semconv.METRIC_ML_FAIRNESS_RATE, estimate, n, window, attributes, status))
    return out


def _gap_reading(attribute: str, measure: str, found: Gap, estimate: Estimate, window: str) -> Reading:
    status = Status.TOO_FEW if found.groups < 2 else Status.OK
    attributes = {semconv.ML_FAIRNESS_ATTRIBUTE: attribute, semconv.ML_FAIRNESS_MEASURE: measure}
    return _reading(semconv.METRIC_ML_FAIRNESS_GAP, estimate, found.n, window, attributes, status)


def _reading(
    metric: Metric, estimate: Estimate, n: int, window: str, attributes: dict[str, str], status: Status
) -> Reading:
    value, lower, upper = estimate
    upper = upper if np.isfinite(upper) else math.nan
    return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)
