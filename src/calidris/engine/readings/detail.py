"""Measures that are not among the usual ones, of all labelled rows of each window: for whoever asks.

A tick does not compute them: together they cost several milliseconds a window, and most of them nobody looks at. What they need is
in the snapshot, which keeps them from the first question on: a scrape of what did not change computes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from calidris import semconv
from calidris.engine.readings.labels import ARRIVED, rows_behind
from calidris.engine.snapshot import ModelSnapshot, WindowState
from calidris.metrics.base import Reading, Status
from calidris.metrics.calibration import calibration_measures
from calidris.metrics.performance import decisions, performance_measures
from calidris.state.blocks.labelled import LabelStates

CALIBRATION = tuple(
    measure for measure in calibration_measures.MEASURES if measure not in calibration_measures.STANDARD
)
"""Measures of calibration beside the usual ones."""

PERFORMANCE = tuple(
    measure for measure in (*decisions.DECIDED, *decisions.RANKED) if measure not in performance_measures.STANDARD
)
"""Measures of a binary task beside the usual ones. Of several classes and of numbers all of them are usual."""


def detailed_readings(model: ModelSnapshot) -> Iterator[Reading]:
    """Those figures of a model version, of the labels that are in.

    Cost: about 6 ms a window with labels, most of it the slope's; once for all who ask, until its labels change.
    """
    for window in model.windows:
        how = window.status
        if model.status is Status.UNDEFINED:
            # Labels are not what the settings say that they are.
            how = Status.UNDEFINED
        for reading in _of_window(window):
            yield reading if how is Status.OK else reading.marked(how)


def _of_window(window: WindowState) -> tuple[Reading, ...]:
    if window.merged is None:
        return ()
    labels = window.merged.labels
    return window.detail.get(labels, partial(_of_labels, window.merged.figures.labels, window))


def _of_labels(labels: LabelStates, window: WindowState) -> tuple[Reading, ...]:
    """A function of the labelled rows and of the name of the window: of what they are kept with."""
    figures = _calibration(labels, window)
    if window.counts.spec.task == semconv.ML_MODEL_TASK_BINARY:
        figures += _performance(labels, window)
    return tuple(figures)


def _calibration(labels: LabelStates, window: WindowState) -> list[Reading]:
    """Of scores; a regression has none."""
    if window.counts.spec.task not in calibration_measures.SCORED_TASKS:
        return []
    return calibration_measures.calibration_of_bins(
        window.counts.spec,
        labels.scores.bins(),
        window.window,
        ARRIVED,
        measures=CALIBRATION,
    )


def _performance(labels: LabelStates, window: WindowState) -> list[Reading]:
    return decisions.binary_readings(
        labels.groups.confusion(),
        labels.scores.bins(),
        window.counts.spec,
        window.window,
        ARRIVED,
        measures=PERFORMANCE,
        behind=rows_behind(labels),
    )
