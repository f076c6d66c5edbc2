"""The panels of the dashboard "Model overview": is anything wrong, and is somebody still watching?"""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panels import About, Panel, Query, alarm_timeline, bars, graph, listing, number
from calidris.grafana.places import Overview
from calidris.grafana.slo import bad_share
from calidris.grafana.view import IDENTITY_LEGEND, MODEL, RATE_INTERVAL, View, legend

TOP = 10
"""Length of top lists."""

_BRIER = promql.equals(promql.CALIBRATION_MEASURE, "brier")
_CHOSEN_MEASURE = f'{promql.PERFORMANCE_MEASURE}=~"$performance"'
_NOT_BRIER = promql.differs(promql.CALIBRATION_MEASURE, "brier")


def attention(view: View) -> list[Panel]:
    """Alarms, evidence and the status of the monitoring itself."""
    watched = (promql.WINDOW, promql.DETECTION_KIND)
    alarm = view.state(semconv.METRIC_ML_DETECTION_ALARM, watched)
    whole = promql.equals(promql.FEATURE, "")
    evidence = view.figure(semconv.METRIC_ML_DETECTION_EVIDENCE, (promql.DETECTION_KIND,), whole)
    status = view.state(semconv.METRIC_ML_MONITORING_STATUS, (promql.STATE,))
    columns = {promql.NAME: "model", promql.VERSION: "version", promql.STATE: "status"}
    no_detector = "no detector yet: a model needs a baseline first"
    return [
        alarm_timeline(
            About(
                Overview.ALARMS,
                "Alarms",
                "Each detector of each model version, whatever the window chosen above. An alarm stays until somebody "
                "clears it.",
                "none",
                width=18,
                empty=no_detector,
            ),
            Query(alarm, legend(*watched)),
        ),
        number(
            About(
                Overview.LATCHED,
                "Latched alarms",
                "Detectors whose alarm nobody has cleared.",
                "none",
                6,
                8,
                no_detector,
            ),
            Query(promql.by("sum", (), alarm), "latched"),
        ),
        graph(
            About(
                Overview.EVIDENCE,
                "Evidence of a change",
                "Evidence that the rows are no longer drawn as the baseline was, as a share of what the false-alarm "
                "budget asks for. 1 raises the alarm; it falls back by itself where the evidence does not hold.",
                "none",
                width=16,
                empty=no_detector,
            ),
            [Query(evidence, legend(promql.DETECTION_KIND))],
            line=1,
        ),
        listing(
            About(
                Overview.STATUS,
                "Monitoring status",
                "How far the figures can be trusted: ok, partial (the first window is not full), no_baseline, learning "
                "or provisional (the baseline is not confirmed), mixed_baseline, stale (no new rows).",
                "none",
                width=8,
                empty="no model has been seen yet",
            ),
            Query(f"{status} == 1", legend(promql.STATE)),
            columns,
        ),
    ]


def traffic(view: View) -> list[Panel]:
    """Rows, latency, errors, and the objectives on them."""
    return [
        graph(
            About(
                Overview.ROWS,
                "Predictions and labels",
                "Predictions counted by the receiver, and labels that were joined to theirs, a second.",
                "cps",
                6,
            ),
            [
                Query(view.rate(semconv.METRIC_ML_RECEIVED_ROWS), IDENTITY_LEGEND),
                Query(view.rate(semconv.METRIC_ML_RECEIVED_LABELS), f"{IDENTITY_LEGEND} labels"),
            ],
        ),
        graph(
            About(
                Overview.LATENCY,
                "Latency",
                "Quantiles of the duration of the calls of the newest window, within 6 % of the exact ones.",
                "s",
                6,
                empty="no durations: the service sends no ml.prediction.duration",
            ),
            [Query(view.figure(semconv.METRIC_ML_LATENCY_DURATION, (promql.QUANTILE,)), legend(promql.QUANTILE))],
        ),
        graph(
            About(
                Overview.ERRORS, "Failed predictions", "Share of the rows of a window that failed.", "percentunit", 6
            ),
            [Query(view.figure(semconv.METRIC_ML_ERROR_RATIO), IDENTITY_LEGEND)],
        ),
        graph(
            About(
                Overview.OBJECTIVES,
                "Objectives missed",
                "Share of predictions that did not meet an objective, all versions of a model together.",
                "percentunit",
                6,
                empty="no objective is configured: see models.slo in calidris.yaml",
            ),
            [Query(bad_share(RATE_INTERVAL, MODEL), f"{{{{{promql.NAME}}}}} {{{{{promql.SLO_NAME}}}}}")],
        ),
    ]


def truth(view: View) -> list[Panel]:
    """Calibration and performance against labels, and how many labels there are."""
    no_labels = "no labels yet: send them with record_label"
    calibration = (
        semconv.METRIC_ML_CALIBRATION_SCORE,
        semconv.METRIC_ML_CALIBRATION_SCORE_LOWER,
        semconv.METRIC_ML_CALIBRATION_SCORE_UPPER,
    )
    performance = (
        semconv.METRIC_ML_PERFORMANCE_SCORE,
        semconv.METRIC_ML_PERFORMANCE_SCORE_LOWER,
        semconv.METRIC_ML_PERFORMANCE_SCORE_UPPER,
    )
    measured = (promql.PERFORMANCE_MEASURE, promql.PERFORMANCE_SOURCE, promql.MATURITY)
    return [
        graph(
            About(
                Overview.CALIBRATION,
                "Calibration: Brier score",
                "Mean squared difference between score and outcome, with its 95 % interval; lower is better. The thin "
                "line named baseline is the baseline's own.",
                "none",
                empty=no_labels,
            ),
            [
                *_with_bounds(view, calibration, (promql.MATURITY,), _BRIER),
                Query(view.baseline(calibration[0], (), _BRIER), f"{IDENTITY_LEGEND} baseline"),
            ],
        ),
        graph(
            About(
                Overview.PERFORMANCE,
                "Performance",
                "Performance of the decisions in the measure chosen above with its 95 % interval, from labels or estimated "
                "without them, and the baseline's own.",
                "none",
                empty=no_labels,
            ),
            [
                *_with_bounds(view, performance, measured, _CHOSEN_MEASURE),
                Query(
                    view.baseline(performance[0], (promql.PERFORMANCE_MEASURE,), _CHOSEN_MEASURE),
                    f"{legend(promql.PERFORMANCE_MEASURE)} baseline",
                ),
            ],
        ),
        graph(
            About(
                Overview.CALIBRATION_OTHER,
                "Calibration: other measures",
                "To look at only: an expected calibration error depends on its bins and never raises an alert.",
                "none",
                empty=no_labels,
            ),
            [
                Query(
                    view.figure(calibration[0], (promql.CALIBRATION_MEASURE,), _NOT_BRIER),
                    legend(promql.CALIBRATION_MEASURE),
                )
            ],
        ),
        graph(
            About(
                Overview.COVERAGE,
                "Label coverage",
                "Share of the rows of a window whose outcome is known. A figure above speaks for these rows only.",
                "percentunit",
                empty=no_labels,
            ),
            [Query(view.figure(semconv.METRIC_ML_LABEL_COVERAGE), IDENTITY_LEGEND)],
            maximum=1,
        ),
    ]


def _with_bounds(view: View, metrics: tuple[semconv.Metric, ...], kept: tuple[str, ...], *matchers: str) -> list[Query]:
    """A figure, and its lower and upper bound as thin lines."""
    names = (legend(*kept), f"{legend(*kept)} lower", f"{legend(*kept)} upper")
    return [Query(view.figure(metric, kept, *matchers), name) for metric, name in zip(metrics, names)]


def data(view: View) -> list[Panel]:
    """Faults of the incoming data."""
    kept = (promql.FEATURE, promql.QUALITY_KIND)
    worst = f"topk({TOP}, {view.figure(semconv.METRIC_ML_DATA_QUALITY_RATIO, kept)})"
    return [
        bars(
            About(
                Overview.QUALITY,
                f"Data quality: {TOP} worst",
                "Share of rows whose value was missing, unseen in the baseline, out of its range or of another type.",
                "percentunit",
                width=24,
                empty="no faults are exported for this window",
            ),
            Query(worst, legend(*kept)),
            maximum=1,
        )
    ]
