"""Performance without labels: what a baseline's labels say about the scores of today.

CBPE (confidence-based performance estimation) asks one thing of the world: that a score means what it meant in the baseline.
Then any change of who comes is allowed, and none of what the features mean: concept drift is invisible to it. ``trust`` says
when not to believe it.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.estimate.isotonic import CalibrationMap
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import Performance
from calidris.state import Spec
from calidris.state.blocks.scores import N, P


class Gradient(NamedTuple):
    """A figure and its derivative by the number of positive outcomes in each score bin, float64[bins]."""

    value: float
    slope: Floats


def cbpe(found: CalibrationMap, rows: Floats, spec: Spec) -> dict[str, Performance]:
    """Accuracy, precision, recall, F1, ROC AUC and prevalence that the scores of ``rows`` are expected to have; of several classes accuracy.

    With c the chance of a bin and n its rows, TP = Σ n c over the bins above the threshold, FN = Σ n c below it, and every
    figure follows. The interval is for what labels would show: the binomial noise of the outcomes, n c(1-c) a bin, and the
    noise of the map, taken together for the bins of a block, by the delta method. Of several classes a score is that of the decided one,
    and its chance that of a right decision: accuracy is their mean. NaN without rows, or where a figure is not
    defined. The algorithm is that of NannyML's documentation; the map on bins and the interval are ours.

    Args:
        found: the map of the baseline.
        rows: predictions of the window in each score bin, labelled or not, float64[bins].
        spec: the spec of the bins.
    """
    n = int(rows.sum())
    return {name: _with_interval(gradient, found, rows, n) for name, gradient in _gradients(found, rows, spec).items()}


def _gradients(found: CalibrationMap, rows: Floats, spec: Spec) -> dict[str, Gradient]:
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        return {"accuracy": _share(rows * found.chance, float(rows.sum()))}
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    above = np.arange(len(rows)) >= first
    up: Floats = above.astype(np.float64)
    positives, n, decided = rows * found.chance, float(rows.sum()), float(rows[above].sum())
    hit, missed = float(positives[above].sum()), float(positives[~above].sum())
    return {
        # TN is what is below and not missed.
        "accuracy": Gradient(_ratio(hit + n - decided - missed, n), _over(np.where(above, 1.0, -1.0), n)),
        "precision": Gradient(_ratio(hit, decided), _over(up, decided)),
        "recall": _quotient(hit, hit + missed, up, np.ones_like(rows)),
        "f1": _quotient(2 * hit, decided + hit + missed, 2 * up, np.ones_like(rows)),
        "roc_auc": _area(positives, rows - positives),
        "prevalence": _share(positives, n),
    }


def _share(positives: Floats, n: float) -> Gradient:
    return Gradient(_ratio(float(positives.sum()), n), _over(np.ones_like(positives), n))


def _area(positives: Floats, negatives: Floats) -> Gradient:
    """Area under the ROC curve with the rows of a bin tied; a positive more is a negative less."""
    p, n = float(positives.sum()), float(negatives.sum())
    if p <= 0 or n <= 0:
        return Gradient(math.nan, np.zeros_like(positives))
    below = np.cumsum(negatives) - negatives / 2
    above = p - np.cumsum(positives) + positives / 2
    area = float((positives * below).sum() / (p * n))
    return Gradient(area, (below - above) / (p * n) - area * (1 / p - 1 / n))


def _with_interval(gradient: Gradient, found: CalibrationMap, rows: Floats, n: int) -> Performance:
    value, slope = gradient
    if n == 0 or not math.isfinite(value):
        return Performance(math.nan, n)
    outcomes = rows * slope**2 * found.chance * (1 - found.chance)
    shared = np.bincount(found.block, rows * slope, len(found.noise))
    half = Z95 * math.sqrt(float(outcomes.sum() + (shared**2 * found.noise).sum()))
    return Performance(value, n, max(0.0, value - half), min(1.0, value + half))


def average_confidence(rows: Floats, spec: Spec, mean: Floats) -> Performance:
    """Mean of the probability that each decision gives itself, no calibration in between: AC.

    An estimate of accuracy only where scores are calibrated; shown as the reference that CBPE improves on. Interval:
    ± 1.96 sd/√n of the outcomes, if they were.

    Args:
        rows: predictions of the window in each score bin, float64[bins].
        spec: the spec of the bins.
        mean: mean score in each bin, float64[bins]; see ``bin_means``.
    """
    n = int(rows.sum())
    if n == 0:
        return Performance(math.nan, 0)
    value = float(rows @ _confidence(spec, mean)) / n
    half = Z95 * math.sqrt(max(value * (1 - value), 0.0) / n)
    return Performance(value, n, max(0.0, value - half), min(1.0, value + half))


def difference_of_confidence(baseline: Floats, rows: Floats, spec: Spec) -> Performance:
    """Accuracy of the baseline plus the change of the average confidence since: DoC with a slope of one.

    D. Guillory et al., "Predicting with confidence on unseen distributions", ICCV 2021, who fit that slope on known shifts.
    The interval is the sampling noise of the baseline's accuracy and of the window's outcomes.

    Args:
        baseline: float64[2, bins, stats] of the baseline, labelled.
        rows: predictions of the window in each score bin, float64[bins].
        spec: the spec of the bins.
    """
    then, n, m = baseline[..., N].sum(axis=0), int(rows.sum()), int(baseline[..., N].sum())
    if n == 0 or m == 0:
        return Performance(math.nan, n)
    mean = bin_means(baseline, spec)
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    accuracy = float(baseline[1, first:, N].sum() + baseline[0, :first, N].sum()) / m
    moved = average_confidence(rows, spec, mean).value - average_confidence(then, spec, mean).value
    value = min(max(accuracy + moved, 0.0), 1.0)
    half = Z95 * math.sqrt(accuracy * (1 - accuracy) / m + value * (1 - value) / n)
    return Performance(value, n, max(0.0, value - half), min(1.0, value + half))


def bin_means(bins: Floats, spec: Spec) -> Floats:
    """Mean score in each bin, float64[bins]; the middle of a bin without rows."""
    rows, scores = bins[..., N].sum(axis=0), bins[..., P].sum(axis=0)
    ends = np.concatenate([[0.0], spec.score_edges, [1.0]])
    means: Floats = np.where(rows > 0, scores / np.maximum(rows, 1.0), (ends[1:] + ends[:-1]) / 2)
    return means


def _confidence(spec: Spec, mean: Floats) -> Floats:
    first = int(np.searchsorted(spec.score_edges, spec.threshold, side="right"))
    return np.where(np.arange(len(mean)) >= first, mean, 1 - mean)


def _quotient(top: float, bottom: float, top_slope: Floats, bottom_slope: Floats) -> Gradient:
    value = _ratio(top, bottom)
    return Gradient(value, _over(top_slope - (0.0 if math.isnan(value) else value) * bottom_slope, bottom))


def _ratio(top: float, bottom: float) -> float:
    return top / bottom if bottom > 0 else math.nan


def _over(slope: Floats, bottom: float) -> Floats:
    out: Floats = slope / bottom if bottom > 0 else np.zeros_like(slope)
    return out
