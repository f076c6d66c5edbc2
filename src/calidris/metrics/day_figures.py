"""One figure a day of the rows that came, labelled or not: errors, latency, drift. What a trend over weeks is fitted through."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from calidris import semconv
from calidris.batch import Ints, Mask
from calidris.metrics.base import Reading
from calidris.metrics.drift.drift_readings import MINIMUM_ROWS, DriftTable, drift_table
from calidris.metrics.intervals import Z95
from calidris.metrics.latency import error_reading, latency_readings
from calidris.state import CountsState, Spec

OF_BASELINE = (
    semconv.ML_TREND_MEASURE_FEATURE_DRIFT,
    semconv.ML_TREND_MEASURE_PREDICTION_DRIFT,
)
"""Figures that are a distance from the baseline."""

OF_ROWS = (
    semconv.ML_TREND_MEASURE_ERROR_RATIO,
    semconv.ML_TREND_MEASURE_LATENCY_P95,
    *OF_BASELINE,
)
"""All of them."""

_QUANTILE = "0.95"
_DRIFT = "psi_debiased"
_DAY = "1d"


class DayFigure(NamedTuple):
    """A figure of one day: its measure, its value, and half of its 95 % interval over 1.96."""

    measure: str
    value: float
    error: float


def day_figures(counts: CountsState, baseline: CountsState | None) -> Iterator[DayFigure]:
    """The figures of a day that can be given, each with its standard error.

    ``error_ratio`` is the share of failed calls and ``latency_p95`` a quantile in seconds. ``feature_drift`` is the mean of
    ``psi_debiased`` over the features, ``prediction_drift`` that of the score, or of the value or the decision where there is no
    score. A mean over features takes the mean of their errors, which is its own where all of them move together and more than
    its own otherwise (Minkowski): features of one row are not independent, and how far is not known.

    Left out is what has no interval: too few rows, no durations, a quantile beyond the outer edges.

    Args:
        counts: rows of the day.
        baseline: rows of the baseline in the same cells; without one there is no drift.
    """
    spec = counts.spec
    errors = error_reading(spec, counts, _DAY)
    yield from _of_reading(semconv.ML_TREND_MEASURE_ERROR_RATIO, errors)
    latencies = latency_readings(spec, counts, _DAY, quantiles=(_QUANTILE,))
    for latency in latencies:
        yield from _of_reading(semconv.ML_TREND_MEASURE_LATENCY_P95, latency)
    if baseline is not None:
        table = drift_table(spec, baseline, counts)
        yield from _of_drift(table, spec)


def _of_reading(measure: str, found: Reading) -> Iterator[DayFigure]:
    if found.value is None or found.n < MINIMUM_ROWS:
        return
    if found.lower is None or found.upper is None:
        return
    width = found.upper - found.lower
    error = width / 2 / Z95
    yield DayFigure(measure, found.value, error)


def _of_drift(table: DriftTable, spec: Spec) -> Iterator[DayFigure]:
    known = _find_known(table)
    names = list(spec.feature_names)
    is_feature = np.isin(table.names, names)
    features = np.flatnonzero(known & is_feature)
    others = np.flatnonzero(known & ~is_feature)
    yield from _mean(semconv.ML_TREND_MEASURE_FEATURE_DRIFT, table, features)
    # The score stands before the decision that is made of it.
    prediction = others[:1]
    yield from _mean(semconv.ML_TREND_MEASURE_PREDICTION_DRIFT, table, prediction)


def _mean(measure: str, table: DriftTable, fields: Ints) -> Iterator[DayFigure]:
    """The mean of some fields with the mean of their errors; nothing of no fields."""
    if not len(fields):
        return
    values = table.values[_DRIFT]
    errors = table.error[_DRIFT]
    value = float(values[fields].mean())
    error = float(errors[fields].mean())
    yield DayFigure(measure, value, error)


def _find_known(table: DriftTable) -> Mask:
    """The fields of which a figure with an error can be given, bool[F]."""
    values = table.values[_DRIFT]
    errors = table.error[_DRIFT]
    finite = np.isfinite(values)
    bounded = np.isfinite(errors)
    enough = table.n >= MINIMUM_ROWS
    compared = table.m > 0
    known: Mask = finite & bounded & enough & compared
    return known
