"""One budget for all kinds of alarm; fixed thresholds beside it."""

import numpy as np
import pytest

from calidris.detect import SHARES, Alert, Budget, Slot, ThresholdRule

YEAR = 365 * 86400.0
SLOTS = (
    Slot(Alert.DRIFT, 300.0),
    Slot(Alert.DRIFT, 3600.0),
    Slot(Alert.DRIFT, 3600.0, "hour_of_week"),
    Slot(Alert.ERRORS, 300.0),
    Slot(Alert.PERFORMANCE, 86400.0),
    Slot(Alert.FAIRNESS, 86400.0, "sex"),
)


def errors(n, wrong):
    return np.array([n, wrong * 2**30], dtype=np.int64)


def test_default_shares_are_one_budget():
    assert sum(SHARES.values()) == pytest.approx(1.0)
    assert set(SHARES) == set(Alert)


def test_expected_false_alarms_in_any_time_stay_within_the_budget():
    """Slot i scores t/w_i windows and alarms in each with chance at most 1/A_i."""
    budget = Budget(YEAR, SLOTS)
    for t in (3600.0, YEAR / 7, YEAR):
        assert sum(t / s.window_s / budget.threshold(s) for s in SLOTS) <= t / YEAR


def test_the_drift_of_the_sum_stays_within_the_budget():
    """Σ R_i/A_i reaches 1 when any fires, has a head start of one window each, and grows by the sum of 1/(A_i·w_i)."""
    budget = Budget(YEAR, SLOTS)
    per_second = sum(1.0 / (budget.threshold(s) * s.window_s) for s in SLOTS)
    head_start = sum(1.0 / budget.threshold(s) for s in SLOTS)
    assert (1.0 - head_start) / per_second >= YEAR


def test_slots_of_a_kind_share_what_the_kind_has():
    budget = Budget(YEAR, SLOTS)
    assert sum(budget.share(s) for s in SLOTS if s.kind is Alert.DRIFT) == pytest.approx(SHARES[Alert.DRIFT])


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Budget(0.0, SLOTS), "must be positive"),
        (lambda: Budget(YEAR, [*SLOTS, SLOTS[0]]), "must differ"),
        (lambda: Budget(YEAR, [Slot(Alert.DRIFT, 0.0)]), "positive length"),
        (lambda: Budget(YEAR, SLOTS, {Alert.DRIFT: 1.2}), "at most 1"),
        (lambda: Budget(YEAR, SLOTS, {Alert.DRIFT: 1.0}), "have no share"),
        (
            lambda: Budget(YEAR, [Slot(Alert.DRIFT, 3600.0)], {Alert.DRIFT: 1.0}).threshold(Slot(Alert.ERRORS, 9.0)),
            "no slot",
        ),
    ],
)
def test_absurd_budgets_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


def test_a_budget_of_less_than_a_window_is_refused_with_the_cure():
    with pytest.raises(ValueError, match="fewer false alarms or take shorter windows"):
        Budget(
            60.0, [Slot(Alert.DRIFT, 600.0), Slot(Alert.ERRORS, 60000.0)], {Alert.DRIFT: 0.5, Alert.ERRORS: 9e-1 / 2}
        )


def test_fixed_thresholds_count_runs_and_are_marked():
    rule = ThresholdRule("ml.performance.score[accuracy]", 0.8, above=False, windows=3)
    runs, run = [], 0
    for value, rows in ((0.7, 100), (0.7, 100), (None, 0), (0.7, 5), (0.7, 100), (0.9, 100)):
        run = rule.run(run, value, rows)
        runs.append(run)
    assert runs == [1, 2, 2, 2, 3, 0]
    assert rule.fires(3)
    assert not rule.budgeted
    for wrong in ({"limit": float("nan")}, {"limit": 1.0, "windows": 0}, {"limit": 1.0, "minimum_rows": 0}):
        with pytest.raises(ValueError, match="a rule needs"):
            ThresholdRule("x", **wrong)
