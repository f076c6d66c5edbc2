"""Grafana's provisioning files: data source, dashboards, alert rules.

The shape is that of files, which is not the shape of Grafana's HTTP API: ``name`` and not ``title`` of a group, an interval
with a unit, ``keepFiringFor`` beside ``missing_series_evals_to_resolve``. Grafana ignores keys that it does not know, so a
test checks every key. There is no ``policies`` here on purpose: it would replace the whole notification tree of the user.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from calidris.grafana.alerts.alert import Alert
from calidris.grafana.foundation_sdk import JSONEncoder, dm, expr, prometheus
from calidris.grafana.panel_ids import DASHBOARDS_PATH, DATASOURCE_URL, FOLDER, FOLDER_UID, SCRAPE_INTERVAL
from calidris.grafana.text import yaml_text

INTERVAL = "1m"
"""How often Grafana evaluates a group; a multiple of its 10 s tick, or it refuses the file."""

_LOOKBACK_S = 600
_EVALUATIONS_KEPT = 10
"""Evaluations for which a series may be missing: as long as ``keep`` of an alert, in steps of ``INTERVAL``."""

_EXPRESSION = "__expr__"


def datasource_file(uid: str) -> str:
    """The Prometheus that the receiver's figures are in."""
    source = {
        "name": "Calidris Prometheus",
        "type": "prometheus",
        "uid": uid,
        "access": "proxy",
        "url": DATASOURCE_URL,
        "editable": False,
        "jsonData": {"httpMethod": "POST", "timeInterval": SCRAPE_INTERVAL},
    }
    about = "Leave this file out if Grafana already has your Prometheus, and render with the uid of that data source."
    return yaml_text({"apiVersion": 1, "datasources": [source]}, about)


def dashboards_file() -> str:
    """Where Grafana finds the dashboards."""
    provider = {
        "name": "calidris",
        "orgId": 1,
        "folder": FOLDER,
        "folderUid": FOLDER_UID,
        "type": "file",
        "disableDeletion": False,
        "updateIntervalSeconds": 30,
        "allowUiUpdates": False,
        "options": {"path": DASHBOARDS_PATH},
    }
    return yaml_text({"apiVersion": 1, "providers": [provider]}, "Mount dashboards/ at the path below.")


def alerting_file(groups: Sequence[tuple[str, Sequence[Alert]]], datasource_uid: str) -> str:
    """Alert rules for Grafana's own alerting."""
    about = "Mount it where Grafana raises the alerts (12.1.2 or newer); leave it out where Prometheus does."
    tree = [_group(name, alerts, datasource_uid) for name, alerts in groups if alerts]
    return yaml_text({"apiVersion": 1, "groups": tree}, about)


def _group(name: str, alerts: Sequence[Alert], datasource_uid: str) -> dict[str, object]:
    rules = [_rule(alert, datasource_uid) for alert in alerts]
    return {"orgId": 1, "name": name, "folder": FOLDER, "interval": INTERVAL, "rules": rules}


def _rule(alert: Alert, datasource_uid: str) -> dict[str, object]:
    rule: dict[str, object] = {
        "uid": alert.uid,
        "title": _literal(alert.title),
        "condition": "B",
        "data": [_query(alert, datasource_uid), _threshold(alert)],
        "dashboardUid": alert.panel.dashboard_uid,
        "panelId": alert.panel.panel_id,
        # No data is not an alarm: that nobody watches has alerts of its own.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.pending,
    }
    if alert.keep is not None:
        rule |= {"keepFiringFor": alert.keep, "missing_series_evals_to_resolve": _EVALUATIONS_KEPT}
    annotations = {key: _for_grafana(text) for key, text in alert.annotations.items()}
    labels = {key: _literal(text) for key, text in alert.all_labels.items()}
    return {**rule, "annotations": annotations, "labels": labels, "isPaused": False}


def _query(alert: Alert, datasource_uid: str) -> dict[str, object]:
    source = dm.DataSourceRef(type_val="prometheus", uid=datasource_uid)
    model = prometheus.Dataquery().expr(alert.expr).instant().ref_id("A").datasource(source)
    return _data("A", datasource_uid, model.build())


def _threshold(alert: Alert) -> dict[str, object]:
    above = expr.ExprTypeThresholdConditionsEvaluator().type("gt").params([alert.threshold])
    source = dm.DataSourceRef(type_val=_EXPRESSION, uid=_EXPRESSION)
    condition = expr.ExprTypeThresholdConditions().evaluator(above)
    model = expr.TypeThreshold().conditions([condition]).expression("A").datasource(source).ref_id("B")
    return _data("B", _EXPRESSION, model.build())


def _data(ref_id: str, datasource_uid: str, model: object) -> dict[str, object]:
    plain: dict[str, Any] = json.loads(JSONEncoder(sort_keys=True).encode(model))
    return {
        "refId": ref_id,
        "relativeTimeRange": {"from": _LOOKBACK_S, "to": 0},
        "datasourceUid": datasource_uid,
        "model": plain,
    }


def _for_grafana(template: str) -> str:
    """A text of Prometheus' for Grafana, whose ``$value`` is a description of all queries and no number.

    Annotations are not searched for environment variables, so ``$`` stays single here.
    """
    return template.replace("$value", "$values.A.Value")


def _literal(text: str) -> str:
    """A text in which Grafana would expand environment variables."""
    return text.replace("$", "$$")
