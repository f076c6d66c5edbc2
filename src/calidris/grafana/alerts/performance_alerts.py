"""Alerts on figures that are worse than the baseline's by more than both intervals: calibration and performance on labels."""

from __future__ import annotations

from calidris import semconv
from calidris.config.units import parse_duration_s, window_name
from calidris.grafana import promql
from calidris.grafana.alerts.alert import TICKET, Alert
from calidris.grafana.alerts.audience import Audience
from calidris.grafana.alerts.labels_moved import unless_moved
from calidris.grafana.alerts.latched import KEEP, MODEL, WHO
from calidris.grafana.alerts.silence import SILENCE, nothing_new
from calidris.grafana.panel_ids import Overview, panel_id
from calidris.semconv import Metric

CONSECUTIVE = 3
"""Windows for which a figure must stay worse: the alert comes with the one after them.

Two intervals of 95 % that do not touch are no false-alarm budget: with an exact baseline one window in forty is outside by
chance. Four in a row are one in 2.6 million, or one in 24 years of 5 minute windows, if windows are independent.
"""

_UNTRUSTED = ("learning", "provisional", "mixed_baseline")
"""States whose baseline is nobody's word yet: nothing that is compared with it may call anybody."""

_OF_AGE = promql.equals(promql.MATURITY, semconv.ML_LABEL_MATURITY_FIXED_AGE)
"""Labels of one age: what has arrived so far flatters young windows, and by more the younger they are."""
_CALIBRATION = (semconv.METRIC_ML_CALIBRATION_SCORE_LOWER, semconv.METRIC_ML_CALIBRATION_SCORE_UPPER)
_PERFORMANCE = (semconv.METRIC_ML_PERFORMANCE_SCORE_LOWER, semconv.METRIC_ML_PERFORMANCE_SCORE_UPPER)


def calibration(audience: Audience, seconds: float, slices: tuple[str, ...]) -> Alert:
    """The Brier score of one window length."""
    name = window_name(seconds)
    return Alert(
        name="ModelCalibrationLost",
        key=f"{audience.key} {name}",
        title=f"Model calibration lost, {name}{audience.suffix}",
        expr=_while_rows_come(_brier_gap(audience, name, slices), "ModelCalibrationLost", audience, seconds),
        threshold=0,
        pending=window_name(CONSECUTIVE * seconds),
        keep=KEEP,
        severity=TICKET,
        summary=f"{MODEL}: scores fit the outcomes worse than on the baseline",
        description=(
            f"The Brier score of {MODEL} on its {name} windows is worse than the baseline's by more than both "
            '95 % intervals: {{ printf "%.4f" $value }} lies between them, for more than '
            f"{CONSECUTIVE} windows now ({{{{ $labels.ml_label_maturity }}}} labels). Probabilities can no longer be "
            "taken at their word where a decision depends on them. Look at label coverage first, then at the Drift "
            "dashboard; recalibrate on recent labels, or roll back if it began with a release."
        ),
        runbook="calibration",
        panel=panel_id(Overview.CALIBRATION),
        labels={**audience.labels, promql.WINDOW: name},
    )


def performance(audience: Audience, seconds: float, slices: tuple[str, ...]) -> Alert:
    """Accuracy, or the absolute error of a regression, of one window length."""
    name = window_name(seconds)
    return Alert(
        name="ModelPerformanceLost",
        key=f"{audience.key} {name}",
        title=f"Model performance lost, {name}{audience.suffix}",
        expr=_while_rows_come(_performance_gap(audience, name, slices), "ModelPerformanceLost", audience, seconds),
        threshold=0,
        pending=window_name(CONSECUTIVE * seconds),
        keep=KEEP,
        severity=TICKET,
        summary=f"{MODEL}: decisions are wrong more often than on the baseline",
        description=(
            f"The accuracy (of a regression the mean absolute error) of {MODEL} on its {name} windows, measured on true "
            "outcomes of one age, is worse than the baseline's by "
            'more than both 95 % intervals: {{ printf "%.4f" $value }} lies between them, for more than '
            f"{CONSECUTIVE} windows now ({{{{ $labels.ml_label_maturity }}}} labels). Roll back if it began with a "
            "release; else see on the Drift dashboard which feature moved, and whether its data is broken."
        ),
        runbook="performance",
        panel=panel_id(Overview.PERFORMANCE),
        labels={**audience.labels, promql.WINDOW: name},
    )


def _brier_gap(audience: Audience, window: str, slices: tuple[str, ...]) -> str:
    """How far the window's interval lies above the baseline's; negative where they touch."""
    matchers = (*audience.matchers, promql.equals(promql.CALIBRATION_MEASURE, "brier"), _OF_AGE, *slices)
    return _trusted(_above(_CALIBRATION, window, *matchers), audience)


def _performance_gap(audience: Audience, window: str, slices: tuple[str, ...]) -> str:
    """How far accuracy lies below the baseline's, or the absolute error above it; negative where intervals touch."""
    labels = promql.equals(promql.PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_LABELS)
    matchers = (*audience.matchers, _OF_AGE, *slices, labels)
    accuracy, error = (promql.equals(promql.PERFORMANCE_MEASURE, m) for m in ("accuracy", "mae"))
    below, above = _below(_PERFORMANCE, window, accuracy, *matchers), _above(_PERFORMANCE, window, error, *matchers)
    return _trusted(f"(\n{below}\n)\nor\n(\n{above}\n)", audience)


def _above(bounds: tuple[Metric, Metric], window: str, *matchers: str) -> str:
    """Lower bound of the window less upper bound of the baseline."""
    lower, upper = _reading(bounds[0], window, *matchers), _of_baseline(bounds[1], *matchers)
    return f"{lower}\n- on ({_joined(WHO)}) group_left ()\n{upper}"


def _below(bounds: tuple[Metric, Metric], window: str, *matchers: str) -> str:
    """Lower bound of the baseline less upper bound of the window."""
    lower, upper = _of_baseline(bounds[0], *matchers), _reading(bounds[1], window, *matchers)
    return f"{lower}\n- on ({_joined(WHO)}) group_right ()\n{upper}"


def _reading(metric: Metric, window: str, *matchers: str) -> str:
    inner = promql.selector(metric, *matchers, promql.equals(promql.WINDOW, window))
    return promql.by("max", (*WHO, promql.WINDOW, promql.MATURITY), inner)


def _of_baseline(metric: Metric, *matchers: str) -> str:
    return promql.by("max", WHO, promql.selector(metric, *matchers, promql.equals(promql.WINDOW, promql.BASELINE)))


def _trusted(difference: str, audience: Audience) -> str:
    """A difference from the baseline; 0 while the baseline is not confirmed, or no labels are of age."""
    status = semconv.METRIC_ML_MONITORING_STATUS
    confirmed = promql.selector(status, *audience.matchers, promql.outside(promql.STATE, _UNTRUSTED))
    gate = f"{promql.by('max', WHO, confirmed)} or 0 * {_known(audience)}"
    return (
        f"({difference})\n* on ({_joined(WHO)}) group_left ()\n({gate})\nor on ({_joined(WHO)}) 0 * {_known(audience)}"
    )


def _while_rows_come(gap: str, alert: str, audience: Audience, seconds: float) -> str:
    """A gap that is told anew only while rows come: figures of a silent model are of rows of before it."""
    # A model of few rows may well have none for a whole window, and would never be worse for three of them.
    span_s = 2 * seconds if seconds > parse_duration_s(SILENCE) else 0.0
    of_window = promql.equals(promql.WINDOW, window_name(seconds))
    named = promql.equals("alertname", alert)
    firing = (named, of_window)
    told = nothing_new(unless_moved(gap, audience, firing), audience.matchers, firing, span_s)
    return f"({told})\nor on ({_joined(WHO)}) 0 * {_known(audience)}"


def _known(audience: Audience) -> str:
    """1 for every model that is watched."""
    return promql.by("max", WHO, promql.selector(semconv.METRIC_ML_MONITORING_STATUS, *audience.matchers))


def _joined(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
