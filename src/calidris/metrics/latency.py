"""Latency quantiles and the error ratio of the calls in a window."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calidris import semconv
from calidris.metrics.base import Reading, Status, reading, share_reading
from calidris.metrics.intervals import Z95
from calidris.state import CountsState, Role, Spec
from calidris.state.coding.fields import HIGH, LOW, MISSING

QUANTILES = ("0.5", "0.95", "0.99")
"""Quantiles that are given, as their attribute reads."""


def latency_readings(
    spec: Spec, counts: CountsState, window: str, *, quantiles: Sequence[str] = QUANTILES
) -> list[Reading]:
    """``ml.latency.duration`` quantiles in seconds, each with a 95 % interval; n is rows with a duration.

    Interpolated inside bins on a logarithmic scale: off by less than the bin is wide, 12 % with ``DURATION_EDGES``, and
    rarely by more than 2 % where durations are smooth. The interval ends at edges of bins, so it holds for those that are not:
    rounded, cached, or cut off by a time-out. A quantile beyond the outer edges reads that edge, and has no bound on the open side: a call
    of an hour shows as "100 s or more". ``too_few`` where less than one row is expected beyond it (p99 below 100 rows).
    """
    i = spec.index(Role.DURATION)
    if i is None:
        return []
    f, cells = spec.fields[i], counts.field(i)
    line = np.concatenate([cells[[f.ordered + LOW]], cells[: f.ordered], cells[[f.ordered + HIGH]]])
    return [_reading(_Durations(f.edges, line), level, window) for level in quantiles]


def error_reading(spec: Spec, counts: CountsState, window: str) -> Reading:
    """``ml.error.ratio``: share of rows whose call failed, with Wilson's interval; ``too_few`` without rows."""
    i = spec.index(Role.ERROR)
    if i is None:
        return reading(semconv.METRIC_ML_ERROR_RATIO, math.nan, 0, window=window)
    f, cells = spec.fields[i], counts.field(i)
    fine = cells[f.levels.index("none")].item() if "none" in f.levels else 0
    n = (cells.sum() - cells[f.ordered + MISSING]).item()
    return share_reading(semconv.METRIC_ML_ERROR_RATIO, n - fine, n, window)


class _Durations:
    """Rows of a duration along its number line: under, in and over the bins."""

    def __init__(self, edges: Sequence[float], line: np.typing.NDArray[np.int64]) -> None:
        self.edges = edges
        self.at_or_below = np.cumsum(line)
        self.n: float = self.at_or_below[-1].item()  # not whole where rows carry weights

    def quantile(self, level: float) -> float:
        """The duration that ``level`` of the rows do not exceed; the outer edge where it lies under or over the bins."""
        left, right = self.bin_of(level)
        if math.isnan(left):
            return right
        if math.isnan(right):
            return left
        rank, cell = level * self.n, self._cell(level)
        below, upto = self.at_or_below[cell - 1], self.at_or_below[cell]
        return _between(left, right, (rank - below) / (upto - below))

    def bin_of(self, level: float) -> tuple[float, float]:
        """Edges of the bin that holds it; NaN on the side where there is none."""
        cell = self._cell(level)
        left = self.edges[cell - 1] if cell > 0 else math.nan
        right = self.edges[cell] if cell < len(self.edges) else math.nan
        return left, right

    def _cell(self, level: float) -> int:
        cell = np.searchsorted(self.at_or_below, level * self.n, side="left")
        return int(cell)


def _between(left: float, right: float, part: float) -> float:
    """The point at ``part`` of the way, on a logarithmic scale where both ends are above zero."""
    return left * (right / left) ** part if left > 0 else left + part * (right - left)


def _reading(durations: _Durations, level: str, window: str) -> Reading:
    q, n = float(level), durations.n
    attributes = {semconv.ML_LATENCY_QUANTILE: level}
    # A tolerance, because 100 * (1 - 0.99) is not 1.
    if n * (1 - q) < 1 - 1e-9:
        few = Status.TOO_FEW
        return reading(
            semconv.METRIC_ML_LATENCY_DURATION, 0.0, round(n), window=window, attributes=attributes, status=few
        )
    value = durations.quantile(q)
    lower, upper = _interval(durations, q)
    metric = semconv.METRIC_ML_LATENCY_DURATION
    return reading(metric, value, round(n), window=window, lower=lower, upper=upper, attributes=attributes)


def _interval(durations: _Durations, q: float) -> tuple[float, float]:
    """The outer edges of the bins that hold the quantiles at q ± 1.96 √(q(1-q)/n); NaN where that leaves the rows or the bins.

    Free of any distribution. Interpolated ends would not be: nothing is known of where in its bin a row lies, and rounded durations
    lie on one side of it.
    """
    half = Z95 * math.sqrt(q * (1 - q) / durations.n)
    lower, _ = durations.bin_of(q - half) if q > half else (math.nan, 0.0)
    _, upper = durations.bin_of(q + half) if q + half < 1 else (0.0, math.nan)
    return lower, upper
