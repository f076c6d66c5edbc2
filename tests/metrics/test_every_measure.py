"""No measure without a test against somebody else's value, one of its mean while nothing is wrong, a name for people and a row in the page."""

from __future__ import annotations

import re
from inspect import isfunction
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.metrics.scored import bins_of, drawn

from calidris.metrics.calibration import calibration_measures
from calidris.metrics.drift import drift_measures
from calidris.metrics.performance import decisions, forecasts, multiclass, performance_measures, ranking, regression
from calidris.report import wording
from calidris.state import Spec

TESTS = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "statistics.md"

DRIFT = "drift/test_drift.py::test_distances_of_shares_agree_with_scipy_on_raw_rows"
DECISIONS = "performance/test_decisions.py::test_decisions_are_scikit_learns"
CLASSES = "performance/test_decisions.py::test_several_classes_are_scikit_learns"
ERRORS = "performance/test_regression.py::test_errors_are_scikit_learns"
OF_CALIBRATION = "calibration/test_calibration_measures.py::"
OF_ECE = "calibration/test_ece.py::"
OF_TESTS = "calibration/test_hypothesis_tests.py::"
ORACLES = {
    **dict.fromkeys(drift_measures.MEASURES, DRIFT),
    "psi_debiased": "drift/test_psi_noise.py::test_one_cell_of_two_agrees_with_sums_over_all_counts",
    "wasserstein": "drift/test_drift.py::test_wasserstein_is_the_raw_one_within_the_width_of_a_bin",
    "energy": "drift/test_drift.py::test_energy_is_the_square_of_scipys_on_rows_spread_inside_bins",
    "brier": OF_CALIBRATION + "test_brier_is_scikit_learns_with_an_interval_by_class",
    "log_loss": OF_CALIBRATION + "test_log_loss_is_scikit_learns_with_an_interval_by_class",
    "ece": OF_CALIBRATION + "test_ece_is_that_of_the_raw_rows_in_ten_bins",
    "ece_debiased": OF_CALIBRATION + "test_debiased_ece_is_the_mean_of_normal_draws",
    "ece_squared_debiased": OF_ECE + "test_debiased_square_is_that_of_uncertainty_calibration",
    "ece_equal_mass": OF_ECE + "test_equal_mass_is_near_that_of_sorted_rows",
    "ece_sweep": OF_ECE + "test_sweep_is_near_that_of_sorted_rows",
    "smooth_ece": OF_ECE + "test_smooth_ece_is_relplots",
    "mce": OF_ECE + "test_mce_is_the_worst_tenth_with_enough_rows",
    "slope": OF_TESTS + "test_slope_and_intercept_are_those_of_a_regression_on_raw_rows",
    "intercept": OF_TESTS + "test_slope_and_intercept_are_those_of_a_regression_on_raw_rows",
    "in_the_large": OF_TESTS + "test_in_the_large_is_a_regression_with_the_score_as_offset",
    "observed_to_expected": OF_TESTS + "test_observed_to_expected",
    "spiegelhalter_z": OF_TESTS + "test_spiegelhalters_z_is_that_of_raw_rows_within_two_percent",
    "hosmer_lemeshow": OF_TESTS + "test_hosmer_lemeshow_is_near_that_of_sorted_rows",
    "cumulative_ks": OF_TESTS + "test_cumulative_statistics_are_those_of_raw_rows_within_half_a_bin",
    "cumulative_kuiper": OF_TESTS + "test_cumulative_statistics_are_those_of_raw_rows_within_half_a_bin",
    **dict.fromkeys(decisions.DECIDED, DECISIONS),
    "roc_auc": OF_CALIBRATION + "test_auc_is_scikit_learns_within_its_stated_error",
    "gini": "performance/test_decisions.py::test_gini_is_the_area_on_another_scale",
    "average_precision": "performance/test_decisions.py::test_average_precision_is_scikit_learns_within_its_bounds",
    "ks_separation": "performance/test_decisions.py::test_ks_separation_is_scipys_within_a_bin",
    "macro_f1": CLASSES,
    "weighted_f1": CLASSES,
    **dict.fromkeys(regression.MEASURES, ERRORS),
}
"""Where each measure is laid against scikit-learn, scipy, the authors' own program, or a plain loop over raw rows."""

EVERY = {
    *drift_measures.MEASURES,
    *calibration_measures.MEASURES,
    *performance_measures.MEASURES,
    *multiclass.MEASURES,
    *regression.MEASURES,
}


OF_ROWS = "performance/test_regression.py::"
FUNCTIONS = {
    "ndcg": OF_ROWS + "test_ndcg_is_scikit_learns",
    "reciprocal_rank": OF_ROWS + "test_reciprocal_rank_is_scikit_learns_of_one_relevant_row",
    "quantile_coverage": OF_ROWS + "test_coverage_is_a_share_with_wilsons_interval",
    "interval_coverage": OF_ROWS + "test_coverage_is_a_share_with_wilsons_interval",
    "pit_test": OF_ROWS + "test_pit_is_scipys_chi_square",
    "pit_distance": OF_ROWS + "test_pit_distance_is_unbiased_and_its_interval_covers",
    "pinball": OF_ROWS + "test_crps_of_quantiles_is_near_that_of_the_distribution",
    "crps_rows": OF_ROWS + "test_crps_of_quantiles_is_near_that_of_the_distribution",
}
"""Likewise of ranking and of quantiles, whose columns no span has yet."""


def functions_of(module: ModuleType) -> set[str]:
    """What a module offers of its own."""
    return {n for n, f in vars(module).items() if isfunction(f) and f.__module__ == module.__name__ and n[0] != "_"}


def test_each_function_of_ranking_and_quantiles_has_an_oracle_and_a_mean() -> None:
    assert FUNCTIONS.keys() == functions_of(ranking) | functions_of(forecasts)
    means = (TESTS / "test_means.py").read_text(encoding="utf-8")
    assert not [name for name in FUNCTIONS if f"{name}(" not in means and f", {name})" not in means]


def test_means_of_performance_are_tested_for_each() -> None:
    """`test_means.py` holds what it tests against these very registries."""
    means = (TESTS / "test_means.py").read_text(encoding="utf-8")
    for registry in ("performance_measures.MEASURES", "multiclass.MEASURES", "OF_NUMBERS"):
        assert registry in means


def test_each_has_an_oracle() -> None:
    assert ORACLES.keys() == EVERY
    for measure, place in {**ORACLES, **FUNCTIONS}.items():
        file, name = place.split("::")
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE), (measure, place)


def test_each_has_a_name_for_people() -> None:
    assert wording.MEASURES.keys() >= EVERY
    assert len(set(wording.MEASURES.values())) == len(wording.MEASURES)


def test_each_has_a_row_in_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert not [measure for measure in EVERY if f"`{measure}`" not in page]


def test_each_way_to_a_reader_knows_the_same_ones() -> None:
    assert {*decisions.DECIDED, *decisions.RANKED} == set(performance_measures.MEASURES)


N, RUNS = 400, 300
CALIBRATED = {
    "brier": (0.195, 0.205),
    "log_loss": (0.57, 0.59),
    "ece": (0.04, 0.06),
    "ece_debiased": (0.02, 0.04),
    "ece_squared_debiased": (-2e-4, 2e-4),
    "ece_equal_mass": (0.04, 0.07),
    "ece_sweep": (0.01, 0.06),
    "smooth_ece": (0.02, 0.05),
    "mce": (0.05, 0.2),
    "slope": (0.97, 1.05),
    "intercept": (-0.03, 0.03),
    "in_the_large": (-0.02, 0.02),
    "observed_to_expected": (0.985, 1.015),
    "spiegelhalter_z": (-0.2, 0.2),
    "hosmer_lemeshow": (9.0, 11.0),
    "cumulative_ks": (0.01, 0.05),
    "cumulative_kuiper": (0.01, 0.06),
}
"""Between what the mean of each measure lies where scores mean what they say, at so many rows."""


@pytest.fixture(scope="module")
def calibrated() -> dict[str, float]:
    g = np.random.default_rng(5)
    found: dict[str, list[float]] = {measure: [] for measure in calibration_measures.MEASURES}
    for _ in range(RUNS):
        bins = bins_of(drawn(g.beta(2, 3, N), g))
        for measure, compute in calibration_measures.MEASURES.items():
            found[measure].append(compute(bins, Spec()).value)
    return {measure: float(np.mean(values)) for measure, values in found.items()}


@pytest.mark.parametrize("measure", list(calibration_measures.MEASURES))
def test_mean_of_calibrated_scores(measure: str, calibrated: dict[str, float]) -> None:
    low, high = CALIBRATED[measure]
    assert low < calibrated[measure] < high


def test_means_of_drift_are_tested_for_each() -> None:
    text = (TESTS / "drift" / "test_drift.py").read_text(encoding="utf-8")
    assert "ALL = list(MEASURES)" in text
    assert '[name for name in ALL if name != "ks"]' in text and "test_ks_without_any_change_stays_below" in text
