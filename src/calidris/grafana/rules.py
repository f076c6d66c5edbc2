"""What raises an alert. Severity follows one rule: only confirmed harm to users pages, everything else is a ticket.

* A drift alarm has spent the model's false-alarm budget, so it is rarely chance, but changed data is not harm yet: ticket.
  So are alarms of the other kinds, but for performance: that is harm, confirmed by labels and within the budget: page.
* Calibration that is worse than the baseline's by more than both intervals: ticket.
* Performance that is worse than the baseline's by more than both intervals: confirmed harm, page.
* A burning error budget: page or ticket, by how fast it burns (``burn.py``).
* Monitoring that is blind (silent model, receiver down, series left out): ticket.

Effect sizes of drift, calibration errors by bins and labels' coverage raise nothing: no threshold on them is right for
every model, so they are panels and not alerts.
"""

from __future__ import annotations

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.config.units import window_name
from calidris.grafana import promql
from calidris.grafana.alert import PAGE, TICKET, Alert
from calidris.grafana.audience import Audience, audiences
from calidris.grafana.places import Drift, Overview, place
from calidris.grafana.view import slice_labels, whole
from calidris.semconv import Metric

CONSECUTIVE = 3
"""Windows for which a figure must stay worse: the alert comes with the one after them.

Two intervals of 95 % that do not touch are no false-alarm budget: with an exact baseline one window in forty is outside by
chance. Four in a row are one in 2.6 million, or one in 24 years of 5 minute windows, if windows are independent.
"""

KEEP = "10m"
"""An alert on a state outlives a restart of the receiver."""

SILENCE = "30m"
_UNTRUSTED = ("learning", "provisional", "mixed_baseline")
"""States whose baseline is nobody's word yet: nothing that is compared with it may call anybody."""

_OF_AGE = promql.equals(promql.MATURITY, semconv.ML_LABEL_MATURITY_FIXED_AGE)
"""Labels of one age: what has arrived so far flatters young windows, and by more the younger they are."""
_CALIBRATION = (semconv.METRIC_ML_CALIBRATION_SCORE_LOWER, semconv.METRIC_ML_CALIBRATION_SCORE_UPPER)
_PERFORMANCE = (semconv.METRIC_ML_PERFORMANCE_SCORE_LOWER, semconv.METRIC_ML_PERFORMANCE_SCORE_UPPER)
_WHO = (promql.NAME, promql.VERSION)
_MODEL = "{{ $labels.ml_model_name }} {{ $labels.ml_model_version }}"
_FEATURES = (
    "{{ with printf `topk(3, max by (ml_feature_name) (ml_detection_evidence{ml_model_name=%q,ml_model_version=%q,"
    'ml_window=%q,ml_feature_name!=""}))` $labels.ml_model_name $labels.ml_model_version $labels.ml_window | query }} '
    "Most evidence:{{ range . }} {{ .Labels.ml_feature_name }}{{ end }}.{{ end }}"
)
"""The features behind an alarm. Grafana's own alerting runs no queries in texts and leaves this sentence out."""


def model_alerts(config: CalidrisConfig) -> tuple[Alert, ...]:
    """Alerts on models, for each audience."""
    slices = whole(slice_labels(config))
    return tuple(alert for audience in audiences(config) for alert in _of_audience(audience, slices))


def _of_audience(audience: Audience, slices: tuple[str, ...]) -> list[Alert]:
    worse = [
        alert(audience, seconds, slices) for alert in (_calibration, _performance) for seconds in audience.windows_s
    ]
    return [_drift(audience), _loss(audience), _other(audience), *worse, _silent(audience)]


def _drift(audience: Audience) -> Alert:
    kept = (*_WHO, promql.WINDOW, promql.DETECTION_KIND)
    return Alert(
        name="ModelDrift",
        key=audience.key,
        title=f"Model drift{audience.suffix}",
        expr=_latched(audience, kept, promql.equals(promql.DETECTION_KIND, "drift")),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=TICKET,
        summary=f"{_MODEL}: rows of the {{{{ $labels.ml_window }}}} windows no longer look like the baseline",
        description=(
            f"The {{{{ $labels.ml_detection_kind }}}} detector of {_MODEL} has raised an alarm on its "
            "{{ $labels.ml_window }} windows: the evidence against 'nothing has changed' has used up the false-alarm "
            f"budget.{_FEATURES} `calidris status` names the features and their direction, /v1/alarms of the read API says "
            "since when and gives example traces. Look whether data quality broke at the same time; mend the data, or "
            "label recent rows and retrain. The alarm stays latched until `calidris alarms clear` ends it."
        ),
        runbook="drift",
        place=place(Drift.EVIDENCE),
        labels=audience.labels,
    )


def _loss(audience: Audience) -> Alert:
    kept = (*_WHO, promql.WINDOW, promql.DETECTION_KIND)
    return Alert(
        name="ModelPerformanceAlarm",
        key=audience.key,
        title=f"Model performance alarm{audience.suffix}",
        expr=_latched(audience, kept, promql.equals(promql.DETECTION_KIND, "performance")),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=PAGE,
        summary=f"{_MODEL}: wrong more often than the baseline on its {{{{ $labels.ml_window }}}} windows",
        description=(
            f"True outcomes of {_MODEL} say that its losses have grown: the evidence has used up the false-alarm budget. "
            "/v1/alarms of the read API says since when, which loss, and gives example traces. Roll back if it began with a "
            "release; else see on the Drift dashboard which feature moved, and whether its data is broken. The alarm "
            "stays latched until `calidris alarms clear` ends it."
        ),
        runbook="performance-alarm",
        place=place(Overview.PERFORMANCE),
        labels=audience.labels,
    )


def _other(audience: Audience) -> Alert:
    kept = (*_WHO, promql.WINDOW, promql.DETECTION_KIND)
    return Alert(
        name="ModelAlarm",
        key=audience.key,
        title=f"Model alarm{audience.suffix}",
        expr=_latched(audience, kept, promql.outside(promql.DETECTION_KIND, ("drift", "performance"))),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=TICKET,
        summary=f"{_MODEL}: {{{{ $labels.ml_detection_kind }}}} changed on its {{{{ $labels.ml_window }}}} windows",
        description=(
            f"The {{{{ $labels.ml_detection_kind }}}} detector of {_MODEL} has raised an alarm. /v1/alarms of the read API says "
            "what changed, since when, and gives example traces; docs/detection.md says what each kind watches. The alarm "
            "stays latched until `calidris alarms clear` ends it."
        ),
        runbook="other-alarms",
        place=place(Overview.ALARMS),
        labels=audience.labels,
    )


def _calibration(audience: Audience, seconds: float, slices: tuple[str, ...]) -> Alert:
    name = window_name(seconds)
    return Alert(
        name="ModelCalibrationLost",
        key=f"{audience.key} {name}",
        title=f"Model calibration lost, {name}{audience.suffix}",
        expr=_brier_gap(audience, name, slices),
        threshold=0,
        pending=window_name(CONSECUTIVE * seconds),
        keep=KEEP,
        severity=TICKET,
        summary=f"{_MODEL}: scores fit the outcomes worse than on the baseline",
        description=(
            f"The Brier score of {_MODEL} on its {name} windows is worse than the baseline's by more than both "
            '95 % intervals: {{ printf "%.4f" $value }} lies between them, for more than '
            f"{CONSECUTIVE} windows now ({{{{ $labels.ml_label_maturity }}}} labels). Probabilities can no longer be "
            "taken at their word where a decision depends on them. Look at label coverage first, then at the Drift "
            "dashboard; recalibrate on recent labels, or roll back if it began with a release."
        ),
        runbook="calibration",
        place=place(Overview.CALIBRATION),
        labels={**audience.labels, promql.WINDOW: name},
    )


def _performance(audience: Audience, seconds: float, slices: tuple[str, ...]) -> Alert:
    name = window_name(seconds)
    return Alert(
        name="ModelPerformanceLost",
        key=f"{audience.key} {name}",
        title=f"Model performance lost, {name}{audience.suffix}",
        expr=_performance_gap(audience, name, slices),
        threshold=0,
        pending=window_name(CONSECUTIVE * seconds),
        keep=KEEP,
        severity=PAGE,
        summary=f"{_MODEL}: decisions are wrong more often than on the baseline",
        description=(
            f"The accuracy (of a regression the mean absolute error) of {_MODEL} on its {name} windows, measured on true "
            "outcomes of one age, is worse than the baseline's by "
            'more than both 95 % intervals: {{ printf "%.4f" $value }} lies between them, for more than '
            f"{CONSECUTIVE} windows now ({{{{ $labels.ml_label_maturity }}}} labels). Roll back if it began with a "
            "release; else see on the Drift dashboard which feature moved, and whether its data is broken."
        ),
        runbook="performance",
        place=place(Overview.PERFORMANCE),
        labels={**audience.labels, promql.WINDOW: name},
    )


def _silent(audience: Audience) -> Alert:
    return Alert(
        name="ModelSilent",
        key=audience.key,
        title=f"Model silent{audience.suffix}",
        expr=_silence(audience.matchers),
        threshold=0,
        pending="5m",
        severity=TICKET,
        summary="{{ $labels.ml_model_name }}: no predictions arrive any more",
        description=(
            f"The receiver has counted no prediction of {{{{ $labels.ml_model_name }}}} for {SILENCE}, of any version, "
            "though it did at this hour a week ago (yesterday, or just before, where its history is shorter). Nothing "
            "else can be said about a model that is silent. See whether the service is down, whether it still sends "
            "to the Collector or the receiver, and whether its spans are refused (Refused or set aside)."
        ),
        runbook="silent-model",
        place=place(Overview.ROWS),
        labels=audience.labels,
    )


def _silence(matchers: tuple[str, ...]) -> str:
    """1 for a model that has gone silent, else 0.

    A model that sleeps every night or at week-ends is not silent then: the same hour of last week decides, where the
    history reaches so far. Where nothing is known of before, the last term says "no rows before".
    """
    rows = semconv.METRIC_ML_RECEIVED_ROWS
    now = promql.by("sum", (promql.NAME,), promql.increase(rows, SILENCE, *matchers))
    earlier = [
        promql.by("sum", (promql.NAME,), promql.increase(rows, "1h", *matchers, offset=offset))
        for offset in ("1w", "1d", SILENCE)
    ]
    before = "\n  or ".join([*earlier, f"0 * {now}"])
    return f"({now} == bool 0)\n* on ({promql.NAME})\n((\n  {before}\n) > bool 0)"


def _latched(audience: Audience, kept: tuple[str, ...], kinds: str) -> str:
    """1 for each latched detector of some kinds, 0 for the others."""
    return promql.by("max", kept, promql.selector(semconv.METRIC_ML_DETECTION_ALARM, *audience.matchers, kinds))


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
    lower, upper = _figure(bounds[0], window, *matchers), _of_baseline(bounds[1], *matchers)
    return f"{lower}\n- on ({_joined(_WHO)}) group_left ()\n{upper}"


def _below(bounds: tuple[Metric, Metric], window: str, *matchers: str) -> str:
    """Lower bound of the baseline less upper bound of the window."""
    lower, upper = _of_baseline(bounds[0], *matchers), _figure(bounds[1], window, *matchers)
    return f"{lower}\n- on ({_joined(_WHO)}) group_right ()\n{upper}"


def _figure(metric: Metric, window: str, *matchers: str) -> str:
    inner = promql.selector(metric, *matchers, promql.equals(promql.WINDOW, window))
    return promql.by("max", (*_WHO, promql.WINDOW, promql.MATURITY), inner)


def _of_baseline(metric: Metric, *matchers: str) -> str:
    return promql.by("max", _WHO, promql.selector(metric, *matchers, promql.equals(promql.WINDOW, promql.BASELINE)))


def _trusted(difference: str, audience: Audience) -> str:
    """A difference from the baseline; 0 while the baseline is not confirmed, or no labels are of age."""
    status = semconv.METRIC_ML_MONITORING_STATUS
    confirmed = promql.selector(status, *audience.matchers, promql.outside(promql.STATE, _UNTRUSTED))
    gate = f"{promql.by('max', _WHO, confirmed)} or 0 * {_known(audience)}"
    return f"({difference})\n* on ({_joined(_WHO)}) group_left ()\n({gate})\nor on ({_joined(_WHO)}) 0 * {_known(audience)}"


def _known(audience: Audience) -> str:
    """1 for every model that is watched."""
    return promql.by("max", _WHO, promql.selector(semconv.METRIC_ML_MONITORING_STATUS, *audience.matchers))


def _joined(labels: tuple[str, ...]) -> str:
    return ", ".join(labels)
