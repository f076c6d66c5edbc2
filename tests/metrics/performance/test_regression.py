"""Regression, forecasts and rankings against scikit-learn and plain numpy on the raw rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk

from calidris import semconv
from calidris.metrics import Reading, Status
from calidris.metrics.performance.forecasts import (
    crps_rows,
    interval_coverage,
    pinball,
    pit_distance,
    pit_test,
    quantile_coverage,
)
from calidris.metrics.performance.ranking import QuerySums, ndcg, reciprocal_rank
from calidris.metrics.performance.regression import MEASURES, Errors, mape, r_squared, regression_readings, rmse
from calidris.state import Field, Kind, Loss, ResidualsState, Role, Spec

Floats = NDArray[np.float64]


class Moments(NamedTuple):
    n: int
    mean: float
    variance: float
    clipped: int = 0


VALUE = Field(semconv.ML_PREDICTION_VALUE, Role.VALUE, Kind.NUMERIC, edges=(0.0, 10.0, 20.0, 40.0, 200.0))
SPEC = Spec(task=semconv.ML_MODEL_TASK_REGRESSION, fields=(VALUE,), losses=(Loss("absolute_error", 9.0),))


def moments(x: Floats) -> Moments:
    return Moments(len(x), float(x.mean()), float(x.var())) if len(x) else Moments(0, math.nan, math.nan)


def errors(truth: Floats, predicted: Floats) -> Errors:
    e, there = predicted - truth, truth != 0
    relative = np.abs(e[there] / truth[there])
    return Errors(moments(e), moments(np.abs(e)), moments(e**2), moments(truth), moments(relative))


def shapes() -> dict[str, tuple[Floats, Floats]]:
    g = np.random.default_rng(1)
    x = g.gamma(2.0, 10.0, 500)
    return {
        "usual": (x, x + g.normal(0.5, 3, 500)),
        "far from zero": (x + 1e6, x + 1e6 + g.normal(0, 3, 500)),
        "perfect": (x, x.copy()),
        "worse than the mean": (x, -x),
        "with zeros": (np.where(x < 10, 0.0, x), x),
        "heavy tails": (x, x + g.standard_t(3, 500)),
        "one row": (x[:1], x[:1] + 1),
        "constant truth": (np.full(50, 3.0), g.normal(3, 1, 50)),
    }


@pytest.mark.parametrize("name", list(shapes()))
def test_errors_are_scikit_learns(name: str) -> None:
    truth, predicted = shapes()[name]
    found = {measure: figure(errors(truth, predicted)) for measure, figure in MEASURES.items()}
    assert found["mae"].value == pytest.approx(sk.mean_absolute_error(truth, predicted))
    assert found["rmse"].value == pytest.approx(sk.root_mean_squared_error(truth, predicted))
    assert found["bias"].value == pytest.approx((predicted - truth).mean())
    there = truth != 0
    assert found["mape"].value == pytest.approx(sk.mean_absolute_percentage_error(truth[there], predicted[there]))
    if len(truth) > 1 and np.ptp(truth) > 0:
        assert found["r_squared"].value == pytest.approx(sk.r2_score(truth, predicted), rel=1e-9, abs=1e-9)
    else:
        assert math.isnan(found["r_squared"].value)
    for f in found.values():
        assert math.isnan(f.lower) or f.lower <= f.value <= f.upper


def test_means_have_the_textbooks_interval() -> None:
    truth, predicted = shapes()["usual"]
    got = MEASURES["bias"](errors(truth, predicted))
    e = predicted - truth
    assert (got.lower, got.upper) == pytest.approx(stats.norm.interval(0.95, e.mean(), stats.sem(e)))


def test_intervals_cover_the_truth() -> None:
    g = np.random.default_rng(2)
    inside: dict[str, list[bool]] = {name: [] for name in ("mae", "rmse", "bias")}
    truth = {"mae": 2 * math.sqrt(2 / math.pi), "rmse": 2.0, "bias": 0.0}
    for _ in range(600):
        y = g.normal(10, 3, 150)
        found = errors(y, y + g.normal(0, 2, 150))
        for name, held in inside.items():
            f = MEASURES[name](found)
            held.append(f.lower <= truth[name] <= f.upper)
    assert all(0.92 <= np.mean(share) <= 0.98 for share in inside.values())


def test_r_squared_of_the_same_truths_lies_in_its_interval() -> None:
    g = np.random.default_rng(3)
    y = g.normal(0, 3, 200)
    truth = 1 - 4.0 / y.var()
    found = [r_squared(errors(y, y + g.normal(0, 2, 200))) for _ in range(600)]
    assert 0.92 <= np.mean([f.lower <= truth <= f.upper for f in found]) <= 0.98


def test_a_state_gives_the_same_figures() -> None:
    truth, predicted = shapes()["usual"]
    state = ResidualsState(SPEC)
    state.update(truth, predicted, np.zeros(500))
    for figure in MEASURES.values():
        assert figure(Errors.of(state)) == pytest.approx(figure(errors(truth, predicted)), rel=1e-3)


def of_state(truth: Floats, predicted: Floats) -> dict[str, Reading]:
    """Figures as a state keeps them whose baseline's errors are of the size of 3."""
    state = ResidualsState(SPEC)
    state.update(truth, predicted, np.zeros(len(truth)))
    found = regression_readings(Errors.of(state), "1d", "arrived")
    return {dict(r.attributes)[semconv.ML_PERFORMANCE_MEASURE]: r for r in found}


@pytest.mark.parametrize("factor", [1e4, 1e5, 1e7, 1e9, 1e200])
def test_errors_beyond_what_sums_hold_never_look_better(factor: float) -> None:
    """The truth in cents, in thousandths, as somebody's sentinel: the larger the failure, the larger what is said of it."""
    truth, predicted = shapes()["usual"]
    before, found = of_state(truth, predicted), of_state(truth * factor, predicted)
    error = predicted - truth * factor
    true_mae = np.abs(error).mean()
    true_rmse = factor * math.sqrt(((error / factor) ** 2).mean())  # 1e200 squared is no double
    assert found["r_squared"].value is None and found["r_squared"].status is Status.UNDEFINED
    for measure, right in (("mae", true_mae), ("rmse", true_rmse)):
        r = found[measure]
        assert r.status is Status.APPROXIMATE and r.upper is None
        assert before[measure].upper < r.value <= right * (1 + 1e-6) and r.lower <= right
    assert (found["bias"].status, found["bias"].lower, found["bias"].upper) == (Status.APPROXIMATE, None, None)
    assert found["rmse"].value >= found["mae"].value >= abs(found["bias"].value)
    assert found["mae"].marked(Status.PARTIAL).status is Status.APPROXIMATE


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), min_size=30, max_size=60))
def test_the_laws_of_errors_hold_for_any_input(rows: list[tuple[float, float]]) -> None:
    truth, predicted = np.array(rows).T
    found = of_state(truth, predicted)
    assert found["rmse"].value >= found["mae"].value >= abs(found["bias"].value)


def test_readings_of_a_regression() -> None:
    found = regression_readings(errors(*shapes()["usual"]), "1d", "arrived", labels={"country": "NL"})
    assert [dict(r.attributes)[semconv.ML_PERFORMANCE_MEASURE] for r in found] == list(MEASURES)
    assert {r.status for r in found} == {Status.OK}
    nothing = errors(np.zeros(0), np.zeros(0))
    assert {r.status for r in regression_readings(nothing, "1d", "arrived")} == {Status.TOO_FEW}
    assert {r.status for r in regression_readings(nothing, "1d", "arrived", minimum=0)} == {Status.TOO_FEW}
    zeros = errors(np.zeros(40), np.ones(40))
    assert math.isnan(mape(zeros).value)
    assert rmse(zeros).value == 1.0


@pytest.mark.parametrize("k", [1, 3, 10, None])
def test_ndcg_is_scikit_learns(k: int | None) -> None:
    g = np.random.default_rng(4)
    shown = g.integers(0, 4, (30, 10)).astype(float)
    order = -np.arange(10.0)
    for got, row in zip(ndcg(shown, k), shown):
        assert got == pytest.approx(sk.ndcg_score([row], [order], k=k))


def test_queries_of_unequal_length_and_without_relevance() -> None:
    nan = math.nan
    got = ndcg([[1, 0, nan], [0, 0, nan], [0, 2, 1]])
    assert got[0] == 1.0
    assert math.isnan(got[1])
    assert got[2] == pytest.approx(sk.ndcg_score([[0, 2, 1]], [[3, 2, 1]]))
    assert reciprocal_rank([[0, nan, nan]]).tolist() == pytest.approx([nan], nan_ok=True)
    with pytest.raises(ValueError, match="negative"):
        ndcg([[-1.0]])


def test_sums_over_queries_add_up() -> None:
    g = np.random.default_rng(5)
    figures = reciprocal_rank(g.integers(0, 2, (200, 6)))
    whole, parts = QuerySums.of(figures), QuerySums.of(figures[:70]).plus(QuerySums.of(figures[70:]))
    assert whole == pytest.approx(parts)
    known = figures[~np.isnan(figures)]
    mean = whole.mean()
    assert (mean.value, mean.n) == (pytest.approx(known.mean()), len(known))
    assert mean.lower == pytest.approx(known.mean() - 1.959964 * stats.sem(known), rel=1e-6)
    assert math.isnan(QuerySums.of(np.full(3, math.nan)).mean().value)


def test_coverage_is_a_share_with_wilsons_interval() -> None:
    got = quantile_coverage(90, 100)
    want = stats.binomtest(90, 100).proportion_ci(0.95, "wilson")
    assert (got.value, got.lower, got.upper) == pytest.approx((0.9, want.low, want.high))
    assert interval_coverage(90, 100) == got
    assert math.isnan(quantile_coverage(0, 0).value)


def test_pit_is_scipys_chi_square() -> None:
    g = np.random.default_rng(6)
    uniform = np.histogram(g.random(1000), 10, (0, 1))[0]
    want = stats.chisquare(uniform)
    assert pit_test(uniform) == pytest.approx((want.statistic, want.pvalue))
    assert pit_test(np.histogram(g.beta(2, 2, 1000), 10, (0, 1))[0]).p_value < 1e-6
    assert math.isnan(pit_test(np.zeros(10, np.int64)).p_value)
    assert math.isnan(pit_distance(np.zeros(10, np.int64)).value)


@pytest.mark.parametrize("tilt", [0.0, 0.3])
def test_pit_distance_is_unbiased_and_its_interval_covers(tilt: float) -> None:
    p = (1 + tilt * np.linspace(-1, 1, 10)) / 10
    truth = ((p - 0.1) ** 2).sum() * 10
    found = [pit_distance(c) for c in np.random.default_rng(7).multinomial(400, p, 2000)]
    values = np.array([f.value for f in found])
    assert abs(values.mean() - truth) < 4 * values.std() / math.sqrt(2000)
    assert np.mean([f.lower <= truth <= f.upper for f in found]) >= 0.93


def test_crps_of_quantiles_is_near_that_of_the_distribution() -> None:
    """A normal forecast has a closed form: σ (z (2Φ(z) - 1) + 2φ(z) - 1/√π)."""
    g = np.random.default_rng(8)
    mean, truth = g.normal(0, 1, 2000), g.normal(0, 1.5, 2000)
    z = truth - mean
    exact = z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi)
    for count, tolerance in ((9, 0.05), (19, 0.02), (99, 0.003)):
        levels = (np.arange(count) + 0.5) / count
        quantiles = mean[:, None] + stats.norm.ppf(levels)
        assert crps_rows(truth, quantiles, levels).mean() == pytest.approx(exact.mean(), rel=tolerance)
        assert pinball(truth, quantiles, levels)[:, 0].mean() == pytest.approx(
            sk.mean_pinball_loss(truth, quantiles[:, 0], alpha=levels[0])
        )
    with pytest.raises(ValueError, match="ascend"):
        crps_rows([1.0], [[1.0, 2.0]], [0.9, 0.1])
