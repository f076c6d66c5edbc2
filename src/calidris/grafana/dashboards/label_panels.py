"""The panels that compare scores and decisions with true outcomes, and those about labels that are late or missing."""

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
_WITHOUT_LABELS = (
    semconv.ML_TREND_MEASURE_ERROR_RATIO,
    semconv.ML_TREND_MEASURE_LATENCY_P95,
    semconv.ML_TREND_MEASURE_FEATURE_DRIFT,
    semconv.ML_TREND_MEASURE_PREDICTION_DRIFT,
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


def label_panels(view: View) -> list[Panel]:
    """Calibration and performance against labels, and how many labels there are."""
    labelled = [_calibration(view), _performance(view), _other_measures(view), _coverage(view)]
    return [*labelled, _trend(view), _trend_of_rows(view)]


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
    others = view.reading(_CALIBRATION[0], (promql.CALIBRATION_MEASURE,), _NOT_BRIER, _OF_AGE)
    return graph(about, [Query(others, legend(promql.CALIBRATION_MEASURE))])


def _coverage(view: View) -> Panel:
    about = About(
        Overview.COVERAGE,
        "Label coverage",
        "Share of the rows of a window whose outcome is known. A figure above speaks for these rows only.",
        "percentunit",
        empty=_NO_LABELS,
    )
    return graph(about, [Query(view.reading(semconv.METRIC_ML_LABEL_COVERAGE), IDENTITY_LEGEND)], maximum=1)


def _trend(view: View) -> Panel:
    about = About(
        Overview.TREND,
        "Trend over four weeks",
        "Change of a headline figure a day over the last 28 days, with its 95 % interval. An interval without 0 says that it "
        "moves. Days count when their labels are of age.",
        "none",
        empty="no trend yet: it takes five days with labels",
    )
    return _slopes(view, about, promql.outside(promql.TREND_MEASURE, _WITHOUT_LABELS))


def _trend_of_rows(view: View) -> Panel:
    about = About(
        Overview.TREND_OF_ROWS,
        "Trend over four weeks, without labels",
        "Change a day over the last 28 days, with its 95 % interval: share of failed calls, seconds within which 95 % of calls "
        "answered, and distance from the baseline (PSI without its noise) of predictions and, in the mean, of features. An interval "
        "without 0 says that it moves.",
        "none",
        empty="no trend yet: it takes five days with rows",
    )
    return _slopes(view, about, promql.among(promql.TREND_MEASURE, _WITHOUT_LABELS))


def _slopes(view: View, about: About, measures: str) -> Panel:
    kept, month = (promql.TREND_MEASURE,), promql.equals(promql.WINDOW, "28d")
    found = zip(_TREND, _ENDS)
    queries = [Query(view.state(metric, kept, month, measures), f"{legend(*kept)}{end}") for metric, end in found]
    return graph(about, queries)


def _with_bounds(view: View, metrics: tuple[Metric, ...], kept: tuple[str, ...], *matchers: str) -> list[Query]:
    """A figure, its bounds as thin lines, and the baseline's own."""
    found = [
        Query(view.reading(metric, kept, *matchers), f"{legend(*kept)}{end}") for metric, end in zip(metrics, _ENDS)
    ]
    return [*found, Query(view.baseline(metrics[0], kept, *matchers), f"{legend(*kept)} baseline")]


_ESTIMATE = promql.equals(promql.PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_ESTIMATE)
_LABELS = promql.equals(promql.PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_LABELS)
_RESIDUAL = (
    semconv.METRIC_ML_PERFORMANCE_RESIDUAL,
    semconv.METRIC_ML_PERFORMANCE_RESIDUAL_LOWER,
    semconv.METRIC_ML_PERFORMANCE_RESIDUAL_UPPER,
)

_SHARE = (
    semconv.METRIC_ML_LABEL_SHARE,
    semconv.METRIC_ML_LABEL_SHARE_LOWER,
    semconv.METRIC_ML_LABEL_SHARE_UPPER,
)


def late_label_panels(view: View) -> list[Panel]:
    """Estimates, labels of each maturity, how far off estimates were, and delays."""
    return [_sources(view), _residual(view), _delay(view), _shares(view)]


def _shares(view: View) -> Panel:
    about = About(
        Overview.SHARES,
        "Share of a class, from decisions alone",
        "How common the positive class is now if rows of each class look as they did in the baseline, with its 95 % "
        "interval. The mirror of the estimate's assumption: where the two disagree, believe neither.",
        "percentunit",
        width=24,
        empty="no baseline with labels",
    )
    kept = (promql.LABEL_CLASS,)
    return graph(
        about, [Query(view.reading(m, kept), f"{legend(*kept)}{end}") for m, end in zip(_SHARE, _ENDS)], maximum=1
    )


def _sources(view: View) -> Panel:
    about = About(
        Overview.SOURCES,
        "Estimated, and by maturity of labels",
        "The measure chosen above: estimated without labels; on the labels that are in; at a fixed age, which compares over "
        "time; adjusted for labels still to come. An estimate whose assumptions fail is not shown.",
        "none",
        empty="no labels yet, and no estimate: it needs a baseline with labels",
    )
    measured = (promql.PERFORMANCE_MEASURE, promql.MATURITY)
    score = semconv.METRIC_ML_PERFORMANCE_SCORE
    labels = Query(view.reading(score, measured, _CHOSEN, _LABELS), legend(*measured))
    guess = Query(
        view.reading(score, measured[:1], _CHOSEN, _ESTIMATE), f"{legend(promql.PERFORMANCE_MEASURE)} estimate"
    )
    return graph(about, [labels, guess])


def _residual(view: View) -> Panel:
    about = About(
        Overview.RESIDUAL,
        "Estimate less what labels showed",
        "Of the same rows, once their labels are of age, with its 95 % interval. An interval without 0 says: do not believe "
        "the estimate, scores mean something else now.",
        "none",
        width=6,
        empty="no labels of age yet",
    )
    kept = (promql.PERFORMANCE_MEASURE,)
    queries = [Query(view.reading(m, kept), f"{legend(*kept)}{end}") for m, end in zip(_RESIDUAL, _ENDS)]
    return graph(about, queries)


def _delay(view: View) -> Panel:
    about = About(
        Overview.DELAY,
        "How soon labels come",
        "Share of labels that come within each delay, of predictions old enough to tell. When it changes, figures at a fixed "
        "age change with it, model or no model.",
        "percentunit",
        width=6,
        empty="no predictions old enough yet",
    )
    kept = (promql.DELAY_WITHIN,)
    return graph(about, [Query(view.state(semconv.METRIC_ML_LABEL_DELAY, kept), legend(*kept))], maximum=1)
