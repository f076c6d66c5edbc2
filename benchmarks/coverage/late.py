"""Labels that come late: figures adjusted for what is still to come, and shares of labels by delay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.populations import Population, balanced, heavy, rare, trees
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris.metrics.labels import (
    Cohort,
    adjusted_calibration,
    adjusted_performance,
    delay_adjusted,
    delay_readings,
    reporting,
)
from calidris.metrics.labels.late_label_readings import WITHIN
from calidris.state import ScoresState
from calidris.state.blocks.scores import DELAY_EDGES_S

DAY_S = 86_400.0
SLOW_S, FAST_S = 2 * DAY_S, DAY_S / 2
"""Mean delay of positive and of negative labels: positives are four times as late."""

YOUNG_S, OLD_S, OLDER = 1.5 * DAY_S, 40 * DAY_S, 10


def cohort(population: Population, g: np.random.Generator, n: int, age_s: float) -> Cohort:
    """Predictions of one age, and the labels that are in."""
    rows = population.drawn(g, n)
    delay = g.exponential(np.where(rows.outcome == 1, SLOW_S, FAST_S))
    known = delay <= age_s
    state = ScoresState(population.spec)
    state.update(rows.score[known], rows.outcome[known], delay[known])
    return Cohort.of(age_s, n, state)


def of_late_labels(population: Population) -> Case:
    spec, truths = population.spec, population.truths
    positive = float(population.chance.mean())
    edges = np.array(DELAY_EDGES_S[: len(WITHIN)])
    within = positive * (1 - np.exp(-edges / SLOW_S)) + (1 - positive) * (1 - np.exp(-edges / FAST_S))
    shares = dict(zip(WITHIN, within.tolist()))

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        young, old = cohort(population, g, n, YOUNG_S), cohort(population, g, OLDER * n, OLD_S)
        adjusted = delay_adjusted([young], reporting([old, young]))
        for reading in (*adjusted_performance(adjusted, spec, "1h"), *adjusted_calibration(adjusted, spec, "1h")):
            figure = figure_of(reading)
            if figure.measure in truths:
                yield Trial(figure, reading, truths[figure.measure])
        for reading in delay_readings([cohort(population, g, n, OLD_S)], "1d"):
            yield Trial(figure_of(reading), reading, shares[dict(reading.attributes)["ml.label.delay.within"]])

    return Case(population.name, read, share=0.5)


def cases() -> Iterator[Case]:
    yield from map(of_late_labels, (balanced(), rare(), heavy(), trees()))
