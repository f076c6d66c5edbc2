"""Recording rules and alerts of the objectives that models have: error budgets with several windows and burn rates.

As in the SRE workbook and sloth, as pure functions. A burn rate of 1 uses up the budget exactly at the end of the period. Each
alert looks at a long window, which says that enough of the budget is really gone, and at a short one, which says that it is
still burning::

    factor   long   short   budget gone by then   severity
      14.4     1h      5m                   2 %   page
       6       6h     30m                   5 %   page
       3       1d      2h                  10 %   ticket
       1       3d      6h                  10 %   ticket
"""

from __future__ import annotations

from dataclasses import dataclass

from calidris import semconv
from calidris.config import CalidrisConfig, ModelConfig
from calidris.errors import ConfigError
from calidris.grafana import promql
from calidris.grafana.alerts.alert import PAGE, TICKET, Alert, Recording
from calidris.grafana.alerts.audience import model_labels
from calidris.grafana.alerts.silence import nothing_new
from calidris.grafana.panel_ids import Overview, panel_id

PERIOD_DAYS = 30
MINIMUM_BAD = 10
"""Bad predictions in the long window below which no burn-rate alert fires: two failures at night are no outage."""

BURN = "ml_model_slo:burn_rate:ratio"
"""The recorded burn rate of an objective over one window (label ``ml_slo_window``)."""

BURN_WINDOW = "ml_slo_window"
_BAD = promql.equals(promql.SLO_OUTCOME, "bad")
_KEPT = (promql.NAME, promql.SLO_NAME)


@dataclass(frozen=True, slots=True)
class BurnWindow:
    """One pair of windows and the burn rate that both must exceed.

    Attributes:
        factor: burn rate.
        long: window that shows that the budget is really being used up.
        short: window that ends the alert soon after the problem has ended.
        severity: page or ticket.
    """

    factor: float
    long: str
    short: str
    severity: str


BURN_WINDOWS = (
    BurnWindow(14.4, "1h", "5m", PAGE),
    BurnWindow(6, "6h", "30m", PAGE),
    BurnWindow(3, "1d", "2h", TICKET),
    BurnWindow(1, "3d", "6h", TICKET),
)
RECORDED_WINDOWS = ("5m", "30m", "1h", "2h", "6h", "1d", "3d")


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of one model.

    Attributes:
        model: name of the model; its versions share the budget.
        name: ``latency`` or ``errors``, the value of ``ml.slo.name``.
        share: share of predictions that must be good.
        meaning: what a bad prediction is, for people.
    """

    model: str
    name: str
    share: float
    meaning: str

    @property
    def budget(self) -> float:
        """Share of predictions that may be bad, without the rounding of binary fractions.

        >>> Objective("credit", "errors", 0.999, "failed").budget
        0.001
        """
        return float(f"{1 - self.share:.10g}")

    @property
    def matchers(self) -> tuple[str, ...]:
        """Matchers of its events."""
        return promql.equals(promql.NAME, self.model), promql.equals(promql.SLO_NAME, self.name)


def objectives(model: ModelConfig) -> tuple[Objective, ...]:
    """The objectives of a model, latency first."""
    found = []
    if model.slo.latency is not None:
        meaning = f"took longer than {model.slo.latency.under * 1000:g} ms"
        found.append(Objective(model.series_name, "latency", model.slo.latency.objective, meaning))
    if model.slo.errors is not None:
        found.append(Objective(model.series_name, "errors", model.slo.errors.objective, "failed"))
    return tuple(found)


def burn_windows(objective: Objective) -> tuple[BurnWindow, ...]:
    """The windows whose alert can fire at all: with every prediction bad the burn rate is 1 / budget, and never more.

    >>> [w.factor for w in burn_windows(Objective("credit", "latency", 0.9, "slow"))]
    [6, 3, 1]

    Raises:
        ConfigError: not even a total failure would page.
    """
    possible = tuple(window for window in BURN_WINDOWS if window.factor * objective.budget < 1)
    if not any(window.severity == PAGE for window in possible):
        least = 1 - 1 / min(w.factor for w in BURN_WINDOWS if w.severity == PAGE)
        raise ConfigError(
            f"models.{objective.model}.slo.{objective.name}: an objective of {objective.share:g} could never page: its "
            f"budget burns at most {1 / objective.budget:.3g} times too fast, even when every prediction is bad; set "
            f"an objective above {least:.3f}, or remove it"
        )
    return possible


def bad_share(window: str, *matchers: str) -> str:
    """Share of bad events over a window; 0 where there were none at all, so that a quiet night is not unknown.

    A plain quotient would be absent before the first bad event and NaN without traffic.
    """
    bad = promql.by("sum", _KEPT, promql.rate(semconv.METRIC_ML_SLO_EVENTS, window, *matchers, _BAD))
    every = promql.by("sum", _KEPT, promql.rate(semconv.METRIC_ML_SLO_EVENTS, window, *matchers))
    return f"{bad}\n/ ({every} > 0)\nor 0 * {every}"


def burn_rate(objective: Objective, window: str) -> str:
    """How many times too fast an objective's budget burnt over a window."""
    return f"(\n{bad_share(window, *objective.matchers)}\n) / {objective.budget:.10g}"


def confirmed_burn(objective: Objective, window: BurnWindow) -> str:
    """The burn rate that both windows of a pair reach, 0 while there were too few bad predictions to speak of."""
    pair = promql.selector(BURN, *objective.matchers, promql.among(BURN_WINDOW, (window.short, window.long)))
    bad = promql.increase(semconv.METRIC_ML_SLO_EVENTS, window.long, *objective.matchers, _BAD)
    enough = f"({promql.by('sum', _KEPT, bad)} >= bool {MINIMUM_BAD})"
    burn = f"{promql.by('min', _KEPT, pair)}\n* on ({', '.join(_KEPT)})\n{enough}"
    fires = (promql.equals("alertname", "ModelBudgetBurn"), promql.equals(BURN_WINDOW, f"{window.long}/{window.short}"))
    told = nothing_new(burn, objective.matchers[:1], fires)
    return f"({told})\nor 0 * {promql.by('min', _KEPT, pair)}"


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
        panel=panel_id(Overview.OBJECTIVES),
        labels={**labels, **_identity(objective), BURN_WINDOW: f"{window.long}/{window.short}"},
    )


def _identity(objective: Objective) -> dict[str, str]:
    """Labels that the series have anyway: without them linters take the rules of two objectives for copies."""
    return {promql.NAME: objective.model, promql.SLO_NAME: objective.name}
