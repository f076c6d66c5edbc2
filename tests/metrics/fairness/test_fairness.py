"""Fairness against fairlearn and statsmodels on the raw rows; bounds and shrinkage by simulation."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import fairlearn.metrics as fl
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import accuracy_score, precision_score
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from tests.metrics.scored import Rows, bins_of, drawn

from calidris.metrics import Status
from calidris.metrics.fairness.gap_readings import gap_readings, group_readings
from calidris.metrics.fairness.gaps import (
    MEASURES,
    RATES,
    Verdict,
    calibration_gap,
    calibration_gaps,
    gap,
    group_rates,
    verdict,
    withheld,
)
from calidris.metrics.fairness.group_rates import (
    Rates,
    against_rest,
    between_spread,
    homogeneity,
    largest_difference,
    shrunk,
    smallest_ratio,
)
from calidris.metrics.intervals import newcombe, ratio_interval
from calidris.metrics.score_bins import Estimate

Ints = NDArray[np.int64]


class Raw(NamedTuple):
    truth: Ints
    decided: Ints
    group: Ints

    @property
    def counts(self) -> Ints:
        out = np.zeros((self.group.max() + 1, 2, 2), np.int64)
        np.add.at(out, (self.group, self.truth, self.decided), 1)
        return out


def raw(groups: int, n: int, seed: int) -> Raw:
    g = np.random.default_rng(seed)
    group = g.integers(0, groups, n)
    truth = (g.random(n) < 0.3 + 0.1 * (group % 3)).astype(np.int64)
    decided = (g.random(n) < np.where(truth, 0.8, 0.2) - 0.05 * (group % 2)).astype(np.int64)
    return Raw(truth, decided, group)


@pytest.fixture(params=[(2, 500), (3, 900), (6, 3000)])
def rows(request: pytest.FixtureRequest) -> Raw:
    return raw(*request.param, seed=request.param[0])


def test_gaps_are_fairlearns(rows: Raw) -> None:
    args, sensitive = (rows.truth, rows.decided), {"sensitive_features": rows.group}
    got = {m: gap(rows.counts, m) for m in MEASURES}
    assert got["demographic_parity"].difference.value == pytest.approx(
        fl.demographic_parity_difference(*args, **sensitive)
    )
    assert got["demographic_parity"].ratio.value == pytest.approx(fl.demographic_parity_ratio(*args, **sensitive))
    assert got["equal_opportunity"].difference.value == pytest.approx(
        fl.equal_opportunity_difference(*args, **sensitive)
    )
    assert got["equalised_odds"].difference.value == pytest.approx(fl.equalized_odds_difference(*args, **sensitive))
    assert got["equalised_odds"].ratio.value == pytest.approx(fl.equalized_odds_ratio(*args, **sensitive))
    for measure, score in (("predictive_parity", precision_score), ("accuracy", accuracy_score)):
        frame = fl.MetricFrame(metrics=score, y_true=rows.truth, y_pred=rows.decided, **sensitive)
        assert got[measure].difference.value == pytest.approx(frame.difference())
    for g in got.values():
        assert g.difference.lower <= g.difference.value <= g.difference.upper
        assert g.ratio.lower <= g.ratio.value <= g.ratio.upper
        assert g.shrunk <= g.difference.value + 1e-12


@given(st.tuples(*[st.integers(0, 400)] * 4))
def test_newcombe_is_statsmodels(counts: tuple[int, int, int, int]) -> None:
    (n1, n2), (k1, k2) = (counts[0] + 1, counts[1] + 1), (min(counts[2], counts[0]), min(counts[3], counts[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        want = confint_proportions_2indep(k1, n1, k2, n2, method="newcomb", compare="diff")
    assert [float(x) for x in newcombe(k1, n1, k2, n2)] == pytest.approx(want, abs=1e-9)


@pytest.mark.parametrize("counts", [(56, 70, 48, 80), (3, 100, 6, 100), (9, 10, 3, 10), (500, 1000, 480, 1000)])
def test_ratio_interval_is_near_the_score_interval(counts: tuple[int, int, int, int]) -> None:
    """Two good intervals of one ratio: within 4 % of each other."""
    want = confint_proportions_2indep(*counts, method="score", compare="ratio")
    assert [float(x) for x in ratio_interval(*counts)] == pytest.approx(want, rel=0.04)


@pytest.mark.parametrize(("p1", "p2", "n1", "n2"), [(0.5, 0.5, 30, 60), (0.1, 0.2, 100, 40), (0.03, 0.03, 300, 300)])
def test_ratio_interval_covers(p1: float, p2: float, n1: int, n2: int) -> None:
    g = np.random.default_rng(1)
    lower, upper = ratio_interval(g.binomial(n1, p1, 5000), n1, g.binomial(n2, p2, 5000), n2)
    assert 0.93 <= np.mean((lower <= p1 / p2) & (p1 / p2 <= upper)) <= 0.98


def test_two_groups_have_newcombes_interval(rows: Raw) -> None:
    two = Rates(np.array([60, 40]), np.array([100, 90]))
    want = confint_proportions_2indep(60, 100, 40, 90, method="newcomb", compare="diff")
    assert largest_difference(two) == pytest.approx((0.6 - 40 / 90, *want))
    rates = RATES["accuracy"](rows.counts)
    value, _, _ = against_rest(rates)
    for g in range(len(rates.rows)):
        mine = rows.group == g
        right = rows.truth == rows.decided
        assert value[g] == pytest.approx(right[mine].mean() - right[~mine].mean())


def test_single_rates_have_wilsons_interval(rows: Raw) -> None:
    for measure, rate in RATES.items():
        found, rates = group_rates(rows.counts, measure), rate(rows.counts)
        for g, got in enumerate(found):
            assert got is not None
            want = proportion_confint(rates.successes[g], rates.rows[g], method="wilson")
            assert (got.rate.lower, got.rate.upper) == pytest.approx(want)


def test_homogeneity_is_scipys_chi_square(rows: Raw) -> None:
    for rate in RATES.values():
        k, n = rate(rows.counts)
        want = stats.chi2_contingency(np.stack([k, n - k]), correction=False)
        assert homogeneity(Rates(k, n)) == pytest.approx((want.statistic, want.pvalue))


@pytest.mark.parametrize("p", [[0.5] * 8, [0.1] * 4, [0.2, 0.3, 0.4]])
def test_bounds_of_the_largest_difference_hold_together(p: list[float]) -> None:
    """The naive difference of equal groups is far above 0; its bounds contain 0 in 95 % (simulated 95 to 99)."""
    g, n = np.random.default_rng(2), 150
    draws = [largest_difference(Rates(g.binomial(n, p), np.full(len(p), n))) for _ in range(800)]
    truth = max(p) - min(p)
    assert np.mean([d.lower <= truth <= d.upper for d in draws]) >= 0.93
    if truth == 0:
        assert np.mean([d.value for d in draws]) > 0.04
    ratios = [smallest_ratio(Rates(g.binomial(n, p), np.full(len(p), n))) for _ in range(800)]
    assert np.mean([r.lower <= min(p) / max(p) <= r.upper for r in ratios]) >= 0.93


def test_shrunk_rates_lose_the_noise_and_keep_the_rest() -> None:
    g = np.random.default_rng(3)
    n = g.integers(20, 200, 12)
    raw_error, error, gaps = [], [], []
    for spread in (0.0, 0.1):
        for _ in range(200):
            p = np.clip(0.4 + spread * g.normal(size=12), 0.05, 0.95)
            rates = Rates(g.binomial(n, p), n)
            found = shrunk(rates)
            raw_error.append(((rates.share - p) ** 2).mean())
            error.append(((found.rate - p) ** 2).mean())
            if spread == 0:
                gaps.append((np.ptp(rates.share), np.ptp(found.rate)))
    assert np.mean(error) < 0.75 * np.mean(raw_error)
    assert np.mean([b for _, b in gaps]) < 0.4 * np.mean([a for a, _ in gaps])


def test_spread_between_groups_is_estimated() -> None:
    g = np.random.default_rng(4)
    n = np.full(40, 400)
    found = [between_spread(Rates(g.binomial(n, g.beta(12, 18, 40)), n)) for _ in range(200)]
    assert np.mean(found) == pytest.approx(math.sqrt(0.4 * 0.6 / 31), rel=0.05)
    assert between_spread(Rates(np.array([50, 50]), np.array([100, 100]))) == 0.0
    assert math.isnan(between_spread(Rates(np.zeros(2), np.zeros(2))))


def test_small_groups_are_withheld_and_never_alone() -> None:
    counts = np.zeros((4, 2, 2), np.int64)
    counts[:, 1, 1] = [9, 50, 40, 500]
    assert withheld(counts).tolist() == [True, False, True, False]
    counts[:, 1, 1] = [9, 8, 40, 500]
    assert withheld(counts).tolist() == [True, True, False, False]
    counts[:, 1, 1] = [0, 30, 40, 500]
    assert not withheld(counts).any()
    found = group_readings(counts * 0 + np.array([[[1, 1], [1, 1]]]), "sex", list("abcd"), "1d")
    assert {(r.status, r.n, r.value) for r in found} == {(Status.SUPPRESSED, 0, None)}


def test_a_rate_of_few_rows_takes_no_part() -> None:
    """Twenty positives in the second group: enough rows for parity, too few for opportunity."""
    counts = np.array([[[50, 20], [10, 40]], [[60, 20], [15, 5]]])
    assert gap(counts, "demographic_parity").groups == 2
    got = gap(counts, "equal_opportunity")
    assert (got.groups, got.verdict) == (1, Verdict.NO_VERDICT)
    assert math.isnan(got.difference.value)
    assert math.isnan(gap(counts, "equalised_odds").difference.value)
    found = {dict(r.attributes)["ml.fairness.measure"]: r for r in gap_readings(counts, "sex", "1d")}
    assert found["equal_opportunity"].status is Status.TOO_FEW
    assert found["demographic_parity"].status is Status.OK


@pytest.mark.parametrize(
    ("interval", "want"),
    [
        ((0.01, -0.03, 0.04), Verdict.WITHIN),
        ((0.10, 0.06, 0.14), Verdict.EXCEEDED),
        ((-0.10, -0.14, -0.06), Verdict.EXCEEDED),
        ((0.05, 0.02, 0.08), Verdict.UNCLEAR),
        ((0.30, 0.20, 0.40), Verdict.NO_VERDICT),  # wider than the tolerance
        ((math.nan, math.nan, math.nan), Verdict.NO_VERDICT),
    ],
)
def test_a_verdict_needs_an_interval_no_wider_than_the_tolerance(
    interval: tuple[float, float, float], want: Verdict
) -> None:
    assert verdict(Estimate(*interval), 0.05) is want


def test_fair_groups_are_rarely_said_to_exceed() -> None:
    """Rates that differ by the tolerance exactly: said to exceed it in one window of twenty at most."""
    g = np.random.default_rng(5)
    said = []
    for _ in range(500):
        k = g.binomial(2000, [0.30, 0.35])
        counts = np.zeros((2, 2, 2), np.int64)
        counts[:, 0, 1], counts[:, 0, 0] = k, 2000 - k
        said.append(gap(counts, "demographic_parity").verdict)
    assert np.mean([v is Verdict.EXCEEDED for v in said]) <= 0.05
    assert Verdict.NO_VERDICT not in said


def test_calibration_gap_is_that_of_raw_rows() -> None:
    g = np.random.default_rng(6)
    groups = [drawn(g.beta(2, 3, n), g, shift) for n, shift in ((800, 0.0), (500, 0.4), (20, 0.0), (1, 0.0))]
    mean, error, n = calibration_gaps([bins_of(r) for r in groups])
    for i, r in enumerate(groups):
        assert mean[i] == pytest.approx((r.outcome - r.score).mean(), abs=1e-8)
        if len(r.score) > 1:
            assert error[i] == pytest.approx(stats.sem(r.outcome - r.score), rel=1e-6)
    assert n.tolist() == [800, 500, 20, 1]
    got = calibration_gap([bins_of(r) for r in groups])
    assert got.groups == 2
    assert got.difference.value == pytest.approx(abs(mean[0] - mean[1]))
    half = 1.959964 * math.hypot(error[0], error[1])
    assert (got.difference.upper, got.difference.lower) == pytest.approx(
        (got.difference.value + half, max(0.0, got.difference.value - half)), abs=1e-6
    )
    assert got.verdict in set(Verdict)


def test_readings_of_gaps_and_groups(rows: Raw) -> None:
    names = [f"g{i}" for i in range(len(rows.counts))]
    g = np.random.default_rng(7)
    bins = [bins_of(Rows(g.random(50), g.integers(0, 2, 50))) for _ in names]
    gaps = gap_readings(rows.counts, "sex", "1d", bins=bins)
    assert [dict(r.attributes)["ml.fairness.measure"] for r in gaps] == [
        *MEASURES, "demographic_parity_ratio", "calibration",
    ]  # fmt: skip
    assert {r.status for r in gaps} == {Status.OK}
    each = group_readings(rows.counts, "sex", names, "1d")
    assert len(each) == len(names) * len(RATES) * 2
    assert {dict(r.attributes)["ml.fairness.group"] for r in each} == set(names)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=1, max_size=5))
def test_no_counts_whatever_give_a_nan(cells: list[tuple[int, int, int, int]]) -> None:
    counts = np.array(cells, np.int64).reshape(-1, 2, 2)
    names = [str(i) for i in range(len(counts))]
    for r in gap_readings(counts, "sex", "1d") + group_readings(counts, "sex", names, "1d"):
        assert r.value is None or math.isfinite(r.value)


def test_groups_that_are_all_withheld_have_no_gap_of_calibration() -> None:
    """A window of a few rows of each group ended all figures of its model once."""
    counts = np.array([[[2, 1], [1, 2]], [[1, 1], [1, 1]]])
    bins = [bins_of(drawn(np.full(int(c.sum()), 0.4), np.random.default_rng(1))) for c in counts]
    found = gap_readings(counts, "sex", "1h", bins=bins)
    assert {r.status for r in found} == {Status.TOO_FEW}
