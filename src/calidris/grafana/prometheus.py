"""Rules as Prometheus reads them: one file of recordings, one of alerts.

Two files, because the recordings are always needed and the alerts only where Prometheus, and not Grafana, raises them.
"""

from __future__ import annotations

from collections.abc import Sequence

from calidris.grafana.alerts.alert import Alert, Recording
from calidris.grafana.text import yaml_text


def recording_file(recordings: Sequence[Recording]) -> str:
    """The file of recording rules; a valid file even where there are none."""
    rules = [{"record": r.name, "expr": r.expr, "labels": dict(r.labels)} for r in recordings]
    groups = [{"name": "calidris-burn-rates", "rules": rules}] if rules else []
    about = "Which models are silent, and burn rates of the objectives in calidris.yaml. Load it wherever the alerts run: both kinds need it."
    return yaml_text({"groups": groups}, about)


def alert_file(groups: Sequence[tuple[str, Sequence[Alert]]]) -> str:
    """The file of alert rules. No interval: Prometheus' own ``evaluation_interval`` holds."""
    about = "Load it where Prometheus raises the alerts; leave it out where Grafana does (provisioning/alerting)."
    tree = [{"name": name, "rules": [_rule(alert) for alert in alerts]} for name, alerts in groups if alerts]
    return yaml_text({"groups": tree}, about)


def _rule(alert: Alert) -> dict[str, object]:
    rule: dict[str, object] = {"alert": alert.name, "expr": condition(alert)}
    if alert.pending != "0s":
        rule["for"] = alert.pending
    if alert.keep is not None:
        rule["keep_firing_for"] = alert.keep
    return {**rule, "labels": alert.all_labels, "annotations": alert.annotations}


def condition(alert: Alert) -> str:
    """The expression that is empty until the alert fires."""
    return f"(\n{alert.expr}\n) > {alert.threshold:g}"
