"""The panels of the dashboard "Model overview" but those of labels (``label_panels.py``) and of the receiver (``receiver_panels.py``)."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.alerts.objective_alerts import bad_share
from calidris.grafana.panel_ids import Overview
from calidris.grafana.panels import About, Panel, Query, alarm_timeline, bars, graph, listing, number
from calidris.grafana.variables import IDENTITY_LEGEND, MODEL, RATE_INTERVAL, View, legend

TOP = 10
"""Length of top lists."""

_WATCHED = (promql.WINDOW, promql.DETECTION_KIND)
_NO_DETECTOR = "no detector yet: a model needs a baseline first"


def attention(view: View) -> list[Panel]:
    """Alarms, evidence and the status of the monitoring itself."""
    return [
        _alarms(view),
        _latched(view),
        _evidence(view),
        _status(view),
        _windows(view),
        _late(view),
        _onsets(view),
        _renewed(view),
        _waiting(view),
    ]


def traffic(view: View) -> list[Panel]:
    """Rows, latency, errors, and the objectives on them."""
    return [_rows(view), _latency(view), _errors(view), _objectives()]


def _alarms(view: View) -> Panel:
    about = About(
        Overview.ALARMS,
        "Alarms",
        "Each detector of each model version, whatever the window chosen above. An alarm stays until somebody clears it.",
        "none",
        width=18,
        empty=_NO_DETECTOR,
    )
    return alarm_timeline(about, Query(view.state(semconv.METRIC_ML_DETECTION_ALARM, _WATCHED), legend(*_WATCHED)))


def _latched(view: View) -> Panel:
    about = About(
        Overview.LATCHED,
        "Latched alarms",
        "Detectors whose alarm nobody has cleared.",
        "none",
        width=6,
        empty=_NO_DETECTOR,
    )
    alarm = view.state(semconv.METRIC_ML_DETECTION_ALARM, _WATCHED)
    return number(about, Query(promql.by("sum", (), alarm), "latched"))


def _evidence(view: View) -> Panel:
    about = About(
        Overview.EVIDENCE,
        "Evidence of a change",
        "Evidence that the rows are no longer drawn as the baseline was, as a share of what the false-alarm budget asks "
        "for. 1 raises the alarm; it falls back by itself where the evidence does not hold.",
        "none",
        width=16,
        empty=_NO_DETECTOR,
    )
    whole = promql.equals(promql.FEATURE, "")
    evidence = view.reading(semconv.METRIC_ML_DETECTION_EVIDENCE, (promql.DETECTION_KIND,), whole)
    return graph(about, [Query(evidence, legend(promql.DETECTION_KIND))], line=1)


def _status(view: View) -> Panel:
    about = About(
        Overview.STATUS,
        "Monitoring status",
        "How far the figures can be trusted: ok, partial (the first window is not full), no_baseline, learning or "
        "provisional (the baseline is not confirmed), mixed_baseline, stale (no new rows), "
        "undefined (labels cannot be what the settings say; calidris status says why).",
        "none",
        width=8,
        empty="no model has been seen yet",
    )
    status = view.state(semconv.METRIC_ML_MONITORING_STATUS, (promql.STATE,))
    columns = {promql.NAME: "model", promql.VERSION: "version", promql.STATE: "status"}
    return listing(about, Query(f"{status} == 1", legend(promql.STATE)), columns)


def _windows(view: View) -> Panel:
    about = About(
        Overview.WINDOWS,
        "Windows and how far to trust them",
        "Status of the figures of each window: ok; partial (not full yet, or 5 % of its rows came after they were due); stale (no new "
        "rows); mixed_baseline (the baseline changed inside it).",
        "none",
        empty="no model has been seen yet",
    )
    kept = (promql.WINDOW, promql.STATE)
    status = view.state(semconv.METRIC_ML_WINDOW_STATUS, kept)
    columns = {
        promql.NAME: "model",
        promql.VERSION: "version",
        promql.WINDOW: "window",
        promql.STATE: "status",
    }
    return listing(about, Query(f"{status} == 1", legend(*kept)), columns)


def _late(view: View) -> Panel:
    about = About(
        Overview.LATE,
        "Rows that came late",
        "Share of the rows of each window that came after their step was closed: they are shown, and no detector scored them.",
        "percentunit",
        empty="no model has been seen yet",
    )
    kept = (promql.WINDOW,)
    return graph(about, [Query(view.state(semconv.METRIC_ML_WINDOW_LATE, kept), legend(*kept))], maximum=1)


def _waiting(view: View) -> Panel:
    about = About(
        Overview.WAITING,
        "Detectors that wait",
        "Detectors that have not scored a window yet, so that they have no evidence and cannot alarm: for labels (true outcomes "
        "at their age), for learning (live windows that show the ordinary spread), or for rows. For labels_moved are on hold: true "
        "outcomes come at other times than they did, and what they say of the model is not judged until that alarm is cleared or over.",
        "none",
        width=24,
        empty="every detector has scored a window",
    )
    kept = (promql.WINDOW, promql.DETECTION_KIND, promql.WAITS_FOR)
    waiting = view.state(semconv.METRIC_ML_DETECTION_WAITING, kept)
    columns = {
        promql.NAME: "model",
        promql.VERSION: "version",
        promql.DETECTION_KIND: "kind",
        promql.WINDOW: "window",
        promql.WAITS_FOR: "waits for",
    }
    return listing(about, Query(waiting, legend(*kept)), columns)


def _onsets(view: View) -> Panel:
    about = About(
        Overview.ONSET,
        "How long ago it began",
        "Time since the begin of the window in which the change began that the newest latched alarm of a detector names. It is "
        "an estimate; /v1/alarms gives its interval.",
        "s",
        width=12,
        empty="no alarm is latched, or its onset is not known",
    )
    onset = view.state(semconv.METRIC_ML_DETECTION_ONSET, _WATCHED)
    return bars(about, Query(f"time() - ({onset})", legend(*_WATCHED)))


def _renewed(view: View) -> Panel:
    about = About(
        Overview.RENEWED,
        "New while an alarm stands",
        "What reached the evidence of an alarm by itself that a standing alarm of the same detector does not name.",
        "none",
        width=12,
        empty="no standing alarm was renewed",
    )
    kept = (*_WATCHED, promql.FEATURE)
    columns = {
        promql.NAME: "model",
        promql.VERSION: "version",
        promql.DETECTION_KIND: "kind",
        promql.WINDOW: "window",
        promql.FEATURE: "new",
    }
    return listing(about, Query(view.state(semconv.METRIC_ML_DETECTION_ALARM_RENEWED, kept), legend(*kept)), columns)


def _rows(view: View) -> Panel:
    about = About(
        Overview.ROWS,
        "Predictions and labels",
        "Predictions counted by the receiver, and labels that were joined to theirs, a second.",
        "cps",
        width=6,
    )
    rows = Query(view.rate(semconv.METRIC_ML_RECEIVED_ROWS), IDENTITY_LEGEND)
    labels = Query(view.rate(semconv.METRIC_ML_RECEIVED_LABELS), f"{IDENTITY_LEGEND} labels")
    return graph(about, [rows, labels])


def _latency(view: View) -> Panel:
    about = About(
        Overview.LATENCY,
        "Latency",
        "Quantiles of the duration of the calls of the newest window, within 6 % of the exact ones.",
        "s",
        width=6,
        empty="no durations: the service sends no ml.prediction.duration",
    )
    quantiles = view.reading(semconv.METRIC_ML_LATENCY_DURATION, (promql.QUANTILE,))
    return graph(about, [Query(quantiles, legend(promql.QUANTILE))])


def _errors(view: View) -> Panel:
    about = About(
        Overview.ERRORS, "Failed predictions", "Share of the rows of a window that failed.", "percentunit", width=6
    )
    return graph(about, [Query(view.reading(semconv.METRIC_ML_ERROR_RATIO), IDENTITY_LEGEND)])


def _objectives() -> Panel:
    about = About(
        Overview.OBJECTIVES,
        "Objectives missed",
        "Share of predictions that did not meet an objective, all versions of a model together.",
        "percentunit",
        width=6,
        empty="no objective is configured: see models.slo in calidris.yaml",
    )
    return graph(about, [Query(bad_share(RATE_INTERVAL, MODEL), f"{{{{{promql.NAME}}}}} {{{{{promql.SLO_NAME}}}}}")])


def data(view: View) -> list[Panel]:
    """Faults of the incoming data."""
    kept = (promql.FEATURE, promql.QUALITY_KIND)
    about = About(
        Overview.QUALITY,
        f"Data quality: {TOP} worst",
        "Share of rows whose value was missing, unseen in the baseline (other: rare or unseen), out of its range or of another type.",
        "percentunit",
        width=24,
        empty="no faults are exported for this window",
    )
    # A rare value is no fault.
    faults = view.reading(semconv.METRIC_ML_DATA_QUALITY_RATIO, kept, promql.differs(promql.QUALITY_KIND, "rare"))
    worst = f"topk({TOP}, {faults})"
    return [bars(about, Query(worst, legend(*kept)), maximum=1)]
