"""Calibration and performance against scikit-learn and plain numpy on the raw rows."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics as sk
from statsmodels.stats.proportion import proportion_confint
from tests.metrics.scored import Rows, bins_of, drawn, shapes, state_of

from calidris import semconv
from calidris.batch import CodedColumn
from calidris.metrics import (
    BASELINE_WINDOW,
    Reading,
    Status,
    calibration_readings,
    coverage_reading,
    murphy,
    performance_readings,
    reliability,
)
from calidris.metrics.calibration.calibration_measures import MEASURES, brier, ece, ece_debiased, log_loss
from calidris.metrics.performance.discrimination import WIDEST
from calidris.metrics.performance.performance_measures import confusion, roc_auc, roc_auc_error
from calidris.state import ScoresState, Slice, Spec

BRIER_TOLERANCE, LOSS_TOLERANCE = 2e-9, 4e-8  # half a unit of the fixed point a row
ARRIVED = semconv.ML_LABEL_MATURITY_ARRIVED


@pytest.fixture(params=[name for name in shapes() if name != "no rows"])
def rows(request: pytest.FixtureRequest) -> Rows:
    return shapes()[request.param]


@pytest.fixture(params=[0.5, 0.3, 1 / 3, 0.1 + 0.2, 0.0, 1.0, 0.999999])
def spec(request: pytest.FixtureRequest) -> Spec:
    return Spec(threshold=request.param)


def sklearn(measure: str, rows: Rows, decided: NDArray[np.int64]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        known = {
            "accuracy": lambda: sk.accuracy_score(rows.outcome, decided),
            "precision": lambda: sk.precision_score(rows.outcome, decided, zero_division=np.nan),
            "recall": lambda: sk.recall_score(rows.outcome, decided, zero_division=np.nan),
            "f1": lambda: sk.f1_score(rows.outcome, decided, zero_division=np.nan),
        }
        return float(known[measure]())


def by_class(losses: NDArray[np.float64], outcome: NDArray[np.int64]) -> tuple[float, float]:
    """The interval of a mean loss from raw rows of both classes, two at least of each: Wilson's, two normal ones, and MOVER."""
    n, z = len(losses), 1.959963984540054
    share, rarely, often = outcome.mean(), *proportion_confint(outcome.sum(), n, method="wilson")
    means, ends = [], []
    for k in (0, 1):
        mine = losses[outcome == k]
        half = z * mine.std(ddof=1) / math.sqrt(len(mine))
        means.append(mine.mean())
        ends.append((max(mine.mean() - half, 0.0), mine.mean() + half))
    gap = means[1] - means[0]
    below = [share * (means[1] - ends[1][0]), (1 - share) * (means[0] - ends[0][0])]
    above = [share * (ends[1][1] - means[1]), (1 - share) * (ends[0][1] - means[0])]
    below.append(abs(gap) * (share - rarely if gap > 0 else often - share))
    above.append(abs(gap) * (often - share if gap > 0 else share - rarely))
    return losses.mean() - math.hypot(*below), losses.mean() + math.hypot(*above)


def test_brier_is_scikit_learns_with_an_interval_by_class(rows: Rows) -> None:
    got = brier(state_of(rows).bins())
    assert got.value == pytest.approx(sk.brier_score_loss(rows.outcome, rows.score), abs=BRIER_TOLERANCE)
    assert 0.0 <= got.lower <= got.value + 1e-9
    assert got.value - 1e-9 <= got.upper <= 1.0
    if min(np.bincount(rows.outcome, minlength=2)) > 1:
        lower, upper = by_class((rows.outcome - rows.score) ** 2, rows.outcome)
        assert got.upper == pytest.approx(min(1.0, upper), abs=1e-4)
        assert got.lower == pytest.approx(max(0.0, lower), abs=1e-4)


def test_log_loss_is_scikit_learns_with_an_interval_by_class(rows: Rows) -> None:
    got = log_loss(state_of(rows).bins())
    assert got.value == pytest.approx(sk.log_loss(rows.outcome, rows.score, labels=[0, 1]), abs=LOSS_TOLERANCE)
    assert got.lower <= got.value <= got.upper
    eps = np.finfo(float).eps
    p = np.clip(rows.score, eps, 1 - eps)
    losses = -np.where(rows.outcome == 1, np.log(p), np.log(1 - p))
    if min(np.bincount(rows.outcome, minlength=2)) > 1:
        assert got.upper == pytest.approx(by_class(losses, rows.outcome)[1], abs=1e-3)


@pytest.mark.parametrize("n", [30, 100, 500])
@pytest.mark.parametrize("over", [1.0, 2.0], ids=["calibrated", "overconfident"])
def test_intervals_hold_the_truth_where_positives_are_rare(n: int, over: float) -> None:
    """One row in sixty is positive; 95 % was claimed and 39 to 81 % held."""
    g = np.random.default_rng(2)

    def draw(rows: int) -> Rows:
        return drawn(g.beta(0.5, 30, rows) + 1e-9, g, scale=over)

    many = draw(1_000_000)
    truth = sk.brier_score_loss(many.outcome, many.score), sk.log_loss(many.outcome, many.score, labels=[0, 1])
    held = np.zeros(2)
    for _ in range(400):
        bins = bins_of(draw(n))
        held += [f.lower <= true <= f.upper for f, true in zip((brier(bins), log_loss(bins)), truth)]
    assert (held >= 0.91 * 400).all(), held


def tenth(score: NDArray[np.float64]) -> NDArray[np.int64]:
    """Bin above an edge that is hit, as numpy's histogram has it; plain comparisons with the decimal edges."""
    return np.sum([score >= k / 10 for k in range(1, 10)], axis=0)


def test_ece_is_that_of_the_raw_rows_in_ten_bins(rows: Rows, spec: Spec) -> None:
    bins = state_of(rows, spec).bins()
    groups = [(rows.score[tenth(rows.score) == b], rows.outcome[tenth(rows.score) == b]) for b in range(10)]
    groups = [(s, y) for s, y in groups if len(s)]
    want = sum(len(s) * abs(s.mean() - y.mean()) for s, y in groups) / len(rows.score)
    assert ece(bins, spec).value == pytest.approx(want, abs=BRIER_TOLERANCE)
    table = reliability(bins, spec)
    assert [b.n for b in table] == [len(s) for s, _ in groups]
    assert [b.mean_score for b in table] == pytest.approx([s.mean() for s, _ in groups], abs=BRIER_TOLERANCE)
    assert [b.mean_outcome for b in table] == pytest.approx([y.mean() for _, y in groups], abs=1e-12)
    assert all(b.lower <= b.mean_outcome + 1e-12 and b.mean_outcome - 1e-12 <= b.upper for b in table)


def test_debiased_ece_of_a_calibrated_model_has_lost_two_fifths_of_its_bias() -> None:
    g = np.random.default_rng(12)
    plain, debiased = [], []
    for _ in range(300):
        p = g.random(300)
        bins = state_of(drawn(p, g)).bins()
        plain.append(ece(bins, Spec()).value)
        debiased.append(ece_debiased(bins, Spec()).value)
    assert np.mean(plain) > 0.04
    assert np.mean(debiased) / np.mean(plain) == pytest.approx(2 - math.sqrt(2), abs=0.06)


def test_debiased_ece_is_the_mean_of_normal_draws() -> None:
    g = np.random.default_rng(13)
    rows = shapes()["overconfident"]
    rows = Rows(rows.score[:400], rows.outcome[:400])
    bins, biases = state_of(rows).bins(), []
    for b in reliability(bins, Spec()):
        spread = math.sqrt(b.mean_outcome * (1 - b.mean_outcome) / b.n)
        d = abs(b.mean_score - b.mean_outcome)
        biases.append(b.n / 400 * (np.abs(g.normal(d, spread, 200_000)).mean() - d))
    assert ece_debiased(bins, Spec()).value == pytest.approx(ece(bins, Spec()).value - sum(biases), abs=2e-4)


def test_murphys_parts_sum_to_brier_exactly(rows: Rows) -> None:
    bins = state_of(rows).bins()
    parts = murphy(bins)
    assert parts is not None
    assert parts.brier == pytest.approx(brier(bins).value, abs=1e-12)
    assert parts.uncertainty == pytest.approx(rows.outcome.mean() * (1 - rows.outcome.mean()), abs=1e-12)
    assert min(parts.reliability, parts.resolution) >= 0


def test_decisions_are_scikit_learns_at_the_threshold(rows: Rows, spec: Spec) -> None:
    decided = (rows.score >= spec.threshold).astype(np.int64)
    matrix = sk.confusion_matrix(rows.outcome, decided, labels=[0, 1])
    c = confusion(state_of(rows, spec).bins(), spec)
    assert [[c.true_negative, c.false_positive], [c.false_negative, c.true_positive]] == matrix.tolist()
    found = {dict(r.attributes)[semconv.ML_PERFORMANCE_MEASURE]: r for r in readings(spec, rows)}
    for measure in ("accuracy", "precision", "recall", "f1"):
        want, r = sklearn(measure, rows, decided), found[measure]
        if math.isnan(want):
            assert r.status is Status.UNDEFINED
        else:
            assert r.value == pytest.approx(want, abs=1e-12)
            assert r.lower is not None
            assert r.upper is not None
            assert r.lower <= r.value <= r.upper
            assert r.upper > r.lower


def test_auc_is_scikit_learns_within_its_stated_error(rows: Rows) -> None:
    bins = state_of(rows).bins()
    got = roc_auc(bins, Spec())
    if len(set(rows.outcome.tolist())) < 2:
        assert math.isnan(got.value)
        return
    raw = sk.roc_auc_score(rows.outcome, rows.score)
    if 2 * roc_auc_error(bins) > WIDEST:
        assert math.isnan(got.value)
        return
    assert abs(got.value - raw) <= roc_auc_error(bins) + 1e-12
    assert got.lower <= raw <= got.upper


def test_auc_of_many_rows_is_close() -> None:
    rows = shapes()["calibrated"]
    bins = state_of(rows).bins()
    assert roc_auc(bins, Spec()).value == pytest.approx(sk.roc_auc_score(rows.outcome, rows.score), abs=2e-3)
    assert roc_auc_error(bins) < 0.04


def readings(spec: Spec, rows: Rows) -> list[Reading]:
    return performance_readings(spec, state_of(rows, spec), "1h", ARRIVED, minimum=1)


@settings(max_examples=60, deadline=None)
@given(data=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), max_size=40), threshold=st.floats(0, 1))
def test_no_rows_whatever_give_a_nan(data: list[tuple[float, int]], threshold: float) -> None:
    spec = Spec(threshold=threshold)
    rows = Rows(np.array([p for p, _ in data], float), np.array([y for _, y in data], np.int64))
    s = state_of(rows, spec)
    found = [
        *calibration_readings(spec, s, "1h", ARRIVED, measures=tuple(MEASURES), minimum=0),
        *performance_readings(spec, s, "1h", ARRIVED, minimum=0),
    ]
    assert len(found) == len(MEASURES) + 5
    for r in found:
        assert r.value is None or math.isfinite(r.value)
        assert (r.status is Status.TOO_FEW) == (not data)


def test_calibration_readings_say_what_they_are_of() -> None:
    rows = shapes()["calibrated"]
    found = calibration_readings(Spec(), state_of(rows), BASELINE_WINDOW, ARRIVED)
    assert [dict(r.attributes)[semconv.ML_CALIBRATION_MEASURE] for r in found] == ["brier", "log_loss", "ece"]
    assert {r.metric for r in found} == {semconv.METRIC_ML_CALIBRATION_SCORE}
    assert {(r.window, r.n, r.status) for r in found} == {("baseline", 5000, Status.OK)}
    assert [r.lower is not None for r in found] == [True, True, False]


def test_too_few_labels_have_no_figure() -> None:
    rows = Rows(np.full(29, 0.5), np.ones(29, np.int64))
    s = state_of(rows)
    found = [*calibration_readings(Spec(), s, "1h", ARRIVED), *performance_readings(Spec(), s, "1h", ARRIVED)]
    assert {r.status for r in found} == {Status.TOO_FEW}


def test_a_slice_and_a_delay_are_read_alone() -> None:
    spec = Spec(slices=(Slice("country", ("NL", "BE")),))
    g = np.random.default_rng(14)
    score, outcome, delay = g.random(200), g.integers(0, 2, 200), np.where(np.arange(200) % 2, 60.0, 1e6)
    country = ["NL" if i % 4 < 2 else None for i in range(200)]
    s = ScoresState(spec)
    s.update(score, outcome, delay, spec.slice_rows([CodedColumn.of(country)]))
    (r,) = calibration_readings(
        spec, s, "1h", ARRIVED, measures=["brier"], slice_row=1, delay=0, labels={"country": "NL"}
    )
    mine = [i for i in range(200) if country[i] and delay[i] == 60.0]
    assert r.n == len(mine)
    assert r.value == pytest.approx(((score - outcome)[mine] ** 2).mean(), abs=BRIER_TOLERANCE)
    assert dict(r.attributes)["country"] == "NL"


def test_several_classes_have_the_accuracy_of_their_top_label() -> None:
    spec = Spec(task=semconv.ML_MODEL_TASK_MULTICLASS, classes=("a", "b", "c"))
    rows = Rows(np.full(40, 0.4), np.array([1] * 30 + [0] * 10))  # below the threshold, which says nothing here
    (r,) = performance_readings(spec, state_of(rows, spec), "1h", ARRIVED)
    assert (r.value, r.n) == (0.75, 40)


def test_a_regression_has_no_probabilities() -> None:
    spec = Spec(task=semconv.ML_MODEL_TASK_REGRESSION)
    assert calibration_readings(spec, ScoresState(spec), "1h", ARRIVED) == []
    assert performance_readings(spec, ScoresState(spec), "1h", ARRIVED) == []


def test_label_coverage() -> None:
    r = coverage_reading(0, 50, "1h")
    assert (r.metric, r.value, r.n, r.lower) == (semconv.METRIC_ML_LABEL_COVERAGE, 0.0, 50, 0.0)
    assert r.upper == pytest.approx(0.0713, abs=1e-4)
    assert coverage_reading(0, 0, "1h").status is Status.TOO_FEW
    assert coverage_reading(5, 4, "1h").status is Status.UNDEFINED
