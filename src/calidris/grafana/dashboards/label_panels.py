"""The panels that compare scores and decisions with true outcomes."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Overview
from calidris.grafana.panels import About, Panel, Query, graph
from calidris.grafana.variables import IDENTITY_LEGEND, View, legend
from calidris.semconv import Metric

_BRIER = promql.equals(promql.CALIBRATION_MEASURE, "brier")
_NOT_BRIER = promql.differs(promql.CALIBRATION_MEASURE, "brier")
_CHOSEN = f'{promql.PERFORMANCE_MEASURE}=~"$performance"'
_OF_AGE = f'{promql.MATURITY}=~"$maturity"'
_ENDS = ("", " lower", " upper")
_TREND = (
    semconv.METRIC_ML_PERFORMANCE_TREND,
    semconv.METRIC_ML_PERFORMANCE_TREND_LOWER,
    semconv.METRIC_ML_PERFORMANCE_TREND_UPPER,
)
_NO_LABELS = "no labels yet: send them with record_label"

_CALIBRATION = (
    semconv.METRIC_ML_CALIBRATION_SCORE,
    semconv.METRIC_ML_CALIBRATION_SCORE_LOWER,
    semconv.METRIC_ML_CALIBRATION_SCORE_UPPER,
)
_PERFORMANCE = (
    semconv.METRIC_ML_PERFORMANCE_SCORE,
    semconv.METRIC_ML_PERFORMANCE_SCORE_LOWER,
    semconv.METRIC_ML_PERFORMANCE_SCORE_UPPER,
)


def truth(view: View) -> list[Panel]:
    """Calibration and performance against labels, and how many labels there are."""
    return [_calibration(view), _performance(view), _other_measures(view), _coverage(view), _trend(view)]


def _calibration(view: View) -> Panel:
    about = About(
        Overview.CALIBRATION,
        "Calibration: Brier score",
        "Mean squared difference between score and outcome, with its 95 % interval; lower is better. The thin line named "
        "baseline is the baseline's own.",
        "none",
        empty=_NO_LABELS,
    )
    return graph(about, _with_bounds(view, _CALIBRATION, (), _BRIER, _OF_AGE))


def _performance(view: View) -> Panel:
    about = About(
        Overview.PERFORMANCE,
        "Performance",
        "Performance of the decisions on true outcomes, in the measure and at the maturity of labels chosen above, with its "
        "95 % interval, and the baseline's own.",
        "none",
        empty=_NO_LABELS,
    )
    return graph(about, _with_bounds(view, _PERFORMANCE, (promql.PERFORMANCE_MEASURE,), _CHOSEN, _OF_AGE))


def _other_measures(view: View) -> Panel:
    about = About(
        Overview.CALIBRATION_OTHER,
        "Calibration: other measures",
        "To look at only: an expected calibration error depends on its bins and never raises an alert.",
        "none",
        empty=_NO_LABELS,
    )
    others = view.figure(_CALIBRATION[0], (promql.CALIBRATION_MEASURE,), _NOT_BRIER, _OF_AGE)
    return graph(about, [Query(others, legend(promql.CALIBRATION_MEASURE))])


def _coverage(view: View) -> Panel:
    about = About(
        Overview.COVERAGE,
        "Label coverage",
        "Share of the rows of a window whose outcome is known. A figure above speaks for these rows only.",
        "percentunit",
        empty=_NO_LABELS,
    )
    return graph(about, [Query(view.figure(semconv.METRIC_ML_LABEL_COVERAGE), IDENTITY_LEGEND)], maximum=1)


def _trend(view: View) -> Panel:
    about = About(
        Overview.TREND,
        "Trend over four weeks",
        "Change of a headline figure a day over the last 28 days, with its 95 % interval. An interval without 0 says that it "
        "moves. Days count when their labels are of age.",
        "none",
        width=24,
        empty="no trend yet: it takes five days with labels",
    )
    kept, month = (promql.TREND_MEASURE,), promql.equals(promql.WINDOW, "28d")
    queries = [Query(view.state(metric, kept, month), f"{legend(*kept)}{end}") for metric, end in zip(_TREND, _ENDS)]
    return graph(about, queries)


def _with_bounds(view: View, metrics: tuple[Metric, ...], kept: tuple[str, ...], *matchers: str) -> list[Query]:
    """A figure, its bounds as thin lines, and the baseline's own."""
    found = [
        Query(view.figure(metric, kept, *matchers), f"{legend(*kept)}{end}") for metric, end in zip(metrics, _ENDS)
    ]
    return [*found, Query(view.baseline(metrics[0], kept, *matchers), f"{legend(*kept)} baseline")]
