"""Each measure reads on average what is true of the population, window after window in which nothing changes. None is left out."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from benchmarks.coverage.numbers import spec_of, truths_of
from benchmarks.coverage.populations import balanced
from benchmarks.coverage.scored import ARRIVED
from scipy import stats

from calidris.metrics.performance import multiclass, performance_measures
from calidris.metrics.performance.decisions import DECIDED, RANKED, binary_readings
from calidris.metrics.performance.forecasts import (
    crps_rows,
    interval_coverage,
    pinball,
    pit_distance,
    pit_test,
    quantile_coverage,
)
from calidris.metrics.performance.ranking import ndcg, reciprocal_rank
from calidris.metrics.performance.regression import MEASURES as OF_NUMBERS
from calidris.metrics.performance.regression import Errors
from calidris.state import ResidualsState, WideErrorsState

N, RUNS = 400, 300
BINNED = {"average_precision": 0.01, "ks_separation": 0.03}
"""What bins and the largest of many distances add at so many rows; every other measure is right to .005."""


def test_decisions_and_order() -> None:
    population, g = balanced(), np.random.default_rng(31)
    found: dict[str, list[float]] = {}
    for _ in range(RUNS):
        rows = population.drawn(g, N)
        bins, counts = rows.bins(population.spec), rows.confusion(population.spec)
        for name in (*DECIDED, *RANKED):
            (reading,) = binary_readings(counts, bins, population.spec, "1h", ARRIVED, measures=(name,))
            found.setdefault(name, []).append(float(reading.value))
    assert found.keys() == performance_measures.MEASURES.keys()
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(population.truths[name], abs=BINNED.get(name, 0.005)), name


def test_several_classes() -> None:
    joint = np.array([[0.4, 0.05, 0.05], [0.04, 0.24, 0.02], [0.05, 0.05, 0.1]])
    g, right, row, column = np.random.default_rng(32), np.diag(joint), joint.sum(axis=1), joint.sum(axis=0)
    f1 = 2 * right / (row + column)
    truths = {
        "accuracy": right.sum(),
        "balanced_accuracy": (right / row).mean(),
        "macro_f1": f1.mean(),
        "weighted_f1": row @ f1,
    }
    assert truths.keys() == multiclass.MEASURES.keys()
    draws = [counts.reshape(3, 3) for counts in g.multinomial(N, joint.ravel(), RUNS)]
    for name, measure in multiclass.MEASURES.items():
        assert np.mean([measure(counts).value for counts in draws]) == pytest.approx(truths[name], abs=0.006), name


def test_errors_of_a_regression() -> None:
    g = np.random.default_rng(33)
    truth = g.normal(50, 10, 100_000)
    prediction = truth + g.normal(2, 4, 100_000)
    spec, truths = spec_of(truth, prediction), truths_of(truth, prediction)
    found: dict[str, list[float]] = {name: [] for name in OF_NUMBERS}
    for _ in range(RUNS):
        at = g.integers(0, len(truth), N)
        state, wide = ResidualsState(spec), WideErrorsState(spec)
        for one in (state, wide):
            one.update(truth[at], prediction[at], np.zeros(N))
        errors = Errors.of(state, wide=wide)
        for name, measure in OF_NUMBERS.items():
            found[name].append(measure(errors).value)
    assert found.keys() == truths.keys()
    for name, values in found.items():
        assert np.mean(values) == pytest.approx(truths[name], rel=0.015), name


PLACES = 8


def ranks(g: np.random.Generator, figure: Callable[[np.ndarray], np.ndarray]) -> float:
    """Mean over queries of which one row is relevant, at any place alike."""
    shown = np.eye(PLACES)[g.integers(0, PLACES, 20_000)]
    return float(figure(shown).mean())


def test_ranking() -> None:
    g, place = np.random.default_rng(34), np.arange(1, PLACES + 1)
    assert ranks(g, reciprocal_rank) == pytest.approx((1 / place).mean(), abs=0.01)
    assert ranks(g, ndcg) == pytest.approx((1 / np.log2(place + 1)).mean(), abs=0.01)
    assert ranks(g, lambda shown: ndcg(shown, 3)) == pytest.approx(
        (1 / np.log2(place[:3] + 1)).sum() / PLACES, abs=0.01
    )


def test_forecasts() -> None:
    """Of a normal forecast that is as sure as it should be."""
    g, levels = np.random.default_rng(35), (np.arange(39) + 0.5) / 39
    truth = g.normal(size=20_000)
    quantiles = np.tile(stats.norm.ppf(levels), (len(truth), 1))
    at_or_below, inside = int((truth <= quantiles[:, 35]).sum()), int((np.abs(truth) <= quantiles[:, 35]).sum())
    assert quantile_coverage(at_or_below, len(truth)).value == pytest.approx(levels[35], abs=0.01)
    assert interval_coverage(inside, len(truth)).value == pytest.approx(2 * levels[35] - 1, abs=0.01)
    assert crps_rows(truth, quantiles, levels).mean() == pytest.approx(1 / math.sqrt(math.pi), rel=0.02)
    middle = pinball(truth, quantiles[:, 19:20], levels[19:20]).mean()
    assert middle == pytest.approx(stats.norm.pdf(0), rel=0.02)  # half of E|z|
    histograms = g.multinomial(400, np.full(10, 0.1), 2000)
    assert np.mean([pit_distance(counts).value for counts in histograms]) == pytest.approx(0.0, abs=0.001)
    assert np.mean([pit_test(counts).statistic for counts in histograms]) == pytest.approx(9.0, rel=0.03)
