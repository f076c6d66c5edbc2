"""The panels that ask for whom a model is right: slices, classes, and groups that must fare alike."""

from __future__ import annotations

from calidris import semconv
from calidris.grafana import promql
from calidris.grafana.panel_ids import Overview
from calidris.grafana.panels import About, Panel, Query, graph
from calidris.grafana.variables import IDENTITY, MODEL, VERSION, WINDOW, View, legend

_LABELS = promql.equals(promql.PERFORMANCE_SOURCE, semconv.ML_PERFORMANCE_SOURCE_LABELS)
_HEADLINE = promql.among(promql.PERFORMANCE_MEASURE, ("accuracy", "mae"))
_SHOWN = promql.among(promql.FAIRNESS_MEASURE, ("demographic_parity", "equal_opportunity"))
_GAP = (
    semconv.METRIC_ML_FAIRNESS_GAP,
    semconv.METRIC_ML_FAIRNESS_GAP_LOWER,
    semconv.METRIC_ML_FAIRNESS_GAP_UPPER,
)
_NO_ATTRIBUTE = "no attribute is watched: see models.fairness in calidris.yaml"


def slice_panels(view: View) -> list[Panel]:
    """Slices where a model has any, classes, and fairness."""
    slices = [_slices(view)] if view.slices else []
    return [*slices, _classes(view), _fairness(view), _groups(view)]


def _slices(view: View) -> Panel:
    about = About(
        Overview.SLICES,
        "Performance by slice",
        "Accuracy, or mean absolute error, of each level of each slice on the labels that are in. Of many slices some stand "
        "out by chance: look at the report for their intervals.",
        "none",
        empty="no labelled rows in any slice of this window",
    )
    kept = (*view.slices, promql.PERFORMANCE_MEASURE)
    return graph(about, [Query(_of_slices(view, kept), legend(*kept))])


def _of_slices(view: View, kept: tuple[str, ...]) -> str:
    """Series that have a level of at least one slice."""
    matchers = (MODEL, VERSION, WINDOW, _LABELS, _HEADLINE, promql.equals(promql.CLASS, ""))
    every = promql.selector(semconv.METRIC_ML_PERFORMANCE_SCORE, *matchers)
    whole = promql.selector(semconv.METRIC_ML_PERFORMANCE_SCORE, *matchers, *view.whole)
    both = (promql.by("max", (*IDENTITY, *kept), found) for found in (every, whole))
    return "\nunless\n".join(both)


def _classes(view: View) -> Panel:
    about = About(
        Overview.CLASSES,
        "Recall by class",
        "Of several classes: the share of each class's rows that were decided so, on the labels that are in.",
        "percentunit",
        width=12,
        empty="no model of several classes has labels in this window",
    )
    of_class = (promql.differs(promql.CLASS, ""), promql.equals(promql.PERFORMANCE_MEASURE, "recall"))
    uncut = tuple(promql.equals(label, "") for label in view.slices)
    inner = promql.selector(semconv.METRIC_ML_PERFORMANCE_SCORE, MODEL, VERSION, WINDOW, *of_class, *uncut)
    return graph(about, [Query(promql.by("max", (*IDENTITY, promql.CLASS), inner), legend(promql.CLASS))], maximum=1)


def _fairness(view: View) -> Panel:
    about = About(
        Overview.FAIRNESS,
        "Fairness: differences between groups",
        "Largest less smallest rate of the groups, with bounds that hold for all pairs together. Which measure matters is for "
        "people to say; no two of them can hold together in general.",
        "none",
        empty=_NO_ATTRIBUTE,
    )
    kept = (promql.FAIRNESS_ATTRIBUTE, promql.FAIRNESS_MEASURE)
    ends = ("", " lower", " upper")
    return graph(about, [Query(view.reading(m, kept), f"{legend(*kept)}{end}") for m, end in zip(_GAP, ends)])


def _groups(view: View) -> Panel:
    about = About(
        Overview.GROUPS,
        "Fairness: each group",
        "Share decided positive, and share of positive outcomes found, in each group. Groups under 10 rows are withheld.",
        "percentunit",
        empty=_NO_ATTRIBUTE,
    )
    kept = (promql.FAIRNESS_GROUP, promql.FAIRNESS_MEASURE)
    return graph(about, [Query(view.reading(semconv.METRIC_ML_FAIRNESS_RATE, kept, _SHOWN), legend(*kept))], maximum=1)
