"""Performance on labelled rows: accuracy, precision, recall, F1, ROC AUC, and how many labels there are.

Decisions are ``score >= spec.threshold``, which is an edge of the score bins, so confusion counts are exact. Only the
area under the ROC curve depends on the bins, and its interval holds what they leave open.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.base import Reading, Status, reading, share_reading
from calidris.metrics.calibration import MINIMUM_LABELS
from calidris.metrics.intervals import auc_interval, wilson
from calidris.state import ScoresState, Spec
from calidris.state.scores import N

STANDARD = ("accuracy", "precision", "recall", "f1", "roc_auc")
"""What is exported by default, as far as the task has it."""

OF_TASK = {semconv.ML_MODEL_TASK_BINARY: STANDARD, semconv.ML_MODEL_TASK_MULTICLASS: ("accuracy",)}
"""Measures that a task has. Of several classes only the top label's being right is kept."""


class Performance(NamedTuple):
    """A value, the rows behind it (its denominator) and its 95 % interval; NaN where there is none."""

    value: float
    n: int
    lower: float = math.nan
    upper: float = math.nan


class Confusion(NamedTuple):
    """Labelled rows by outcome and decision."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion(bins: Floats, spec: Spec) -> Confusion:
    """Confusion counts at the spec's threshold, exact.

    Args:
        bins: float64[2, bins, stats] as ``ScoresState.bins`` gives them, as in every function of this page.
        spec: the spec of the state.
    """
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    (negative, positive), above = bins[..., N].sum(axis=1), bins[:, first:, N].sum(axis=1)
    return Confusion(int(above[1]), int(above[0]), int(positive - above[1]), int(negative - above[0]))


def accuracy(bins: Floats, spec: Spec) -> Performance:
    """Share of right decisions, Wilson interval. On several classes: of rows whose outcome says so."""
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        return _proportion(int(bins[1, :, N].sum()), int(bins[..., N].sum()))
    c = confusion(bins, spec)
    return _proportion(c.true_positive + c.true_negative, sum(c))


def precision(bins: Floats, spec: Spec) -> Performance:
    """Share of positive decisions that were right; not defined without one. Wilson interval."""
    c = confusion(bins, spec)
    return _proportion(c.true_positive, c.true_positive + c.false_positive)


def recall(bins: Floats, spec: Spec) -> Performance:
    """Share of positive outcomes that were found; not defined without one. Wilson interval."""
    c = confusion(bins, spec)
    return _proportion(c.true_positive, c.true_positive + c.false_negative)


def f1(bins: Floats, spec: Spec) -> Performance:
    """Harmonic mean of precision and recall, 2j/(1+j) with j = TP/(TP+FP+FN).

    Its interval is Wilson's for j, carried through that rising function; n is TP+FP+FN. Not defined where n is 0.
    """
    c = confusion(bins, spec)
    j = _proportion(c.true_positive, c.true_positive + c.false_positive + c.false_negative)
    value, lower, upper = (2 * x / (1 + x) for x in (j.value, j.lower, j.upper))
    return Performance(value, j.n, lower, upper)


def roc_auc(bins: Floats, spec: Spec) -> Performance:
    """Area under the ROC curve: the chance that a positive row outscores a negative one, ties counting half.

    Mann & Whitney's statistic with all rows of a bin tied, so it is within ``roc_auc_error`` of the one of raw scores; the
    interval is Newcombe's, widened by that bound on both sides. Not defined without both outcomes.
    """
    negative, positive = bins[0, :, N], bins[1, :, N]
    n0, n1 = int(negative.sum()), int(positive.sum())
    if n0 == 0 or n1 == 0:
        return Performance(math.nan, n0 + n1)
    below = np.cumsum(negative) - negative
    area = float((positive * (below + negative / 2)).sum() / (n0 * n1))
    lower, upper = auc_interval(area, n1, n0)
    error = roc_auc_error(bins)
    return Performance(area, n0 + n1, max(0.0, lower - error), min(1.0, upper + error))


def roc_auc_error(bins: Floats) -> float:
    """Largest distance of the binned area from that of the raw scores: ½ Σ P_b N_b / PN, the pairs that share a bin."""
    negative, positive = bins[0, :, N], bins[1, :, N]
    pairs = negative.sum() * positive.sum()
    return float((negative * positive).sum() / (2 * pairs)) if pairs else math.nan


MEASURES: dict[str, Callable[[Floats, Spec], Performance]] = {
    "accuracy": accuracy,
    "precision": precision,
    "recall": recall,
    "f1": f1,
    "roc_auc": roc_auc,
}
"""Every measure by its name on the wire (``ml.performance.measure``)."""


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
    bins = state.bins(slice_row, delay)
    status = Status.TOO_FEW if bins[..., N].sum() < max(minimum, 1) else Status.OK

    def one(measure: str) -> Reading:
        value, n, lower, upper = MEASURES[measure](bins, spec)
        attributes = {
            **labels,
            semconv.ML_PERFORMANCE_MEASURE: measure,
            semconv.ML_PERFORMANCE_SOURCE: semconv.ML_PERFORMANCE_SOURCE_LABELS,
            semconv.ML_LABEL_MATURITY: maturity,
        }
        metric = semconv.METRIC_ML_PERFORMANCE_SCORE
        return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)

    chosen = STANDARD if measures is None else measures
    return [one(m) for m in chosen if m in OF_TASK.get(spec.task, ())]


def coverage_reading(labelled: int, rows: int, window: str) -> Reading:
    """``ml.label.coverage``: share of a window's rows whose label is known, with Wilson's interval.

    ``too_few`` without rows; ``undefined`` where there are more labels than rows, which contradicts itself.

    >>> coverage_reading(30, 120, "1h").value
    0.25
    """
    if labelled > rows > 0:
        return reading(semconv.METRIC_ML_LABEL_COVERAGE, math.nan, rows, window=window)
    return share_reading(semconv.METRIC_ML_LABEL_COVERAGE, labelled, rows, window)


def _proportion(successes: int, n: int) -> Performance:
    if n == 0:
        return Performance(math.nan, 0)
    lower, upper = wilson(successes, n)
    return Performance(successes / n, n, float(lower), float(upper))
