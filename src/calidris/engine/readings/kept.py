"""What the previous snapshot already knew of a window: most ticks bring labels of some windows only, or none at all."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from calidris import semconv
from calidris.engine.model import WatchedModel
from calidris.engine.snapshot import ModelSnapshot, WindowState
from calidris.metrics.base import Reading

OF_ROWS = frozenset(
    {
        semconv.METRIC_ML_WINDOW_ROWS,
        semconv.METRIC_ML_ERROR_RATIO,
        semconv.METRIC_ML_LATENCY_DURATION,
        semconv.METRIC_ML_DATA_QUALITY_RATIO,
        semconv.METRIC_ML_DRIFT_SCORE,
    }
)
"""What ``row_figures`` gives."""

OF_LABELS = frozenset(
    {
        semconv.METRIC_ML_LABEL_COVERAGE,
        semconv.METRIC_ML_PERFORMANCE_SCORE,
        semconv.METRIC_ML_CALIBRATION_SCORE,
        semconv.METRIC_ML_FAIRNESS_GAP,
        semconv.METRIC_ML_FAIRNESS_RATE,
    }
)
"""What ``known_figures`` gives, but for their maturity and source."""

_OTHERS = frozenset(
    {
        (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_FIXED_AGE),
        (semconv.ML_LABEL_MATURITY, semconv.ML_LABEL_MATURITY_DELAY_ADJUSTED),
        (semconv.ML_PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_ESTIMATE),
    }
)


class Kept(NamedTuple):
    """Figures of the previous snapshot that are still right; empty where they have to be taken anew."""

    rows: list[Reading]
    labels: list[Reading]

    @classmethod
    def of(cls, model: WatchedModel, now: WindowState, before: ModelSnapshot | None) -> Kept:
        """Those of one window of a model."""
        then = next((w for w in before.windows if w.window == now.window), None) if before else None
        if before is None or then is None or not _same_rows(then, now):
            return cls([], [])
        if before.baseline != (model.baseline.id if model.baseline else None):
            return cls([], [])
        mine = [r for r in before.readings if r.window == now.window]
        rows = [r for r in mine if r.metric in OF_ROWS]
        labels = [r for r in mine if r.metric in OF_LABELS and _OTHERS.isdisjoint(r.attributes)]
        return cls(rows, labels if _same_labels(then, now) else [])


def _same_rows(then: WindowState, now: WindowState) -> bool:
    if then.merged is None or now.merged is None or then.counts.spec.hash != now.counts.spec.hash:
        return False
    spans = [(w.start_ns, w.end_ns, w.status) for w in (then, now)]
    same = spans[0] == spans[1] and then.merged.features == now.merged.features
    return same and np.array_equal(then.counts.array, now.counts.array)


def _same_labels(then: WindowState, now: WindowState) -> bool:
    if then.merged is None or now.merged is None:
        return False
    pairs = zip(then.merged.labels.all, now.merged.labels.all)
    return all(np.array_equal(a.array, b.array) for a, b in pairs)
