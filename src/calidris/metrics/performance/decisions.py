"""Performance of two outcomes where decisions were counted beside the scores: what a model decided, not what a threshold would.

Measures of decisions are read from confusion counts, those of the order of scores from their bins. Where nobody sent a
decision, both speak of ``score >= spec.threshold``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, Status
from calidris.metrics.calibration.calibration_measures import MINIMUM_LABELS
from calidris.metrics.performance import confusion as decisions
from calidris.metrics.performance.confusion import Confusion, Performance
from calidris.metrics.performance.discrimination import average_precision, gini, ks_separation, roc_auc
from calidris.metrics.performance.performance_measures import STANDARD, confusion, score_reading
from calidris.metrics.performance.rows_behind import RowsBehind
from calidris.metrics.score_bins import labelled
from calidris.state import Spec

DECIDED: dict[str, Callable[[Confusion], Performance]] = {
    "accuracy": decisions.accuracy,
    "precision": decisions.precision,
    "recall": decisions.recall,
    "f1": decisions.f1,
    "balanced_accuracy": decisions.balanced_accuracy,
    "specificity": decisions.specificity,
    "mcc": decisions.mcc,
    "prevalence": decisions.prevalence,
}
"""Measures of decisions by their name on the wire."""

RANKED: dict[str, Callable[[Floats, Spec], Performance]] = {
    "roc_auc": roc_auc,
    "average_precision": average_precision,
    "gini": gini,
    "ks_separation": ks_separation,
}
"""Measures of the order of scores."""

EVENTS = {"average_precision": 5}
"""Positive outcomes that a measure needs: with fewer, those that came by chance are far commoner than they are, and it follows that."""

LARGEST_DISAGREEMENT = 0.01
"""Share of labelled rows that an explicit decision may set apart from the threshold's."""


def binary_readings(
    counts: Ints,
    bins: Floats,
    spec: Spec,
    window: str,
    maturity: str,
    *,
    measures: Sequence[str] = STANDARD,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
    behind: RowsBehind | None = None,
) -> list[Reading]:
    """``ml.performance.score`` of a binary task.

    Args:
        counts: decided rows, int64[2, 2], ``counts[truth, decision]``.
        bins: scored rows, float64[2, bins, stats] as ``ScoresState.bins`` gives them.
        spec: the spec of the bins.
        window: length of the window, or ``BASELINE_WINDOW``.
        maturity: one of ``semconv.ML_LABEL_MATURITY_*``.
        measures: names out of ``DECIDED`` and ``RANKED``.
        minimum: fewer labelled rows are ``too_few``.
        labels: further attributes, such as the slice's name and level.
        behind: of rows by weight, how many those behind each measure are worth; None where each counts once.
    """
    least = max(minimum, 1)
    decided, scored = (Status.TOO_FEW if n < least else Status.OK for n in (counts.sum(), labelled(bins)))
    out = []
    for name in measures:
        ranks = name in RANKED
        mine, in_bins = (counts, bins) if behind is None else behind.worth(name, counts, bins)
        estimate = RANKED[name](in_bins, spec) if ranks else DECIDED[name](confusion_of(mine))
        status = scored if ranks else decided
        if 0 < estimate.n < EVENTS.get(name, 0):
            status = Status.TOO_FEW
        out.append(score_reading(name, estimate, window, maturity, status=status, labels=labels))
    return out


def confusion_of(counts: Ints) -> Confusion:
    """The four counts of int64[truth, decision]."""
    return Confusion(*(float(counts[truth, decided]) for truth, decided in ((1, 1), (0, 1), (1, 0), (0, 0))))


def threshold_decides(counts: Ints, bins: Floats, spec: Spec) -> bool:
    """Whether decisions are those of the threshold, up to ``LARGEST_DISAGREEMENT``; what is estimated from scores needs it.

    >>> threshold_decides(np.zeros((2, 2), np.int64), np.zeros((2, len(Spec().score_edges) + 1, 6)), Spec())
    True
    """
    apart = np.abs(np.subtract(confusion_of(counts), confusion(bins, spec))).sum() / 2
    return bool(apart <= LARGEST_DISAGREEMENT * max(int(counts.sum()), round(labelled(bins))))
