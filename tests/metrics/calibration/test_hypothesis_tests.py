"""Slope, intercept and the tests of calibration against statsmodels and plain numpy on the raw rows, and by simulation."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from numpy.typing import NDArray
from scipy import optimize, special, stats
from tests.metrics.scored import Rows, bins_of, drawn, shapes

from calidris.metrics.calibration.calibration_measures import calibration_tests
from calidris.metrics.calibration.hypothesis_tests import (
    brownian_maximum,
    brownian_range,
    cumulative_ks,
    cumulative_kuiper,
    hosmer_lemeshow,
    observed_to_expected,
    spiegelhalter,
)
from calidris.metrics.calibration.recalibration import in_the_large, intercept, slope
from calidris.state import Spec

SPEC = Spec()
FITTED = ["calibrated", "overconfident", "too high", "rare", "small"]


def logits(rows: Rows) -> NDArray[np.float64]:
    return np.log(rows.score / (1 - rows.score))


@pytest.mark.parametrize("name", FITTED)
def test_slope_and_intercept_are_those_of_a_regression_on_raw_rows(name: str) -> None:
    rows = shapes()[name]
    fit = sm.GLM(rows.outcome, sm.add_constant(logits(rows)), family=sm.families.Binomial()).fit()
    bins = bins_of(rows)
    for i, measure in enumerate((intercept, slope)):
        got, error = measure(bins, SPEC), fit.bse[i]
        assert got.value == pytest.approx(fit.params[i], abs=error / 20)
        assert (got.upper - got.lower) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, rel=0.05)


@pytest.mark.parametrize("name", [*FITTED, "constant"])
def test_in_the_large_is_a_regression_with_the_score_as_offset(name: str) -> None:
    rows = shapes()[name]
    ones = np.ones((len(rows.score), 1))
    model = sm.GLM(rows.outcome, ones, family=sm.families.Binomial(), offset=logits(rows))
    fit = model.fit(cov_type="HC1")
    got = in_the_large(bins_of(rows), SPEC)
    assert got.value == pytest.approx(fit.params[0], abs=fit.bse[0] / 20)
    assert (got.upper - got.lower) / 2 == pytest.approx(stats.norm.ppf(0.975) * fit.bse[0], rel=0.02)


COVERED = {
    "calibrated": (2.0, 3.0, 1.0),
    "three times too extreme": (2.0, 3.0, 3.0),
    "not extreme enough": (2.0, 3.0, 0.4),
    "nearly certain, twice too extreme": (0.5, 0.5, 2.0),
}
"""Beta of the true chances, and what their logits are multiplied with to make the scores."""


@pytest.mark.parametrize("n", [30, 300, 3000])
@pytest.mark.parametrize("name", list(COVERED))
def test_in_the_large_lies_in_its_interval_whatever_is_wrong_with_the_scores(name: str, n: int) -> None:
    """Where scores are too extreme the model's own standard error held the truth in 83 % of windows, at every n."""
    a, b, factor = COVERED[name]
    g = np.random.default_rng(7)

    def draw(rows: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        chance = np.clip(g.beta(a, b, rows), 1e-6, 1 - 1e-6)
        return chance, special.expit(factor * special.logit(chance))

    chance, score = draw(200_000)
    right = optimize.brentq(lambda at: (special.expit(at + special.logit(score)) - chance).mean(), -5, 5)
    held = []
    for _ in range(400):
        chance, score = draw(n)
        got = in_the_large(bins_of(Rows(score, (g.random(n) < chance).astype(np.int64))), SPEC)
        held.append(got.lower <= right <= got.upper)
    assert 0.90 <= np.mean(held) <= 0.98


@pytest.mark.parametrize(
    "name", ["constant", "only positives", "only negatives", "certain", "certain and wrong", "one row", "extremes"]
)
def test_what_has_no_slope(name: str) -> None:
    assert math.isnan(slope(bins_of(shapes()[name]), SPEC).value)


def test_parted_outcomes_have_no_slope() -> None:
    rows = Rows(np.array([0.1, 0.2, 0.3, 0.7, 0.8]), np.array([0, 0, 0, 1, 1]))
    assert math.isnan(slope(bins_of(rows), SPEC).value)
    backwards = Rows(rows.score, 1 - rows.outcome)
    assert math.isnan(slope(bins_of(backwards), SPEC).value)


def raw_z(rows: Rows) -> float:
    p, y = rows
    variance = ((1 - 2 * p) ** 2 * p * (1 - p)).sum()
    return float(((y - p) * (1 - 2 * p)).sum() / math.sqrt(variance)) if variance > 0 else math.nan


@pytest.mark.parametrize("name", [name for name in shapes() if name != "extremes"])
def test_spiegelhalters_z_is_that_of_raw_rows_within_two_percent(name: str) -> None:
    rows = shapes()[name]
    assert spiegelhalter(bins_of(rows)).statistic == pytest.approx(raw_z(rows), rel=0.02, nan_ok=True)


@pytest.mark.parametrize("name", ["calibrated", "overconfident", "too high", "small"])
def test_hosmer_lemeshow_is_near_that_of_sorted_rows(name: str) -> None:
    """Groups are cut at bins: the two statistics share their size, not their digits."""
    rows = shapes()[name]
    order = np.argsort(rows.score, kind="stable")
    parts = zip(np.array_split(rows.score[order], 10), np.array_split(rows.outcome[order], 10))
    want = sum(len(p) * (y.mean() - p.mean()) ** 2 / (p.mean() * (1 - p.mean())) for p, y in parts)
    got = hosmer_lemeshow(bins_of(rows))
    assert got.statistic == pytest.approx(want, rel=0.5)
    assert (got.p_value < 1e-6) == (stats.chi2.sf(want, 10) < 1e-6)


def raw_path(rows: Rows) -> NDArray[np.float64]:
    """Cumulated (y - p)/n after each distinct score, start included."""
    scores = np.unique(rows.score)
    after = [(rows.outcome - rows.score)[rows.score <= s].sum() / len(rows.score) for s in scores]
    return np.array([0.0, *after])


@pytest.mark.parametrize("name", [name for name in shapes() if name != "no rows"])
def test_cumulative_statistics_are_those_of_raw_rows_within_half_a_bin(name: str) -> None:
    rows, bins = shapes()[name], bins_of(shapes()[name])
    path, widest = raw_path(rows), bins[..., 0].sum(axis=0).max() / len(rows.score)
    spread = math.sqrt((rows.score * (1 - rows.score)).sum()) / len(rows.score)
    for got, want in ((cumulative_ks(bins), np.abs(path).max()), (cumulative_kuiper(bins), np.ptp(path))):
        if spread == 0:
            assert math.isnan(got.statistic)
            continue
        assert want - widest - 1e-8 <= got.statistic <= want + 1e-8


def test_p_values_of_brownian_motion_are_those_of_a_fine_walk() -> None:
    """20 000 walks of 2000 steps fall short of the motion by about 0.58 √(1/2000) in each direction."""
    g = np.random.default_rng(3)
    highest, lowest, at = np.zeros(20_000), np.zeros(20_000), np.zeros(20_000)
    for _ in range(2000):
        at += g.choice(np.array([-1.0, 1.0]) / math.sqrt(2000), 20_000)
        np.maximum(highest, at, out=highest)
        np.minimum(lowest, at, out=lowest)
    for x in (0.8, 1.2, 1.7, 2.3):
        assert np.mean(np.maximum(highest, -lowest) > x) == pytest.approx(brownian_maximum(x), abs=0.03)
        assert np.mean(highest - lowest > x) == pytest.approx(brownian_range(x), abs=0.03)
    assert brownian_maximum(0.01) == brownian_range(0.01) == 1.0
    assert brownian_maximum(40.0) == brownian_range(60.0) == 0.0


def test_calibrated_scores_are_rejected_as_often_as_promised() -> None:
    """600 calibrated windows at 5 %: the two cumulative tests are a little conservative on bins, none rejects too often."""
    g = np.random.default_rng(4)
    found = [calibration_tests(bins_of(drawn(g.beta(2, 3, 400), g))) for _ in range(600)]
    for name in found[0]:
        rejected = np.mean([tests[name].p_value < 0.05 for tests in found])
        assert 0.02 <= rejected <= 0.08, name


def test_miscalibrated_scores_are_rejected() -> None:
    for name in ("overconfident", "too high"):
        assert all(test.p_value < 1e-6 for test in calibration_tests(bins_of(shapes()[name])).values())


@pytest.mark.parametrize("name", ["calibrated", "too high", "rare", "only negatives", "one row"])
def test_observed_to_expected(name: str) -> None:
    rows = shapes()[name]
    got = observed_to_expected(bins_of(rows), SPEC)
    interval = stats.binomtest(int(rows.outcome.sum()), len(rows.outcome)).proportion_ci(0.95, "wilson")
    assert got.value == pytest.approx(rows.outcome.sum() / rows.score.sum(), rel=1e-7)
    assert (got.lower, got.upper) == pytest.approx(
        (interval.low / rows.score.mean(), interval.high / rows.score.mean()), rel=1e-6, abs=1e-9
    )


def test_no_rows_test_nothing() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = calibration_tests(bins_of(shapes()["no rows"]))
    assert all(math.isnan(test.statistic) and math.isnan(test.p_value) for test in found.values())
    assert math.isnan(observed_to_expected(bins_of(shapes()["no rows"]), SPEC).value)
