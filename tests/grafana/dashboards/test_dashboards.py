"""The useful rules of Grafana's dashboard linter, and some of our own, on every dashboard that is rendered.

Not taken over: its rules on job and instance variables. A figure of a model is the same whoever scraped it.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from calidris import semconv
from calidris.config import CalidrisConfig
from calidris.grafana import texts
from calidris.grafana.render import alert_groups

Board = dict[str, Any]
UNITS = {"none", "short", "percentunit", "s", "bytes", "cps", "reqps", "Bps"}
STANDING_COUNTERS = {semconv.METRIC_CALIDRIS_EXPORT_SERIES_DROPPED.prometheus}
"""Counters that hold a standing number (what the newest export left out): a rate of them would be 0."""


@pytest.fixture(params=["default", "rich"], scope="module")
def config(request: pytest.FixtureRequest, rich: CalidrisConfig) -> CalidrisConfig:
    return rich if request.param == "rich" else CalidrisConfig()


@pytest.fixture(scope="module")
def boards(config: CalidrisConfig) -> list[Board]:
    return [json.loads(text) for path, text in texts(config).items() if path.suffix == ".json"]


def panels(boards: list[Board]) -> list[dict[str, Any]]:
    return [p for board in boards for p in board["panels"] if p["type"] != "row"]


def targets(boards: list[Board]) -> list[dict[str, Any]]:
    return [t for p in panels(boards) for t in p["targets"]]


def test_a_data_source_variable_and_nothing_but_it(boards: list[Board]) -> None:
    for board in boards:
        sources = [v for v in board["templating"]["list"] if v["type"] == "datasource"]
        assert [(v["name"], v["label"], v["query"]) for v in sources] == [("datasource", "Data source", "prometheus")]
        queried = [v for v in board["templating"]["list"] if v["type"] == "query"]
        for part in (*panels([board]), *targets([board]), *queried):
            assert part["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


def test_every_panel_says_what_it_is(boards: list[Board]) -> None:
    for panel in panels(boards):
        assert panel["title"] and len(panel["description"]) > 20, panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS, panel["title"]
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]
        assert panel["targets"], panel["title"]


def test_ids_are_set_and_unique_and_panels_do_not_overlap(boards: list[Board]) -> None:
    for board in boards:
        ids = [panel["id"] for panel in board["panels"]]
        assert len(set(ids)) == len(ids) and all(ids)
        cells = [
            (x, y)
            for p in board["panels"]
            for x in range(p["gridPos"].get("x", 0), p["gridPos"].get("x", 0) + p["gridPos"]["w"])
            for y in range(p["gridPos"].get("y", 0), p["gridPos"].get("y", 0) + p["gridPos"]["h"])
        ]
        assert len(set(cells)) == len(cells) and max(x for x, _ in cells) < 24


def test_boards_have_fixed_names_and_cannot_be_edited_in_place(boards: list[Board]) -> None:
    assert [(b["uid"], b["title"]) for b in boards] == [
        ("calidris-overview", "Model overview"),
        ("calidris-drift", "Drift"),
        ("calidris-receiver", "Receiver"),
    ]
    for board in boards:
        assert board["editable"] is False and board["schemaVersion"] == 42 and board["tags"] == ["calidris"]


def test_variables_follow_the_time_range(boards: list[Board]) -> None:
    for board in boards:
        queried = {v["name"]: v for v in board["templating"]["list"] if v["type"] == "query"}
        wanted = {"instance"} if board["uid"] == "calidris-receiver" else {"model", "version", "window"}
        assert wanted <= queried.keys()
        assert all(v["refresh"] == 2 for v in queried.values()), "2 is 'on time range change'"
        assert all(v["definition"] == v["query"]["query"] for v in queried.values())


def test_rates_use_the_rate_interval_and_counters_are_rated(boards: list[Board]) -> None:
    counters = {m.prometheus for m in semconv.METRICS if m.instrument == "counter"} - STANDING_COUNTERS
    for target in targets(boards):
        for function, window in re.findall(r"(\w+)\([^()]*\[([^\]]+)\]", target["expr"]):
            wanted = {"rate": "$__rate_interval", "increase": "$__range"}[function]
            assert window == wanted, target["expr"]
        for counter in counters:
            for found in re.finditer(rf"(\w*)\(?{counter}\b(\{{[^}}]*\}})?(\[)?", target["expr"]):
                assert found[1] in ("rate", "increase") and found[3], target["expr"]


def test_every_gauge_is_aggregated_so_that_no_label_of_a_pipeline_splits_it(boards: list[Board]) -> None:
    for target in targets(boards):
        for metric in semconv.METRICS:
            for found in re.finditer(rf"{metric.prometheus}\b", target["expr"]):
                before = target["expr"][: found.start()]
                assert re.search(r"(max|sum|min)( by \([^()]*\) )?\((rate\(|increase\()?$", before), target["expr"]


def test_only_an_alarm_is_red_and_only_evidence_has_a_line(boards: list[Board]) -> None:
    """An effect size has no threshold that is right everywhere; evidence reaches 1 by definition of the alarm."""
    for panel in panels(boards):
        defaults = panel["fieldConfig"]["defaults"]
        assert defaults["color"]["mode"] != "thresholds", panel["title"]
        if "vidence" not in panel["title"]:
            assert "thresholds" not in defaults, panel["title"]
        if panel["title"] != "Alarms":
            assert '"red"' not in json.dumps(panel) and '"green"' not in json.dumps(panel), panel["title"]


def test_figures_of_slices_are_left_out(config: CalidrisConfig, boards: list[Board]) -> None:
    """A slice is one more label of the same metric: without the matcher the maximum would be that of the worst slice."""
    for target in targets(boards):
        if "ml_performance_score" in target["expr"] or "ml_calibration_score" in target["expr"]:
            assert ('country=""' in target["expr"]) == bool(config.models), target["expr"]


def test_every_metric_of_the_receiver_is_shown_or_raises_an_alert(config: CalidrisConfig, boards: list[Board]) -> None:
    asked = " ".join(
        [t["expr"] for t in targets(boards)] + [a.expr for _, group in alert_groups(config) for a in group]
    )
    emitted_by_services = {m.prometheus for m in semconv.METRICS if m.name.startswith("ml.inference.")}
    shown = {m.prometheus for m in semconv.METRICS if re.search(rf"\b{m.prometheus}\b", asked)}
    missing = {m.prometheus for m in semconv.METRICS} - shown - emitted_by_services
    assert not missing, "shown by nobody: add a panel"
