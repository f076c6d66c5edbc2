"""Estimates without labels: derived by hand on raw rows, and by simulation under shifts whose truth is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn import metrics as sk
from sklearn.isotonic import IsotonicRegression
from tests.metrics.scored import Rows, bins_of, shapes

from calidris import semconv
from calidris.metrics import Status
from calidris.metrics.estimate.assumptions import (
    Trust,
    estimate_readings,
    map_p_value,
    mixture_p_value,
    residual,
    residual_reading,
    trust,
)
from calidris.metrics.estimate.estimates import average_confidence, bin_means, cbpe, difference_of_confidence
from calidris.metrics.estimate.isotonic import calibration_map, pool_adjacent
from calidris.metrics.estimate.label_shift import bbse
from calidris.state import ScoresState, Spec

SPEC = Spec(threshold=0.4)
Floats = NDArray[np.float64]


def world(n: int, g: np.random.Generator, a: float = 2.0, b: float = 3.0) -> Rows:
    """Scores that are too extreme, P(y=1 | score) the same for every a and b: the shift that CBPE allows."""
    score = g.beta(a, b, n)
    return Rows(score, (g.random(n) < expit(0.6 * logit(score) - 0.2)).astype(np.int64))


def rows_of(rows: Rows, spec: Spec = SPEC) -> Floats:
    return np.bincount(np.searchsorted(spec.score_edges, rows.score, side="right"), minlength=len(spec.score_edges) + 1)


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9)), min_size=1, max_size=30))
def test_pooling_is_scikit_learns_isotonic_regression(groups: list[tuple[int, int]]) -> None:
    k, n = np.array([min(k, n) for k, n in groups], float), np.array([n for _, n in groups], float)
    block = pool_adjacent(k, n)
    share = (np.bincount(block, k) / np.bincount(block, n))[block]
    want = IsotonicRegression().fit_transform(np.arange(len(k)), k / n, sample_weight=n)
    assert share == pytest.approx(want)
    assert (np.diff(share[np.flatnonzero(np.diff(block, prepend=-1))]) > 0).all()


def test_the_map_takes_unseen_bins_from_a_neighbour() -> None:
    found = calibration_map(bins_of(Rows(np.array([0.3, 0.3, 0.7]), np.array([0, 1, 1])), SPEC))
    assert found is not None
    assert found.seen.sum() == 2
    assert set(found.chance.tolist()) == {0.5, 1.0}
    assert (np.diff(found.chance) >= 0).all()
    assert (found.noise > 0).all()
    assert calibration_map(bins_of(shapes()["no rows"])) is None


def expected_figures(chance: Floats, score: Floats, threshold: float) -> dict[str, float]:
    """CBPE row by row, as it is defined."""
    yes = score >= threshold
    tp, fp, fn, tn = chance[yes].sum(), (1 - chance[yes]).sum(), chance[~yes].sum(), (1 - chance[~yes]).sum()
    return {
        "accuracy": (tp + tn) / len(score),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": tp / (tp + (fp + fn) / 2),
        # The area of rows that are positive with a weight c and negative with 1 - c.
        "roc_auc": sk.roc_auc_score(
            np.repeat([1, 0], len(score)), np.tile(score, 2), sample_weight=np.r_[chance, 1 - chance]
        ),
        "prevalence": chance.mean(),
    }


def test_cbpe_is_the_sum_over_raw_rows() -> None:
    g = np.random.default_rng(1)
    before, now = world(3000, g), world(800, g, 3, 2)
    found = calibration_map(bins_of(before, SPEC))
    assert found is not None
    into = np.searchsorted(SPEC.score_edges, now.score, side="right")
    # Every row of a bin on one score, because the bins keep no order inside.
    want = expected_figures(found.chance[into], into.astype(float), np.searchsorted(SPEC.score_edges, 0.4) + 1)
    got = cbpe(found, rows_of(now), SPEC)
    for name, value in want.items():
        assert got[name].value == pytest.approx(value, rel=1e-9), name
        assert got[name].lower < value < got[name].upper


@pytest.mark.parametrize(("a", "b"), [(2, 3), (4, 3), (1, 4)])
@pytest.mark.parametrize(("m", "n"), [(1000, 400), (4000, 2000)])
def test_the_interval_holds_what_the_labels_would_have_shown(a: float, b: float, m: int, n: int) -> None:
    """150 worlds each: 90 % and more, baseline noise and shifted scores included."""
    g = np.random.default_rng([a, b, m])
    inside: dict[str, list[bool]] = {}
    for _ in range(150):
        found, now = calibration_map(bins_of(world(m, g), SPEC)), world(n, g, a, b)
        assert found is not None
        yes, y = now.score >= 0.4, now.outcome == 1
        ranks = now.score.argsort().argsort() + 1
        realised = {
            "accuracy": (yes == y).mean(),
            "precision": y[yes].mean(),
            "recall": yes[y].mean(),
            "f1": 2 * (yes & y).sum() / (yes.sum() + y.sum()),
            "roc_auc": (ranks[y].sum() - y.sum() * (y.sum() + 1) / 2) / (y.sum() * (~y).sum()),
            "prevalence": y.mean(),
        }
        for name, f in cbpe(found, rows_of(now), SPEC).items():
            inside.setdefault(name, []).append(f.lower <= realised[name] <= f.upper)
    for name, share in inside.items():
        assert np.mean(share) >= 0.9, (name, np.mean(share))
    assert np.mean([x for share in inside.values() for x in share]) >= 0.93


def test_confidence_is_right_where_scores_are_and_doc_corrects_a_constant_error() -> None:
    g = np.random.default_rng(3)
    before, now = world(20_000, g), world(20_000, g, 4, 3)
    bins = bins_of(before, SPEC)
    ac = average_confidence(rows_of(now), SPEC, bin_means(bins, SPEC))
    want = np.where(now.score >= 0.4, now.score, 1 - now.score).mean()
    assert ac.value == pytest.approx(want, abs=0.002)
    realised = ((now.score >= 0.4) == now.outcome).mean()
    doc = difference_of_confidence(bins, rows_of(now), SPEC)
    found = calibration_map(bins)
    assert found is not None
    errors = [abs(x.value - realised) for x in (cbpe(found, rows_of(now), SPEC)["accuracy"], doc, ac)]
    assert errors[0] < errors[1] < errors[2]


def test_nothing_gives_nothing() -> None:
    empty, none = bins_of(shapes()["no rows"], SPEC), np.zeros(len(SPEC.score_edges) + 1)
    found = calibration_map(bins_of(shapes()["calibrated"], SPEC))
    assert found is not None
    assert all(math.isnan(f.value) for f in cbpe(found, none, SPEC).values())
    assert math.isnan(average_confidence(none, SPEC, bin_means(empty, SPEC)).value)
    assert math.isnan(difference_of_confidence(empty, none, SPEC).value)
    low = rows_of(Rows(np.full(50, 0.1), np.zeros(50, np.int64)))
    assert math.isnan(cbpe(found, low, SPEC)["precision"].value)  # no positive decision


def test_bbse_solves_for_the_shares() -> None:
    confusion = np.array([[80, 15, 5], [10, 70, 20], [5, 5, 90]])
    given_truth = confusion / confusion.sum(axis=1, keepdims=True)
    share = np.array([0.2, 0.5, 0.3])
    found = bbse(confusion, np.rint(share @ given_truth * 100_000).astype(np.int64))
    assert found is not None
    assert found.share == pytest.approx(share, abs=1e-4)
    assert (found.lower < share).all()
    assert (share < found.upper).all()


@pytest.mark.parametrize("prior", [0.05, 0.3, 0.8])
def test_bbse_covers_the_truth_under_label_shift(prior: float) -> None:
    g, given_truth = np.random.default_rng(4), np.array([[0.85, 0.15], [0.3, 0.7]])
    inside = []
    for _ in range(500):
        confusion = np.stack([g.multinomial(1000, given_truth[0]), g.multinomial(300, given_truth[1])])
        q = np.array([1 - prior, prior]) @ given_truth
        found = bbse(confusion, g.multinomial(600, q))
        assert found is not None
        inside.append(found.lower[1] <= prior <= found.upper[1])
    assert 0.92 <= np.mean(inside) <= 0.98


@pytest.mark.parametrize(
    ("confusion", "decided"),
    [
        ([[50, 50], [50, 50]], [5, 5]),  # decisions say nothing
        ([[90, 10], [3, 5]], [5, 5]),  # a class is too rare
        ([[90, 10], [10, 90]], [0, 0]),  # no rows
        ([[800, 200], [300, 700]], [100, 900]),  # more positives are decided than if all were positive
    ],
)
def test_bbse_refuses(confusion: list[list[int]], decided: list[int]) -> None:
    assert bbse(np.array(confusion), np.array(decided)) is None


def test_bbse_clips_what_noise_alone_puts_beyond_one() -> None:
    found = bbse(np.array([[800, 200], [300, 700]]), np.array([145, 355]))
    assert found is not None
    assert found.share[1] == 1.0
    assert found.lower[1] < 0.99 and found.upper[1] == 1.0


def test_trust() -> None:
    g = np.random.default_rng(15)
    before, now = bins_of(world(3000, g), SPEC), world(600, g, 3, 2)
    rows = rows_of(now)
    assert trust(before, rows, SPEC) is Trust.OK
    assert trust(before, rows, SPEC, matured=bins_of(now, SPEC)) is Trust.OK
    assert trust(bins_of(shapes()["no rows"], SPEC), rows, SPEC) is Trust.NO_BASELINE
    assert trust(bins_of(world(90, g), SPEC), rows, SPEC) is Trust.TOO_FEW
    assert trust(before, rows_of(world(20, g)), SPEC) is Trust.TOO_FEW
    narrow = world(3000, g)
    narrow = Rows(narrow.score[narrow.score < 0.5], narrow.outcome[narrow.score < 0.5])
    assert trust(bins_of(narrow, SPEC), rows, SPEC) is Trust.UNSEEN_SCORES
    drifted = Rows(now.score, (g.random(600) < expit(0.6 * logit(now.score) - 1.2)).astype(np.int64))
    assert trust(before, rows, SPEC, matured=bins_of(drifted, SPEC)) is Trust.MAP_BROKEN


def test_label_shift_hides_the_estimate() -> None:
    """Twice as many positives that look as positives did: scores mean more than they meant."""
    g = np.random.default_rng(6)
    pool = world(60_000, g)
    ones, zeros = np.flatnonzero(pool.outcome == 1), np.flatnonzero(pool.outcome == 0)
    before = Rows(pool.score[:5000], pool.outcome[:5000])
    chosen = np.r_[g.choice(ones, 1800), g.choice(zeros, 200)]
    now = Rows(pool.score[chosen], pool.outcome[chosen])
    confusion = sk.confusion_matrix(before.outcome, before.score >= 0.4)
    bins = bins_of(before, SPEC)

    def verdict(rows: Rows) -> Trust:
        decided = np.bincount((rows.score >= 0.4).astype(int), minlength=2)
        return trust(bins, rows_of(rows), SPEC, confusion=confusion, decided=decided)

    assert verdict(now) is Trust.LABEL_SHIFT
    assert verdict(Rows(pool.score[5000:7000], pool.outcome[5000:7000])) is Trust.OK


def test_the_map_is_rejected_as_rarely_as_promised() -> None:
    g = np.random.default_rng(7)
    p_values = []
    for _ in range(200):
        found = calibration_map(bins_of(world(2000, g), SPEC))
        assert found is not None
        p_values.append(map_p_value(found, bins_of(world(500, g, 3, 2), SPEC)))
    assert np.mean(np.array(p_values) < 0.05) <= 0.08
    assert min(p_values) > 0.001 / 300


def test_the_residual_is_noise_while_the_map_holds_and_not_after() -> None:
    g = np.random.default_rng(8)
    before, now = bins_of(world(3000, g), SPEC), world(800, g, 3, 2)
    for measure in ("accuracy", "precision", "recall", "f1", "roc_auc"):
        fine = residual(before, bins_of(now, SPEC), SPEC, measure)
        assert fine.lower < 0 < fine.upper
    flipped = bins_of(Rows(now.score, 1 - now.outcome), SPEC)
    assert residual(before, flipped, SPEC, "accuracy").lower > 0.1
    r = residual_reading(before, flipped, SPEC, "1d")
    assert (r.status, r.n) == (Status.OK, 800)
    assert residual_reading(before, bins_of(shapes()["one row"], SPEC), SPEC, "1d").status is Status.TOO_FEW


@pytest.mark.parametrize("verdict", Trust)
def test_what_is_not_trusted_is_hidden(verdict: Trust) -> None:
    g = np.random.default_rng(9)
    found = estimate_readings(bins_of(world(900, g), SPEC), rows_of(world(200, g)), SPEC, "1h", verdict)
    assert {r.status for r in found} == {verdict.status}
    assert all((r.value is None) == (verdict is not Trust.OK) for r in found)
    assert {dict(r.attributes)[semconv.ML_PERFORMANCE_SOURCE] for r in found} == {"estimate"}
    assert len(found) == 5
    regression = Spec(task=semconv.ML_MODEL_TASK_REGRESSION)
    assert estimate_readings(bins_of(world(900, g)), rows_of(world(9, g)), regression, "1h", verdict) == []


def test_a_mixture_of_the_baselines_outcomes_is_not_refuted_and_other_scores_are() -> None:
    rng = np.random.default_rng(3)
    spec, state = Spec(), ScoresState(Spec())
    logits = rng.normal(0, 1.5, 8000)
    outcome = rng.random(8000) < 1 / (1 + np.exp(-logits))
    state.update(1 / (1 + np.exp(-logits)), outcome.astype(np.int64), np.zeros(8000))
    mixed = np.concatenate([rng.choice(logits[outcome], 2800), rng.choice(logits[~outcome], 1200)])
    p_values = [
        mixture_p_value(state.bins(), np.histogram(1 / (1 + np.exp(-x)), np.r_[0, spec.score_edges, 1.0])[0] * 1.0)
        for x in (mixed, logits[:4000] + 1.0)
    ]
    assert p_values[0] > 0.01 and p_values[1] < 1e-6
