"""Error budgets as numbers: the workbook's shares of the budget, and windows that could never fire."""

from __future__ import annotations

import pytest

from calidris.config import CalidrisConfig
from calidris.errors import ConfigError
from calidris.grafana.alerts.objective_alerts import (
    BURN_WINDOWS,
    PERIOD_DAYS,
    RECORDED_WINDOWS,
    Objective,
    bad_share,
    burn_windows,
    confirmed_burn,
    objectives,
)

_HOURS = {"5m": 1 / 12, "30m": 0.5, "1h": 1, "2h": 2, "6h": 6, "1d": 24, "3d": 72}


def objective(share: float) -> Objective:
    return Objective("credit", "errors", share, "failed")


def test_windows_use_up_the_share_of_the_budget_that_the_workbook_says() -> None:
    used = [w.factor * _HOURS[w.long] / (PERIOD_DAYS * 24) for w in BURN_WINDOWS]
    assert used == pytest.approx([0.02, 0.05, 0.10, 0.10])
    assert all(_HOURS[w.long] == 12 * _HOURS[w.short] for w in BURN_WINDOWS)
    assert {x for w in BURN_WINDOWS for x in (w.long, w.short)} == set(RECORDED_WINDOWS)


@pytest.mark.parametrize(
    ("share", "factors"),
    [
        (0.999, [14.4, 6, 3, 1]),
        (0.95, [14.4, 6, 3, 1]),
        (0.9306, [14.4, 6, 3, 1]),
        (0.93, [6, 3, 1]),
        (0.84, [6, 3, 1]),
    ],
)
def test_windows_that_could_never_fire_are_left_out(share: float, factors: list[float]) -> None:
    assert [w.factor for w in burn_windows(objective(share))] == factors


@pytest.mark.parametrize("share", [0.833, 0.5, 0.01])
def test_an_objective_without_any_page_is_refused_with_the_cure(share: float) -> None:
    with pytest.raises(ConfigError, match=r"models\.credit\.slo\.errors: an objective of .* above 0\.833"):
        burn_windows(objective(share))


@pytest.mark.parametrize("share", [0.9, 0.99, 0.999, 0.9999, 0.99999])
def test_the_budget_has_no_rounding_of_binary_fractions(share: float) -> None:
    assert objective(share).budget == float(f"{1 - share:.6g}")


def test_names_are_quoted_once_and_for_all() -> None:
    odd = Objective('a"b\\c', "errors", 0.99, "failed")
    assert 'ml_model_name="a\\"b\\\\c"' in confirmed_burn(odd, BURN_WINDOWS[0])


def test_the_share_is_a_quotient_of_sums_and_never_absent() -> None:
    """Quotients of single series would weigh a version with one row like one with a million."""
    text = bad_share("5m")
    assert text.count("sum by (ml_model_name, ml_slo_name) (rate(ml_slo_events_total") == 3
    assert "or 0 *" in text


def test_models_without_objectives_have_none(rich: CalidrisConfig) -> None:
    assert [len(objectives(m)) for m in rich.models] == [2, 1, 0]
