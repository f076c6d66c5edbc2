"""Errors of a regression: MAE, RMSE, MAPE, bias and R², each with an interval, from exact means and variances.

Rows that lie further out than the sums can hold are counted at their end. A mean of sizes is then no more than "at least so
much": ``approximate``, without an upper bound; a bias is ``approximate`` without any; and R² is ``undefined``. So that larger errors never
look better, no figure is below one that it cannot be below: RMSE ≥ MAE ≥ |bias| whatever was sent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol

from calidris.metrics.base import Reading, Status
from calidris.metrics.intervals import Z95
from calidris.metrics.performance.confusion import Performance
from calidris.metrics.performance.performance_measures import score_reading
from calidris.state import ResidualsState
from calidris.state.blocks.residuals import ABSOLUTE, ERROR, RELATIVE, SQUARED, TRUTH

MINIMUM_ROWS = 30
"""Fewer labelled rows are ``too_few``: the intervals of this page are normal ones."""


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
    """

    error: Sums
    absolute: Sums
    squared: Sums
    truth: Sums
    relative: Sums

    @classmethod
    def of(cls, state: ResidualsState, slice_row: int = 0, delay: int | None = None) -> Errors:
        """The moments of one slice of a state; all delays, or up to bucket ``delay``."""
        wanted = (ERROR, ABSOLUTE, SQUARED, TRUTH, RELATIVE)
        return cls(*(state.variable(which, slice_row, delay) for which in wanted))


def bias(errors: Errors) -> Performance:
    """Mean of prediction minus truth: above 0 predictions are too high. ± 1.96 sd/√n; no bounds where rows were clipped."""
    found = _mean(errors.error)
    if errors.error.clipped:
        # Some of them are too high, or too low, by more than was counted.
        return Performance(found.value, found.n)
    return found


def mae(errors: Errors) -> Performance:
    """Mean absolute error, in the unit of the truth. ± 1.96 sd/√n."""
    found = _size(errors.absolute)
    return _at_least(found, abs(errors.error.mean))


def rmse(errors: Errors) -> Performance:
    """Root of the mean squared error; its interval is the root of that of the mean. A few rows may carry it."""
    mean = _size(errors.squared)
    if not mean.n:
        return mean
    value, lower, upper = (math.sqrt(x) if x > 0 else max(x, 0.0) for x in (mean.value, mean.lower, mean.upper))
    found = Performance(value, mean.n, lower, upper)
    return _at_least(found, mae(errors).value)


def mape(errors: Errors) -> Performance:
    """Mean of |error| / |truth| as a share, over rows whose truth is not 0. ± 1.96 sd/√n.

    Rows with a truth near 0 carry it, and predictions that are too low are punished less: prefer MAE. S. Kolassa,
    International Journal of Forecasting 2020.
    """
    return _size(errors.relative)


def r_squared(errors: Errors) -> Performance:
    """1 - mean squared error over the truth's variance: 0 is as good as the truth's mean, below 0 worse.

    Its interval is that of the mean squared error with the truths of this window as they are. Not defined where the truth
    is constant, nor where errors or truths were clipped. Do not compare it between windows or slices whose truths spread differently.
    """
    if errors.squared.clipped or errors.truth.clipped:
        return Performance(math.nan, errors.squared.n)
    mean, spread = _positive(_mean(errors.squared)), errors.truth.variance
    if mean.n == 0 or not spread > 0:
        return Performance(math.nan, mean.n)
    return Performance(1 - mean.value / spread, mean.n, 1 - mean.upper / spread, 1 - mean.lower / spread)


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
        status = _status(figure, minimum, _clipped(name, errors))
        found.append(score_reading(name, figure, window, maturity, status=status, labels=labels))
    return found


_SUMS = {"mae": "absolute", "rmse": "squared", "mape": "relative", "bias": "error", "r_squared": "squared"}
"""What each measure is a mean of."""


def _clipped(measure: str, errors: Errors) -> int:
    sums: Sums = getattr(errors, _SUMS[measure])
    return sums.clipped


def _status(estimate: Performance, minimum: int, clipped: int) -> Status:
    if estimate.n < max(minimum, 1):
        return Status.TOO_FEW
    return Status.APPROXIMATE if clipped else Status.OK


def _mean(sums: Sums) -> Performance:
    if sums.n == 0:
        return Performance(math.nan, 0)
    if sums.n == 1:
        return Performance(sums.mean, 1)
    half = Z95 * math.sqrt(max(sums.variance, 0.0) / (sums.n - 1))
    return Performance(sums.mean, sums.n, sums.mean - half, sums.mean + half)


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
