import pytest

from calidris.config.budget import FalseAlarmBudget

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


@pytest.mark.parametrize(
    "text", ["", "never", "one per year", "1 per fortnight", "-1 per year", "per year", "0 per year"]
)
def test_other_texts_are_refused_with_the_way_to_write_them(text):
    with pytest.raises(ValueError, match="1 per year"):
        FalseAlarmBudget.parse(text)
