"""What raises an alert. Severity follows one rule: only confirmed harm to users pages, everything else is a ticket.

* A drift alarm has spent the model's false-alarm budget, so it is rarely chance, but changed data is not harm yet: ticket.
  So are alarms of the other kinds, but for performance: that is harm, confirmed by labels and within the budget: page. Its early
  alarms are tickets: the rise may be smaller than what the settings call news. ``detect.page`` raises other kinds to a page.
* Calibration that is worse than the baseline's by more than both intervals: ticket.
* Performance that is worse than the baseline's by more than both intervals: confirmed harm, page.
* Labels that come at other times than they did: nobody can say meanwhile whether the model got worse: ticket.
* A burning error budget: page or ticket, by how fast it burns (``objective_alerts.py``).
* Monitoring that is blind (silent model, receiver down, series left out): ticket.

Effect sizes of drift, calibration errors by bins and labels' coverage raise nothing: no threshold on them is right for
every model, so they are panels and not alerts.
"""

from __future__ import annotations

from typing import NamedTuple

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.grafana import promql
from calidris.grafana.alerts.alert import PAGE, TICKET, Alert
from calidris.grafana.alerts.audience import Audience, audiences
from calidris.grafana.alerts.labels_moved import LABELS, labels_moved
from calidris.grafana.alerts.latched import KEEP, MODEL, WHO, latched
from calidris.grafana.alerts.performance_alerts import calibration, performance
from calidris.grafana.alerts.silence import SILENCE, batch_models, missed_jobs, not_raised_in_silence, nothing_new
from calidris.grafana.panel_ids import Drift, Overview, PanelId, panel_id
from calidris.grafana.variables import slice_labels, whole

LATE_SPAN = "1h"
LATE_SHARE = 0.05
"""Of the rows of that time. A sender that tries again after an outage brings a few late rows, and they cost no alarm."""
_OF_THEIR_OWN = ("drift", "performance", LABELS)
"""Kinds that have a rule of their own."""
FEWEST_LATE = 30
"""Fewer late rows say nothing: a window with fewer rows is not scored by itself either."""
_FEATURES = (
    "{{ with printf `topk(3, max by (ml_feature_name) (ml_detection_evidence{ml_model_name=%q,ml_model_version=%q,"
    'ml_window=%q,ml_feature_name!=""}))` $labels.ml_model_name $labels.ml_model_version $labels.ml_window | query }} '
    "Most evidence:{{ range . }} {{ .Labels.ml_feature_name }}{{ end }}.{{ end }}"
)
"""The features behind an alarm. Grafana's own alerting runs no queries in texts and leaves this sentence out."""


_SINCE = (
    "{{ with printf `max(ml_detection_onset_seconds{ml_model_name=%q,ml_model_version=%q,ml_window=%q,ml_detection_kind=%q})` "
    "$labels.ml_model_name $labels.ml_model_version $labels.ml_window $labels.ml_detection_kind | query }} "
    "It began about {{ . | first | value | humanizeTimestamp }}.{{ end }}"
)
"""When the newest alarm's change began, where it is known; Grafana's own alerting leaves it out too."""


_DETECTOR = (
    *WHO,
    promql.WINDOW,
    promql.DETECTION_KIND,
)
_NEW = (
    *_DETECTOR,
    promql.FEATURE,
)


def model_alerts(config: CalidrisConfig) -> tuple[Alert, ...]:
    """Alerts on models, for each audience."""
    slices = whole(slice_labels(config))
    return tuple(alert for audience in audiences(config) for alert in _of_audience(audience, slices))


def _of_audience(audience: Audience, slices: tuple[str, ...]) -> list[Alert]:
    worse = [alert(audience, seconds, slices) for alert in (calibration, performance) for seconds in audience.windows_s]
    alarms = _on_latched(audience)
    return [*alarms, _renewed(audience), *worse, _silent(audience), _late(audience)]


def _on_latched(audience: Audience) -> list[Alert]:
    """Rules on latched alarms."""
    others = audience.pages - {"drift"}
    drift = _by_severity(_DRIFT, audience, TICKET, "drift" in audience.pages)
    loss = _by_severity(_LOSS, audience, PAGE, True)
    other = _by_severity(_OTHER, audience, TICKET, bool(others))
    return [*drift, *loss, labels_moved(audience), *other]


class _For(NamedTuple):
    """Whom a rule is for, and which series it reads.

    Where nothing of a kind pages, its ticket reads all series of it: rules that were rendered before a setting lose no alarm.
    """

    severity: str
    matchers: tuple[str, ...] = ()
    usual: bool = True

    @property
    def key(self) -> str:
        """Of a rule that is not the usual one of its name."""
        return "" if self.usual else f" {self.severity}"

    @property
    def title(self) -> str:
        """What it adds to a title."""
        return "" if self.usual else f", {self.severity}"


def _by_severity(words: _Words, audience: Audience, usual: str, pages: bool) -> list[Alert]:
    """A rule for pages, where there are any, and one for tickets."""
    if not pages:
        every = _For(TICKET)
        return [_rule(audience, every, words)]
    return [_rule(audience, to, words) for to in _both(usual)]


def _both(usual: str) -> tuple[_For, _For]:
    """The usual one takes series that do not say which, too."""
    other = TICKET if usual == PAGE else PAGE
    rest = promql.differs(promql.SEVERITY, other)
    some = promql.equals(promql.SEVERITY, other)
    return _For(usual, (rest,)), _For(other, (some,), usual=False)


class _Words(NamedTuple):
    """What a rule says, where it leads, and which kinds of alarms it tells of; ``unusual`` goes before it at the other severity."""

    name: str
    title: str
    kinds: str
    summary: str
    description: str
    runbook: str
    panel: PanelId
    unusual: str = ""


def _rule(audience: Audience, to: _For, words: _Words) -> Alert:
    """A rule on latched alarms."""
    return Alert(
        name=words.name,
        key=audience.key + to.key,
        title=f"{words.title}{to.title}{audience.suffix}",
        expr=latched(audience, _DETECTOR, words.kinds, to.matchers),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=to.severity,
        summary=words.summary,
        description=words.description if to.usual else words.unusual + words.description,
        runbook=words.runbook,
        panel=words.panel,
        labels=audience.labels,
    )


_DRIFT = _Words(
    name="ModelDrift",
    title="Model drift",
    kinds=promql.equals(promql.DETECTION_KIND, "drift"),
    summary=f"{MODEL}: rows of the {{{{ $labels.ml_window }}}} windows no longer look like the baseline",
    description=(
        f"The {{{{ $labels.ml_detection_kind }}}} detector of {MODEL} has raised an alarm on its "
        "{{ $labels.ml_window }} windows: the evidence against 'nothing has changed' has used up the false-alarm "
        f"budget.{_FEATURES}{_SINCE} `calidris status` names the features and their direction, /v1/alarms of the read API says "
        "since when and gives example traces. Look whether data quality broke at the same time; mend the data, or "
        "label recent rows and retrain. The alarm stays latched until `calidris alarms clear` ends it."
    ),
    runbook="drift",
    panel=panel_id(Drift.EVIDENCE),
)
_LOSS = _Words(
    name="ModelPerformanceAlarm",
    title="Model performance alarm",
    kinds=promql.equals(promql.DETECTION_KIND, "performance"),
    summary=f"{MODEL}: wrong more often than the baseline on its {{{{ $labels.ml_window }}}} windows",
    description=(
        f"True outcomes of {MODEL} say that its losses have grown: the evidence has used up the false-alarm budget."
        f"{_SINCE} /v1/alarms of the read API says which loss, and gives example traces. Roll back if it began with a "
        "release; else see on the Drift dashboard which feature moved, and whether its data is broken. The alarm "
        "stays latched until `calidris alarms clear` ends it."
    ),
    runbook="performance-alarm",
    panel=panel_id(Overview.PERFORMANCE),
    unusual="Early evidence, of a rise that may still be smaller than what the settings call news. ",
)
_OTHER = _Words(
    name="ModelAlarm",
    title="Model alarm",
    kinds=promql.outside(promql.DETECTION_KIND, _OF_THEIR_OWN),
    summary=f"{MODEL}: {{{{ $labels.ml_detection_kind }}}} changed on its {{{{ $labels.ml_window }}}} windows",
    description=(
        f"The {{{{ $labels.ml_detection_kind }}}} detector of {MODEL} has raised an alarm.{_SINCE} /v1/alarms of the read API "
        "says what changed, since when, of a canary from what to what, and gives example traces; docs/detection.md says what each kind watches. The alarm "
        "stays latched until `calidris alarms clear` ends it."
    ),
    runbook="other-alarms",
    panel=panel_id(Overview.ALARMS),
)


def _renewed(audience: Audience) -> Alert:
    """One alert for each thing that renewed an alarm: what is new is a label, which every notification shows."""
    return Alert(
        name="ModelAlarmRenewed",
        key=audience.key,
        title=f"Model alarm renewed{audience.suffix}",
        expr=_renewals(audience),
        threshold=0,
        pending="0s",
        keep=KEEP,
        severity=TICKET,
        summary=(
            f"{MODEL}: {{{{ $labels.ml_feature_name }}}} changed too, "
            "beside what the standing {{ $labels.ml_detection_kind }} alarm names"
        ),
        description=(
            f"While an alarm of the {{{{ $labels.ml_detection_kind }}}} detector of {MODEL} stands on its "
            "{{ $labels.ml_window }} windows, {{ $labels.ml_feature_name }}, which it does not name, has reached the "
            "evidence of an alarm by itself. It may be another incident. /v1/alarms of the read API has it as an alarm "
            "of its own: which way it went, since when, which alarm it renews, and example traces. Acknowledge and "
            "clear it by itself (`calidris alarms list`)."
        ),
        runbook="renewed-alarms",
        panel=panel_id(Overview.RENEWED),
        labels=audience.labels,
    )


def _renewals(audience: Audience) -> str:
    """1 for each thing that renewed an alarm, 0 for each detector: and nothing of those raised while its model was silent."""
    new = _select(semconv.METRIC_ML_DETECTION_ALARM_RENEWED, audience, _NEW)
    silent = _of_detectors(semconv.METRIC_ML_DETECTION_ALARM_SILENT, audience)
    told = not_raised_in_silence(new, silent, audience.matchers, _DETECTOR)
    return f"({told})\nor 0 * {_of_detectors(semconv.METRIC_ML_DETECTION_ALARM, audience)}"


def _of_detectors(metric: semconv.Metric, audience: Audience) -> str:
    return _select(metric, audience, _DETECTOR)


def _select(
    metric: semconv.Metric,
    audience: Audience,
    kept: tuple[str, ...],
) -> str:
    series = promql.selector(metric, *audience.matchers)
    return promql.by("max", kept, series)


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
            "though it did at this hour a week ago (yesterday, or just before, where its history is shorter); or three jobs "
            "of a model whose rows come in jobs are missing. Nothing "
            "else can be said about a model that is silent. See whether the service is down, whether it still sends "
            "to the Collector or the receiver, and whether its spans are refused (Refused or set aside)."
        ),
        runbook="silent-model",
        panel=panel_id(Overview.ROWS),
        labels=audience.labels,
    )


def _silence(matchers: tuple[str, ...]) -> str:
    """1 for a model that has gone silent, else 0.

    A model that sleeps every night or at week-ends is not silent then: the same hour of last week decides, where the
    history reaches so far. Where nothing is known of before, the last term says "no rows before". A model whose rows come in jobs
    is silent between them: of such a one the receiver says when it misses some, in the status of every version.
    """
    rows = semconv.METRIC_ML_RECEIVED_ROWS
    now = promql.by("sum", (promql.NAME,), promql.increase(rows, SILENCE, *matchers))
    earlier = [
        promql.by("sum", (promql.NAME,), promql.increase(rows, "1h", *matchers, offset=offset))
        for offset in ("1w", "1d", SILENCE)
    ]
    before = "\n  or ".join([*earlier, f"0 * {now}"])
    batch, stale = batch_models(matchers), missed_jobs(matchers)
    live = f"({now} == bool 0)\n* on ({promql.NAME})\n((\n  {before}\n) > bool 0)"
    return f"({live})\nunless on ({promql.NAME}) {batch}\nor ({stale} == bool {batch})\nor 0 * {batch}"


def _late(audience: Audience) -> Alert:
    """A model of which many rows are not scored: they came after their window was closed."""
    return Alert(
        name="ModelRowsLate",
        key=audience.key,
        title=f"Model rows late{audience.suffix}",
        expr=_late_share(audience),
        threshold=LATE_SHARE,
        pending="5m",
        severity=TICKET,
        summary=f"{MODEL}: rows come after their windows are closed and are not scored",
        description=(
            f"{{{{ $value | humanizePercentage }}}} of the rows of {MODEL} in the last hour came after their window was closed: "
            "they are counted and shown, and no detector has seen them. A job that brings many hours at once needs "
            "`arrival: batch` in the model's settings; a job that pauses, a longer "
            "`batch_idle`. Else see the sender's clock and backlog, or raise `receiver.lateness`."
        ),
        runbook="late-rows",
        panel=panel_id(Overview.ROWS),
        labels=audience.labels,
    )


def _late_share(audience: Audience) -> str:
    """Late rows as a part of all rows; 0 where none came, or too few were late."""
    late, rows = (
        promql.by("sum", WHO, promql.increase(metric, LATE_SPAN, *audience.matchers))
        for metric in (semconv.METRIC_ML_RECEIVED_LATE, semconv.METRIC_ML_RECEIVED_ROWS)
    )
    share = f"({late} / ({rows} > 0))\n* ({late} > bool {FEWEST_LATE})"
    named = promql.equals("alertname", "ModelRowsLate")
    return f"({nothing_new(share, audience.matchers, (named,))})\nor 0 * {rows}"
