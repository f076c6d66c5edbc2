"""Calibration: whether scores mean what they say. Brier score, log loss, Murphy's parts, and every measure by its name.

All of it is read from the sums of ``ScoresState``; sums are fixed point, so Brier is exact to 2e-9 and log loss to 4e-8
whatever the bins. A multi-class task is judged on its top label: the score is its confidence, the outcome its being right.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.base import Reading, Status, reading
from calidris.metrics.calibration.ece import (
    ReliabilityBin,
    ece,
    ece_debiased,
    ece_equal_mass,
    ece_squared_debiased,
    ece_sweep,
    mce,
    reliability,
    smooth_ece,
)
from calidris.metrics.calibration.hypothesis_tests import (
    cumulative_ks,
    cumulative_kuiper,
    hosmer_lemeshow,
    observed_to_expected,
    spiegelhalter,
)
from calidris.metrics.calibration.recalibration import in_the_large, intercept, slope
from calidris.metrics.intervals import Losses, loss_interval
from calidris.metrics.score_bins import Estimate, Significance, labelled
from calidris.state import ScoresState, Spec
from calidris.state.blocks.scores import BRIER2, LOSS, LOSS2, P2, SMALLEST_P, N, P

__all__ = [
    "MEASURES",
    "MINIMUM_LABELS",
    "SCORED_TASKS",
    "STANDARD",
    "Estimate",
    "MurphyParts",
    "ReliabilityBin",
    "Significance",
    "brier",
    "calibration_of_bins",
    "calibration_readings",
    "calibration_tests",
    "ece",
    "ece_debiased",
    "log_loss",
    "murphy",
    "reliability",
]

MINIMUM_LABELS = 30
"""Fewer labelled rows are ``too_few``: the normal intervals of this page do not hold below."""

STANDARD = ("brier", "log_loss", "ece")
"""What is exported by default."""

SCORED_TASKS = frozenset({semconv.ML_MODEL_TASK_BINARY, semconv.ML_MODEL_TASK_MULTICLASS})
"""Tasks whose labelled scores are probabilities; the others have no figures of this kind."""


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


def brier(bins: Floats) -> Estimate:
    """Brier score, mean of (outcome - score)² (G. W. Brier, Monthly Weather Review 1950); interval class by class, ``loss_interval``.

    Args:
        bins: float64[2, bins, stats] as ``ScoresState.bins`` gives them, as in every function of this page.
    """
    negative, positive = bins.sum(axis=1)
    missed = positive[N] - 2 * positive[P] + positive[P2]
    return _mean_loss(
        Losses(negative[N], negative[P2], negative[BRIER2], 1.0),
        Losses(positive[N], missed, positive[BRIER2], 1.0),
        highest=1.0,
    )


def log_loss(bins: Floats) -> Estimate:
    """Mean of -ln(probability given to what happened), in nats; scores clipped as in ``ScoresState``; interval as of ``brier``."""
    negative, positive = bins.sum(axis=1)
    lowest, highest = _outer_scores(bins)
    return _mean_loss(
        Losses(negative[N], negative[LOSS], negative[LOSS2], _log_loss_at_most(negative, 1.0 - highest)),
        Losses(positive[N], positive[LOSS], positive[LOSS2], _log_loss_at_most(positive, lowest)),
        highest=math.inf,
    )


def _outer_scores(bins: Floats) -> tuple[float, float]:
    """Mean score of the lowest and of the highest bin that hold a row; 0 and 1 without rows."""
    both = bins.sum(axis=0)
    held = both[both[:, N] > 0]
    if not len(held):
        return 0.0, 1.0
    means = held[:, P] / held[:, N]
    return float(means[0]), float(means[-1])


def _log_loss_at_most(of_class: Floats, chance: float) -> float:
    """What a row of a class loses at most: at the chance that some row of either class was given, or as much as all of its own."""
    return max(-math.log(max(chance, SMALLEST_P)), float(of_class[LOSS]), 1.0)


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


MEASURES: dict[str, Callable[[Floats, Spec], Estimate]] = {
    "brier": lambda bins, _: brier(bins),
    "log_loss": lambda bins, _: log_loss(bins),
    "ece": ece,
    "ece_debiased": ece_debiased,
    "ece_squared_debiased": ece_squared_debiased,
    "ece_equal_mass": ece_equal_mass,
    "ece_sweep": ece_sweep,
    "smooth_ece": smooth_ece,
    "mce": mce,
    "slope": slope,
    "intercept": intercept,
    "in_the_large": in_the_large,
    "observed_to_expected": observed_to_expected,
    "spiegelhalter_z": lambda bins, _: Estimate(spiegelhalter(bins).statistic),
    "hosmer_lemeshow": lambda bins, _: Estimate(hosmer_lemeshow(bins).statistic),
    "cumulative_ks": lambda bins, _: Estimate(cumulative_ks(bins).statistic),
    "cumulative_kuiper": lambda bins, _: Estimate(cumulative_kuiper(bins).statistic),
}
"""Every measure by its name on the wire (``ml.calibration.measure``)."""


def calibration_tests(bins: Floats) -> dict[str, Significance]:
    """The tests of one window with their p-values, by the name of their measure: for reports."""
    return {
        "spiegelhalter_z": spiegelhalter(bins),
        "hosmer_lemeshow": hosmer_lemeshow(bins),
        "cumulative_ks": cumulative_ks(bins),
        "cumulative_kuiper": cumulative_kuiper(bins),
    }


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
    return calibration_of_bins(
        spec, state.bins(slice_row, delay), window, maturity, measures=measures, minimum=minimum, labels=labels
    )


def calibration_of_bins(
    spec: Spec,
    bins: Floats,
    window: str,
    maturity: str,
    *,
    measures: Sequence[str] = STANDARD,
    minimum: int = MINIMUM_LABELS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``calibration_readings`` of bins at hand: of several panes together, or of one class of many."""
    n = round(labelled(bins))
    status = Status.TOO_FEW if n < max(minimum, 1) else Status.OK

    def one(measure: str) -> Reading:
        value, lower, upper = MEASURES[measure](bins, spec) if status.has_value else Estimate(0.0)
        attributes = {**labels, semconv.ML_CALIBRATION_MEASURE: measure, semconv.ML_LABEL_MATURITY: maturity}
        metric = semconv.METRIC_ML_CALIBRATION_SCORE
        return reading(metric, value, n, window=window, lower=lower, upper=upper, attributes=attributes, status=status)

    return [one(measure) for measure in measures] if spec.task in SCORED_TASKS else []


def _mean_loss(negative: Losses, positive: Losses, highest: float) -> Estimate:
    """A mean of losses in [0, highest] from exact sums of each class; NaN without rows."""
    n = negative.n + positive.n
    if n == 0:
        return Estimate(math.nan)
    lower, upper = loss_interval(negative, positive)
    mean = float(negative.total + positive.total) / n
    return Estimate(float(mean), max(float(lower), 0.0), min(float(upper), highest))
