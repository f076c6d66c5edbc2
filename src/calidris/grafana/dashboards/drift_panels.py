"""The panels of the dashboard "Drift": which feature changed, how far, and is it the data or the world?"""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Drift
from calidris.grafana.panels import About, Panel, Query, bars, graph, number
from calidris.grafana.variables import IDENTITY_LEGEND, MODEL, VERSION, View, legend

TOP = 20
"""Features in a top list; a model may have hundreds."""

_CHOSEN = f'{promql.FEATURE}=~"$feature"'
_MEASURE = f'{promql.DRIFT_MEASURE}=~"$measure"'
_NO_DETECTOR = "no detector yet: a model needs a baseline first"
_NO_SCORES = "no scores for this window: they need a baseline, and export.series standard or full"


def change(view: View) -> list[Panel]:
    """Evidence of the features and of the whole model, and how often there was an alarm."""
    return [_by_feature(view), _of_model(view), _raised()]


def scores(view: View) -> list[Panel]:
    """Effect sizes: to look at, with no threshold, because a distance alone says nothing about chance."""
    return [_largest(view), _over_time(view)]


def data(view: View) -> list[Panel]:
    """Whether the data broke rather than the world changed, and how many rows speak."""
    return [_quality(view), _rows(view), _violations()]


def _by_feature(view: View) -> Panel:
    about = About(
        Drift.EVIDENCE,
        "Evidence by feature",
        f"The {TOP} features with most evidence of a change, as a share of what the false-alarm budget asks for. The "
        "model's alarm is raised by all of them together.",
        "none",
        width=24,
        height=10,
        empty=_NO_DETECTOR,
    )
    metric, has_feature = semconv.METRIC_ML_DETECTION_EVIDENCE, promql.differs(promql.FEATURE, "")
    evidence = view.reading(metric, (promql.FEATURE,), has_feature, _CHOSEN)
    return graph(about, [Query(f"topk({TOP}, {evidence})", legend(promql.FEATURE))], line=1)


def _of_model(view: View) -> Panel:
    about = About(
        Drift.MODEL,
        "Evidence of the model",
        "Evidence of all features together; 1 raises the alarm.",
        "none",
        width=18,
        empty=_NO_DETECTOR,
    )
    whole = promql.equals(promql.FEATURE, "")
    evidence = view.reading(semconv.METRIC_ML_DETECTION_EVIDENCE, (promql.DETECTION_KIND,), whole)
    return graph(about, [Query(evidence, legend(promql.DETECTION_KIND))], line=1)


def _raised() -> Panel:
    about = About(
        Drift.RAISED,
        "Alarms in this time range",
        "Alarms raised by the chosen models, cleared ones too.",
        "none",
        width=6,
        empty=_NO_DETECTOR,
    )
    raised = promql.increase(semconv.METRIC_ML_DETECTION_ALARMS, "$__range", MODEL, VERSION)
    # Whole numbers: increase() extrapolates to the edges of the range.
    return number(about, Query(f"round({promql.by('sum', (), raised)})", "raised"))


def _largest(view: View) -> Panel:
    about = About(
        Drift.TOP,
        f"Largest distances from the baseline: {TOP}",
        "Distance of the newest window from the baseline in the measure chosen above. An effect size, not an alarm: there "
        "is no threshold that is right for every feature and window.",
        "none",
        height=12,
        empty=_NO_SCORES,
    )
    return bars(about, Query(f"topk({TOP}, {_distance(view)})", legend(promql.FEATURE)))


def _over_time(view: View) -> Panel:
    about = About(
        Drift.SCORES,
        "Distance from the baseline by feature",
        "The measure chosen above over time. Compare a feature with its own past, not with another feature.",
        "none",
        height=12,
        empty=_NO_SCORES,
    )
    return graph(about, [Query(_distance(view), legend(promql.FEATURE))])


def _distance(view: View) -> str:
    return view.reading(semconv.METRIC_ML_DRIFT_SCORE, (promql.FEATURE,), _MEASURE, _CHOSEN)


def _quality(view: View) -> Panel:
    about = About(
        Drift.QUALITY,
        "Data quality by feature",
        "Share of rows whose value was missing, rare in the baseline, unseen in it (other: one of both), out of its range or "
        "of another type. A step here "
        "at the time of the drift means a broken pipeline more often than a changed world.",
        "percentunit",
        empty="no faults are exported for this window",
    )
    kept = (promql.FEATURE, promql.QUALITY_KIND)
    return graph(about, [Query(view.reading(semconv.METRIC_ML_DATA_QUALITY_RATIO, kept, _CHOSEN), legend(*kept))])


def _violations() -> Panel:
    about = About(
        Drift.SCHEMA,
        "Rows against the stated schema",
        "Rows a second that are not what the model's `schema` states: of the wrong type, out of range, of no stated level, or "
        "without a value. The first one raises an alarm.",
        "none",
        width=24,
        empty="no row was against a schema, or the model states none",
    )
    kept = (promql.FEATURE, promql.QUALITY_KIND)
    broken = promql.rate(semconv.METRIC_ML_DATA_QUALITY_VIOLATIONS, "$__rate_interval", MODEL, VERSION, _CHOSEN)
    return graph(about, [Query(promql.by("sum", kept, broken), legend(*kept))])


def _rows(view: View) -> Panel:
    about = About(
        Drift.ROWS,
        "Rows in the window",
        "Rows that the figures of this page speak of. Distances grow when rows get few although nothing changed; windows "
        "with too few rows are not scored.",
        "none",
    )
    return graph(about, [Query(view.reading(semconv.METRIC_ML_WINDOW_ROWS), IDENTITY_LEGEND)])
