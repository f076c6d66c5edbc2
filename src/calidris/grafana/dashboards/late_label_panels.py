"""The panels about labels that are late or missing: estimates beside labels of each maturity, and how long labels take."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Overview
from calidris.grafana.panels import About, Panel, Query, graph
from calidris.grafana.variables import View, legend

_CHOSEN = f'{promql.PERFORMANCE_MEASURE}=~"$performance"'
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
_ENDS = ("", " lower", " upper")


def late(view: View) -> list[Panel]:
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
        about, [Query(view.figure(m, kept), f"{legend(*kept)}{end}") for m, end in zip(_SHARE, _ENDS)], maximum=1
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
    figure = semconv.METRIC_ML_PERFORMANCE_SCORE
    labels = Query(view.figure(figure, measured, _CHOSEN, _LABELS), legend(*measured))
    guess = Query(
        view.figure(figure, measured[:1], _CHOSEN, _ESTIMATE), f"{legend(promql.PERFORMANCE_MEASURE)} estimate"
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
    queries = [Query(view.figure(m, kept), f"{legend(*kept)}{end}") for m, end in zip(_RESIDUAL, _ENDS)]
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
