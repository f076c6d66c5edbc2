"""The five kinds of panel that the dashboards use, with what Grafana leaves out or gets wrong by default set once.

Colours carry no judgement: Grafana's default thresholds paint any value above 80 red, so every panel has a colour mode of
its own. Only an alarm, which is 0 or 1 by definition, is red.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

from calidris.grafana.foundation_sdk import (
    bargauge,
    cm,
    common,
    dashboard,
    dm,
    pm,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from calidris.grafana.panel_ids import Drift, Overview, Receiver

Panel: TypeAlias = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | statetimeline.Panel
_P = TypeVar("_P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, statetimeline.Panel)

_DASHED = {"fill": "dash", "dash": [8, 6]}
_NEUTRAL = "blue"
_ALARM = {
    "0": dm.ValueMappingResult(text="quiet", color="text", index=0),
    "1": dm.ValueMappingResult(text="ALARM", color="red", index=1),
}


@dataclass(frozen=True, slots=True)
class Query:
    """One query of a panel and the name of its series."""

    expr: str
    legend: str


@dataclass(frozen=True, slots=True)
class About:
    """What every panel says of itself.

    Attributes:
        panel: its fixed id.
        title: a few words.
        description: what is shown and how to read it; shown behind the "i".
        unit: a unit of Grafana's; ``none`` for a plain number.
        width: of 24 columns.
        height: in rows of the grid.
        empty: shown instead of "No data": why there may be none.
    """

    panel: Overview | Drift | Receiver
    title: str
    description: str
    unit: str
    width: int = 12
    height: int = 8
    empty: str = "no data"


def graph(about: About, queries: Sequence[Query], *, maximum: float | None = None, line: float | None = None) -> Panel:
    """Lines over time; series whose name ends in lower, upper or baseline are dashed and thin.

    Args:
        about: what the panel says of itself.
        queries: one line or more each.
        maximum: top of the axis where the figure has one.
        line: a dashed line at a value that has a meaning by definition, never at a rule of thumb.
    """
    panel = _lines(_common(timeseries.Panel(), about))
    panel = panel.targets([_range(query, index) for index, query in enumerate(queries)])
    if maximum is not None:
        panel = panel.min(0).max(maximum)
    if line is not None:
        dashed = common.GraphThresholdsStyleConfig().mode(cm.GraphThresholdsStyleMode.DASHED)
        panel = panel.thresholds(_steps(line)).thresholds_style(dashed)
    return panel


def _lines(panel: timeseries.Panel) -> timeseries.Panel:
    """How lines look: thick and coloured by name, bounds and baselines thin and dashed."""
    thin = [dm.DynamicConfigValue("custom.lineStyle", _DASHED), dm.DynamicConfigValue("custom.lineWidth", 1)]
    names = (
        common.VizLegendOptions()
        .display_mode(cm.LegendDisplayMode.LIST)
        .placement(cm.LegendPlacement.BOTTOM)
        .show_legend(True)
    )
    return (
        panel.line_width(2)
        .fill_opacity(0)
        .show_points(cm.VisibilityMode.AUTO)
        .color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
        .legend(names)
        .tooltip(common.VizTooltipOptions().mode(cm.TooltipDisplayMode.MULTI).sort(cm.SortOrder.DESCENDING))
        .override_by_regexp("/(lower|upper|baseline)$/", thin)
    )


def alarm_timeline(about: About, query: Query) -> Panel:
    """When each detector was latched: 0 is quiet, 1 is an alarm."""
    panel = _common(statetimeline.Panel(), about)
    return (
        panel.with_target(_range(query, 0))
        .mappings([dm.ValueMap(_ALARM)])
        .color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.FIXED).fixed_color("text"))
        .show_value(cm.VisibilityMode.NEVER)
        .legend(common.VizLegendOptions().show_legend(False).display_mode(cm.LegendDisplayMode.HIDDEN))
    )


def number(about: About, query: Query) -> Panel:
    """One large number: the newest value."""
    panel = _common(stat.Panel(), about)
    return (
        panel.with_target(_now(query, 0))
        .color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.FIXED).fixed_color("text"))
        .graph_mode(cm.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )


def bars(about: About, query: Query, *, maximum: float | None = None) -> Panel:
    """The newest value of each series, as bars of one colour."""
    panel = _common(bargauge.Panel(), about)
    panel = (
        panel.with_target(_now(query, 0))
        .color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.FIXED).fixed_color(_NEUTRAL))
        .min(0)
        .orientation(cm.VizOrientation.HORIZONTAL)
        .display_mode(cm.BarGaugeDisplayMode.BASIC)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).fields("").values(False))
    )
    return panel if maximum is None else panel.max(maximum)


def listing(about: About, query: Query, columns: dict[str, str]) -> Panel:
    """A table of labels: one row a series, the named labels as columns in this order."""
    panel = _common(table.Panel(), about)
    organize = {
        "excludeByName": {"Time": True, "Value": True, "Value #A": True},
        "indexByName": {label: index for index, label in enumerate(columns)},
        "renameByName": columns,
    }
    return (
        panel.with_target(_now(query, 0).format(pm.PromQueryFormat.TABLE))
        .color_scheme(dashboard.FieldColor().mode(dm.FieldColorModeId.FIXED).fixed_color("text"))
        .with_transformation(dm.DataTransformerConfig(id_val="organize", options=organize))
    )


def _common(panel: _P, about: About) -> _P:
    return (
        panel.id(int(about.panel))
        .title(about.title)
        .description(about.description)
        .unit(about.unit)
        .span(about.width)
        .height(about.height)
        .no_value(about.empty)
        .datasource(chosen_datasource())
    )


def chosen_datasource() -> cm.DataSourceRef:
    """The data source that the reader has chosen at the top of the dashboard."""
    return cm.DataSourceRef(type_val="prometheus", uid="${datasource}")


def _steps(line: float) -> dashboard.ThresholdsConfig:
    steps = [dm.Threshold(value=None, color="transparent"), dm.Threshold(value=line, color="orange")]
    return dashboard.ThresholdsConfig().mode(dm.ThresholdsMode.ABSOLUTE).steps(steps)


def _query(query: Query, index: int) -> prometheus.Dataquery:
    ref = chr(ord("A") + index)
    return (
        prometheus.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(ref).datasource(chosen_datasource())
    )


def _range(query: Query, index: int) -> prometheus.Dataquery:
    return _query(query, index).range()


def _now(query: Query, index: int) -> prometheus.Dataquery:
    return _query(query, index).instant()
