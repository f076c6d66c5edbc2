"""The panels that compare scores and decisions with true outcomes."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panels import About, Panel, Query, graph
from calidris.grafana.places import Overview
from calidris.grafana.view import IDENTITY_LEGEND, View, legend
from calidris.semconv import Metric

_BRIER = promql.equals(promql.CALIBRATION_MEASURE, "brier")
_NOT_BRIER = promql.differs(promql.CALIBRATION_MEASURE, "brier")
_CHOSEN = f'{promql.PERFORMANCE_MEASURE}=~"$performance"'
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
    return [_calibration(view), _performance(view), _other_measures(view), _coverage(view)]


def _calibration(view: View) -> Panel:
    about = About(
        Overview.CALIBRATION,
        "Calibration: Brier score",
        "Mean squared difference between score and outcome, with its 95 % interval; lower is better. The thin line named "
        "baseline is the baseline's own.",
        "none",
        empty=_NO_LABELS,
    )
    baseline = Query(view.baseline(_CALIBRATION[0], (), _BRIER), f"{IDENTITY_LEGEND} baseline")
    return graph(about, [*_with_bounds(view, _CALIBRATION, (promql.MATURITY,), _BRIER), baseline])


def _performance(view: View) -> Panel:
    about = About(
        Overview.PERFORMANCE,
        "Performance",
        "Performance of the decisions in the measure chosen above with its 95 % interval, from labels or estimated "
        "without them, and the baseline's own.",
        "none",
        empty=_NO_LABELS,
    )
    measured = (promql.PERFORMANCE_MEASURE, promql.PERFORMANCE_SOURCE, promql.MATURITY)
    baseline = Query(
        view.baseline(_PERFORMANCE[0], (promql.PERFORMANCE_MEASURE,), _CHOSEN),
        f"{legend(promql.PERFORMANCE_MEASURE)} baseline",
    )
    return graph(about, [*_with_bounds(view, _PERFORMANCE, measured, _CHOSEN), baseline])


def _other_measures(view: View) -> Panel:
    about = About(
        Overview.CALIBRATION_OTHER,
        "Calibration: other measures",
        "To look at only: an expected calibration error depends on its bins and never raises an alert.",
        "none",
        empty=_NO_LABELS,
    )
    others = view.figure(_CALIBRATION[0], (promql.CALIBRATION_MEASURE,), _NOT_BRIER)
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


def _with_bounds(view: View, metrics: tuple[Metric, ...], kept: tuple[str, ...], *matchers: str) -> list[Query]:
    """A figure, and its lower and upper bound as thin lines."""
    names = (legend(*kept), f"{legend(*kept)} lower", f"{legend(*kept)} upper")
    return [Query(view.figure(metric, kept, *matchers), name) for metric, name in zip(metrics, names)]
