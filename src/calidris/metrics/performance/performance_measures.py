"""Performance on labelled rows: every measure of decisions and scores by its name, and how many labels there are.

Decisions are ``score >= spec.threshold``, which is an edge of the score bins, so confusion counts are exact. Only the
figures of ``discrimination`` depend on the bins, and their intervals hold what those leave open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.base import Reading, Status, reading, share_reading
from calidris.metrics.calibration.calibration_measures import MINIMUM_LABELS
from calidris.metrics.performance import confusion as decisions
from calidris.metrics.performance.confusion import Confusion, Performance
from calidris.metrics.performance.discrimination import average_precision, gini, ks_separation, roc_auc, roc_auc_error
from calidris.state import ScoresState, Spec
from calidris.state.blocks.scores import N

__all__ = [
    "MEASURES",
    "STANDARD",
    "Confusion",
    "Performance",
    "confusion",
    "coverage_reading",
    "performance_of_bins",
    "performance_readings",
    "roc_auc",
    "roc_auc_error",
    "slice_labels",
]

STANDARD = ("accuracy", "precision", "recall", "f1", "roc_auc")
"""What is exported by default, as far as the task has it."""

OTHER_LEVELS = "(other)"
"""How the levels of a slice that are not kept apart are called."""


def confusion(bins: Floats, spec: Spec) -> Confusion:
    """Confusion counts at the spec's threshold, exact.

    Args:
        bins: float64[2, bins, stats] as ``ScoresState.bins`` gives them, as in every function of this page.
        spec: the spec of the state.
    """
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    (negative, positive), above = bins[..., N].sum(axis=1), bins[:, first:, N].sum(axis=1)
    return Confusion(*map(float, (above[1], above[0], positive - above[1], negative - above[0])))


def accuracy(bins: Floats, spec: Spec) -> Performance:
    """Share of right decisions, Wilson interval. On several classes: of rows whose outcome says so."""
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        return decisions.proportion(float(bins[1, :, N].sum()), float(bins[..., N].sum()))
    return decisions.accuracy(confusion(bins, spec))


def _decided(estimate: Callable[[Confusion], Performance]) -> Callable[[Floats, Spec], Performance]:
    return lambda bins, spec: estimate(confusion(bins, spec))


MEASURES: dict[str, Callable[[Floats, Spec], Performance]] = {
    "accuracy": accuracy,
    "precision": _decided(decisions.precision),
    "recall": _decided(decisions.recall),
    "f1": _decided(decisions.f1),
    "roc_auc": roc_auc,
    "balanced_accuracy": _decided(decisions.balanced_accuracy),
    "specificity": _decided(decisions.specificity),
    "mcc": _decided(decisions.mcc),
    "average_precision": average_precision,
    "gini": gini,
    "ks_separation": ks_separation,
    "prevalence": _decided(decisions.prevalence),
}
"""Every measure by its name on the wire (``ml.performance.measure``)."""

OF_TASK: dict[str, tuple[str, ...]] = {
    semconv.ML_MODEL_TASK_BINARY: tuple(MEASURES),
    semconv.ML_MODEL_TASK_MULTICLASS: ("accuracy",),
}
"""Measures that a task has. Of several classes only the top label's being right is kept here; see ``multiclass``."""


def performance_readings(
    spec: Spec,
    state: ScoresState,
    window: str,
    maturity: str,
    *,
    measures: Sequence[str] | None = None,
    slice_row: int = 0,
    delay: int | None = None,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.score`` of the labelled rows of a window, or of a baseline's own (window ``"baseline"``).

    ``too_few`` goes by labelled rows; the denominator of a measure may be smaller, and its interval says so. A measure
    whose denominator is 0 is ``undefined``.

    Args:
        spec: the spec of the state.
        state: labelled scores.
        window: length of the window, or ``BASELINE_WINDOW``.
        maturity: one of ``semconv.ML_LABEL_MATURITY_*``.
        measures: names out of ``MEASURES``; those that the task does not have are left out.
        slice_row: row on the slice axis; 0 is all rows.
        delay: labels up to this delay bucket only.
        minimum: fewer labelled rows are ``too_few``.
        labels: further attributes, such as the slice's name and level.
    """
    return performance_of_bins(
        spec, state.bins(slice_row, delay), window, maturity, measures=measures, minimum=minimum, labels=labels
    )


def performance_of_bins(
    spec: Spec,
    bins: Floats,
    window: str,
    maturity: str,
    *,
    measures: Sequence[str] | None = None,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``performance_readings`` of bins at hand, such as those of several panes together."""
    status = Status.TOO_FEW if bins[..., N].sum() < max(minimum, 1) else Status.OK
    chosen = [m for m in (STANDARD if measures is None else measures) if m in OF_TASK.get(spec.task, ())]
    return [score_reading(m, MEASURES[m](bins, spec), window, maturity, status=status, labels=labels) for m in chosen]


def score_reading(
    measure: str,
    estimate: Performance,
    window: str,
    maturity: str | None,
    *,
    source: str = semconv.ML_PERFORMANCE_SOURCE_LABELS,
    status: Status = Status.OK,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> Reading:
    """One point of ``ml.performance.score``; a figure of NaN is ``undefined``. An estimate has no maturity."""
    attributes = {**labels, semconv.ML_PERFORMANCE_MEASURE: measure, semconv.ML_PERFORMANCE_SOURCE: source}
    if maturity is not None:
        attributes[semconv.ML_LABEL_MATURITY] = maturity
    metric, (value, n, lower, upper) = semconv.METRIC_ML_PERFORMANCE_SCORE, estimate
    return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)


def slice_labels(spec: Spec) -> Iterator[tuple[int, dict[str, str]]]:
    """Every row of the slice axis but the first, with the attributes that its figures carry: for ``slice_row``, ``labels``.

    >>> from calidris.state import Slice
    >>> list(slice_labels(Spec(slices=(Slice("country", ("NL",)),))))
    [(1, {'country': 'NL'}), (2, {'country': '(other)'})]
    """
    for row, parts in enumerate(spec.axis.labels):
        if parts:
            yield row, {name: OTHER_LEVELS if level is None else level for name, level in parts}


def coverage_reading(labelled: int, rows: int, window: str) -> Reading:
    """``ml.label.coverage``: share of a window's rows whose label is known, with Wilson's interval.

    ``too_few`` without rows; ``undefined`` where there are more labels than rows, which contradicts itself.

    >>> coverage_reading(30, 120, "1h").value
    0.25
    """
    if labelled > rows > 0:
        return reading(semconv.METRIC_ML_LABEL_COVERAGE, math.nan, rows, window=window)
    return share_reading(semconv.METRIC_ML_LABEL_COVERAGE, labelled, rows, window)
