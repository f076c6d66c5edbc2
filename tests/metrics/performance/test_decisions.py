"""Figures of decisions, scores and several classes against scikit-learn and scipy on the raw rows; intervals by simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics as sk
from tests.metrics.scored import Rows, bins_of, drawn, shapes

from calidris import semconv
from calidris.metrics import Status
from calidris.metrics.performance import multiclass
from calidris.metrics.performance.confusion import Confusion, balanced_accuracy, mcc, prevalence, specificity
from calidris.metrics.performance.decisions import binary_readings
from calidris.metrics.performance.discrimination import (
    WIDEST,
    average_precision,
    average_precision_bounds,
    gini,
    ks_separation,
    roc_auc,
)
from calidris.metrics.performance.performance_measures import (
    MEASURES,
    confusion,
    performance_of_bins,
    performance_readings,
    slice_labels,
)
from calidris.state import ScoresState, Slice, Spec

SPEC = Spec()
ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED


@pytest.fixture(params=[name for name in shapes() if name != "no rows"])
def rows(request: pytest.FixtureRequest) -> Rows:
    return shapes()[request.param]


def both(rows: Rows) -> bool:
    return len(set(rows.outcome.tolist())) == 2


def test_decisions_are_scikit_learns(rows: Rows) -> None:
    decided = (rows.score >= 0.5).astype(int)
    c = confusion(bins_of(rows), SPEC)
    negatives = rows.outcome == 0
    want = (decided[negatives] == 0).mean() if negatives.any() else math.nan
    assert specificity(c).value == pytest.approx(want, nan_ok=True)
    assert prevalence(c).value == rows.outcome.mean()
    if both(rows):
        assert balanced_accuracy(c).value == pytest.approx(sk.balanced_accuracy_score(rows.outcome, decided))
    else:
        assert math.isnan(balanced_accuracy(c).value)
    if both(rows) and len(set(decided.tolist())) == 2:
        assert mcc(c).value == pytest.approx(sk.matthews_corrcoef(rows.outcome, decided))
    else:
        assert math.isnan(mcc(c).value)


@given(st.tuples(*[st.integers(0, 10**6)] * 4))
def test_intervals_of_any_counts_hold_their_value_and_have_a_width(counts: tuple[int, int, int, int]) -> None:
    c = Confusion(*counts)
    for figure, lowest in ((balanced_accuracy, 0.0), (mcc, -1.0), (specificity, 0.0), (prevalence, 0.0)):
        got = figure(c)
        if not math.isnan(got.value):
            assert lowest - 1e-12 <= got.lower <= got.value + 1e-12
            assert got.value - 1e-12 <= got.upper <= 1 + 1e-12
            assert got.upper > got.lower


@pytest.mark.parametrize("cells", [(0.4, 0.1, 0.1, 0.4), (0.05, 0.05, 0.02, 0.88), (0.25, 0.25, 0.25, 0.25)])
@pytest.mark.parametrize("figure", [balanced_accuracy, mcc])
def test_intervals_cover_the_truth(cells: tuple[float, ...], figure) -> None:
    """2000 samples of 200 rows: 92 to 98 %."""
    truth = figure(Confusion(*(round(1e9 * p) for p in cells))).value
    draws = np.random.default_rng(1).multinomial(200, cells, 2000)
    found = [figure(Confusion(*row)) for row in draws.tolist()]
    assert 0.92 <= np.mean([f.lower <= truth <= f.upper for f in found]) <= 0.98


def test_average_precision_is_scikit_learns_within_its_bounds(rows: Rows) -> None:
    bins = bins_of(rows)
    got = average_precision(bins, SPEC)
    if not rows.outcome.any():
        assert math.isnan(got.value)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = sk.average_precision_score(rows.outcome, rows.score)
    worst, best = average_precision_bounds(bins)
    assert worst - 1e-9 <= raw <= best + 1e-9
    if best - worst > WIDEST:
        assert math.isnan(got.value)
        return
    assert worst - 1e-9 <= got.value <= best + 1e-9
    assert got.lower <= raw <= got.upper


@pytest.mark.parametrize(("name", "tolerance"), [("calibrated", 0.005), ("overconfident", 0.01), ("rare", 0.02)])
def test_average_precision_is_near_that_of_raw_scores(name: str, tolerance: float) -> None:
    rows = shapes()[name]
    raw = sk.average_precision_score(rows.outcome, rows.score)
    assert average_precision(bins_of(rows), SPEC).value == pytest.approx(raw, abs=tolerance)


def test_bounds_of_average_precision_are_those_of_the_extreme_orders() -> None:
    """Two bins; the best order has the positives of a bin tied, as scikit-learn counts ties."""
    rows = Rows(np.array([0.905, 0.91, 0.915, 0.2, 0.21, 0.2]), np.array([1, 0, 1, 0, 1, 0]))
    worst, best = average_precision_bounds(bins_of(rows))
    assert best == pytest.approx((1 + 1 + 3 / 4) / 3)
    assert worst == pytest.approx((1 / 2 + 2 / 3 + 3 / 6) / 3)


def test_ks_separation_is_scipys_within_a_bin(rows: Rows) -> None:
    bins = bins_of(rows)
    got = ks_separation(bins, SPEC)
    if not both(rows):
        assert math.isnan(got.value)
        return
    raw = stats.ks_2samp(rows.score[rows.outcome == 1], rows.score[rows.outcome == 0]).statistic
    widest = max((n / n.sum()).max() for n in bins[..., 0])
    if math.isnan(got.value):
        assert widest > WIDEST
        return
    assert raw - widest - 1e-12 <= got.value <= raw + 1e-12
    assert got.lower <= raw <= got.upper


@pytest.mark.parametrize(
    ("low", "high"), [(1e-6, 6e-5), (0.3, 0.302), (0.99995, 0.999999)], ids=["tiny", "narrow", "nearly certain"]
)
def test_the_order_of_scores_in_one_bin_is_not_known(low: float, high: float) -> None:
    """Scores that part the outcomes well, in a range that is one bin: .5 of all areas was told once, and could be any."""
    g = np.random.default_rng(2)
    outcome = g.integers(0, 2, 1000)
    rows = Rows(low + (high - low) * g.beta(2 + 2 * outcome, 4 - 2 * outcome), outcome)
    assert sk.roc_auc_score(rows.outcome, rows.score) > 0.8
    bins = bins_of(rows)
    for figure in (roc_auc, gini, ks_separation, average_precision):
        assert math.isnan(figure(bins, SPEC).value), figure.__name__


def test_gini_is_the_area_on_another_scale() -> None:
    bins = bins_of(shapes()["calibrated"])
    area = roc_auc(bins, SPEC)
    assert gini(bins, SPEC) == pytest.approx((2 * area.value - 1, area.n, 2 * area.lower - 1, 2 * area.upper - 1))


def test_intervals_of_scores_cover_the_truth() -> None:
    g = np.random.default_rng(5)
    big = drawn(g.beta(2, 3, 400_000), g)
    truth = {
        average_precision: sk.average_precision_score(big.outcome, big.score),
        ks_separation: stats.ks_2samp(big.score[big.outcome == 1], big.score[big.outcome == 0]).statistic,
    }
    for figure, value in truth.items():
        found = [figure(bins_of(drawn(g.beta(2, 3, 300), g)), SPEC) for _ in range(300)]
        assert np.mean([f.lower <= value <= f.upper for f in found]) >= 0.93


def test_every_measure_is_a_reading_of_each_slice() -> None:
    spec = Spec(slices=(Slice("country", ("NL", "BE")),))
    g = np.random.default_rng(6)
    rows, state = drawn(g.beta(2, 3, 400), g), ScoresState(spec)
    country = np.arange(400) % 3  # the third one is not kept apart
    state.update(rows.score, rows.outcome, np.zeros(400), np.array([1 + country]))
    labels = dict(slice_labels(spec))
    assert labels == {1: {"country": "NL"}, 2: {"country": "BE"}, 3: {"country": "(other)"}}
    for row, names in labels.items():
        found = performance_readings(
            spec, state, "1h", ARRIVED, measures=tuple(MEASURES), slice_row=row, labels=names, minimum=1
        )
        mine = Rows(rows.score[country == row - 1], rows.outcome[country == row - 1])
        alone = performance_of_bins(spec, bins_of(mine, spec), "1h", ARRIVED, measures=tuple(MEASURES), minimum=1)
        assert [r.value for r in found] == [r.value for r in alone]
        assert all(dict(r.attributes)["country"] == names["country"] for r in found)
        assert len(found) == len(MEASURES)


def classes(k: int, n: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    g = np.random.default_rng(seed)
    truth = g.integers(0, k, n)
    return truth, np.where(g.random(n) < 0.7, truth, g.integers(0, k, n))


@pytest.mark.parametrize(("k", "n"), [(2, 100), (3, 40), (5, 1000), (20, 60)])
def test_several_classes_are_scikit_learns(k: int, n: int) -> None:
    truth, decided = classes(k, n, k)
    counts = sk.confusion_matrix(truth, decided, labels=list(range(k)))
    assert multiclass.accuracy(counts).value == pytest.approx(sk.accuracy_score(truth, decided))
    assert multiclass.macro_f1(counts).value == pytest.approx(sk.f1_score(truth, decided, average="macro"))
    assert multiclass.weighted_f1(counts).value == pytest.approx(sk.f1_score(truth, decided, average="weighted"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        recall = sk.recall_score(truth, decided, average=None, labels=list(range(k)), zero_division=np.nan)
        precision = sk.precision_score(truth, decided, average=None, labels=list(range(k)), zero_division=np.nan)
        balanced = sk.balanced_accuracy_score(truth, decided)
    assert multiclass.balanced_accuracy(counts).value == pytest.approx(balanced)
    assert [multiclass.recall_of(counts, i).value for i in range(k)] == pytest.approx(recall, nan_ok=True)
    assert [multiclass.precision_of(counts, i).value for i in range(k)] == pytest.approx(precision, nan_ok=True)


@pytest.mark.parametrize("figure", [multiclass.macro_f1, multiclass.weighted_f1, multiclass.balanced_accuracy])
def test_intervals_of_several_classes_cover_the_truth(figure) -> None:
    """1500 samples of 300 rows over four unequal classes: 92 to 98 %."""
    shares = np.array([[30, 3, 2, 1], [4, 20, 3, 1], [1, 2, 15, 2], [1, 1, 2, 12]]) / 100
    truth = figure(np.rint(shares * 1e9).astype(np.int64)).value
    draws = np.random.default_rng(7).multinomial(300, shares.ravel(), 1500).reshape(-1, 4, 4)
    found = [figure(counts) for counts in draws]
    assert 0.92 <= np.mean([f.lower <= truth <= f.upper for f in found]) <= 0.98


def test_a_perfect_matrix_keeps_its_doubt_and_an_empty_one_says_nothing() -> None:
    perfect = np.diag([10, 10, 10])
    for figure in multiclass.MEASURES.values():
        got = figure(perfect)
        assert got.value == 1.0
        assert got.lower < 0.999
        assert math.isnan(figure(np.zeros((3, 3), np.int64)).value)


def test_readings_of_several_classes() -> None:
    truth, decided = classes(3, 90, 9)
    counts = sk.confusion_matrix(truth, decided)
    found = multiclass.multiclass_readings(counts, ("a", "b", "c"), "1d", ARRIVED, labels={"country": "NL"})
    assert len(found) == 4 + 6
    assert {r.status for r in found} == {Status.OK}
    assert dict(found[-1].attributes)[semconv.ML_PREDICTION_CLASS] == "c"
    few = multiclass.multiclass_readings(np.diag([5, 5, 5]), ("a", "b", "c"), "1d", ARRIVED)
    assert {r.status for r in few} == {Status.TOO_FEW}


def test_classwise_ece_is_the_mean_over_classes() -> None:
    g = np.random.default_rng(8)
    p = g.dirichlet([2, 1, 1], 4000)
    truth = (p.cumsum(axis=1) < g.random(4000)[:, None]).sum(axis=1)
    raw, bins = [], []
    for k in range(3):
        y, s = (truth == k).astype(np.int64), p[:, k]
        into = np.sum([s >= i / 10 for i in range(1, 10)], axis=0)
        raw.append(sum(abs((s - y)[into == b].sum()) for b in range(10)) / 4000)
        bins.append(bins_of(Rows(s, y)))
    assert multiclass.classwise_ece(bins, SPEC).value == pytest.approx(np.mean(raw), abs=1e-8)
    assert multiclass.classwise_ece(bins, SPEC, debiased=True).value < np.mean(raw)
    assert math.isnan(multiclass.classwise_ece([bins_of(shapes()["no rows"])], SPEC).value)


def test_average_precision_of_a_handful_of_positives_is_too_few() -> None:
    """One positive of thirty rows is no sign that positives are one in thirty, and average precision follows how common they are."""
    score = np.linspace(0.01, 0.99, 60)
    for positives, status in ((4, Status.TOO_FEW), (5, Status.OK)):
        outcome = (np.arange(60) >= 60 - positives).astype(np.int64)
        rows = Rows(score, outcome)
        counts = np.array([[60 - positives, 0], [0, positives]])
        (found,) = binary_readings(counts, bins_of(rows), SPEC, "1h", ARRIVED, measures=["average_precision"])
        assert found.status is status


def test_rare_classes_widen_the_interval_of_macro_f1() -> None:
    """One row in a hundred of the fourth class: its F1 is anything, and the delta method held the truth in 82 %."""
    counts = np.array([[55, 4, 1, 0], [5, 22, 2, 0], [2, 2, 6, 0], [0, 0, 0, 1]])
    found = multiclass.macro_f1(counts)
    alone = multiclass.macro_f1(np.vstack([np.hstack([counts[:3, :3], np.zeros((3, 1), int)]), np.zeros((1, 4), int)]))
    assert found.upper - found.lower > 0.25
    # A class that did not come may have any F1: a quarter of the mean each way.
    assert alone.value - alone.lower >= alone.value / 4
    assert alone.upper - alone.value >= (1 - alone.value) / 4


def test_classes_nearly_always_right_leave_room_above() -> None:
    g, held = np.random.default_rng(6), 0
    for _ in range(400):
        counts = np.diag(g.binomial(10, 0.97, 10))
        counts[np.arange(10), (np.arange(10) + 1) % 10] = 10 - np.diag(counts)
        found = multiclass.balanced_accuracy(counts)
        held += found.lower <= 0.97 <= found.upper
    assert held >= 370
