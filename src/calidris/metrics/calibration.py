"""Calibration: whether scores mean what they say. Brier score, log loss, ECE, reliability, Murphy's parts.

All of it is read from the sums of ``ScoresState``; sums are fixed point, so Brier is exact to 2e-9 and log loss to 4e-8
whatever the bins. A multi-class task is judged on its top label: the score is its confidence, the outcome its being right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from calidris import semconv
from calidris.batch import Floats, Ints
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.intervals import mean_interval, wilson
from calidris.state import ScoresState, Spec
from calidris.state.scores import BRIER2, LOSS, LOSS2, P2, N, P

MINIMUM_LABELS = 30
"""Fewer labelled rows are ``too_few``: the normal intervals of this page do not hold below."""

STANDARD = ("brier", "log_loss", "ece")
"""What is exported by default."""

SCORED_TASKS = frozenset({semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS})
"""Tasks whose labelled scores are probabilities; the others have no figures of this kind."""

_TENTHS = np.arange(1, 10) / 10


class Figure(NamedTuple):
    """A value with its 95 % interval; NaN where there is none."""

    value: float
    lower: float = math.nan
    upper: float = math.nan


class ReliabilityBin(NamedTuple):
    """Labelled rows with a score in one tenth of the unit interval; ``lower`` and ``upper`` are Wilson's for the outcome."""

    n: int
    mean_score: float
    mean_outcome: float
    lower: float
    upper: float


@dataclass(frozen=True)
class MurphyParts:
    """What the Brier score is made of; ``brier`` is their sum.

    Attributes:
        reliability: squared distance of scores from outcomes, bin by bin: 0 is calibrated.
        resolution: how much the outcome differs between bins: more is better.
        uncertainty: variance of the outcome, whatever the model.
        within_variance: variance of the scores inside bins.
        within_covariance: twice the covariance of score and outcome inside bins.
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float

    @property
    def brier(self) -> float:
        """Reliability - resolution + uncertainty + within variance - within covariance."""
        return self.reliability - self.resolution + self.uncertainty + self.within_variance - self.within_covariance


def brier(bins: Floats) -> Figure:
    """Brier score, mean of (outcome - score)², ± 1.96 sd/√n (G. W. Brier, Monthly Weather Review 1950).

    Args:
        bins: float64[2, bins, stats] as ``ScoresState.bins`` gives them, as in every function of this page.
    """
    negative, positive = bins.sum(axis=1)
    total = negative[P2] + positive[N] - 2 * positive[P] + positive[P2]
    return _mean(total, negative[BRIER2] + positive[BRIER2], bins, highest=1.0)


def log_loss(bins: Floats) -> Figure:
    """Mean of -ln(probability given to what happened), in nats, ± 1.96 sd/√n; scores clipped as in ``ScoresState``."""
    sums = bins.sum(axis=(0, 1))
    return _mean(sums[LOSS], sums[LOSS2], bins, highest=math.inf)


def ece(bins: Floats, spec: Spec) -> Figure:
    """Expected calibration error: mean distance of score from outcome over ten bins of equal width, weighted by rows.

    Exact, because every tenth is an edge; a score on an edge belongs to the bin above it, and 1.0 to the last. It is
    biased upwards by noise, about √(2/π) Σ √(n_b ȳ(1-ȳ))/n when calibrated, so never compare it between unequal n, and never
    alert on it. M. P. Naeini, G. F. Cooper & M. Hauskrecht, AAAI 2015.
    """
    rows, score, outcome = _tenths(bins, spec)
    return Figure(float((rows * np.abs(score - outcome)).sum() / rows.sum())) if len(rows) else Figure(math.nan)


def ece_debiased(bins: Floats, spec: Spec) -> Figure:
    """ECE less the part of its bias that the bins can show: 41 % of it where scores are calibrated, near all where not.

    2 ECE - Σ (n_b/n) E|N(d_b, s_b²)| with d the distance and s² = ȳ(1-ȳ)/n_b; may be negative. A. Kumar, P. Liang & T. Ma,
    NeurIPS 2019, whose normal draws have this closed form.
    """
    rows, score, outcome = _tenths(bins, spec)
    if not len(rows):
        return Figure(math.nan)
    d, s = np.abs(score - outcome), np.sqrt(np.maximum(outcome * (1 - outcome), 0.0) / rows)
    z = d / np.where(s > 0, s, np.inf)
    folded = s * math.sqrt(2 / math.pi) * np.exp(-z * z / 2) + d * np.where(s > 0, 1 - 2 * ndtr(-z), 1.0)
    return Figure(float((rows * (2 * d - folded)).sum() / rows.sum()))


def reliability(bins: Floats, spec: Spec) -> tuple[ReliabilityBin, ...]:
    """The reliability diagram in tenths; bins without rows are left out."""
    rows, score, outcome = _tenths(bins, spec)
    lower, upper = wilson(np.rint(outcome * rows), rows)
    columns = (rows.astype(np.int64), score, outcome, lower, upper)
    return tuple(ReliabilityBin(*row) for row in zip(*(column.tolist() for column in columns)))


def murphy(bins: Floats) -> MurphyParts | None:
    """Parts of the Brier score over the fine bins, or None without rows; ``brier`` equals the score to 1e-12.

    A. H. Murphy, Journal of Applied Meteorology 1973; the parts inside bins are D. B. Stephenson, C. A. S. Coelho &
    I. T. Jolliffe, Weather and Forecasting 2008.
    """
    both = bins.sum(axis=0)
    full = both[:, N] > 0
    both, positive = both[full], bins[1, full]
    rows, n = both[:, N], both[:, N].sum()
    if not len(rows):
        return None
    score, outcome = both[:, P] / rows, positive[:, N] / rows
    rate = positive[:, N].sum() / n
    return MurphyParts(
        reliability=float((rows * (score - outcome) ** 2).sum() / n),
        resolution=float((rows * (outcome - rate) ** 2).sum() / n),
        uncertainty=float(rate * (1 - rate)),
        within_variance=float((both[:, P2] - rows * score**2).sum() / n),
        within_covariance=float(2 * (positive[:, P] - rows * score * outcome).sum() / n),
    )


MEASURES: dict[str, Callable[[Floats, Spec], Figure]] = {
    "brier": lambda bins, _: brier(bins),
    "log_loss": lambda bins, _: log_loss(bins),
    "ece": ece,
    "ece_debiased": ece_debiased,
}
"""Every measure by its name on the wire (``ml.calibration.measure``)."""


def calibration_readings(
    spec: Spec,
    state: ScoresState,
    window: str,
    maturity: str,
    *,
    measures: Sequence[str] = STANDARD,
    slice_row: int = 0,
    delay: int | None = None,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.calibration.score`` of the labelled rows of a window, or of a baseline's own (window ``"baseline"``).

    Args:
        spec: the spec of the state.
        state: labelled scores.
        window: length of the window, or ``BASELINE_WINDOW``.
        maturity: one of ``semconv.ML_LABEL_MATURITY_*``.
        measures: names out of ``MEASURES``.
        slice_row: row on the slice axis; 0 is all rows.
        delay: labels up to this delay bucket only.
        minimum: fewer labelled rows are ``too_few``.
        labels: further attributes, such as the slice's name and level.
    """
    bins = state.bins(slice_row, delay)
    n = int(bins[..., N].sum())
    status = Status.TOO_FEW if n < max(minimum, 1) else Status.OK

    def one(measure: str) -> Reading:
        value, lower, upper = MEASURES[measure](bins, spec)
        attributes = {**labels, semconv.ML_CALIBRATION_MEASURE: measure, semconv.ML_LABEL_MATURITY: maturity}
        metric = semconv.METRIC_ML_CALIBRATION_SCORE
        return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)

    return [one(measure) for measure in measures] if spec.task in SCORED_TASKS else []


def _mean(total: float, squares: float, bins: Floats, highest: float) -> Figure:
    """A mean of losses in [0, highest] from exact sums; NaN without rows."""
    n = int(bins[..., N].sum())
    if n == 0:
        return Figure(math.nan)
    lower, upper = mean_interval(float(total), float(squares), n)
    return Figure(float(total) / n, max(lower, 0.0), min(upper, highest))


def _tenths(bins: Floats, spec: Spec) -> tuple[Floats, Floats, Floats]:
    """Rows, mean score and mean outcome of the tenths that hold rows."""
    into = _tenth_of_bin(spec)
    rows, scores, outcomes = (
        np.bincount(into, weights=values, minlength=10)
        for values in (bins[..., N].sum(axis=0), bins[..., P].sum(axis=0), bins[1, :, N])
    )
    full = rows > 0
    held: Floats = rows[full].astype(np.float64)
    return held, scores[full] / held, outcomes[full] / held


def _tenth_of_bin(spec: Spec) -> Ints:
    """The tenth that each score bin lies in, int64[bins], by its lower edge."""
    starts = np.concatenate([[-np.inf], spec.score_edges])
    return np.searchsorted(_TENTHS, starts, side="right").astype(np.int64)
