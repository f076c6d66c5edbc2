"""Errors of a regression: MAE, RMSE, MAPE, bias and R², each with an interval.

Sums are exact up to 128 times the baseline's error and more; where a row lies further out, figures are those of the coarser sums,
within 2^-23 of themselves up to 6e10 times the baseline's error. Beyond, and where rows were counted by a version that had no coarser sums,
a mean of sizes is no more than "at least so much": ``approximate``, without an upper bound; a bias is ``approximate`` without any; and R²
is ``undefined``. So that larger errors never look better, no figure is below one that it cannot be below: RMSE ≥ MAE ≥ |bias|
whatever was sent. An interval that one row decides is ``approximate`` as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from calidris.metrics.base import Reading, Status
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.errors_of_any_size import Spread, WideErrors
from calidris.metrics.performance.performance_measures import score_reading
from calidris.state import ResidualsState, WideErrorsState
from calidris.state.blocks.residuals import ABSOLUTE, ERROR, RELATIVE, SQUARED, TRUTH

MINIMUM_ROWS = 30
"""Fewer labelled rows are ``too_few``: the intervals of this page are normal ones."""

CARRIED = 0.1
"""Where one row may be more than this share of a sum, the interval of its mean is ``approximate``: it hangs on what that row is."""

RECORD = 1.5
"""So many of the largest row are added at the end where it hurts. Simulated: once leaves .88 of t with four degrees of freedom, n = 300."""

TAIL = 0.1
"""Likewise of R², where the truth's fourth moment over its squared variance is more than this share of n."""


class Sums(Protocol):
    """One variable over the rows that have it; ``variance`` has n in the denominator."""

    @property
    def n(self) -> int:
        """Rows with a value."""
        ...

    @property
    def clipped(self) -> int:
        """Rows among them that were counted at the end of what the sums hold."""
        ...

    @property
    def mean(self) -> float:
        """Mean."""
        ...

    @property
    def variance(self) -> float:
        """Variance, with n in the denominator."""
        ...


class Errors(NamedTuple):
    """Moments of labelled rows: e is prediction minus truth.

    Attributes:
        error: e.
        absolute: |e|.
        squared: e².
        truth: the truth.
        relative: |e| / |truth| over rows whose truth is not 0.
        largest: no row's e² is more than this; infinite where nobody knows.
        spread: for the interval of R²; None where it was not kept.
    """

    error: Sums
    absolute: Sums
    squared: Sums
    truth: Sums
    relative: Sums
    largest: float = math.inf
    spread: Spread | None = None

    @classmethod
    def of(
        cls,
        state: ResidualsState,
        slice_row: int = 0,
        delay: int | None = None,
        *,
        wide: WideErrorsState | None = None,
    ) -> Errors:
        """The moments of one slice of a state; all delays, or up to bucket ``delay``.

        ``wide`` holds the same rows. Where an earlier version counted some of them, it lacks these, and says nothing.
        """
        wanted = (ERROR, ABSOLUTE, SQUARED, TRUTH, RELATIVE)
        error, absolute, squared, truth, relative = (state.variable(which, slice_row, delay) for which in wanted)
        exact = cls(error, absolute, squared, truth, relative)
        found = None if wide is None else WideErrors.of(wide, slice_row, delay)
        if found is None or found.rows != exact.truth.n:
            return exact
        known = exact._replace(largest=found.largest, spread=found.spread)
        if not (known.absolute.clipped or known.squared.clipped or known.truth.clipped):
            return known
        return known._replace(
            error=found.error,
            absolute=found.absolute,
            squared=found.squared,
            truth=found.truth,
        )

    def is_carried(self, sums: Sums, largest: float) -> bool:
        """Whether one row may be more than ``CARRIED`` of a sum of sizes; ``largest`` is the most that it can be."""
        return largest > CARRIED * sums.n * sums.mean

    @property
    def most(self) -> float:
        """No row's e² is more than this, by what is known."""
        n, mean, variance = self.squared.n, self.squared.mean, self.squared.variance
        if not n:
            return 0.0
        # Whatever else: the root of the sum of their squares.
        return min(self.largest, math.sqrt(n * (variance + mean * mean)))


def bias(errors: Errors) -> Performance:
    """Mean of prediction minus truth: above 0 predictions are too high. ± 1.96 sd/√n; no bounds where rows were clipped."""
    found = _mean(errors.error)
    if errors.error.clipped:
        # Some of them are too high, or too low, by more than was counted.
        return Performance(found.value, found.n)
    return found


def mae(errors: Errors) -> Performance:
    """Mean absolute error, in the unit of the truth. ± 1.96 sd/√n, and more than the largest row above: it may have been missing."""
    found = _size(errors.absolute)
    if found.n:
        found = found._replace(upper=found.upper + RECORD * math.sqrt(errors.most) / found.n)
    return _at_least(found, abs(errors.error.mean))


def rmse(errors: Errors) -> Performance:
    """Root of the mean squared error.

    Its interval is the root of that of the mean on the scale of its logarithm, with more than the largest row above: a few rows
    carry a mean of squares, and the next one of their kind may not have come yet.
    """
    mean = _size(errors.squared)
    if not mean.n:
        return mean
    most = RECORD * errors.most / mean.n
    lower, upper = _logarithmic(mean.value, _half(errors.squared))
    upper = math.nan if errors.squared.clipped else upper + most
    found = Performance(_root(mean.value), mean.n, _root(lower), _root(upper))
    return _at_least(found, mae(errors).value)


def _logarithmic(mean: float, half: float) -> tuple[float, float]:
    """Bounds of a mean that is above 0, on the scale of its logarithm: to first order the mean ± half."""
    if half == math.inf:
        return math.nan, math.nan
    if not mean > 0:
        return mean, mean
    factor = math.exp(min(half / mean, 300.0))
    return mean / factor, mean * factor


def _root(value: float) -> float:
    """NaN is no bound, and stays none."""
    return math.sqrt(value) if value > 0 else max(value, 0.0)


def mape(errors: Errors) -> Performance:
    """Mean of |error| / |truth| as a share, over rows whose truth is not 0. ± 1.96 sd/√n.

    Rows with a truth near 0 carry it, and predictions that are too low are punished less: prefer MAE. S. Kolassa,
    International Journal of Forecasting 2020.
    """
    return _size(errors.relative)


def r_squared(errors: Errors) -> Performance:
    """1 - mean squared error over the truth's variance: 0 is as good as the truth's mean, below 0 worse.

    Its interval is the delta method's: with A the mean squared error, B the variance of the truth and d a truth less their mean, a row
    moves A/B by (e² - d²·A/B)/B; the rows furthest out widen both ends. Where that was not kept it is the one of the mean squared error alone, with the truths as they are. Not
    defined where the truth is constant, nor where errors or truths were clipped. Do not compare it between windows or slices
    whose truths spread differently.
    """
    if errors.squared.clipped or errors.truth.clipped:
        return Performance(math.nan, errors.squared.n)
    mean, spread = _positive(_mean(errors.squared)), errors.truth.variance
    if mean.n == 0 or not spread > 0:
        return Performance(math.nan, mean.n)
    share = mean.value / spread
    if errors.spread is None or mean.n == 1:
        return Performance(1 - share, mean.n, 1 - mean.upper / spread, 1 - mean.lower / spread)
    pull = math.sqrt(max(errors.spread.of_share(share), 0.0)) / spread
    half = Z95 * pull / math.sqrt(mean.n - 1)
    # As with means of squares: the largest error, or the truth furthest out, may be missing yet.
    below = half + RECORD * errors.most / mean.n / spread
    above = half + share * _furthest(errors.spread, errors.truth)
    # It is 1 less a share of what is never below 0.
    return Performance(1 - share, mean.n, 1 - share - below, min(1 - share + above, 1.0))


MEASURES = {"mae": mae, "rmse": rmse, "mape": mape, "bias": bias, "r_squared": r_squared}
"""Every measure by its name on the wire (``ml.performance.measure``)."""


def regression_readings(
    errors: Errors,
    window: str,
    maturity: str,
    *,
    minimum: int = MINIMUM_ROWS,
    labels: Mapping[str, str] = MappingProxyType({}),
) -> list[Reading]:
    """``ml.performance.score`` of a regression's labelled rows; fewer than ``minimum`` are ``too_few``.

    >>> class One(NamedTuple):
    ...     n: int
    ...     mean: float
    ...     variance: float
    ...     clipped: int = 0
    >>> errors = Errors(One(50, 0.1, 1.0), One(50, 0.8, 0.4), One(50, 1.01, 2.0), One(50, 9.0, 4.0), One(50, 0.1, 0.01))
    >>> [round(r.value, 3) for r in regression_readings(errors, "1d", "arrived")]
    [0.8, 1.005, 0.1, 0.1, 0.748]
    """
    found = []
    for name, estimate in MEASURES.items():
        figure = estimate(errors)
        status = _status(figure, minimum, _clipped(name, errors) > 0 or _hangs_on_few(name, errors))
        found.append(score_reading(name, figure, window, maturity, status=status, labels=labels))
    return found


_SUMS = {"mae": "absolute", "rmse": "squared", "mape": "relative", "bias": "error", "r_squared": "squared"}
"""What each measure is a mean of."""


def _clipped(measure: str, errors: Errors) -> int:
    sums: Sums = getattr(errors, _SUMS[measure])
    return sums.clipped


def _furthest(spread: Spread, truth: Sums) -> float:
    """What the truth furthest out may add to their variance, as a share of it: nothing where no few of them make it."""
    share = spread.truth / truth.n / truth.variance**2
    return math.sqrt(share) * min(share / TAIL, 1.0)


def _hangs_on_few(measure: str, errors: Errors) -> bool:
    """Whether the interval of a figure is decided by a row, or by what was not kept."""
    if not errors.squared.n or measure in ("bias", "mape"):
        return False
    if measure == "mae":
        return errors.is_carried(errors.absolute, math.sqrt(errors.most))
    by_errors = errors.is_carried(errors.squared, errors.most)
    return by_errors or (measure == "r_squared" and _is_truth_heavy(errors))


def _is_truth_heavy(errors: Errors) -> bool:
    variance = errors.truth.variance
    if errors.spread is None or not variance > 0:
        return errors.spread is None
    return errors.spread.truth > TAIL * errors.truth.n * variance * variance


def _status(estimate: Performance, minimum: int, rough: bool) -> Status:
    if estimate.n < max(minimum, 1):
        return Status.TOO_FEW
    return Status.APPROXIMATE if rough else Status.OK


def _mean(sums: Sums) -> Performance:
    if sums.n == 0:
        return Performance(math.nan, 0)
    if sums.n == 1:
        return Performance(sums.mean, 1)
    half = _half(sums)
    return Performance(sums.mean, sums.n, sums.mean - half, sums.mean + half)


def _half(sums: Sums) -> float:
    """Half of the interval of a mean; infinite with one row."""
    if sums.n == 1:
        return math.inf
    return Z95 * math.sqrt(max(sums.variance, 0.0) / (sums.n - 1))


def _size(sums: Sums) -> Performance:
    """The mean of something that is never below 0; where rows were clipped, it is at least that."""
    found = _positive(_mean(sums))
    return found._replace(upper=math.nan) if sums.clipped else found


def _at_least(estimate: Performance, least: float) -> Performance:
    """The same figure, and no less than it can be: sums of sizes and of squares clip at different errors."""
    if not estimate.value < least:
        return estimate
    # NaN is no bound, and stays none.
    upper = estimate.upper if not estimate.upper < least else least
    return estimate._replace(value=least, upper=upper)


def _positive(estimate: Performance) -> Performance:
    """The same figure of something that is never below 0."""
    return estimate._replace(lower=max(estimate.lower, 0.0) if estimate.lower == estimate.lower else math.nan)
