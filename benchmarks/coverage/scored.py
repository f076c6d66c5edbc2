"""Figures of labelled scores: decisions, order and calibration, of two outcomes and of a top label."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.coverage import populations
from benchmarks.coverage.populations import Population
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris import semconv
from calidris.metrics.calibration.calibration_measures import MEASURES, calibration_of_bins
from calidris.metrics.performance.decisions import DECIDED, RANKED, binary_readings

ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED
BOUNDED = tuple(
    m for m in MEASURES if m in ("brier", "log_loss", "slope", "intercept", "in_the_large", "observed_to_expected")
)


def of_scores(population: Population) -> Case:
    """All of a binary task."""
    spec, truths = population.spec, population.truths

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        rows = population.drawn(g, n)
        bins, counts = rows.bins(spec), rows.confusion(spec)
        found = binary_readings(counts, bins, spec, "1h", ARRIVED, measures=(*DECIDED, *RANKED))
        found += calibration_of_bins(spec, bins, "1h", ARRIVED, measures=BOUNDED)
        for reading in found:
            figure = figure_of(reading)
            yield Trial(figure, reading, truths[figure.measure])

    return Case(population.name, read)


def of_top_label(population: Population) -> Case:
    """Calibration of several classes: of the top label."""
    spec, truths = population.spec, population.truths

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        bins = population.drawn(g, n).bins(spec)
        for reading in calibration_of_bins(spec, bins, "1h", ARRIVED, measures=BOUNDED):
            figure = figure_of(reading, spec.task)
            yield Trial(figure, reading, truths[figure.measure])

    return Case(population.name, read)


def cases() -> Iterator[Case]:
    yield from map(of_scores, populations.every())
    yield of_top_label(populations.top_label())
