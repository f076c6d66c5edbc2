"""Grafana's file format, checked more strictly than Grafana does: it ignores keys that it does not know.

The shape is that of Grafana's own reader of these files (provisioning/alerting/rules_types.go).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from ruamel.yaml import YAML

from calidris.config import CalidrisConfig
from calidris.grafana import texts
from calidris.grafana.render import alert_groups

Tree = dict[str, Any]
Check = Callable[[Any], bool]
SCHEDULER_TICK_S = 10
_UNITS_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "y": 31536000}


def seconds(text: str) -> float:
    """A duration as Prometheus reads it."""
    assert re.fullmatch(r"(\d+y)?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?(\d+ms)?", text) and text, text
    return sum(int(n) * _UNITS_S[unit] for n, unit in re.findall(r"(\d+)(ms|[smhdwy])", text))


def is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def is_uid(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value) is not None


def is_duration(value: Any) -> bool:
    return isinstance(value, str) and seconds(value) >= 0


def is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_texts(value: Any) -> bool:
    """Values that YAML 1.1 takes for a number or a boolean are no strings, and Grafana refuses the whole file."""
    return isinstance(value, dict) and all(is_text(v) for v in value.values())


def is_interval(value: Any) -> bool:
    return is_duration(value) and seconds(value) > 0 and seconds(value) % SCHEDULER_TICK_S == 0


def one_of(*values: Any) -> Check:
    return lambda value: value in values


FILE = {"apiVersion": one_of(1), "groups": lambda v: isinstance(v, list)}
GROUP = {
    "orgId": is_whole,
    "name": is_text,
    "folder": is_text,
    "interval": is_interval,
    "rules": lambda v: isinstance(v, list) and bool(v),
}
RULE: dict[str, Check] = {
    "uid": is_uid,
    "title": is_text,
    "condition": is_text,
    "data": lambda v: isinstance(v, list) and len(v) >= 1,
    "dashboardUid": is_uid,
    "panelId": is_whole,
    "noDataState": one_of("OK", "Alerting", "NoData", "KeepLast"),
    "execErrState": one_of("OK", "Alerting", "Error", "KeepLast"),
    "for": is_duration,
    "keepFiringFor": is_duration,
    "missing_series_evals_to_resolve": is_whole,
    "annotations": is_texts,
    "labels": is_texts,
    "isPaused": lambda v: isinstance(v, bool),
}
OPTIONAL = {"keepFiringFor", "missing_series_evals_to_resolve"}
QUERY = {
    "refId": is_text,
    "relativeTimeRange": lambda v: set(v) == {"from", "to"} and v["from"] > v["to"] >= 0,
    "datasourceUid": is_text,
    "model": lambda v: isinstance(v, dict),
}


def check(node: Mapping[str, Any], shape: Mapping[str, Check], where: str) -> None:
    unknown = node.keys() - shape.keys()
    missing = shape.keys() - node.keys() - OPTIONAL
    assert not unknown and not missing, f"{where}: unknown {unknown}, missing {missing}"
    for key, value in node.items():
        assert shape[key](value), f"{where}.{key}: {value!r}"


def check_file(tree: Tree) -> None:
    """Raise AssertionError for anything that Grafana refuses, ignores or takes otherwise than meant."""
    check(tree, FILE, "file")
    for group in tree["groups"]:
        check(group, GROUP, group.get("name", "group"))
        for rule in group["rules"]:
            check_rule(rule, rule.get("title", "rule"))
    rules = [rule for group in tree["groups"] for rule in group["rules"]]
    for key in ("uid", "title"):
        assert len({rule[key] for rule in rules}) == len(rules), f"two rules of one {key}"


def check_rule(rule: Tree, where: str) -> None:
    check(rule, RULE, where)
    for query in rule["data"]:
        check(query, QUERY, f"{where}.data")
        assert query["model"]["refId"] == query["refId"], where
        assert query["datasourceUid"] == query["model"]["datasource"]["uid"], where
        assert "$" not in query["datasourceUid"], "rules know no variables"
    refs = [query["refId"] for query in rule["data"]]
    assert len(set(refs)) == len(refs) and rule["condition"] in refs, where
    for query in rule["data"]:
        if query["datasourceUid"] == "__expr__":
            assert query["model"]["expression"] in refs and query["model"]["type"] == "threshold", where
    for text in (rule["title"], *rule["labels"].values()):
        assert "$" not in text.replace("$$", ""), f"{where}: Grafana expands environment variables in {text!r}"
    for text in rule["annotations"].values():
        assert not re.search(r"\$value\b", text), f"{where}: $value is a text in Grafana, $values.A.Value the number"
        assert not re.search(r"\$(__\w+)?\{", text), f"{where}: Grafana would expand {text!r}"
    linked = (rule["dashboardUid"], str(rule["panelId"]))
    assert linked == (rule["annotations"]["__dashboardUid__"], rule["annotations"]["__panelId__"]), where


def read(text: str) -> Tree:
    """As Grafana reads it: YAML 1.1."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    tree: Tree = yaml.load(text)
    return tree


@pytest.fixture(params=["default", "rich"], scope="module")
def config(request: pytest.FixtureRequest, rich: CalidrisConfig) -> CalidrisConfig:
    return rich if request.param == "rich" else CalidrisConfig()


@pytest.fixture(scope="module")
def files(config: CalidrisConfig) -> dict[str, str]:
    return {str(path): text for path, text in texts(config).items()}


@pytest.fixture(scope="module")
def alerting(files: dict[str, str]) -> Tree:
    return read(files["provisioning/alerting/calidris.yaml"])


def test_alert_rules_have_the_shape_of_files(alerting: Tree) -> None:
    check_file(alerting)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rule: rule.update(keep_firing_for="10m"), "unknown {'keep_firing_for'}"),
        (lambda rule: rule.update(missingSeriesEvalsToResolve=2), "unknown"),
        (lambda rule: rule.pop("uid"), "missing {'uid'}"),
        (lambda rule: rule.update(uid="x" * 41), "uid"),
        (lambda rule: rule.update({"for": "5 minutes"}), "5 minutes"),
        (lambda rule: rule.update(noDataState="ok"), "noDataState"),
        (lambda rule: rule.update(condition="C"), ""),
        (lambda rule: rule["labels"].update(owner="$TEAM"), "environment variables"),
        (lambda rule: rule["labels"].update(owner=True), "labels"),
        (lambda rule: rule["annotations"].update(summary="{{ $value }}"), "$value is a text"),
        (lambda rule: rule["data"][1]["model"].update(expression="Z"), ""),
        (lambda rule: rule.update(panelId=99), ""),
    ],
)
def test_the_check_sees_what_grafana_would_not(alerting: Tree, spoil: Callable[[Tree], Any], said: str) -> None:
    spoilt = json.loads(json.dumps(alerting))
    spoil(spoilt["groups"][0]["rules"][0])
    with pytest.raises(AssertionError, match=re.escape(said) if said else None):
        check_file(spoilt)


@pytest.mark.parametrize("interval", ["15s", "0s", "1", "65s"])
def test_the_check_refuses_intervals_beside_the_tick(alerting: Tree, interval: str) -> None:
    spoilt = json.loads(json.dumps(alerting))
    spoilt["groups"][0]["interval"] = interval
    with pytest.raises(AssertionError):
        check_file(spoilt)


def test_rules_query_the_provisioned_data_source_and_show_an_existing_panel(
    files: dict[str, str], alerting: Tree
) -> None:
    sources = {s["uid"] for s in read(files["provisioning/datasources/calidris.yaml"])["datasources"]}
    boards = [json.loads(text) for path, text in files.items() if path.endswith(".json")]
    shown = {(board["uid"], panel["id"]) for board in boards for panel in board["panels"] if panel["type"] != "row"}
    for group in alerting["groups"]:
        for rule in group["rules"]:
            assert {q["datasourceUid"] for q in rule["data"]} <= sources | {"__expr__"}
            assert (rule["dashboardUid"], rule["panelId"]) in shown, rule["title"]


def test_grafana_and_prometheus_have_the_same_alerts(
    config: CalidrisConfig, files: dict[str, str], alerting: Tree
) -> None:
    """Name, expression, threshold, times, labels and texts come from one definition; here is the proof."""
    prometheus = read(files["prometheus/calidris-alerts.rules.yml"])["groups"]
    ours = [alert for _, group in alert_groups(config) for alert in group]
    theirs = [rule for group in prometheus for rule in group["rules"]]
    grafana = [rule for group in alerting["groups"] for rule in group["rules"]]
    assert len(ours) == len(theirs) == len(grafana)
    for alert, p, g in zip(ours, theirs, grafana):
        query, threshold = g["data"]
        assert (
            p["expr"]
            == f"(\n{query['model']['expr']}\n) > {threshold['model']['conditions'][0]['evaluator']['params'][0]:g}"
        )
        assert (p.get("for", "0s"), p.get("keep_firing_for")) == (g["for"], g.get("keepFiringFor"))
        assert p["labels"] == {key: text.replace("$$", "$") for key, text in g["labels"].items()} == alert.all_labels
        assert p["annotations"] == {
            key: text.replace("$values.A.Value", "$value") for key, text in g["annotations"].items()
        }


def test_data_source_and_dashboards_have_the_shape_of_files(files: dict[str, str]) -> None:
    sources = read(files["provisioning/datasources/calidris.yaml"])
    assert sources.keys() == {"apiVersion", "datasources"}
    (source,) = sources["datasources"]
    assert source.keys() == {"name", "type", "uid", "access", "url", "editable", "jsonData"} and is_uid(source["uid"])
    assert is_duration(source["jsonData"]["timeInterval"])
    boards = read(files["provisioning/dashboards/calidris.yaml"])
    assert boards.keys() == {"apiVersion", "providers"}
    (provider,) = boards["providers"]
    known = {"name", "orgId", "folder", "folderUid", "type", "disableDeletion", "updateIntervalSeconds"}
    assert provider.keys() == known | {"allowUiUpdates", "options"} and provider["options"].keys() == {"path"}


def test_nothing_replaces_what_is_the_users(files: dict[str, str]) -> None:
    """``policies`` and ``contactPoints`` in a file overwrite the user's own notification tree."""
    for path, text in files.items():
        if path.startswith("provisioning/alerting"):
            assert read(text).keys() == {"apiVersion", "groups"}
