"""Fixed places: uids and panel ids that alerts, links and people's bookmarks point at. Never reuse a number."""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

DATASOURCE_UID: Final = "calidris-prometheus"
"""Alert rules need a literal uid: Grafana resolves no variable there."""

DATASOURCE_URL: Final = "http://localhost:9090"
FOLDER: Final = "Calidris"
FOLDER_UID: Final = "calidris"
DASHBOARDS_PATH: Final = "/var/lib/grafana/dashboards/calidris"
"""Where ``grafana/dashboards/`` is mounted in the Grafana container."""

SCRAPE_INTERVAL: Final = "15s"
SCRAPE_JOB: Final = "calidris"
"""``job_name`` of the receivers in Prometheus; only the alert on a receiver that does not answer needs it."""

RUNBOOK: Final = "docs/grafana.md"
"""Where the anchors of ``runbook_url`` are."""

OVERVIEW_UID: Final = "calidris-overview"
DRIFT_UID: Final = "calidris-drift"
RECEIVER_UID: Final = "calidris-receiver"


class Overview(IntEnum):
    """Panels of the dashboard "Model overview"."""

    ALARMS = 1
    LATCHED = 2
    EVIDENCE = 3
    STATUS = 4
    ROWS = 5
    LATENCY = 6
    ERRORS = 7
    OBJECTIVES = 8
    CALIBRATION = 9
    CALIBRATION_OTHER = 10
    PERFORMANCE = 11
    COVERAGE = 12
    QUALITY = 13
    REQUESTS = 14
    LOSSES = 15
    BYTES = 16
    CHECKPOINT = 17
    SERIES = 18
    SOURCES = 19
    RESIDUAL = 20
    DELAY = 21
    TREND = 22
    SLICES = 23
    CLASSES = 24
    FAIRNESS = 25
    GROUPS = 26
    SHARES = 27
    WAITING = 28
    ONSET = 29
    RENEWED = 30
    TREND_OF_ROWS = 31
    WINDOWS = 32
    LATE = 33


class Drift(IntEnum):
    """Panels of the dashboard "Drift"."""

    EVIDENCE = 1
    TOP = 2
    SCORES = 3
    QUALITY = 4
    ROWS = 5
    RAISED = 6
    MODEL = 7
    SCHEMA = 8


class Receiver(IntEnum):
    """Panels of the dashboard "Receiver"."""

    STATE = 1
    BUILD = 2
    LAG = 3
    AGES = 4
    REQUESTS = 5
    SPANS = 6
    BYTES = 7
    ROWS = 8
    LABELS = 9
    CAPS = 10
    QUEUE = 11
    ITEMS = 12
    EARLY = 13
    HORIZON = 14
    JOURNAL = 15
    SYNC = 16
    WRITES = 17
    SAVING = 18
    CHECKPOINT = 19
    LOST = 20
    MEMORY = 21
    PROCESSOR = 22
    DESCRIPTORS = 23
    DURATIONS = 24
    LEAVING = 25


class PanelId(NamedTuple):
    """A panel of a dashboard."""

    dashboard_uid: str
    panel_id: int


_UIDS: Final = {Overview: OVERVIEW_UID, Drift: DRIFT_UID, Receiver: RECEIVER_UID}


def panel_id(panel: Overview | Drift | Receiver) -> PanelId:
    """Where a panel is.

    >>> panel_id(Drift.TOP)
    PanelId(dashboard_uid='calidris-drift', panel_id=2)
    """
    return PanelId(_UIDS[type(panel)], int(panel))
