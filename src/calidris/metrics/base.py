"""Reading: one figure with everything that is needed to judge it.

A figure that cannot be given is a ``Reading`` too: its value is None and its status says why. NaN, infinity and a 0.0 that
means "no data" never leave this package.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from calidris.metrics.intervals import exact_interval, share_interval
from calidris.semconv import Metric

BASELINE_WINDOW = "baseline"
"""The ``window`` of a figure of the baseline's own rows."""

_ROUNDING = 1e-9
"""A bound that is on the wrong side of its value by less than this share is rounding, and is moved onto the value."""


class Status(StrEnum):
    """Whether a figure can be used, and if not, why."""

    OK = "ok"
    PARTIAL = "partial"  # the window is not full yet, or many of its rows came after it was closed
    TOO_FEW = "too_few"  # fewer rows than the figure needs
    UNDEFINED = "undefined"  # the rows do not define it: one class only, no numbers, a division by nothing
    NO_BASELINE = "no_baseline"
    LEARNING = "learning"  # the baseline's own spread is not known yet
    PROVISIONAL = "provisional"  # against a baseline that was learned from traffic and confirmed by nobody
    MIXED_BASELINE = "mixed_baseline"  # the baseline changed inside the window
    SUPPRESSED = "suppressed"  # withheld for privacy
    APPROXIMATE = "approximate"  # some rows lay further out than sums can hold: a bound on one side at most
    STALE = "stale"  # no new rows since

    @property
    def has_value(self) -> bool:
        """True where a reading of this status carries a value."""
        return self not in _VALUELESS


_SEVERITY = (
    Status.OK,
    Status.PARTIAL,  # some rows are not there yet, or were not there in time
    Status.STALE,  # all of it was right, a while ago
    Status.PROVISIONAL,  # right, beside something that nobody confirmed
    Status.MIXED_BASELINE,  # of some of the rows only
    Status.APPROXIMATE,  # a bound on one side
)
"""Statuses of figures that have a value, the least reason for doubt first: of two that hold, a figure carries the later one."""

_VALUELESS = frozenset({Status.TOO_FEW, Status.UNDEFINED, Status.NO_BASELINE, Status.LEARNING, Status.SUPPRESSED})


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of one window.

    ``value`` is None exactly where ``status.has_value`` is false; a value and its bounds are finite, and
    ``lower <= value <= upper``. One bound may be missing where the data bound the figure on one side only.

    Attributes:
        metric: the metric of the convention that it is a point of.
        attributes: its other attributes (not model, version and window), sorted by name.
        value: the figure, in the metric's unit.
        n: rows behind the figure: the denominator of a proportion.
        lower: lower end of a 95 % interval.
        upper: upper end of a 95 % interval.
        window: length of the window ("1h") or "baseline".
        baseline: id of the baseline it was compared with.
        status: whether and how far to trust it.

    Raises:
        ValueError: the parts contradict each other.
    """

    metric: Metric
    attributes: tuple[tuple[str, str], ...]
    value: float | None
    n: int
    lower: float | None
    upper: float | None
    window: str
    baseline: str | None
    status: Status

    def __post_init__(self) -> None:
        if (self.value is None) != (self.status in _VALUELESS):
            raise ValueError(f"{self.metric.name}: status {self.status} with value {self.value}")
        if self.n < 0 or (len(self.attributes) > 1 and list(self.attributes) != sorted(self.attributes)):
            raise ValueError(f"{self.metric.name}: n {self.n}, attributes {self.attributes}")
        if self.value is None:
            if self.lower is not None or self.upper is not None:
                raise ValueError(f"{self.metric.name}: bounds without a value")
            return
        low = self.value if self.lower is None else self.lower
        high = self.value if self.upper is None else self.upper
        if not -math.inf < low <= self.value <= high < math.inf:
            raise ValueError(f"{self.metric.name}: {low} <= {self.value} <= {high} does not hold")

    def marked(self, status: Status) -> Reading:
        """The same figure with another status where that is the graver one.

        A status without a value drops it, and a figure that has none keeps its own.

        >>> from calidris import semconv
        >>> rows = reading(semconv.METRIC_ML_WINDOW_ROWS, 3.0, 3, window="1h")
        >>> rows.marked(Status.PARTIAL).value, rows.marked(Status.SUPPRESSED).value
        (3.0, None)
        """
        if self.value is None:
            return self
        if status.has_value:
            graver = gravest((self.status, status))
            return self if graver is self.status else replace(self, status=graver)
        return replace(self, status=status, value=None, lower=None, upper=None)


def gravest(statuses: Iterable[Status]) -> Status:
    """Of several statuses of figures that have a value the one with most reason for doubt; ``ok`` without any.

    >>> gravest([Status.STALE, Status.PARTIAL, Status.OK]).value
    'stale'
    """
    return max(statuses, key=_SEVERITY.index, default=Status.OK)


def reading(
    metric: Metric,
    value: float,
    n: int,
    *,
    window: str,
    lower: float = math.nan,
    upper: float = math.nan,
    attributes: Mapping[str, str] | None = None,
    baseline: str | None = None,
    status: Status = Status.OK,
) -> Reading:
    """A reading of raw figures: a value that is NaN or infinite is ``undefined``, such a bound is absent.

    >>> from calidris import semconv
    >>> r = reading(semconv.METRIC_ML_ERROR_RATIO, float("nan"), 0, window="1h")
    >>> r.value, r.status.value
    (None, 'undefined')
    """
    known = status not in _VALUELESS
    if known and not math.isfinite(value):
        status, known = Status.UNDEFINED, False
    return Reading(
        metric=metric,
        attributes=tuple(sorted(attributes.items())) if attributes else (),
        value=float(value) if known else None,
        n=int(n),
        lower=_bound(lower, value, min) if known else None,
        upper=_bound(upper, value, max) if known else None,
        window=window,
        baseline=baseline,
        status=status,
    )


def share_reading(
    metric: Metric, part: float, n: float, window: str, attributes: Mapping[str, str] | None = None
) -> Reading:
    """Share of n rows with Wilson's interval; ``too_few`` without rows. Not whole numbers where rows carry weights."""
    if n == 0:
        return reading(metric, 0.0, 0, window=window, attributes=attributes, status=Status.TOO_FEW)
    lower, upper = share_interval(part, n)
    return reading(metric, part / n, round(n), window=window, lower=lower, upper=upper, attributes=attributes)


def counted_reading(
    metric: Metric, part: int, n: int, window: str, attributes: Mapping[str, str] | None = None
) -> Reading:
    """Share of n rows that is only told where a row is of it, with the exact interval.

    Wilson's is right on average over counts, those of 0 among them: of what is shown from the first row on it held 1 % in 84 % of windows.
    C. J. Clopper & E. S. Pearson, Biometrika 1934.
    """
    lower, upper = exact_interval(part, n)
    return reading(metric, part / n, n, window=window, lower=lower, upper=upper, attributes=attributes)


def _bound(bound: float, value: float, outer: Callable[[float, float], float]) -> float | None:
    """The bound as a float, None where it is not finite, moved onto the value where only rounding lies between."""
    if not math.isfinite(bound):
        return None
    if outer(bound, value) == bound:
        return float(bound)
    within = abs(bound - value) <= _ROUNDING * max(abs(value), 1.0)
    return float(outer(bound, value)) if within else float(bound)
