from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from calidris.metrics.intervals import auc_interval, exact_interval, mean_interval, wilson


@given(n=st.integers(1, 10**9), share=st.floats(0, 1))
def test_wilson_is_scipys(n: int, share: float) -> None:
    k = round(n * share)
    want = stats.binomtest(k, n).proportion_ci(0.95, method="wilson")
    lower, upper = wilson(k, n)
    assert (float(lower), float(upper)) == pytest.approx((want.low, want.high), rel=1e-9, abs=1e-12)
    assert 0 <= lower <= k / n + 1e-12
    assert k / n - 1e-12 <= upper <= 1


def test_wilson_of_no_rows_is_not_a_number() -> None:
    lower, upper = wilson([0, 3], [0, 3])
    assert np.isnan(lower).tolist() == np.isnan(upper).tolist() == [True, False]


def test_mean_interval_is_the_textbooks() -> None:
    x = np.random.default_rng(0).gamma(2.0, size=200)
    got = mean_interval(x.sum(), (x**2).sum(), len(x))
    assert got == pytest.approx(stats.norm.interval(0.95, x.mean(), stats.sem(x)), rel=1e-12)
    assert all(math.isnan(v) for v in mean_interval(0.5, 0.25, 1))


@pytest.mark.parametrize(("separation", "positives", "negatives"), [(0.0, 40, 60), (1.0, 25, 200), (2.5, 15, 40)])
def test_auc_interval_covers_the_truth(separation: float, positives: int, negatives: int) -> None:
    """2000 samples of two normals: 95 % ± 2, and more where the area is near 1 and the variance rule is generous."""
    g = np.random.default_rng(9)
    truth = stats.norm.cdf(separation / math.sqrt(2))
    x, y = g.normal(separation, 1, (2000, positives)), g.normal(0, 1, (2000, negatives))
    areas = (x[:, :, None] > y[:, None, :]).mean(axis=(1, 2))
    inside = [lower <= truth <= upper for lower, upper in (auc_interval(a, positives, negatives) for a in areas)]
    assert 0.93 <= np.mean(inside) <= 0.99


@given(auc=st.floats(0, 1), positives=st.integers(1, 10**6), negatives=st.integers(1, 10**6))
def test_auc_interval_holds_the_area_and_stays_inside_the_unit(auc: float, positives: int, negatives: int) -> None:
    lower, upper = auc_interval(auc, positives, negatives)
    assert 0 <= lower <= auc <= upper <= 1
    assert upper - lower > 0


def test_auc_interval_needs_both_classes() -> None:
    assert all(math.isnan(v) for v in (*auc_interval(0.5, 0, 5), *auc_interval(0.5, 5, 0)))


@given(n=st.integers(1, 10**6), share=st.floats(0, 1))
def test_exact_interval_is_scipys(n: int, share: float) -> None:
    k = round(n * share)
    want = stats.binomtest(k, n).proportion_ci(0.95, method="exact")
    assert exact_interval(k, n) == pytest.approx((want.low, want.high), rel=1e-6, abs=1e-12)


def test_auc_interval_of_rows_that_are_worth_less_than_two() -> None:
    """Of labels that are weighted: a square root of less than nothing once, and no window's figures at all."""
    for area in (0.0, 0.5, 1.0, 1.0 + 1e-12):
        lower, upper = auc_interval(area, 0.4, 0.9)
        assert 0.0 <= lower <= min(area, 1.0) <= upper <= 1.0
