import pytest

from calidris.config.budget import FalseAlarmBudget
from calidris.detect import thresholds

DAY = 86400.0
YEAR = 365 * DAY


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 per year", YEAR),
        ("2 per month", YEAR / 24),
        ("1 per 2 weeks", 14 * DAY),
        ("1/day", DAY),
        ("0.5 per hour", 7200.0),
        ("1 in 10 Years", 10 * YEAR),
        ("1 per minute", 60.0),
    ],
)
def test_times_are_read(text, seconds):
    budget = FalseAlarmBudget.parse(text)
    assert (budget.seconds, budget.windows) == (pytest.approx(seconds), 0.0)


def test_windows_are_read_and_mean_the_shortest():
    budget = FalseAlarmBudget.parse("1 per 1000 windows")
    assert budget.windows == 1000.0
    assert budget.mean_seconds([300.0, 3600.0]) == 300_000.0
    assert thresholds(budget.mean_seconds([60.0]), [60.0]) == (1000.0,)


@pytest.mark.parametrize(
    "text", ["", "never", "one per year", "1 per fortnight", "-1 per year", "per year", "0 per year"]
)
def test_other_texts_are_refused_with_the_way_to_write_them(text):
    with pytest.raises(ValueError, match="1 per year"):
        FalseAlarmBudget.parse(text)


def test_one_window_takes_the_whole_budget():
    assert thresholds(YEAR, [3600.0]) == (8760.0,)


def test_the_drift_of_the_sum_stays_within_the_budget():
    """Σ v_i·R_i/N_i grows by at most 1/B' a second and reaches 1 when any detector fires, also after half a window."""
    windows, shares = [300.0, 3600.0, DAY], [0.5, 0.3, 0.2]
    limits = thresholds(YEAR, windows, shares)
    per_second = sum(1.0 / (a * w) for a, w in zip(limits, windows))
    head_start = sum(1.0 / a for a in limits)
    mean_time = (1.0 - head_start) / per_second
    assert mean_time == pytest.approx(YEAR)


def test_false_alarms_add_up_to_no_more_than_the_budget():
    limits = thresholds(DAY, [2.0, 10.0])
    assert sum(DAY / w / a for a, w in zip(limits, [2.0, 10.0])) <= 1.0


@pytest.mark.parametrize(
    ("budget", "windows", "shares", "cure"),
    [
        (60.0, [3600.0], None, "fewer false alarms or take shorter windows"),
        (3600.0, [3600.0], None, "fewer false alarms or take shorter windows"),
        (0.0, [60.0], None, "must be positive"),
        (float("inf"), [60.0], None, "must be positive"),
        (YEAR, [], None, "window lengths"),
        (YEAR, [0.0], None, "window lengths"),
        (YEAR, [60.0, 300.0], [0.5, 0.6], "add up to at most 1"),
        (YEAR, [60.0, 300.0], [1.0], "one per window"),
        (YEAR, [60.0, 300.0], [1.0, 0.0], "positive"),
    ],
)
def test_absurd_budgets_are_refused_with_the_cure(budget, windows, shares, cure):
    with pytest.raises(ValueError, match=cure):
        thresholds(budget, windows, shares)
