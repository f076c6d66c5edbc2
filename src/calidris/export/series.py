"""Which figures of a model leave: the level of detail, and who goes first where a model reaches its cap.

Every reading has a rank. A level of ``export.series`` is the last rank that it lets out; the cap fills up rank by rank, and
inside a rank in the engine's order, so that the same snapshot always gives the same series.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from calidris import semconv
from calidris.engine.readings.detail import detailed_readings
from calidris.engine.snapshot import Alarm, ModelSnapshot
from calidris.metrics import BASELINE_WINDOW, Reading
from calidris.metrics.drift.drift_readings import STANDARD
from calidris.semconv import Metric

RENEWED = 10
"""Of each renewal of an alarm so many things are told by name, those with most evidence: a series each, and a notification."""

TOP_FEATURES = 5
"""Features of a window whose evidence even ``minimal`` shows."""


class Rank(IntEnum):
    """Importance of a series, most important first."""

    ALWAYS = 0  # status, totals, alarms
    MODEL = 1  # figures and evidence of a whole model
    BOUNDS = 2  # their intervals
    TOP_EVIDENCE = 3  # evidence of the features with most of it
    EVIDENCE = 4  # evidence of the other features
    DRIFT = 5  # one measure a feature, on the windows that are scored
    QUALITY = 6  # data quality of each feature, on the windows that are scored
    PART = 7  # the headline figure of a class, a group or a slice
    DETAIL = 8  # everything else


LAST_RANK = {"minimal": Rank.TOP_EVIDENCE, "standard": Rank.PART, "full": Rank.DETAIL}
"""Level of ``export.series`` to the last rank that it lets out."""

_HEADLINE = frozenset(
    {
        semconv.ML_CALIBRATION_MEASURE,
        semconv.ML_DATA_QUALITY_KIND,
        semconv.ML_DETECTION_KIND,
        semconv.ML_DETECTION_WAITS_FOR,
        semconv.ML_FAIRNESS_ATTRIBUTE,
        semconv.ML_FAIRNESS_MEASURE,
        semconv.ML_LABEL_CLASS,
        semconv.ML_LABEL_DELAY_WITHIN,
        semconv.ML_LABEL_MATURITY,
        semconv.ML_LATENCY_QUANTILE,
        semconv.ML_MONITORING_STATE,
        semconv.ML_PERFORMANCE_MEASURE,
        semconv.ML_PERFORMANCE_SOURCE,
        semconv.ML_TREND_MEASURE,
    }
)
"""Attributes that a figure of the whole model may have; any other one is a feature, a class, a group or a slice."""

_OF_PARTS = frozenset({"accuracy", "brier", "mae", "recall", "demographic_parity", "equal_opportunity"})
"""Measures that a class, a group or a slice shows by default."""


def ranked(model: ModelSnapshot, last: Rank) -> Iterator[tuple[Rank, Reading]]:
    """Every reading of a model that has a value, with its rank; O(readings).

    Args:
        model: whose.
        last: what lies beyond it need not be there: measures that nobody but ``full`` shows are computed for it alone.
    """
    known = [r for r in model.readings if r.value is not None]
    top, scored = _top_features(known), scored_windows(model)
    for reading in known:
        yield _rank(reading, top, scored), reading
    if last < Rank.DETAIL:
        return
    for reading in detailed_readings(model):
        if reading.value is not None:
            yield Rank.DETAIL, reading


def scored_windows(model: ModelSnapshot) -> frozenset[str]:
    """Windows that detectors watch: those that have evidence; without any, those of the model's history."""
    evidence = (r.window for r in model.readings if r.metric is semconv.METRIC_ML_DETECTION_EVIDENCE)
    return frozenset(evidence) or frozenset(point.window for point in model.history)


def _rank(reading: Reading, top: frozenset[tuple[str, str]], scored: frozenset[str]) -> Rank:
    attributes = dict(reading.attributes)
    if reading.metric in (semconv.METRIC_ML_DETECTION_ALARM, semconv.METRIC_ML_DETECTION_ALARM_SILENT):
        return Rank.ALWAYS
    feature = attributes.get(semconv.ML_FEATURE_NAME)
    if feature is None:
        return _rank_of_rows(reading, attributes, scored)
    if reading.metric is semconv.METRIC_ML_DETECTION_EVIDENCE:
        return Rank.TOP_EVIDENCE if (reading.window, feature) in top else Rank.EVIDENCE
    if reading.window not in scored:
        return Rank.DETAIL
    if attributes.get(semconv.ML_DRIFT_MEASURE) in STANDARD:
        return Rank.DRIFT
    return Rank.QUALITY if reading.metric is semconv.METRIC_ML_DATA_QUALITY_RATIO else Rank.DETAIL


def _rank_of_rows(reading: Reading, attributes: dict[str, str], scored: frozenset[str]) -> Rank:
    """Of a figure of all rows, or of those of a class, a group or a slice."""
    if attributes.keys() <= _HEADLINE:
        return Rank.MODEL
    measure = attributes.keys() & {
        semconv.ML_PERFORMANCE_MEASURE,
        semconv.ML_CALIBRATION_MEASURE,
        semconv.ML_FAIRNESS_MEASURE,
    }
    shown = reading.window in scored or reading.window == BASELINE_WINDOW
    return Rank.PART if shown and {attributes[name] for name in measure} <= _OF_PARTS else Rank.DETAIL


def _top_features(readings: list[Reading]) -> frozenset[tuple[str, str]]:
    """(window, feature) of the most evidence in each window; ties go by name."""
    found: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for r in readings:
        feature = dict(r.attributes).get(semconv.ML_FEATURE_NAME)
        if r.metric is semconv.METRIC_ML_DETECTION_EVIDENCE and feature is not None and r.value is not None:
            found[r.window].append((-r.value, feature))
    return frozenset((w, feature) for w, features in found.items() for _, feature in sorted(features)[:TOP_FEATURES])


class AlarmSeries(NamedTuple):
    """One value, with the attributes beside those of the model."""

    metric: Metric
    attributes: tuple[tuple[str, str], ...]
    value: float


def list_latched(alarms: Iterable[Alarm]) -> Iterator[AlarmSeries]:
    """Of standing alarms of one model, oldest first: the onset of the newest one of each detector, and every renewal.

    An alert must not resolve because what it watches is gone, so this comes from the list of alarms and not from figures.
    """
    standing = list(alarms)
    for alarm in standing:
        yield from _list_renewals(alarm)
    # Later alarms of the same detector come later in the list: the newest one is told.
    newest = {_find_watched(alarm): alarm for alarm in standing if alarm.onset is not None}
    for watched in sorted(newest):
        yield from _list_onset(newest[watched])


def _find_watched(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    return (
        (semconv.ML_WINDOW, alarm.window),
        (semconv.ML_DETECTION_KIND, alarm.kind),
    )


def _list_onset(alarm: Alarm) -> Iterator[AlarmSeries]:
    if alarm.onset is None:
        return
    seconds = alarm.onset.at_ns / 1e9
    yield AlarmSeries(semconv.METRIC_ML_DETECTION_ONSET, _find_watched(alarm), seconds)


def _list_renewals(alarm: Alarm) -> Iterator[AlarmSeries]:
    # A renewal may name hundreds of features: each series is one ticket.
    for feature in alarm.features[:RENEWED] if alarm.renews else ():
        yield _tell_renewal(alarm, feature.name)


def _tell_renewal(alarm: Alarm, name: str) -> AlarmSeries:
    pairs = (*_find_watched(alarm), (semconv.ML_FEATURE_NAME, name))
    return AlarmSeries(semconv.METRIC_ML_DETECTION_ALARM_RENEWED, pairs, 1.0)
