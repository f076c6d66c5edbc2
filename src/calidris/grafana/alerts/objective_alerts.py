"""Recording rules and alerts of the objectives that models have."""

from __future__ import annotations

from calidris.config import CalidrisConfig
from calidris.grafana import promql
from calidris.grafana.alerts.alert import Alert, Recording
from calidris.grafana.alerts.audience import model_labels
from calidris.grafana.alerts.burn_rates import (
    BURN,
    BURN_WINDOW,
    MINIMUM_BAD,
    PERIOD_DAYS,
    RECORDED_WINDOWS,
    BurnWindow,
    Objective,
    burn_rate,
    burn_windows,
    confirmed_burn,
    objectives,
)
from calidris.grafana.panel_ids import Overview, place


def recordings(config: CalidrisConfig) -> tuple[Recording, ...]:
    """Burn rates of every objective over every window that an alert looks at."""
    return tuple(
        Recording(BURN, burn_rate(objective, window), {**_identity(objective), BURN_WINDOW: window})
        for model in config.models
        for objective in objectives(model)
        for window in RECORDED_WINDOWS
    )


def burn_alerts(config: CalidrisConfig) -> tuple[Alert, ...]:
    """Alerts of every objective, the fastest burning first.

    Raises:
        ConfigError: an objective could never page.
    """
    return tuple(
        _alert(objective, window, model_labels(model))
        for model in config.models
        for objective in objectives(model)
        for window in burn_windows(objective)
    )


def _alert(objective: Objective, window: BurnWindow, labels: dict[str, str]) -> Alert:
    what = f"{objective.model} {objective.name}"
    hours_left = PERIOD_DAYS * 24 / window.factor
    return Alert(
        name="ModelBudgetBurn",
        key=f"{what} {window.long}",
        title=f"Error budget burns: {what}, {window.long}",
        expr=confirmed_burn(objective, window),
        threshold=window.factor,
        pending="0s",
        severity=window.severity,
        summary=f'{what}: the error budget burns {{{{ printf "%.1f" $value }}}} times too fast',
        description=(
            f"Too many predictions of {objective.model} {objective.meaning}: over the last {window.long}, and still "
            f'over the last {window.short}, the {objective.name} budget burnt at least {{{{ printf "%.1f" $value }}}} '
            f"times faster than an objective of {objective.share:g} allows, with {MINIMUM_BAD} bad predictions or "
            f"more. At {window.factor:g} times the budget of {PERIOD_DAYS} days lasts {hours_left:.0f} hours. See "
            "which version it is and whether it began with a release: roll back, or mend what the model waits for."
        ),
        runbook="budget-burn",
        place=place(Overview.OBJECTIVES),
        labels={**labels, **_identity(objective), BURN_WINDOW: f"{window.long}/{window.short}"},
    )


def _identity(objective: Objective) -> dict[str, str]:
    """Labels that the series have anyway: without them linters take the rules of two objectives for copies."""
    return {promql.NAME: objective.model, promql.SLO_NAME: objective.name}
