"""Performance and calibration of labelled rows, by task: of all rows, and of each slice."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from calidris import semconv
from calidris.metrics.base import Reading, Status
from calidris.metrics.calibration.calibration_measures import calibration_of_bins
from calidris.metrics.performance import performance_measures
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.decisions import binary_readings
from calidris.metrics.performance.multiclass import MEASURES, multiclass_readings
from calidris.metrics.performance.performance_measures import score_reading, slice_labels
from calidris.metrics.performance.regression import Errors, regression_readings
from calidris.metrics.performance.rows_behind import RowsBehind
from calidris.state import Spec, class_names
from calidris.state.blocks.labelled import LabelStates

ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED
"""Figures are of all labels that have come so far."""

HEADLINE = {
    semconv.ML_MODEL_TASK_BINARY: "accuracy",
    semconv.ML_MODEL_TASK_MULTICLASS: "accuracy",
    semconv.ML_MODEL_TASK_REGRESSION: "mae",
}
"""The one measure of performance that speaks for a task."""

_NONE: Mapping[str, str] = MappingProxyType({})


def label_readings(
    spec: Spec,
    labels: LabelStates,
    window: str,
    maturity: str = ARRIVED,
    *,
    row: int = 0,
    delay: int | None = None,
    about: Mapping[str, str] = _NONE,
) -> list[Reading]:
    """Performance and calibration of one row of the slice axis.

    Args:
        spec: the spec of the states.
        labels: the labelled rows.
        window: length of the window, or ``BASELINE_WINDOW``.
        maturity: one of ``semconv.ML_LABEL_MATURITY_*``.
        row: which row of the slice axis; 0 is all labelled rows.
        delay: labels up to this delay bucket only.
        about: further attributes: the slice's name and level.
    """
    if spec.task == semconv.ML_MODEL_TASK_REGRESSION:
        errors = _errors(labels, row, delay)
        return [] if errors is None else regression_readings(errors, window, maturity, labels=about)
    bins = labels.scores.bins(row, delay)
    out = calibration_of_bins(spec, bins, window, maturity, labels=about)
    if spec.task == semconv.ML_MODEL_TASK_BINARY:
        counts = labels.groups.confusion(row, delay)
        behind = rows_behind(labels, row)
        return out + binary_readings(counts, bins, spec, window, maturity, labels=about, behind=behind)
    return out + _several_classes(spec, labels, window, maturity, row, delay, about)


def rows_behind(labels: LabelStates, row: int = 0) -> RowsBehind | None:
    """How many rows those behind each measure of one slice are worth; None where each counts once."""
    worth = labels.worth
    return None if worth is None else RowsBehind(worth.weights[row], worth.squares[row])


def slice_readings(spec: Spec, labels: LabelStates, window: str) -> list[Reading]:
    """``label_readings`` of every slice and intersection; a slice without labelled rows has its headline figure only."""
    counts = rows_by_slice(labels)
    out: list[Reading] = []
    for row, about in slice_labels(spec):
        if counts[row]:
            out += label_readings(spec, labels, window, row=row, about=about)
        elif spec.task in HEADLINE:
            nothing, few = Performance(0.0, 0), Status.TOO_FEW
            out.append(score_reading(HEADLINE[spec.task], nothing, window, ARRIVED, status=few, labels=about))
    return out


def rows_by_slice(labels: LabelStates) -> list[int]:
    """Labelled rows of each row of the slice axis."""
    groups = labels.groups.array.sum(axis=(1, 2, 3))
    residuals = labels.residuals.array
    if not residuals.size:
        return [int(n) for n in groups]
    counts: list[int] = residuals[:, :, :, 0].max(axis=2).sum(axis=1).tolist()
    return counts


def _errors(labels: LabelStates, row: int, delay: int | None) -> Errors | None:
    """None where no baseline has given the output a scale."""
    if not labels.residuals.array.size:
        return None
    return Errors.of(labels.residuals, row, delay, wide=labels.wide_errors)


def _several_classes(
    spec: Spec, labels: LabelStates, window: str, maturity: str, row: int, delay: int | None, about: Mapping[str, str]
) -> list[Reading]:
    decisions = labels.decisions(row, delay)
    if decisions is None:
        nothing = Performance(math.nan, round(labels.groups.confusion(row, delay).sum().item()))
        return [score_reading(m, nothing, window, maturity, labels=about) for m in MEASURES]
    # Of a slice only the figures of all classes together: each class of each slice would be hundreds.
    classes = () if about else class_names(spec)
    return multiclass_readings(decisions.counts, classes, window, maturity, mistaken=decisions.mistaken, labels=about)


def standard_measures(spec: Spec) -> tuple[str, ...]:
    """Measures of performance that are given by default."""
    return tuple(m for m in performance_measures.STANDARD if m in performance_measures.OF_TASK.get(spec.task, ()))
