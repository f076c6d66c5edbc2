"""Errors of a regression."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from benchmarks.coverage.tally import Case, Trial, figure_of

from calidris import semconv
from calidris.batch import Floats
from calidris.metrics.performance.regression import Errors, regression_readings
from calidris.state import Field, Kind, Loss, ResidualsState, Role, Spec, WideErrorsState

KINDS = 400_000
ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED


def truths_of(truth: Floats, prediction: Floats) -> dict[str, float]:
    error, known = prediction - truth, truth != 0
    squared = float((error**2).mean())
    return {
        "mae": float(np.abs(error).mean()),
        "rmse": math.sqrt(squared),
        "bias": float(error.mean()),
        "mape": float((np.abs(error[known]) / np.abs(truth[known])).mean()),
        "r_squared": 1 - squared / float(truth.var()),
    }


def spec_of(truth: Floats, prediction: Floats) -> Spec:
    """As a baseline of these rows would have it."""
    cap = float(np.quantile(np.abs(prediction - truth), 0.99))
    edges = tuple(np.unique(np.quantile(prediction, np.linspace(0, 1, 11))).tolist())
    field = Field(semconv.ML_PREDICTION_VALUE, Role.VALUE, Kind.NUMERIC, edges=edges)
    losses = (Loss("absolute_error", cap), Loss("squared_error", cap * cap))
    return Spec(task=semconv.ML_MODEL_TASK_REGRESSION, fields=(field,), losses=losses)


def of_errors(name: str, truth: Floats, prediction: Floats, sizes: tuple[int, ...] | None = None) -> Case:
    """Windows of rows drawn from these."""
    truths, spec = truths_of(truth, prediction), spec_of(truth, prediction)

    def read(g: np.random.Generator, n: int) -> Iterator[Trial]:
        at = g.integers(0, len(truth), n)
        state, wide = ResidualsState(spec), WideErrorsState(spec)
        for one in (state, wide):
            one.update(truth[at], prediction[at], np.zeros(n))
        for reading in regression_readings(Errors.of(state, wide=wide), "1h", ARRIVED):
            figure = figure_of(reading, spec.task)
            yield Trial(figure, reading, truths[figure.measure])

    return Case(name, read, sizes)


def cases() -> Iterator[Case]:
    g = np.random.default_rng(140)
    x = np.exp(g.normal(1.0, 0.5, KINDS))
    yield of_errors("normal errors", x + 10 + g.normal(0, 1, KINDS), x + 10)
    # Errors are the predictions', so that no truth comes near 0, where a mean of shares of it has no end.
    yield of_errors("heavy tails (t, 3 degrees)", x + 20, x + 20 + g.standard_t(3, KINDS))
    yield of_errors("heavy tails (log-normal)", x + g.lognormal(0, 1.0, KINDS), x + math.exp(0.5))
    yield of_errors("ties (counts)", g.poisson(x).astype(float), np.round(x))
    # Smaller windows may hold none of the rows that carry the figures, and then nothing in them can tell.
    seldom = (g.random(KINDS) < 0.01) * g.lognormal(0, 0.5, KINDS)
    yield of_errors("1 % not zero", seldom, np.full(KINDS, 0.01) * x, sizes=(5000,))
