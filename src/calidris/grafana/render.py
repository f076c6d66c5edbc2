"""Everything that ``calidris render`` writes, as a pure function of the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from calidris.config import CalidrisConfig
from calidris.grafana.alerts.alert import Alert
from calidris.grafana.alerts.backpressure_alerts import backpressure_alerts
from calidris.grafana.alerts.model_alerts import model_alerts
from calidris.grafana.alerts.objective_alerts import burn_alerts, recordings
from calidris.grafana.alerts.receiver_alerts import receiver_alerts
from calidris.grafana.alerts.silence import silence_recording
from calidris.grafana.dashboards.boards import dashboards
from calidris.grafana.panel_ids import DATASOURCE_UID
from calidris.grafana.prometheus import alert_file, recording_file
from calidris.grafana.provisioning import alerting_file, dashboards_file, datasource_file


def alert_groups(config: CalidrisConfig) -> tuple[tuple[str, tuple[Alert, ...]], ...]:
    """Every alert, in named groups that are evaluated together.

    Raises:
        ConfigError: an objective could never page.
    """
    return (
        ("calidris-models", model_alerts(config)),
        ("calidris-objectives", burn_alerts(config)),
        ("calidris-receiver", (*receiver_alerts(), *backpressure_alerts(config))),
    )


def texts(config: CalidrisConfig, *, datasource_uid: str = DATASOURCE_UID) -> Mapping[PurePosixPath, str]:
    """Relative path to content of every file; the same configuration gives the same bytes.

    Args:
        config: the whole of ``calidris.yaml``.
        datasource_uid: Grafana's uid of the Prometheus data source that alert rules query.

    Raises:
        ConfigError: an objective could never page.
    """
    groups = alert_groups(config)
    files = {f"dashboards/{name}": text for name, text in dashboards(config).items()} | {
        "prometheus/calidris-recordings.rules.yml": recording_file([silence_recording(), *recordings(config)]),
        "prometheus/calidris-alerts.rules.yml": alert_file(groups),
        "provisioning/alerting/calidris.yaml": alerting_file(groups, datasource_uid),
        "provisioning/dashboards/calidris.yaml": dashboards_file(),
        "provisioning/datasources/calidris.yaml": datasource_file(datasource_uid),
    }
    return {PurePosixPath(path): text for path, text in files.items()}


def render(config: CalidrisConfig, out: Path, *, datasource_uid: str = DATASOURCE_UID) -> list[Path]:
    """Write every file under a directory, and tell which; files of other people are left alone.

    Args:
        config: the whole of ``calidris.yaml``.
        out: directory, made if it is not there.
        datasource_uid: Grafana's uid of the Prometheus data source that alert rules query.

    Raises:
        ConfigError: an objective could never page.
    """
    written = []
    for relative, text in texts(config, datasource_uid=datasource_uid).items():
        path = out / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written
