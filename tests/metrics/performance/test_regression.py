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
from calidris.metrics.performance.errors_of_any_size import Spread
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
from calidris.state import Field, Kind, Loss, ResidualsState, Role, Spec, WideErrorsState

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
    found = moments(e), moments(np.abs(e)), moments(e**2), moments(truth), moments(relative)
    if not len(truth):
        return Errors(*found)
    d = truth - truth.mean()
    return Errors(*found, (e**2).max(), Spread((e**4).mean(), (e * e * d * d).mean(), (d**4).mean()))


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


def test_without_how_errors_go_with_truths_the_interval_is_of_the_same_truths() -> None:
    g = np.random.default_rng(3)
    y = g.normal(0, 3, 200)
    truth = 1 - 4.0 / y.var()
    made = [errors(y, y + g.normal(0, 2, 200))._replace(spread=None) for _ in range(600)]
    found = [r_squared(one) for one in made]
    assert 0.92 <= np.mean([f.lower <= truth <= f.upper for f in found]) <= 0.98
    readings = regression_readings(made[0], "1d", "arrived")
    assert [r.status for r in readings if ("r_squared" in dict(r.attributes).values())] == [Status.APPROXIMATE]


def states(truth: Floats, predicted: Floats) -> tuple[ResidualsState, WideErrorsState]:
    """The sums of a model whose baseline's errors are of the size of 3 and whose output lies between 0 and 200."""
    exact, wide = ResidualsState(SPEC), WideErrorsState(SPEC)
    for state in (exact, wide):
        state.update(truth, predicted, np.zeros(len(truth)))
    return exact, wide


def of_state(truth: Floats, predicted: Floats) -> dict[str, Reading]:
    """Figures as states keep them."""
    exact, wide = states(truth, predicted)
    return by_measure(Errors.of(exact, wide=wide))


def by_measure(found: Errors) -> dict[str, Reading]:
    readings = regression_readings(found, "1d", "arrived")
    return {dict(r.attributes)[semconv.ML_PERFORMANCE_MEASURE]: r for r in readings}


def scikit_learns(truth: Floats, predicted: Floats) -> dict[str, float]:
    return {
        "mae": sk.mean_absolute_error(truth, predicted),
        "rmse": sk.root_mean_squared_error(truth, predicted),
        "bias": float((predicted - truth).mean()),
        "r_squared": sk.r2_score(truth, predicted),
    }


def test_states_give_the_same_figures() -> None:
    truth, predicted = shapes()["usual"]
    exact, wide = states(truth, predicted)
    for figure in MEASURES.values():
        got, want = figure(Errors.of(exact, wide=wide)), figure(errors(truth, predicted))
        assert (got.value, got.n) == pytest.approx((want.value, want.n), rel=1e-3)
        # The largest row is known within what its level tells, so bounds are a little further out.
        assert (got.lower, got.upper) == pytest.approx((want.lower, want.upper), rel=5e-2)


@pytest.mark.parametrize("factor", [1.0, 10.0, 1e2, 1e3, 1e5, 1e7, 1e9])
def test_figures_of_errors_of_any_size_are_scikit_learns(factor: float) -> None:
    """Truths in cents, in thousandths, in what not: R² read .954 and RMSE less than MAE once."""
    truth, predicted = shapes()["usual"]
    truth = truth * factor
    found = of_state(truth, predicted)
    for measure, right in scikit_learns(truth, predicted).items():
        assert found[measure].status is Status.OK
        assert found[measure].value == pytest.approx(right, rel=1e-4 if factor < 100 else 1e-6)
        assert found[measure].lower < right < found[measure].upper


@pytest.mark.parametrize("factor", [1e3, 1e6, 1e9])
def test_wild_predictions_of_usual_truths_are_scikit_learns(factor: float) -> None:
    truth, predicted = shapes()["usual"]
    wild = truth + (predicted - truth) * factor
    found = of_state(truth, wild)
    for measure, right in scikit_learns(truth, wild).items():
        assert (found[measure].status, found[measure].value) == (Status.OK, pytest.approx(right, rel=1e-4))


@pytest.mark.parametrize("factor", [1e12, 1e200])
def test_errors_beyond_what_sums_hold_never_look_better(factor: float) -> None:
    """Somebody's sentinel: the larger the failure, the larger what is said of it."""
    truth, predicted = shapes()["usual"]
    before, found = of_state(truth, predicted), of_state(truth * factor, predicted)
    error = predicted - truth * factor
    true_mae = np.abs(error).mean()
    true_rmse = factor * math.sqrt(((error / factor) ** 2).mean())  # 1e200 squared is no double
    assert found["r_squared"].value is None and found["r_squared"].status is Status.UNDEFINED
    for measure, right in (("mae", true_mae), ("rmse", true_rmse)):
        r = found[measure]
        assert r.status is Status.APPROXIMATE and r.upper is None
        assert 1e9 * before[measure].upper < r.value <= right * (1 + 1e-6) and r.lower <= right
    assert (found["bias"].status, found["bias"].lower, found["bias"].upper) == (Status.APPROXIMATE, None, None)
    assert found["rmse"].value >= found["mae"].value >= abs(found["bias"].value)
    assert found["mae"].marked(Status.PARTIAL).status is Status.APPROXIMATE


def test_rows_of_an_earlier_version_have_exact_sums_alone() -> None:
    """Some rows were counted before there were coarser sums: what is clipped is then at least so much, as it was."""
    truth, predicted = shapes()["usual"]
    exact, wide = states(truth * 1e5, predicted)
    exact.update(truth[:1], predicted[:1], np.zeros(1))
    assert Errors.of(exact, wide=wide) == Errors.of(exact)
    found = by_measure(Errors.of(exact, wide=wide))
    assert (found["rmse"].status, found["rmse"].upper) == (Status.APPROXIMATE, None)
    assert found["r_squared"].status is Status.UNDEFINED
    usual, _ = states(truth, predicted)
    r2 = by_measure(Errors.of(usual))["r_squared"]
    assert (r2.status, r2.value) == (Status.APPROXIMATE, pytest.approx(sk.r2_score(truth, predicted), abs=1e-4))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12)), min_size=30, max_size=60))
def test_the_laws_of_errors_hold_for_any_input(rows: list[tuple[float, float]]) -> None:
    truth, predicted = np.array(rows).T
    found = of_state(truth, predicted)
    assert found["rmse"].value >= found["mae"].value >= abs(found["bias"].value)
    for r in found.values():
        assert r.lower is None or r.upper is None or r.lower <= r.value <= r.upper


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-1e9, 1e9)), min_size=30, max_size=60),
    st.integers(1, 29),
)
def test_rows_that_are_taken_off_again_leave_nothing(rows: list[tuple[float, float]], gone: int) -> None:
    """As a label that is revised does: sums, and so the largest row, are those of what is left."""
    truth, predicted = np.array(rows).T
    _, whole = states(truth, predicted)
    _, left = states(truth[gone:], predicted[gone:])
    taken = WideErrorsState.place(SPEC, truth[:gone], predicted[:gone], np.zeros(gone))
    whole.add(taken._replace(sums=-taken.sums))
    assert whole == left


def test_no_row_is_larger_than_what_is_said_of_the_largest() -> None:
    g = np.random.default_rng(9)
    for n in (1, 2, 30, 1000):
        for draw in (g.normal(0, 3, n), 1e6 * g.standard_t(2, n), 1e-4 * g.normal(size=n), np.full(n, 24.0)):
            exact, wide = states(np.zeros(n), draw)
            largest = Errors.of(exact, wide=wide).largest
            assert (draw**2).max() <= largest * (1 + 1e-6)
            # An eighth power of n rows alike is that many times one of them.
            assert largest <= max((draw**2).max() * n**0.25 * 1.001, 3e-2)


SHAPES = {
    "normal": (lambda g, n: g.normal(20, 8, n), lambda g, y: g.normal(0, 3, len(y))),
    "skewed truths": (lambda g, n: g.lognormal(3, 0.5, n), lambda g, y: g.normal(0, 3, len(y))),
    "errors that grow with truths": (lambda g, n: g.gamma(2, 10, n), lambda g, y: y * g.normal(0, 0.2, len(y))),
    "heavy tails": (lambda g, n: g.normal(20, 8, n), lambda g, y: 2 * g.standard_t(4, len(y))),
    "skewed errors": (lambda g, n: g.normal(20, 8, n), lambda g, y: 3 * (g.exponential(size=len(y)) - 1)),
}
"""Truths, and errors of them."""


@pytest.mark.parametrize("name", list(SHAPES))
@pytest.mark.parametrize("n", [30, 100, 300, 1000])
def test_where_the_status_is_ok_intervals_cover_the_truth(name: str, n: int) -> None:
    """The table of docs/statistics.md; where one row is more than a tenth of the squares nothing is claimed."""
    draw_truths, draw_errors = SHAPES[name]
    g = np.random.default_rng(11)
    many = draw_truths(g, 1_000_000)
    e = draw_errors(g, many)
    right = {"mae": np.abs(e).mean(), "rmse": math.sqrt((e**2).mean()), "r_squared": 1 - (e**2).mean() / many.var()}
    held: dict[str, list[bool]] = {measure: [] for measure in right}
    for _ in range(250):
        y = draw_truths(g, n)
        found = of_state(y, y + draw_errors(g, y))
        for measure, value in right.items():
            r = found[measure]
            if r.status is Status.OK:
                held[measure].append(r.lower <= value <= r.upper)
    for measure, hits in held.items():
        if len(hits) >= 125:  # where it is the rule, not what is left over
            assert np.mean(hits) >= 0.90, measure


def test_means_that_one_row_carries_are_approximate() -> None:
    truth, predicted = shapes()["usual"]
    usual = of_state(truth, predicted)
    assert {usual[m].status for m in ("mae", "rmse", "r_squared")} == {Status.OK}
    predicted = predicted.copy()
    predicted[0] += 100
    one = of_state(truth, predicted)
    assert {one[m].status for m in ("rmse", "r_squared")} == {Status.APPROXIMATE}
    assert one["mae"].status is Status.OK  # a fifteenth of their sum
    assert rmse(errors(truth, predicted)).upper ** 2 > (rmse(errors(truth, predicted)).value ** 2) + 1e4 / 500


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


def test_reciprocal_rank_is_scikit_learns_of_one_relevant_row() -> None:
    """Where one row of a query is relevant, the mean reciprocal rank is the ranking average precision."""
    g = np.random.default_rng(14)
    shown = np.eye(7)[g.integers(0, 7, 50)]
    want = sk.label_ranking_average_precision_score(shown, np.tile(-np.arange(7.0), (50, 1)))
    assert reciprocal_rank(shown).mean() == pytest.approx(want)


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
