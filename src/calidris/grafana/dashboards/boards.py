"""The three dashboards as JSON: variables, rows and panels in their fixed places."""

from __future__ import annotations

import json
from collections.abc import Sequence

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.config.models import ModelConfig
from calidris.config.units import window_name
from calidris.grafana import promql
from calidris.grafana.dashboards import drift_panels, overview_panels, receiver_board
from calidris.grafana.dashboards.label_panels import label_panels, late_label_panels
from calidris.grafana.dashboards.receiver_panels import health
from calidris.grafana.dashboards.slice_panels import slice_panels
from calidris.grafana.foundation_sdk import JSONEncoder, dashboard, dm
from calidris.grafana.panel_ids import DRIFT_UID, OVERVIEW_UID, RECEIVER_UID
from calidris.grafana.panels import Panel, chosen_datasource
from calidris.grafana.variables import MODEL, VERSION, View

TAG = "calidris"
_FIRST_ROW_ID = 100
"""Ids of row headers start here, clear of those of panels."""

Rows = Sequence[tuple[str, Sequence[Panel]]]


def dashboards(config: CalidrisConfig) -> dict[str, str]:
    """File name to JSON of every dashboard."""
    view = View.of(config)
    return {
        f"{OVERVIEW_UID}.json": _json(_overview(config, view)),
        f"{DRIFT_UID}.json": _json(_drift(config, view)),
        f"{RECEIVER_UID}.json": _json(_receiver()),
    }


def _overview(config: CalidrisConfig, view: View) -> dashboard.Dashboard:
    board = _board("Model overview", OVERVIEW_UID, "Is a model in production still right, and is somebody watching?")
    board = board.variables([*_common_variables(config), _performance(), _maturity()])
    rows = [
        ("Attention", overview_panels.attention(view)),
        ("Traffic", overview_panels.traffic(view)),
        ("Is it still right?", label_panels(view)),
        ("Labels that come late, and none at all", late_label_panels(view)),
        ("For whom?", slice_panels(view)),
        ("Data", overview_panels.data(view)),
        ("The receiver's own health", health()),
    ]
    return _with_rows(board, rows)


def _drift(config: CalidrisConfig, view: View) -> dashboard.Dashboard:
    board = _board("Drift", DRIFT_UID, "Which feature changed, how far, and is it the data or the world?")
    board = board.variables([*_common_variables(config), _feature(), _measure()])
    rows = [
        ("Did it change?", drift_panels.change(view)),
        ("How far?", drift_panels.scores(view)),
        ("Is it the data?", drift_panels.data(view)),
    ]
    return _with_rows(board, rows)


def _receiver() -> dashboard.Dashboard:
    board = _board("Receiver", RECEIVER_UID, "Does the monitor itself take, keep and count everything that is sent?")
    build = promql.selector(semconv.METRIC_CALIDRIS_BUILD_INFO)
    board = board.variables([_source(), _several("instance", "Receiver", build, receiver_board.INSTANCE)])
    rows = [
        ("Is it well?", receiver_board.status()),
        ("What came, and what became of it", receiver_board.balance()),
        ("What waits in memory", receiver_board.waiting()),
        ("Journal and checkpoint", receiver_board.disk()),
        ("Process, start, and what leaves", receiver_board.process()),
    ]
    return _with_rows(board, rows)


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _board(title: str, uid: str, description: str) -> dashboard.Dashboard:
    other = (
        dashboard.DashboardLink("Calidris")
        .type(dm.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        # An edit in the browser would be lost at the next provisioning; "Save as" a copy stays possible.
        .readonly()
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(dm.DashboardCursorSync.CROSSHAIR)
        .link(other)
    )


def _with_rows(board: dashboard.Dashboard, rows: Rows) -> dashboard.Dashboard:
    for index, (title, panels) in enumerate(rows):
        board = board.with_row(dashboard.Row(title).id(_FIRST_ROW_ID + index))
        for panel in panels:
            board = board.with_panel(panel)
    return board


def _common_variables(config: CalidrisConfig) -> list[dashboard.DatasourceVariable | dashboard.QueryVariable]:
    rows, windows = semconv.METRIC_ML_RECEIVED_ROWS, semconv.METRIC_ML_WINDOW_ROWS
    return [
        _source(),
        _several("model", "Model", promql.selector(rows), promql.NAME),
        _several("version", "Version", promql.selector(rows, MODEL), promql.VERSION),
        _one("window", "Window", promql.selector(windows, MODEL), promql.WINDOW)
        # The baseline is a window too, and no window to look at.
        .regex(f"/^(?!{promql.BASELINE}$).+/")
        .current(dm.VariableOption(text=default_window(config), value=default_window(config))),
    ]


def default_window(config: CalidrisConfig) -> str:
    """The window that is chosen at first: the longest one that most models are scored on.

    >>> default_window(CalidrisConfig())
    '1h'
    """
    model = config.models[0] if config.models else ModelConfig(name="any")
    return window_name(max(model.detect_windows_s))


def _feature() -> dashboard.QueryVariable:
    metric = promql.selector(semconv.METRIC_ML_DETECTION_EVIDENCE, MODEL, VERSION)
    return _several("feature", "Feature", metric, promql.FEATURE)


def _measure() -> dashboard.QueryVariable:
    """One measure at a time: they are on different scales."""
    metric = promql.selector(semconv.METRIC_ML_DRIFT_SCORE, MODEL, VERSION)
    return _one("measure", "Distance", metric, promql.DRIFT_MEASURE)


def _performance() -> dashboard.QueryVariable:
    """One measure at a time: each has four lines a model."""
    metric = promql.selector(semconv.METRIC_ML_PERFORMANCE_SCORE, MODEL, VERSION)
    first = dm.VariableOption(text="accuracy", value="accuracy")
    return _one("performance", "Performance", metric, promql.PERFORMANCE_MEASURE).current(first)


def _maturity() -> dashboard.QueryVariable:
    """How old labels are: figures of different ages do not compare."""
    metric = promql.selector(semconv.METRIC_ML_PERFORMANCE_SCORE, MODEL, VERSION)
    first = dm.VariableOption(text=semconv.ML_LABEL_MATURITY_ARRIVED, value=semconv.ML_LABEL_MATURITY_ARRIVED)
    return _one("maturity", "Labels", metric, promql.MATURITY).current(first)


def _one(name: str, label: str, series: str, source: str) -> dashboard.QueryVariable:
    query = f"label_values({series}, {source})"
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(chosen_datasource())
        .query({"query": query, "refId": f"variable-{name}", "qryType": 1})
        .definition(query)
        # Models and versions come and go: the list must follow the time range, not the moment of loading.
        .refresh(dm.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dm.VariableSort.NATURAL_ASC)
        .multi(False)
        .include_all(False)
    )


def _several(name: str, label: str, series: str, source: str) -> dashboard.QueryVariable:
    everything = dm.VariableOption(selected=True, text=["All"], value=["$__all"])
    # ".+" instead of the list of all values: short queries, and no limit on their length.
    return _one(name, label, series, source).multi(True).include_all(True).all_value(".+").current(everything)


def _json(board: dashboard.Dashboard) -> str:
    tree = json.loads(JSONEncoder().encode(board.build()))
    for link in tree["links"]:
        # The library knows one placement only, which hides the link in a menu; without it the link is in sight.
        del link["placement"]
    return json.dumps(tree, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
