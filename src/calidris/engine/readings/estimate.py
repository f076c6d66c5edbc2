"""Performance without labels, and how far off it was where labels have come since. Tasks with classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from calidris import semconv
from calidris.baseline import Baseline
from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, reading
from calidris.metrics.estimate.assumptions import OF_SCORES, STANDARD, Trust, estimate_readings, residual_reading, trust
from calidris.metrics.estimate.estimates import average_confidence, bin_means
from calidris.metrics.estimate.label_shift import bbse
from calidris.metrics.estimate.score_rows import decided_rows, score_rows
from calidris.metrics.performance.decisions import RANKED, threshold_decides
from calidris.metrics.performance.performance_measures import score_reading
from calidris.state import CountsState, Spec
from calidris.state.blocks.labelled import LabelStates

SOURCE = semconv.ML_PERFORMANCE_SOURCE_ESTIMATE


@dataclass(frozen=True)
class Estimated:
    """What an estimate is made of: rows by score bin, and what the baseline's labels say about them."""

    spec: Spec
    rows: Floats
    bins: Floats
    confusion: Ints | None
    by_threshold: bool

    @classmethod
    def of(cls, baseline: Baseline, counts: CountsState) -> Estimated | None:
        """None where nothing can be estimated: another task, or no scores or labels in the baseline."""
        spec, labels = baseline.spec, baseline.labels
        if spec.task not in OF_SCORES or not labels.scores.count:
            return None
        bins, confusion = labels.scores.bins(), labels.groups.confusion()
        rows = score_rows(spec, counts, bins)
        if rows is None:
            return None
        binary = spec.task == semconv.ML_MODEL_TASK_BINARY
        by_threshold = binary and threshold_decides(confusion, bins, spec)
        return cls(spec, rows, bins, confusion if binary else None, by_threshold)

    @property
    def decided(self) -> Ints | None:
        """Decisions of the window; None where they are not those of the threshold."""
        return np.rint(decided_rows(self.spec, self.rows)).astype(np.int64) if self.by_threshold else None

    @property
    def measures(self) -> tuple[str, ...]:
        """What can be estimated: of several classes accuracy, and without a threshold's decisions only what is about the order of scores."""
        if self.spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
            return ("accuracy",)
        return STANDARD if self.by_threshold else tuple(m for m in STANDARD if m in RANKED)

    def verdict(self, matured: LabelStates | None) -> Trust:
        """Whether the estimate may be believed."""
        known = None if matured is None else matured.scores.bins()
        return trust(self.bins, self.rows, self.spec, matured=known, confusion=self.confusion, decided=self.decided)


def estimated_readings(
    baseline: Baseline | None, counts: CountsState, matured: LabelStates | None, window: str
) -> Iterator[Reading]:
    """CBPE and average confidence of a window, the shares of classes from decisions, and estimate less realised figure.

    Args:
        baseline: of the same spec; None gives nothing.
        counts: all rows of the window.
        matured: labelled rows of the newest window of this length whose labels are of age, where there is one.
        window: its length.
    """
    found = None if baseline is None else Estimated.of(baseline, counts)
    if found is None:
        return
    verdict = found.verdict(matured)
    yield from estimate_readings(found.bins, found.rows, found.spec, window, verdict, measures=found.measures)
    if found.by_threshold:
        confidence = average_confidence(found.rows, found.spec, bin_means(found.bins, found.spec))
        yield score_reading("average_confidence", confidence, window, None, source=SOURCE, status=verdict.status)
        yield from class_share_readings(found, window)
    if matured is not None and "accuracy" in found.measures:
        yield residual_reading(found.bins, matured.scores.bins(), found.spec, window)


def class_share_readings(found: Estimated, window: str) -> Iterator[Reading]:
    """``ml.label.share`` of the positive class: how common it is now if a row of each class looks as it did."""
    assert found.decided is not None and found.confusion is not None
    shares, n = bbse(found.confusion, found.decided), int(found.decided.sum())
    value, lower, upper = (np.nan,) * 3 if shares is None else (float(ends[1]) for ends in shares)
    about = {semconv.ML_LABEL_CLASS: found.spec.positive}
    metric = semconv.METRIC_ML_LABEL_SHARE
    yield reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=about)
