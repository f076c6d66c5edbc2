"""Quantiles of durations."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris.batch import Floats, ModelKey, NumberColumn, PredictionBatch
from calidris.metrics.latency import latency_readings
from calidris.state import CountsState, Spec

KINDS = 400_000
SPEC = Spec()


def counts_of(seconds: Floats) -> CountsState:
    state, n = CountsState(SPEC), len(seconds)
    key = ModelKey("t", "m", "1")
    batch = PredictionBatch(key, np.zeros(n, np.int64), {}, duration_s=NumberColumn.of(seconds))
    state.update(SPEC.encode(batch))
    return state


def of_durations(name: str, seconds: Floats) -> Case:
    ordered = np.sort(seconds)

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        drawn = ordered[g.integers(0, len(ordered), n)]
        for reading in latency_readings(SPEC, counts_of(drawn), "1h"):
            figure = figure_of(reading)
            at = math.ceil(float(figure.measure) * len(ordered)) - 1
            yield Trial(figure, reading, float(ordered[at]))

    return Case(name, read)


def cases() -> Iterator[Case]:
    g = np.random.default_rng(141)
    smooth = g.lognormal(math.log(0.02), 0.5, KINDS)
    yield of_durations("log-normal", smooth)
    yield of_durations("rounded to ms", np.round(g.lognormal(math.log(0.004), 0.3, KINDS), 3))
    yield of_durations("low jitter", g.normal(0.1, 0.002, KINDS))
    yield of_durations("5 % time-outs", np.where(g.random(KINDS) < 0.05, 5.0, smooth))
    yield of_durations("heavy tails (Pareto)", 0.01 * (1 + g.pareto(1.2, KINDS)))
    cached = np.where(g.random(KINDS) < 0.8, g.normal(5e-4, 5e-6, KINDS), g.lognormal(math.log(0.05), 0.4, KINDS))
    yield of_durations("four in five cached", cached)
