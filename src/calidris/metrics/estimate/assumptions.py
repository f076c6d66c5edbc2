"""When an estimate without labels may be shown: the checks of its assumptions that data allow."""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from scipy.special import chdtrc

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.calibration.hypothesis_tests import brownian_maximum
from calidris.metrics.estimate.estimates import cbpe
from calidris.metrics.estimate.isotonic import CalibrationMap, calibration_map
from calidris.metrics.estimate.label_shift import bbse
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.performance_measures import MEASURES, score_reading
from calidris.state import Spec
from calidris.state.blocks.scores import N

MINIMUM_BASELINE = 100
"""Labelled rows that the baseline needs, at least ten of each outcome."""

MINIMUM_ROWS = 30
"""Predictions that a window needs."""

LARGEST_UNSEEN = 0.05
"""Share of the window's rows that may lie in score bins without a labelled baseline row."""

REJECTED = 0.001
"""p-value below which matured labels contradict the map."""

OF_SCORES = (semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS)
"""Tasks in which a score says how sure a model is."""

STANDARD = ("accuracy", "precision", "recall", "f1", "roc_auc")
"""What is given by default."""


class Trust(StrEnum):
    """Whether an estimate may be believed, and if not, why."""

    OK = "ok"
    NO_BASELINE = "no_baseline"  # no labels to learn from
    TOO_FEW = "too_few"  # too few of them, or too few rows
    UNSEEN_SCORES = "unseen_scores"  # scores where the baseline has no labels
    MAP_BROKEN = "map_broken"  # matured labels contradict the map: scores mean something else now
    LABEL_SHIFT = (
        "label_shift"  # decisions and scores imply different class shares, and a shift of those alone would explain it
    )

    @property
    def status(self) -> Status:
        """The status of a reading of that trust: what is not believed has no value."""
        return {
            Trust.OK: Status.OK,
            Trust.NO_BASELINE: Status.NO_BASELINE,
            Trust.TOO_FEW: Status.TOO_FEW,
        }.get(self, Status.UNDEFINED)


def trust(
    baseline: Floats,
    rows: Floats,
    spec: Spec,
    *,
    matured: Floats | None = None,
    confusion: Ints | None = None,
    decided: Ints | None = None,
) -> Trust:
    """Whether CBPE may be shown for a window.

    Args:
        baseline: labelled scores of the baseline, float64[2, bins, stats].
        rows: predictions of the window in each score bin, float64[bins].
        spec: the spec of the bins.
        matured: labelled scores of the newest windows whose labels are in, if there are any.
        confusion: confusion counts of the baseline, int64[2, 2], for the check against label shift.
        decided: decisions of the window, int64[2], for the same.
    """
    found = calibration_map(baseline)
    if found is None:
        return Trust.NO_BASELINE
    if found.rows < MINIMUM_BASELINE or baseline[..., N].sum(axis=1).min() < 10 or rows.sum() < MINIMUM_ROWS:
        return Trust.TOO_FEW
    if rows[~found.seen].sum() > LARGEST_UNSEEN * rows.sum():
        return Trust.UNSEEN_SCORES
    if matured is not None and map_p_value(found, matured) < REJECTED:
        return Trust.MAP_BROKEN
    if confusion is not None and decided is not None and _shares_differ(found, rows, spec, confusion, decided):
        return Trust.LABEL_SHIFT if mixture_p_value(baseline, rows) >= REJECTED else Trust.OK
    return Trust.OK


def map_p_value(found: CalibrationMap, matured: Floats) -> float:
    """Chance of labels that stray at least as far from the map if it still held; 1 without labels.

    The cumulative Kolmogorov-Smirnov distance of ``calibration_tests`` against the map's chances, with the map's own noise
    added to that of the outcomes.
    """
    rows, positives = matured[..., N].sum(axis=0), matured[1, :, N]
    stray = np.cumsum(positives - rows * found.chance)
    shared = np.bincount(found.block, rows, len(found.noise))
    spread = math.sqrt(float((rows * found.chance * (1 - found.chance)).sum() + (shared**2 * found.noise).sum()))
    return brownian_maximum(float(np.abs(stray).max()) / spread) if spread > 0 else 1.0


def _shares_differ(found: CalibrationMap, rows: Floats, spec: Spec, confusion: Ints, decided: Ints) -> bool:
    """Whether the intervals of the positive class's share by scores and by decisions do not meet."""
    by_decisions, by_scores = bbse(confusion, decided), cbpe(found, rows, spec)["prevalence"]
    if by_decisions is None:
        return False
    return bool(by_decisions.lower[1] > by_scores.upper or by_decisions.upper[1] < by_scores.lower)


def mixture_p_value(baseline: Floats, rows: Floats) -> float:
    """Chance of scores at least as far from every mixture of the baseline's two outcomes, were they such a mixture.

    Where only the shares of outcomes move, and each outcome's scores look as they did, scores are such a mixture. A small
    value refutes that, and with it the only rival of "a score means what it meant" that data without labels can judge.
    Pearson's χ² over about ten groups of equal baseline rows, smallest over the share, with the baseline's own noise in it.

    Args:
        baseline: labelled scores, float64[2, bins, stats].
        rows: predictions of the window in each score bin, float64[bins].
    """
    held = baseline[..., N]
    into = np.minimum((np.cumsum(held.sum(axis=0)) - held.sum(axis=0) / 2) * 10 // max(held.sum(), 1.0), 9.0)
    of_outcome = np.stack([np.bincount(into.astype(np.int64), part, 10) for part in held])
    seen, n = np.bincount(into.astype(np.int64), rows, 10), float(rows.sum())
    m = of_outcome.sum(axis=1, keepdims=True)
    shape = (of_outcome + 0.5) / (m + 5.0)
    share = np.linspace(0.0, 1.0, 201)[:, None]
    expected = (1 - share) * shape[0] + share * shape[1]
    noise = ((1 - share) ** 2 * shape[0] / m[0] + share**2 * shape[1] / m[1]) * n**2
    statistic = ((seen - n * expected) ** 2 / (n * expected + noise)).sum(axis=1).min()
    return float(chdtrc(8, statistic))


def residual(baseline: Floats, matured: Floats, spec: Spec, measure: str) -> Performance:
    """Estimated less realised figure of the same labelled rows, with the interval that it has while the map holds.

    An interval without 0 says that the estimate is off by more than noise. NaN where one of the two is not defined.
    """
    found = calibration_map(baseline)
    rows = matured[..., N].sum(axis=0)
    if found is None or rows.sum() == 0:
        return Performance(math.nan, int(rows.sum()))
    estimated, realised = cbpe(found, rows, spec)[measure], _realised(matured, spec, measure)
    ends = (x - realised for x in (estimated.value, estimated.lower, estimated.upper))
    value, lower, upper = ends
    return Performance(value, int(rows.sum()), lower, upper)


def _realised(matured: Floats, spec: Spec, measure: str) -> float:
    if spec.task == semconv.ML_MODEL_TASK_MULTICLASS:
        # The outcome of a score is whether its decision was right.
        return float(matured[1, :, N].sum() / matured[..., N].sum())
    return MEASURES[measure](matured, spec).value


def estimate_readings(
    baseline: Floats,
    rows: Floats,
    spec: Spec,
    window: str,
    verdict: Trust,
    *,
    measures: tuple[str, ...] = STANDARD,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.score`` of source ``estimate``; hidden where ``verdict`` is not ``ok``. Nothing of a task without classes."""
    found = calibration_map(baseline)
    hidden = {m: Performance(math.nan, int(rows.sum())) for m in measures}
    estimates = cbpe(found, rows, spec) if found is not None and verdict is Trust.OK else hidden
    source = semconv.ML_PERFORMANCE_SOURCE_ESTIMATE
    if spec.task not in OF_SCORES:
        return []
    return [
        score_reading(m, estimates[m], window, None, source=source, status=verdict.status, labels=labels)
        for m in measures
    ]


def residual_reading(
    baseline: Floats, matured: Floats, spec: Spec, window: str, measure: str = "accuracy", minimum: int = MINIMUM_ROWS
) -> Reading:
    """``ml.performance.residual`` of one measure; ``too_few`` below ``minimum`` labelled rows."""
    value, n, lower, upper = residual(baseline, matured, spec, measure)
    return reading(
        semconv.METRIC_ML_PERFORMANCE_RESIDUAL,
        value,
        n,
        window=window,
        lower=lower,
        upper=upper,
        attributes={semconv.ML_PERFORMANCE_MEASURE: measure},
        status=Status.TOO_FEW if n < minimum else Status.OK,
    )
